'use strict';
// What of the portal needs no browser.
const { test } = require('node:test');
const assert = require('node:assert');
const { createRequire } = require('node:module');
const fs = require('node:fs');
const path = require('node:path');

const portal = path.join(__dirname, '../../portal');
const { transformSync } = createRequire(createRequire(path.join(portal, 'package.json')).resolve('vite'))('esbuild');
function load(name) {
  const module = { exports: {} };
  const { code } = transformSync(fs.readFileSync(path.join(portal, 'src/logic', name), 'utf8'), { loader: 'ts', format: 'cjs' });
  new Function('module', 'exports', code)(module, module.exports);
  return module.exports;
}
const { readObject, mergePatch, diffLines, withoutMetadata } = load('json.ts');
const { EventReader, backOff } = load('stream.ts');
const { runtimeResponse, edgeModules, edgeClients, isUnhealthy } = load('edge.ts');

const { kindOf, readEdge, writeEdge, wrongModule, wrongId, wrongPriority, freshModule, settingsOf, settingRows, wrongSettings } = load('configurations.ts');

// RFC 7396
function merge(target, patch) {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

test('a patch makes the second document of the first', () => {
  const pairs = [
    [{ a: 1, b: { c: 2, d: [1, 2] } }, { a: 1, b: { c: 3, d: [1] }, e: {} }],
    [{ a: { b: 1 } }, { a: 5 }],
    [{ a: 5 }, { a: { b: 1 } }],
    [{ a: { b: { c: 1 } } }, { a: { b: {} } }],
    [{}, JSON.parse('{"constructor":{"x":1}}')],
  ];
  for (const [from, to] of pairs) assert.deepStrictEqual(merge(from, mergePatch(from, to)), to);
  assert.deepStrictEqual(mergePatch({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }), {});
  assert.deepStrictEqual(mergePatch({ a: 1 }, {}), { a: null });
});

test('a name of JavaScript is a name like others', () => {
  const patch = mergePatch({}, JSON.parse('{"__proto__":{"polluted":1}}'));
  assert.strictEqual(JSON.stringify(patch), '{"__proto__":{"polluted":1}}');
  assert.strictEqual({}.polluted, undefined);
});

test('a mistake has its place', () => {
  assert.deepStrictEqual(readObject('{"a": 1}'), { value: { a: 1 } });
  for (const text of ['[]', 'null', '"x"', '7']) assert.match(readObject(text).mistake.message, /object/);
  const { mistake } = readObject('{\n  "a": 1,\n  "b" 2\n}');
  assert.strictEqual(mistake.line === 3 || mistake.line === 0, true);
});

test('what the hub adds to a section is not edited', () => {
  assert.deepStrictEqual(withoutMetadata({ $metadata: {}, $version: 3, a: { $x: 1 } }), { a: { $x: 1 } });
  assert.deepStrictEqual(withoutMetadata(undefined), {});
});

test('a difference tells lines that went and came, and both texts are in it', () => {
  const told = (before, after) => diffLines(before, after).map((line) => line.sign + line.text);
  assert.deepStrictEqual(told('a\nb\nc', 'a\nx\nc'), [' a', '-b', '+x', ' c']);
  assert.deepStrictEqual(told('a', 'a'), [' a']);
  const long = Array.from({ length: 3000 }, (_, i) => String(i)).join('\n');
  assert.strictEqual(diffLines(long, `${long}\nx`).length, 6001);
});

test('events are the same, however the stream is cut', () => {
  const text = ': hello\n\nid: 7\ndata: {"a":1}\n\nid: 8\r\ndata: x\r\ndata: y\r\n\r\n:\n\n';
  const whole = new EventReader().feed(text);
  assert.deepStrictEqual(whole, [{ id: '7', data: '{"a":1}' }, { id: '8', data: 'x\ny' }]);
  for (let cut = 1; cut < text.length; cut++) {
    const reader = new EventReader();
    assert.deepStrictEqual([...reader.feed(text.slice(0, cut)), ...reader.feed(text.slice(cut))], whole);
  }
  assert.throws(() => new EventReader().feed('x'.repeat((4 << 20) + 1)));
});

test('attempts come later and later, and never later than half a minute', () => {
  assert.deepStrictEqual([0, 1, 2, 20].map((attempt) => backOff(attempt, () => 1)), [1000, 2000, 4000, 30000]);
  assert.strictEqual(backOff(0, () => 0), 500);
});

test('an edge device that has never reported has no answer and its two system modules', () => {
  assert.deepStrictEqual(runtimeResponse(undefined), { code: '', text: 'N/A' });
  assert.match(runtimeResponse({ lastDesiredStatus: { code: 417 } }).text, /^417 - no deployment/);
  assert.deepStrictEqual(edgeModules(undefined, undefined).map((module) => module.name), ['$edgeAgent', '$edgeHub']);
  assert.deepStrictEqual(edgeClients({ clients: { 'e/m': { status: 'Connected' }, leaf: {} } }).map((client) => client.type), ['Module', 'Device']);
  const [, , module] = edgeModules({ modules: { m: {} } }, { modules: { m: { runtimeStatus: 'backoff' } } });
  assert.ok(isUnhealthy(module) && module.specified && module.reported);
});

test('a manifest that nobody edits comes back as it was, with what forms do not show', () => {
  const module = (image, more) => ({ type: 'docker', status: 'stopped', restartPolicy: 'never', settings: { image, createOptions: '{"a":1}', skerry: { rollback: true } }, ...more });
  const whole = {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', runtime: { type: 'docker', settings: { minDockerVersion: 'v1.30', registryCredentials: { r: { address: 'a', username: 'u', password: 'p' } } } },
      systemModules: { edgeAgent: { type: 'docker', settings: { image: 'agent:1', createOptions: '{}' } }, edgeHub: { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'hub:1' } } },
      modules: JSON.parse(JSON.stringify({ m: module('m:1', { env: { A: { value: 'b' } }, startupOrder: 3, version: '7', imagePullPolicy: 'never' }), p: { type: 'process', status: 'running', restartPolicy: 'always', settings: { command: ['sh', '-c', 'sleep 1'], limits: { memory: 1 } } } })
        .replace('"p":', '"__proto__":')) } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: { a: 'FROM /* INTO $upstream', b: { route: 'FROM /* INTO $upstream', priority: 3, timeToLiveSecs: 9 } },
      storeAndForwardConfiguration: { timeToLiveSecs: 0 }, mqttBroker: {} } },
    m: { 'properties.desired': { x: [1] } }, elsewhere: { 'properties.desired': { y: 1 } } };
  assert.strictEqual(kindOf({ modulesContent: whole }), 'deployment');
  assert.deepStrictEqual(JSON.parse(JSON.stringify(writeEdge(readEdge(whole)))), whole);
  const layer = { $edgeAgent: { 'properties.desired.modules.m': module('m:2', {}), 'properties.desired.modules.m.env.X': { value: '1' } },
    $edgeHub: { 'properties.desired.routes.r': 'FROM /* INTO $upstream' }, m: { 'properties.desired.settings': 5, 'properties.desired.more': {} }, other: { 'properties.desired.a.b': {} } };
  assert.strictEqual(kindOf({ modulesContent: layer }), 'layered');
  assert.deepStrictEqual(JSON.parse(JSON.stringify(writeEdge(readEdge(layer)))), layer);
});

