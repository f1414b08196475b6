"""The mapping of the benchmark with paho-mqtt, as its documentation shows how to subscribe and publish."""

import json
import sys

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

port, qos = int(sys.argv[1]), int(sys.argv[2])
objects = {("T0", "M0"): "Bench.Value0"}


def map_message(client: Client, _data: object, message: MQTTMessage) -> None:
    """Map one message."""
    body = json.loads(message.payload)["payload"]
    name = objects.get((body["Equip.Tag"], body["Message.ID"]))
    if name is not None:
        value = int(body["VALUE"])
        client.publish("devices/bench0/ingress", json.dumps({"object": name, "value": value}), qos)


mapper = Client(CallbackAPIVersion.VERSION2, client_id="paho", protocol=MQTTv5)
mapper.on_connect = lambda client, *_: client.subscribe("bench/in/+", qos)
mapper.on_subscribe = lambda *_: print("ready", flush=True)
mapper.on_message = map_message
mapper.max_queued_messages_set(0)
mapper.max_inflight_messages_set(1000)
mapper.connect("127.0.0.1", port)
mapper.loop_forever()
