// The mapping of the benchmark in MQTT.js, as its documentation shows how to subscribe and publish.
const mqtt = require("mqtt");

const [port, qos] = [Number(process.argv[2]), Number(process.argv[3])];
const objects = new Map([["T0\u0000M0", "Bench.Value0"]]);
const client = mqtt.connect({ port, host: "127.0.0.1", protocolVersion: 5, clientId: "mqttjs", properties: { receiveMaximum: 1000 } });

client.on("connect", () => client.subscribe("bench/in/+", { qos }, () => console.log("ready")));
client.on("message", (_topic, payload) => {
  const { payload: body } = JSON.parse(payload);
  const object = objects.get(`${body["Equip.Tag"]}\u0000${body["Message.ID"]}`);
  if (object === undefined) return;
  client.publish("devices/bench0/ingress", JSON.stringify({ object, value: Number(body.VALUE) }), { qos });
});
