'use strict';
// script/demo: a hub, an edge with two modules, a leaf device behind the edge, a simulated fleet, and what happens to them. See README.

const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { spawn, fork, execFile } = require('child_process');
const fleet = require('./fleet');

const root = path.join(__dirname, '..');
const bin = path.join(root, 'build/release/bin');
const state = path.join(root, '.demo');
const hubHost = '127.0.0.2';
const ca = path.join(state, 'hub/ca.pem');

const args = process.argv.slice(2);
const containers = args.includes('--containers');
// Containers reach this machine by an address of its own, not by one of the loopback.
const ownAddress = () => Object.values(os.networkInterfaces()).flat().find((one) => one.family === 'IPv4' && !one.internal)?.address;
const edgeHost = containers ? ownAddress() : '127.0.0.3';
const engine = process.env.DEMO_ENGINE; // the container engine's socket
const json = args.includes('--json');
const forAt = args.indexOf('--for');
const seconds = forAt >= 0 ? Number(args[forAt + 1]) : 0;
if (args.includes('--help') || Number.isNaN(seconds)) {
  console.log('script/demo [--for SECONDS] [--json] [--containers]   runs until Ctrl-C, or for SECONDS; --json prints the counts at the end; ' +
    'with --containers the modules are containers');
  process.exit(args.includes('--help') ? 0 : 2);
}

