'use strict';
// Certificates for tests, made by openssl in a folder that goes with the test file.
const test = require('node:test');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { execFileSync } = require('child_process');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'certificates-'));
test.after(() => fs.rmSync(folder, { recursive: true }));
const at = (name) => path.join(folder, name);
const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' }).toString();

// A certificate for `name`: its own issuer, or signed by `issuer`.
function certificate(file, name, issuer, { days = 30, ca = false } = {}) {
  const key = at(`${file}.key`), cert = at(`${file}.pem`);
  const extensions = ca ? 'basicConstraints=critical,CA:TRUE' : 'extendedKeyUsage=clientAuth';
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key);
  openssl('req', '-new', '-key', key, '-subj', `/CN=${name.replace('/', '\\/')}`, '-out', at('csr'));
  fs.writeFileSync(at('ext'), extensions);
  const signer = issuer ? ['-CA', at(`${issuer}.pem`), '-CAkey', at(`${issuer}.key`), '-CAcreateserial'] : ['-signkey', key];
  openssl('x509', '-req', '-in', at('csr'), '-days', String(days), '-extfile', at('ext'), '-out', cert, ...signer);
  return { cert: fs.readFileSync(cert, 'utf8'), key: fs.readFileSync(key, 'utf8') };
}

const thumbprint = (file, digest) => openssl('x509', '-in', at(`${file}.pem`), '-noout', '-fingerprint', `-${digest}`).trim().split('=')[1].replace(/:/g, '');

module.exports = { at, certificate, thumbprint };
