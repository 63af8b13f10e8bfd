'use strict';
// A thermometer for the labs, with Azure's Node SDK: node device.js CONNECTION_STRING
// It sends what it measures, as often as its twin asks for, reports how often that is, and reacts to jobs.
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const client = Client.fromConnectionString(process.argv[2], Mqtt);
let temperature = 20;
let timer;

function send() {
  temperature += Math.random() - 0.5;
  const message = new Message(JSON.stringify({ temperature: Number(temperature.toFixed(2)) }));
  message.contentType = 'application/json'; // so that routes can look into it
  message.contentEncoding = 'utf-8';
  client.sendEvent(message, (error) => error && console.error(error.message));
}

function every(seconds) {
  clearInterval(timer);
  timer = setInterval(send, 1000 * seconds);
}

async function main() {
  await client.open();
  console.log('connected');
  client.onDeviceMethod('ReactOnJob', (request, response) => {
    console.log('ReactOnJob', JSON.stringify(request.payload));
    response.send(200, { reacted: true }, (error) => error && console.error(error.message));
  });
  every(1);
  const twin = await client.getTwin();
  twin.on('properties.desired.interval', (interval) => {
    every(interval);
    twin.properties.reported.update({ interval }, (error) => console.log(error ? error.message : `every ${interval} s`));
  });
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
