'use strict';
// The demo's fleet: simulated trucks and chillers, groups of them, and rules that fire.

const { createHmac } = require('crypto');
const fs = require('fs');
const https = require('https');
const path = require('path');

const TRUCKS = 6;
const CHILLERS = 3;
const chiller = 'fleet.chiller-01.1';
const arguments_ = ['sim', 'run', 'fleet', '--devices', `${path.join(__dirname, 'fleet/truck.json')}=${TRUCKS}`, '--devices', `chiller-01=${CHILLERS}`];

// Asks the hub's REST API with a policy's connection string.
function service(connectionString, ca) {
  const parts = Object.fromEntries(connectionString.split(';').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
  const host = parts.HostName;
  return (method, target, body) => new Promise((resolve, reject) => {
    const end = Math.floor(Date.now() / 1000) + 600;
    const signature = createHmac('sha256', Buffer.from(parts.SharedAccessKey, 'base64')).update(`${encodeURIComponent(host)}\n${end}`).digest('base64');
    const authorization = `SharedAccessSignature sr=${encodeURIComponent(host)}&sig=${encodeURIComponent(signature)}&se=${end}&skn=${parts.SharedAccessKeyName}`;
    const data = body && JSON.stringify(body);
    https.request({ host, ca: fs.readFileSync(ca), servername: '', method, path: `${target}?api-version=2021-04-12`,
      headers: { Authorization: authorization, ...(data && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(data) }) } }, (answer) => {
      let text = '';
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => (answer.statusCode < 300 ? resolve(text ? JSON.parse(text) : null) : reject(new Error(`${method} ${target}: ${answer.statusCode} ${text}`))));
    }).on('error', reject).end(data);
  });
}

async function makeRules(ask) {
  const group = (id, DisplayName, Type) => ask('PUT', `/config/v1/devicegroups/${id}`,
    { DisplayName, Conditions: [{ Key: 'Properties.Reported.Type', Operator: 'EQ', Value: Type }] });
  await group('trucks', 'Trucks', 'Truck');
  await group('chillers', 'Chillers', 'Chiller');
  const rule = (id, Name, GroupId, Severity, Field, Operator, Value, more) => ask('PUT', `/telemetry/v1/rules/${id}`,
    { Name, GroupId, Severity, Conditions: [{ Field, Operator, Value: String(Value) }], ...more });
  await rule('pressure', 'High pressure', 'chillers', 'Critical', 'pressure', 'GreaterThan', 200);
  await rule('cargo', 'Hot truck', 'trucks', 'Warning', 'temperature', 'GreaterThan', 45);
  await rule('fuel', 'Low fuel', 'trucks', 'Info', 'fuel', 'LessThan', 10, { Calculation: 'Average', TimePeriod: '60000' });
  await rule('silent', 'Truck is silent', 'trucks', 'Warning', 'speed', 'LessThan', 0, { Calculation: 'Missing', TimePeriod: '60000' });
}

const countAlarms = async (ask) => (await ask('GET', '/telemetry/v1/alarmsbyrule')).Items.reduce((sum, row) => sum + row.Count, 0);

module.exports = { TRUCKS, CHILLERS, chiller, arguments_, service, makeRules, countAlarms };
