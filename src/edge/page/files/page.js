// Shows what /api/status tells, every two seconds. Text from devices becomes text nodes only.
'use strict';
const fragment = new URLSearchParams(location.hash.slice(1)).get('key');
if (fragment) { // not left in the address bar, nor in the history
  sessionStorage.setItem('key', fragment);
  history.replaceState(null, '', location.pathname);
}
const key = sessionStorage.getItem('key');
const $ = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function age(seconds) {
  for (const [length, name] of [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']]) {
    const n = Math.floor(seconds / length);
    if (n > 0) return `${n} ${name}${n === 1 ? '' : 's'}`;
  }
  return 'a moment';
}
const since = (time) => (time && !time.startsWith('0001') ? age((Date.now() - Date.parse(time)) / 1000) : '');

function colour(module) {
  const wanted = module.status || 'running';
  if (module.runtimeStatus === wanted) return 'good';
  return ['failed', 'unhealthy', 'dead'].includes(module.runtimeStatus) ? 'bad' : 'warn';
}

function row(cells) {
  const line = element('tr');
  for (const cell of cells) line.append(cell);
  return line;
}

function moduleRow(module) {
  const state = element('td');
  state.append(element('span', module.runtimeStatus, colour(module)));
  if (module.statusDescription && module.statusDescription !== module.runtimeStatus) state.append(element('span', module.statusDescription, 'why'));
  const up = ['running', 'unhealthy'].includes(module.runtimeStatus);
  const button = element('button', 'Log');
  button.setAttribute('aria-label', `Log of ${module.name}`);
  button.addEventListener('click', () => showLog(module.name));
  const last = element('td');
  if (module.name !== 'edgeAgent' && module.name !== 'edgeHub') last.append(button);
  const runs = element('td');
  runs.append(element('code', module.image || module.program || ''));
  return row([element('td', module.name, 'whole'), state, element('td', since(up ? module.lastStartTimeUtc : module.lastExitTimeUtc)), element('td', module.restartCount ?? 0, 'number'), runs, last]);
}

function fill(table, rows, nothing) {
  const body = table.tBodies[0];
  const held = document.activeElement?.getAttribute('aria-label');
  body.replaceChildren(...rows);
  if (rows.length === 0) {
    const cell = element('td', nothing, 'why');
    cell.colSpan = table.tHead.rows[0].cells.length;
    body.append(row([cell]));
  }
  if (held) body.querySelector(`[aria-label="${CSS.escape(held)}"]`)?.focus();
}

function show(status) {
  const hub = status.edgeHub, last = status.lastDesiredStatus || {};
  $('device').textContent = status.deviceId || 'Skerry edge';
  document.title = `${status.deviceId || 'edge'} – Skerry`;
  const told = [status.connected ? `Connected to ${status.hub}.` : `Not connected to ${status.hub || 'the hub'}; modules and leaf devices work on.`];
  if (last.code === 200) told.push(`Deployment ${status.lastDesiredVersion} is in force.`);
  else if (last.code === 500) told.push(`Deployment ${status.lastDesiredVersion} is not wholly carried out: ${last.description}`);
  else if (last.code) told.push(`Deployment ${status.lastDesiredVersion} was refused: ${last.description}`);
  if (hub?.deployment?.code > 200 && last.code !== 417) told.push(`The edge hub refused deployment ${hub.deployment.version}: ${hub.deployment.description}`);
  if (!status.agentAnswers) told.unshift('The agent does not answer.');
  if (!hub) told.unshift('The edge hub does not answer.');
  say(told.join('\n'));
  document.querySelector('main').hidden = false;
  fill($('modules'), status.modules.map(moduleRow), 'No modules are deployed.');
  fill($('queues'), (hub?.queues || []).map((queue) => row([
    element('td', queue.endpoint), element('td', queue.priority ?? '–'), element('td', queue.depth, 'number'),
    element('td', queue.depth && queue.oldestAgeSeconds !== undefined ? age(queue.oldestAgeSeconds) : '', 'number')])), hub ? 'There are no routes.' : 'The edge hub does not answer.');
  fill($('routes'), (hub?.routes || []).map((route) => {
    const cell = element('td');
    cell.append(element('code', route.route));
    return row([element('td', route.name), cell]);
  }), hub ? 'There are no routes.' : 'The edge hub does not answer.');
  $('clients').replaceChildren(...(hub?.clients || []).map((client) => element('li', client.id)));
}

function say(text) {
  if ($('summary').textContent !== text) $('summary').textContent = text; // so that it is read out once
}

const ask = (path) => fetch(path, {headers: {Authorization: `Bearer ${key}`}});

async function showLog(module) {
  const answer = await ask(`api/modules/${encodeURIComponent(module)}/logs`);
  $('log-title').textContent = `Log of ${module}`;
  $('log-text').textContent = (answer.ok ? await answer.text() : (await answer.json()).message) || 'It has written nothing yet.';
  $('log').showModal();
  $('log-text').scrollTop = $('log-text').scrollHeight;
}

async function turn() {
  try {
    const answer = await ask('api/status');
    if (answer.ok) show(await answer.json());
    else say((await answer.json()).message);
    if (answer.status === 401) return;
  } catch {
    say('The edge does not answer. Trying again.');
  }
  setTimeout(turn, 2000);
}
turn();
