'use strict';
// An IoT Edge module as the SDK's samples write it: echoes input "in" to output "out", reports its greeting, answers methods.
const { ModuleClient, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

(async () => {
  const client = await ModuleClient.fromEnvironment(Mqtt);
  await client.open();
  client.on('inputMessage', async (input, message) => {
    const echo = new Message(message.getBytes());
    echo.contentType = message.contentType;
    echo.contentEncoding = message.contentEncoding;
    echo.properties.add('echoed', input);
    await client.sendOutputEvent('out', echo);
    await client.complete(message);
  });
  client.onMethod('hello', (request, response) => response.send(200, { hello: request.payload }));
  client.onMethod('die', (request, response) => response.send(200, null, () => setTimeout(() => process.exit(1), 200)));
  const twin = await client.getTwin();
  twin.on('properties.desired', (desired) => {
    if (desired.greeting) twin.properties.reported.update({ greeting: desired.greeting }, () => {});
  });
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
