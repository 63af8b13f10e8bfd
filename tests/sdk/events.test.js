'use strict';
// @azure/event-hubs reads the hub's event stream, unmodified, over AMQP and over AMQP in WebSockets.
const nodeTest = require('node:test');
const assert = require('node:assert');
const WebSocket = require('ws');
const { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition, latestEventPosition } = require('@azure/event-hubs');
const { Message } = require('azure-iot-device');
const support = require('./support');
const { createDevice, until } = support;

const connectionString = process.env.EVENTS_CS;
const group = EventHubConsumerClient.defaultConsumerGroupName;
const webSocketOptions = { webSocket: WebSocket };

for (const [name, options] of Object.entries({ AMQP: {}, 'AMQP-WS': { webSocketOptions } })) {
  const test = (sentence, run) => nodeTest(`Event Hubs over ${name}: ${sentence}`, run);

  // A consumer that is closed when the test ends.
  function consumer(t, consumerGroup = group, more = {}) {
    const client = new EventHubConsumerClient(consumerGroup, connectionString, { ...options, ...more });
    t.after(() => client.close());
    return client;
  }

  // Collects what `subscribe` delivers; `errors` too.
  function read(t, client, start, { partition, ...more } = {}) {
    const seen = Object.assign([], { errors: [] });
    const handlers = {
      processEvents: async (events, context) => {
        seen.context = context;
        for (const event of events) seen.push(Object.assign(event, { partitionId: context.partitionId }));
      },
      processError: async (error) => void seen.errors.push(error),
    };
    const subscribeOptions = { startPosition: start, maxBatchSize: 50, maxWaitTimeInSeconds: 1, ...more };
    const subscription = partition === undefined
      ? client.subscribe(handlers, subscribeOptions)
      : client.subscribe(partition, handlers, subscribeOptions);
    seen.subscription = subscription;
    t.after(() => subscription.close());
    return seen;
  }

  async function send(deviceId, texts, change = () => {}) {
    const client = await support.connect(deviceId);
    for (const text of texts) {
      const message = new Message(text);
      change(message);
      await client.sendEvent(message);
    }
    await client.close();
  }

  const of = (device) => (event) => event.systemProperties['iothub-connection-device-id'] === device.deviceId;

  test('tells its partitions', async (t) => {
    const client = consumer(t);
    const properties = await client.getEventHubProperties();
    assert.strictEqual(properties.name, 'hub');
    assert.deepStrictEqual(properties.partitionIds, ['0', '1', '2', '3']);
    assert.ok(Math.abs(properties.createdOn - Date.now()) < 3600000);
    await assert.rejects(client.getPartitionProperties('4'), /partition/);
  });

  test('an event comes with its body, properties, annotations and number', async (t) => {
    const device = await createDevice();
    const client = consumer(t);
    const seen = read(t, client, earliestEventPosition);
    await send(device, ['{"temperature":21.5}', 'plain'], (message) => {
      message.messageId = 'm-1';
      message.correlationId = 'c-1';
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      message.properties.add('alert', 'yes');
    });
    await until('events', () => seen.filter(of(device)).length === 2);
    const [first, second] = seen.filter(of(device));
    assert.deepStrictEqual(first.body, { temperature: 21.5 });
    assert.strictEqual(second.body.toString(), 'plain');
    assert.deepStrictEqual(first.properties, { alert: 'yes' });
    assert.strictEqual(first.messageId, 'm-1');
    assert.strictEqual(first.correlationId, 'c-1');
    assert.strictEqual(first.contentType, 'application/json');
    assert.strictEqual(first.partitionKey, device.deviceId);
    assert.strictEqual(first.partitionId, second.partitionId, 'one device, one partition');
    assert.strictEqual(second.sequenceNumber, first.sequenceNumber + 1);
    assert.ok(BigInt(second.offset) > BigInt(first.offset));
    assert.ok(Math.abs(first.enqueuedTimeUtc - Date.now()) < 600000);
    const system = first.systemProperties;
    assert.strictEqual(system['iothub-connection-auth-generation-id'], device.generationId);
    assert.deepStrictEqual(JSON.parse(system['iothub-connection-auth-method']),
      { scope: 'device', type: 'sas', issuer: 'iothub', acceptingIpFilterRule: null });
    assert.strictEqual(system['iothub-message-source'], 'Telemetry');
    assert.ok(system['iothub-enqueuedtime']);
    const info = await client.getPartitionProperties(first.partitionId);
    assert.strictEqual(info.lastEnqueuedSequenceNumber, second.sequenceNumber);
    assert.strictEqual(info.lastEnqueuedOffset, second.offset);
    assert.strictEqual(info.lastEnqueuedOnUtc.getTime(), second.enqueuedTimeUtc.getTime());
    assert.strictEqual(info.beginningSequenceNumber, 0);
    assert.strictEqual(info.isEmpty, false);
    assert.deepStrictEqual(seen.errors, []);
  });

  test('readers begin where they say: offset, number, time, latest', async (t) => {
    const device = await createDevice();
    await send(device, ['0', '1', '2', '3']);
    const all = read(t, consumer(t), earliestEventPosition);
    await until('events', () => all.filter(of(device)).length === 4);
    const events = all.filter(of(device));
    const partition = events[0].partitionId;
    const starts = [
      [{ offset: events[1].offset }, '2'],
      [{ offset: events[1].offset, isInclusive: true }, '1'],
      [{ sequenceNumber: events[1].sequenceNumber }, '2'],
      [{ sequenceNumber: events[1].sequenceNumber, isInclusive: true }, '1'],
      [{ sequenceNumber: 0, isInclusive: true }, undefined],
      [{ enqueuedOn: events[0].enqueuedTimeUtc.getTime() - 1 }, undefined],
    ];
    for (const [start, expected] of starts) {
      const client = consumer(t);
      const seen = read(t, client, start, { partition });
      await until('events', () => seen.filter(of(device)).length > 0);
      if (expected) assert.strictEqual(String(seen[0].body), expected, JSON.stringify(start));
      else if (start.sequenceNumber === 0) assert.strictEqual(seen[0].sequenceNumber, 0);
      else assert.ok(seen[0].enqueuedTimeUtc >= start.enqueuedOn);
      await client.close();
    }
    const latest = read(t, consumer(t), latestEventPosition, { partition });
    await until('events', () => latest.context !== undefined); // an empty batch: the receiver is attached
    await send(device, ['new']);
    await until('events', () => latest.filter(of(device)).length > 0);
    assert.strictEqual(String(latest.find(of(device)).body), 'new');
    assert.strictEqual(latest.filter(of(device)).length, 1);
  });

  test('numbers have no gaps, and five hundred events keep their order', async (t) => {
    const device = await createDevice();
    const client = await support.connect(device);
    await Promise.all([...Array(500).keys()].map((i) => client.sendEvent(new Message(String(i)))));
    await client.close();
    const seen = read(t, consumer(t), earliestEventPosition);
    await until('events', () => seen.filter(of(device)).length === 500);
    assert.deepStrictEqual(seen.filter(of(device)).map((event) => Number(event.body)), [...Array(500).keys()]);
    const partition = seen.find(of(device)).partitionId;
    const numbers = seen.filter((event) => event.partitionId === partition).map((event) => event.sequenceNumber);
    assert.deepStrictEqual(numbers, [...Array(numbers.length).keys()]);
  });

  test('consumer groups are those of the configuration', async (t) => {
    const device = await createDevice();
    await send(device, ['x']);
    const seen = read(t, consumer(t, 'archive'), earliestEventPosition);
    await until('events', () => seen.some(of(device)));
    const none = read(t, consumer(t, 'nobody', { retryOptions: { maxRetries: 0 } }), earliestEventPosition, { partition: '0' });
    await until('events', () => none.errors.length > 0);
    assert.match(none.errors[0].message, /consumer group/);
  });

  test('an owner displaces others, and a lower epoch is refused', async (t) => {
    const quick = { retryOptions: { maxRetries: 0 } };
    const plain = read(t, consumer(t, 'archive', quick), latestEventPosition, { partition: '1' });
    await until('events', () => plain.context !== undefined);
    const owner = read(t, consumer(t, 'archive', quick), latestEventPosition, { partition: '1', ownerLevel: 5 });
    await until('events', () => owner.context !== undefined);
    await until('events', () => plain.errors.length > 0);
    assert.match(plain.errors[0].message, /higher epoch/);
    await plain.subscription.close();
    const lower = read(t, consumer(t, 'archive', quick), latestEventPosition, { partition: '1', ownerLevel: 4 });
    await until('events', () => lower.errors.length > 0);
    assert.match(lower.errors[0].message, /higher epoch/);
    assert.deepStrictEqual(owner.errors, []);
    await lower.subscription.close();
    const next = read(t, consumer(t, 'archive', quick), latestEventPosition, { partition: '1', ownerLevel: 6 });
    await until('events', () => owner.errors.length > 0);
    assert.deepStrictEqual(next.errors, []);
  });

  test('the last event is told with what is read', async (t) => {
    const device = await createDevice();
    await send(device, ['a', 'b', 'c']);
    const seen = read(t, consumer(t), earliestEventPosition, { trackLastEnqueuedEventProperties: true });
    await until('events', () => seen.filter(of(device)).length === 3);
    const last = seen.context.lastEnqueuedEventProperties;
    assert.ok(last.sequenceNumber >= 0);
    assert.ok(last.offset);
  });

  test('events that were sent to the stream itself are read like others', async (t) => {
    const producer = new EventHubProducerClient(connectionString, options);
    t.after(() => producer.close());
    const batch = await producer.createBatch({ partitionKey: `key-${name}` });
    for (let i = 0; i < 10; i++) assert.ok(batch.tryAdd({ body: { i, name }, properties: { from: 'producer' } }));
    await producer.sendBatch(batch);
    await producer.sendBatch([{ body: 'to 2' }], { partitionId: '2' });
    const seen = read(t, consumer(t), earliestEventPosition);
    const mine = (event) => event.partitionKey === `key-${name}`;
    await until('events', () => seen.filter(mine).length === 10 && seen.some((event) => event.body === 'to 2' || String(event.body) === 'to 2'));
    assert.deepStrictEqual(seen.filter(mine).map((event) => event.body), [...Array(10).keys()].map((i) => ({ i, name })));
    assert.strictEqual(new Set(seen.filter(mine).map((event) => event.partitionId)).size, 1);
  });
}