const live = process.stdout.isTTY && !json;
const started = Date.now();
const story = []; // what was done and seen
const latest = [];
const children = new Set();
const seen = { leaf: new Set(), sim: new Set(), filter: 0, fleet: 0, offsets: new Set(), repeated: 0 };
const counts = { acknowledged: 0, failed: 0 };
let environment;
let hub, edge, leaf, watcher, trucks;
let api; // the hub's REST API
let owner; // a connection string that may do everything
let ending = false;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const portal = `https://${hubHost}/portal/dashboard`;
const tell = (text) => {
  story.push(`${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);
  if (!live && !json) console.log(story[story.length - 1]);
};

function start(name, command, parameters, options = {}) {
  const log = fs.openSync(path.join(state, `${name}.log`), 'a');
  const child = spawn(command, parameters, { stdio: ['ignore', options.stdout || log, log], env: environment || process.env });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

function stop(child, signal = 'SIGTERM') {
  if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill(signal);
  });
}

function run(program, ...parameters) {
  return new Promise((resolve, reject) => {
    execFile(path.join(bin, program), parameters, { env: environment || process.env, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      (error ? reject(new Error(stderr.trim() || error.message)) : resolve(stdout)));
  });
}
const skerry = (...parameters) => run('skerry', ...parameters);

const metrics = (host) => new Promise((resolve) => {
  http.get({ host, port: 9600, path: '/metrics', timeout: 2000 }, (response) => {
    let text = '';
    response.on('data', (part) => { text += part; });
    response.on('end', () => resolve(Object.fromEntries(text.split('\n').filter((line) => line && line[0] !== '#')
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))));
  }).on('error', () => resolve(null)).on('timeout', function () { this.destroy(); });
});

const ready = (host) => new Promise((resolve) => {
  http.get({ host, port: 9600, path: '/health/ready', timeout: 2000 }, (response) => {
    response.resume();
    resolve(response.statusCode === 200);
  }).on('error', () => resolve(false));
});

async function until(what, ask, limit = 30) {
  for (const end = Date.now() + limit * 1000; Date.now() < end; await pause(100)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error(`${what}: waited ${limit} s in vain; see ${path.relative(process.cwd(), state)}/*.log`);
}

// ---- the parts ----

function startHub() {
  hub = start('hub', path.join(bin, 'skerry-hub'), ['run', '--config', path.join(state, 'hub/hub.toml')]);
  return until('the hub', () => ready(hubHost));
}

// Follows the stored events, again from the first after the hub's restart: those of several partitions have no common place.
function watch() {
  watcher = start('watch', path.join(bin, 'skerry'), ['events', 'watch', '--from', 'earliest', '--output', 'jsonl'], { stdout: 'pipe' });
  let rest = '';
  watcher.stdout.on('data', (part) => {
    const lines = (rest + part).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (seen.offsets.has(event.offset)) continue;
      seen.offsets.add(event.offset);
      latest.push(event);
      if (latest.length > 5) latest.shift();
      const into = event.deviceId === 'leaf1' ? seen.leaf : event.moduleId === 'sim' ? seen.sim : null;
      const number = event.deviceId === 'leaf1' ? event.body.number : event.body.sequence;
      if (event.moduleId === 'filter') seen.filter++;
      else if (into === null) seen.fleet++;
      else if (into.has(number)) seen.repeated++;
      else into.add(number);
    }
  });
  watcher.on('exit', async () => {
    await pause(300);
    if (!ending) watch();
  });
}

const system = { type: 'process', settings: { command: ['skerry-edge'] } };
const module_ = (program) => ({
  version: '1.0', status: 'running', restartPolicy: 'always',
  ...(containers ? { type: 'docker', imagePullPolicy: 'never', settings: { image: `localhost/${program}:demo` } } :
    { type: 'process', settings: { command: [path.join(bin, program)] } }),
});
const deployment = {
  modulesContent: {
    $edgeAgent: { 'properties.desired': {
      schemaVersion: '1.1', runtime: { type: 'docker', settings: {} },
      systemModules: { edgeAgent: system, edgeHub: { ...system, status: 'running', restartPolicy: 'always' } },
      modules: { sim: module_('skerry-sim'), filter: module_('skerry-filter') } } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {
      toFilter: 'FROM /messages/modules/sim/outputs/* INTO BrokeredEndpoint("/modules/filter/inputs/input1")',
      filtered: 'FROM /messages/modules/filter/outputs/* INTO $upstream',
      raw: 'FROM /messages/modules/sim/outputs/* INTO $upstream',
      leaves: 'FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO $upstream' } } },
    sim: { 'properties.desired': { SendInterval: 0.5 } },
    filter: { 'properties.desired': { TemperatureThreshold: 0 } },
  },
};

async function setUp() {
  fs.rmSync(state, { recursive: true, force: true });
  fs.mkdirSync(state);
  const made = JSON.parse(await run('skerry-hub', 'init', path.join(state, 'hub'), '--hostname', hubHost, '--hub', 'demo',
    '--listen', hubHost, '--metrics', `${hubHost}:9600`, '--json'));
  owner = made.hubs[0].connectionStrings.iothubowner;
  environment = { ...process.env, SKERRY_CONNECTION_STRING: owner, SKERRY_CA_FILE: ca };
  await startHub();
  watch();
  await skerry('device', 'add', 'edge1', '--edge');
  await skerry('device', 'add', 'leaf1', '--parent', 'edge1');
  fs.writeFileSync(path.join(state, 'deployment.json'), JSON.stringify(deployment, null, 2));
  await skerry('edge', 'set-modules', 'edge1', path.join(state, 'deployment.json'));
  fs.writeFileSync(path.join(state, 'config.toml'), [
    `hostname = "${edgeHost}"`, '[provisioning]', 'source = "manual"',
    `connection_string = "${(await skerry('device', 'connection-string', 'edge1')).trim()}"`,
    '[skerry]', `data = "${state}/edge"`, `hub_trust = "${ca}"`, `listen = ["${edgeHost}"]`,
    `metrics = "${edgeHost}:9600"`, ...(containers ? ['[moby_runtime]', `uri = "unix://${engine}"`, 'network = "skerry-demo"'] : []), ''].join('\n'), { mode: 0o600 });
  edge = start('edge', path.join(bin, 'skerry-edge'), ['run', '--config', path.join(state, 'config.toml')]);
  await until('the edge', () => ready(edgeHost));
  const leafString = (await skerry('device', 'connection-string', 'leaf1', '--gateway', edgeHost)).trim();
  leaf = fork(path.join(__dirname, 'leaf.js'), [leafString, path.join(state, 'edge/certificates/edge-ca.pem')],
    { stdio: ['ignore', 'ignore', fs.openSync(path.join(state, 'leaf.log'), 'a'), 'ipc'] });
  children.add(leaf);
  leaf.on('message', (message) => { counts[message.acknowledged ? 'acknowledged' : 'failed']++; });
  leaf.on('exit', () => children.delete(leaf));
  api = fleet.service(owner, ca);
  await fleet.makeRules(api);
  trucks = start('fleet', path.join(bin, 'skerry'), fleet.arguments_);
  await until('the fleet', async () => (await api('GET', `/devices/${fleet.chiller}`).catch(() => ({}))).connectionState === 'Connected');
  tell(`hub, edge with modules sim and filter, leaf1 (Node SDK, through the edge), ${fleet.TRUCKS} trucks and ${fleet.CHILLERS} chillers (simulated) are running`);
  if (!json) {
    console.log(`\nThe portal: ${portal} (the browser warns of a certificate it does not know)\n  sign in with ${owner}\n` +
      `\nTry it (in another terminal):\n  export SKERRY_CONNECTION_STRING='${owner}' SKERRY_CA_FILE='${ca}' PATH="${bin}:$PATH"\n` +
      '  skerry events watch\n  skerry twin update edge1/sim --desired \'{"SendInterval": 0.1}\'\n  skerry method call leaf1 blink --payload 3\n' +
      '  skerry sim follow        # and the portal’s page Simulations starts and stops more devices\n' +
      `  skerry-edge list --config ${state}/config.toml\nA device of yours: skerry device add mine --parent edge1; ` +
      `skerry device connection-string mine --gateway ${edgeHost}\n`);
  }
}

// [{name, status, restarts}] as the agent sees them; empty while it does not answer.
async function modules() {
  try {
    const report = JSON.parse(await run('skerry-edge', 'list', '--config', path.join(state, 'config.toml'), '--json'));
    return Object.entries(report)
      .map(([name, one]) => ({ name, status: one.runtimeStatus, restarts: one.restartCount ?? 0 }));
  } catch {
    return [];
  }
}

// ---- what happens ----

// Ends the filter as a crash would; says what was killed.
async function killFilter() {
  if (containers) {
    await new Promise((resolve, reject) => http.request({ socketPath: engine, method: 'POST', path: '/v1.41/containers/filter/kill?signal=KILL' },
      (response) => { response.resume(); response.on('end', resolve); }).on('error', reject).end());
    return 'its container';
  }
  const pid = Number(/module filter started \(pid (\d+)\)(?![\s\S]*module filter started)/.exec(fs.readFileSync(path.join(state, 'edge.log'), 'utf8'))[1]);
  process.kill(pid, 'SIGKILL');
  return `pid ${pid}`;
}

// What waits for the cloud; undefined while the edge does not answer.
function waiting(now) {
  const queues = Object.entries(now || {}).filter(([name]) => name.startsWith('edgehub_queue_length{') && name.includes('"iothub"'));
  return now ? queues.reduce((sum, [, value]) => sum + value, 0) : undefined;
}

async function happenings(span) {
  const part = (share) => Math.max(0, started + span * 1000 * share - Date.now());
  await pause(part(0.3));
  await skerry('twin', 'update', 'edge1/filter', '--desired', '{"TemperatureThreshold": 1000}');
  await until('the threshold', async () =>
    JSON.parse(await skerry('twin', 'show', 'edge1/filter', '--output', 'json')).properties.reported.TemperatureThreshold === 1000);
  const before = seen.filter;
  tell('the twin of edge1/filter was changed: threshold 1000; the filter reported it');
  await skerry('method', 'call', fleet.chiller, 'IncreasePressure');
  tell(`the pressure of ${fleet.chiller} rises: a rule finds it`);
  await pause(part(0.4));
  tell(`since then the filter passed ${seen.filter - before} messages on`);
  await skerry('twin', 'update', 'edge1/filter', '--desired', '{"TemperatureThreshold": 0}');
  const answer = JSON.parse(await skerry('method', 'call', 'edge1/sim', 'reset', '--output', 'json'));
  tell(`direct method reset on edge1/sim answered ${answer.status}`);
  await pause(part(0.5));
  tell(`module filter was killed (${await killFilter()})`);
  await pause(part(0.55));
  await stop(hub, 'SIGKILL');
  tell('the hub was killed with -9: the edge has no cloud');
  await pause(Math.min(8000, span * 120));
  const queue = await metrics(edgeHost);
  await startHub();
  tell(`the hub is back; ${waiting(queue) ?? '?'} messages had waited at the edge`);
  await until('the filter to come back', async () => (await modules()).some((one) => one.name === 'filter' && one.status === 'running'), 60);
  tell('module filter is running again');
  const found = await until('an alarm', () => fleet.countAlarms(api), 60);
  await until(`${fleet.chiller} to be back`, () => skerry('method', 'call', fleet.chiller, 'EmergencyValveRelease').then(() => true, () => false), 60);
  tell(`rules have found ${found} alarm${found === 1 ? '' : 's'}; the valve of ${fleet.chiller} was opened`);
}

// ---- the view ----

async function show(previous) {
  const list = await modules();
  const rate = (set, name) => ((set.size - (previous[name] || 0)) / 2).toFixed(1);
  const lines = [
    `Skerry demo, ${((Date.now() - started) / 1000).toFixed(0)} s    (Ctrl-C ends and removes all)`, '',
    `  The portal, with the trucks on its map: ${portal}`, `  sign in with ${owner}`, '',
    `  leaf1 → edge hub → hub     ${String(seen.leaf.size).padStart(6)} stored, ${rate(seen.leaf, 'leaf')} /s, ${counts.acknowledged} acknowledged to the device`,
    `  sim → edge hub → hub       ${String(seen.sim.size).padStart(6)} stored, ${rate(seen.sim, 'sim')} /s`,
    `  sim → filter → hub         ${String(seen.filter).padStart(6)} passed`,
    `  trucks and chillers → hub  ${String(seen.fleet).padStart(6)} stored`, '',
    ...list.map((one) => `  ${one.name.padEnd(12)} ${one.status.padEnd(10)} restarts ${one.restarts}`), '',
    ...latest.map((event) => `  ${event.deviceId}${event.moduleId ? '/' + event.moduleId : ''}: ${JSON.stringify(event.body)}`.slice(0, 110)), '',
    ...story.slice(-8)];
  process.stdout.write(`\x1b[2J\x1b[H${lines.join('\n')}\n`);
  return { leaf: seen.leaf.size, sim: seen.sim.size };
}

// ---- the end ----

// Numbers that are missing below the highest one.
function gaps(set) {
  let missing = 0;
  for (let i = Math.min(...set), most = Math.max(...set); i < most; i++) if (!set.has(i)) missing++;
  return set.size ? missing : 0;
}

async function finish() {
  ending = true;
  if (leaf && leaf.connected) {
    leaf.send('end');
    await until('the leaf', () => leaf.exitCode !== null, 20);
  }
  await until('the edge\'s queue to empty', async () => {
    const now = waiting(await metrics(edgeHost));
    return now <= 4 && seen.leaf.size >= counts.acknowledged;
  }, 60).catch((error) => tell(error.message));
  await pause(500);
  const result = {
    seconds: Math.round((Date.now() - started) / 1000),
    leaf: { sent: counts.acknowledged, stored: seen.leaf.size, lost: Math.max(gaps(seen.leaf), counts.acknowledged - seen.leaf.size) },
    sim: { sent: Math.max(0, ...seen.sim), stored: seen.sim.size, lost: gaps(seen.sim) },
    filter: { passed: seen.filter },
    fleet: { stored: seen.fleet, alarms: await fleet.countAlarms(api) },
    repeated: seen.repeated,
    lost: 0,
    story,
  };
  result.lost = result.leaf.lost + result.sim.lost;
  return result;
}

async function tearDown() {
  ending = true;
  await stop(watcher);
  await stop(trucks);
  await stop(leaf);
  await stop(edge);
  await stop(hub);
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(state, { recursive: true, force: true });
}

let interrupted;
const interruption = new Promise((resolve) => { interrupted = resolve; });
process.on('SIGINT', () => interrupted());
process.on('SIGTERM', () => interrupted());

(async () => {
  let code = 0;
  try {
    await setUp();
    let previous = {};
    const view = live ? setInterval(async () => { previous = await show(previous); }, 2000) : null;
    const span = seconds || 60;
    const happened = happenings(span).catch((error) => {
      code = 1;
      tell(`failed: ${error.message}`);
    });
    if (seconds) {
      await Promise.race([Promise.all([happened, pause(Math.max(0, started + seconds * 1000 - Date.now()))]), interruption]);
    } else {
      await interruption;
    }
    clearInterval(view);
    const result = await finish();
    if (result.lost) code = 1;
    if (json) console.log(JSON.stringify(result, null, 2));
    else console.log(`\n${story.join('\n')}\n\nleaf1: ${result.leaf.sent} acknowledged, ${result.leaf.stored} stored; sim: ${result.sim.stored} stored; ` +
      `fleet: ${result.fleet.stored} stored, ${result.fleet.alarms} alarms; ` +
      `lost ${result.lost}, repeated ${result.repeated}`);
  } catch (error) {
    code = 1;
    console.error(`demo: ${error.message}`);
    for (const name of ['hub', 'edge', 'leaf', 'fleet']) {
      const file = path.join(state, `${name}.log`);
      if (fs.existsSync(file)) console.error(`--- ${name}.log\n${fs.readFileSync(file, 'utf8').split('\n').slice(-15).join('\n')}`);
    }
  } finally {
    await tearDown();
  }
  process.exit(code);
})();
