'use strict';
// A leaf device as any Azure IoT sample writes it; only its connection string names a gateway.
// Sends {"number": n, …} twice a second; tells its parent process what was acknowledged.
const fs = require('fs');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const [connectionString, ca] = process.argv.slice(2);
const client = Client.fromConnectionString(connectionString, Mqtt);
let number = 0;
let timer;

function send() {
  const message = new Message(JSON.stringify({ number: number++, temperature: 20 + Math.random() * 10 }));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  client.sendEvent(message).then(() => process.send({ acknowledged: true }), (error) => process.send({ failed: error.message }));
}

(async () => {
  await client.setOptions({ ca: fs.readFileSync(ca, 'utf8') });
  await client.open();
  client.onDeviceMethod('blink', (request, response) => response.send(200, { blinked: request.payload }));
  timer = setInterval(send, 500);
  process.on('message', async () => { // asked to end
    clearInterval(timer);
    await client.close();
    process.exit(0);
  });
})().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
