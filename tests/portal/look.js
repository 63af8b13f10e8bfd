const s=require('./support.js');
(async()=>{ await s.start(); await s.device('lamp-1'); await s.device('gate',{capabilities:{iotEdge:true}});
 const page=await s.open('devices'); await page.waitForTimeout(2500); console.log(page.said, (await page.locator('main').innerText()).slice(0,1500));
 await page.goto(`https://${s.host}/portal/devices/lamp-1/twin`); await page.waitForTimeout(2000); console.log(page.said,(await page.locator('main').innerText()).slice(0,800));
 await page.goto(`https://${s.host}/portal/edge`); await page.waitForTimeout(2000); console.log(page.said,(await page.locator('main').innerText()).slice(0,800));
 await s.end();})();
