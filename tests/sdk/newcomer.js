'use strict';
// What ./newcomer's documents printed is all that unmodified programs need: a device over AMQP and MQTT, a service client over AMQP,
// a reader of the Event Hubs-compatible endpoint; through an edge too.
const assert = require('node:assert');
const fs = require('fs');
const { Client: ServiceClient } = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');
const { Mqtt } = require('azure-iot-device-mqtt');
const { EventHubConsumerClient, earliestEventPosition } = require('@azure/event-hubs');

const [where, file] = process.argv.slice(2);
const printed = fs.readFileSync(file, 'utf8');
const find = (pattern) => (pattern.exec(printed) || assert.fail(`${pattern} was not printed`))[1];
const owner = find(/iothubowner +(HostName=\S+)/);
const endpoint = find(/service +(Endpoint=sb:\S+)/);
// The last one printed: the edge's tutorial ends with its leaf.
const device = printed.match(/HostName=[^;\s]+;DeviceId=\S+/g).pop();
const ca = fs.readFileSync(process.env.LEAF_CA || process.env.NODE_EXTRA_CA_CERTS, 'utf8');
const deviceId = /DeviceId=([^;]+)/.exec(device)[1];

async function speaks(transport, text) {
  const client = Client.fromConnectionString(device, transport);
  await client.setOptions({ ca });
  await client.open();
  await client.sendEvent(new Message(text));
  return client;
}

async function eventsWith(texts) {
  const reader = new EventHubConsumerClient('$Default', endpoint);
  const wanted = new Set(texts);
  await new Promise((resolve, reject) => {
    reader.subscribe({
      processEvents: async (events) => {
        for (const { body } of events) wanted.delete(Buffer.isBuffer(body) ? body.toString() : body);
        if (wanted.size === 0) resolve();
      },
      processError: async (error) => reject(error),
    }, { startPosition: earliestEventPosition });
  });
  await reader.close();
}

async function main() {
  const amqp = await speaks(Amqp, 'over AMQP');
  const received = new Promise((resolve) => amqp.on('message', (message) => amqp.complete(message, () => resolve(message))));
  const service = ServiceClient.fromConnectionString(owner);
  await service.open();
  await service.send(deviceId, 'down');
  assert.strictEqual((await received).data.toString(), 'down');
  await service.close();
  await amqp.close();
  await (await speaks(Mqtt, 'over MQTT')).close();
  await eventsWith(['over AMQP', 'over MQTT']);
  console.error(`newcomer: ${where}: ${deviceId} is served over AMQP and MQTT`);
}

const patience = setTimeout(() => {
  console.error('newcomer: no answer for a minute');
  process.exit(1);
}, 60000);
main().then(() => { clearTimeout(patience); process.exit(0); }, (error) => {
  console.error(error);
  process.exit(1);
});