test('what a form does not take has a reason', () => {
  assert.strictEqual(wrongId('a'.repeat(128)), '');
  assert.ok(wrongId('a'.repeat(129)) && wrongId('A') && wrongId('a/b'));
  assert.ok(!wrongPriority('2147483647') && wrongPriority('2147483648') && wrongPriority('1.5') && wrongPriority(''));
  const fine = { ...freshModule(), name: 'm', image: 'i' };
  assert.strictEqual(wrongModule(fine, []), '');
  for (const [change, why] of [[{ name: '$x' }, /name/], [{ image: ' ' }, /image/], [{ type: 'process' }, /command/], [{ twin: '7' }, /object/], [{ createOptions: '{' }, /JSON/],
    [{ startupOrder: 'x' }, /number/], [{ env: [{ name: '', value: '1' }] }, /variable/], [{ path: 'a..b', twin: '1' }, /path/], [{ path: 'a' }, /settings/]])
    assert.match(wrongModule({ ...fine, ...change }, []), why);
  assert.match(wrongModule(fine, ['m']), /already/);
  const rows = [{ path: 'a.b', value: '"x"' }, { path: 'c', value: 'null' }];
  assert.strictEqual(wrongSettings(rows), '');
  assert.deepStrictEqual(settingRows(settingsOf(rows)), rows);
  assert.ok(wrongSettings([]) && wrongSettings([{ path: 'a', value: 'x' }]) && wrongSettings([{ path: '', value: '1' }]) && wrongSettings([rows[0], rows[0]]));
});
