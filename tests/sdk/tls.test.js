'use strict';
// The listener itself, with Node's own TLS and MQTT: versions, resumption, one port for all protocols, new certificates on SIGHUP.
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const https = require('https');
const path = require('path');
const tls = require('tls');
const { host, pause, until } = require('./support');

const ca = fs.readFileSync(process.env.HUB_CA);

const dial = (options = {}) => new Promise((resolve, reject) => {
  const socket = tls.connect({ host, port: 8883, ca, ...options }, () => resolve(socket));
  socket.on('error', reject);
});

test('TLS 1.2 and 1.3 are spoken, with forward secrecy; older versions are refused', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const socket = await dial({ minVersion: version, maxVersion: version });
    assert.strictEqual(socket.getProtocol(), version);
    assert.match(socket.getEphemeralKeyInfo().type, /ECDH/);
    socket.destroy();
  }
  await assert.rejects(dial({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
});

// The Node SDKs know this error, and no other, as a server that is not trusted.
test('the certificate comes without its CA: who does not know the CA hears that the certificate cannot be verified', async () => {
  await assert.rejects(dial({ ca: [] }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
});

test('sessions are resumed', async () => {
  const first = await dial({ maxVersion: 'TLSv1.2' });
  const session = first.getSession();
  first.destroy();
  const second = await dial({ maxVersion: 'TLSv1.2', session });
  assert.ok(second.isSessionReused());
  second.destroy();
});

const get = (port) => new Promise((resolve, reject) => {
  https.get({ host, port, path: '/nowhere', ca, agent: false }, (response) => {
    response.resume();
    resolve(response);
  }).on('error', reject);
});

const connack = (port, protocolLevel) => new Promise((resolve, reject) => {
  const socket = tls.connect({ host, port, ca }, () =>
    socket.write(Buffer.concat([Buffer.from([0x10, 12 + 1, 0, 4]), Buffer.from('MQTT'), Buffer.from([protocolLevel, 2, 0, 60, 0, 1, 0x61])])));
  socket.on('data', (data) => resolve([...data]));
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('closed')));
});

test('every port takes MQTT and HTTPS; the first byte tells', async () => {
  for (const port of [443, 8883]) {
    const response = await get(port);
    assert.strictEqual(response.statusCode, 404);
    assert.strictEqual(response.headers['iothub-errorcode'], 'GenericNotFound');
    assert.deepStrictEqual(await connack(port, 5), [0x20, 2, 0, 1]); // MQTT 5: not this protocol level
    assert.deepStrictEqual(await connack(port, 4), [0x20, 2, 0, 5]); // no user name
  }
});

test('what is neither is closed', async () => {
  const socket = await dial();
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.write('\0\0\0\0');
  await closed;
});

test('SIGHUP takes a new certificate for new connections and keeps the old ones', async () => {
  const folder = path.dirname(process.env.HUB_CA);
  const server = fs.readFileSync(path.join(folder, 'server.pem'), 'utf8');
  const old = await dial();
  const before = old.getPeerCertificate().serialNumber;
  // Another certificate of the same CA for the same key, made with the system's openssl.
  const { execFileSync } = require('child_process');
  const at = (name) => path.join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
  fs.writeFileSync(at('san.cnf'), `subjectAltName=IP:${host}\nextendedKeyUsage=serverAuth\n`);
  openssl('req', '-new', '-key', at('server.key'), '-subj', `/CN=${host}`, '-out', at('server.csr'));
  openssl('x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-days', '30', '-set_serial', '4711',
    '-extfile', at('san.cnf'), '-out', at('server.pem'));
  process.kill(Number(process.env.HUB_PID), 'SIGHUP');
  try {
    const after = await until('the new certificate', async () => {
      const socket = await dial();
      const serial = socket.getPeerCertificate().serialNumber;
      socket.destroy();
      return serial !== before && serial;
    });
    assert.strictEqual(parseInt(after, 16), 4711);
    await pause(100);
    assert.ok(!old.destroyed);
  } finally {
    fs.writeFileSync(at('server.pem'), server);
    process.kill(Number(process.env.HUB_PID), 'SIGHUP');
    old.destroy();
  }
});
