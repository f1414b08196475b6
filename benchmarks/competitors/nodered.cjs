// The mapping of the benchmark as a Node-RED flow: mqtt in, function, mqtt out.
const fs = require("node:fs");
const path = require("node:path");

const [port, qos, folder] = [process.argv[2], process.argv[3], process.argv[4]];
const mapping = `
const objects = { "T0|M0": "Bench.Value0" };
const body = msg.payload.payload;
const object = objects[body["Equip.Tag"] + "|" + body["Message.ID"]];
if (object === undefined) return null;
msg.topic = "devices/bench0/ingress";
msg.payload = JSON.stringify({ object, value: Number(body.VALUE) });
return msg;
`;
const flows = [
  { id: "tab", type: "tab", label: "bench" },
  { id: "broker", type: "mqtt-broker", broker: "127.0.0.1", port, clientid: "nodered", autoConnect: true, protocolVersion: "5", keepalive: "60", cleansession: true },
  { id: "in", type: "mqtt in", z: "tab", topic: "bench/in/+", qos, datatype: "json", broker: "broker", inputs: 0, wires: [["map"]] },
  { id: "map", type: "function", z: "tab", func: mapping, outputs: 1, wires: [["out"]] },
  { id: "out", type: "mqtt out", z: "tab", topic: "", qos, retain: "false", broker: "broker", wires: [] },
];
fs.writeFileSync(path.join(folder, "flows.json"), JSON.stringify(flows));
fs.writeFileSync(
  path.join(folder, "settings.js"),
  `module.exports = { uiHost: "127.0.0.1", uiPort: 0, httpAdminRoot: false, httpNodeRoot: false, flowFile: "flows.json",
    credentialSecret: false, diagnostics: { enabled: false }, telemetry: { enabled: false }, logging: { console: { level: "info" } } };`,
);
process.argv = [process.argv[0], "red.js", "--userDir", folder, "--settings", path.join(folder, "settings.js")];
require(path.join(path.dirname(require.resolve("node-red/package.json")), "red.js"));
