"""Prints every message on a topic; wildcards are fine, so this also watches a basket.

python examples/subscriber.py
MQTT_TOPIC='basket/#' python examples/subscriber.py
"""

import os
import threading

from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol

BROKER = os.environ.get("MQTT_HOST", "localhost")
PORT = int(os.environ.get("MQTT_PORT", "1883"))
TOPIC = os.environ.get("MQTT_TOPIC", "iot-data-bridge/example")
USER = os.environ.get("MQTT_USER") or None
PASSWORD = os.environ.get("MQTT_PASS") or None


def on_message(topic: str, payload: bytes) -> None:
    """Print one message."""
    print(f"Received {payload.decode(errors='replace')!r} from {topic}", flush=True)


def run() -> None:
    """Connect, subscribe and wait until Ctrl-C; after a lost connection the subscription is made again."""
    mqtt = MQTTProtocol(MQTTConfig(broker_address=BROKER, port=PORT, username=USER, password=PASSWORD))
    mqtt.connect()
    mqtt.subscribe(TOPIC, on_message, qos=1)
    print(f"Connected to {BROKER}:{PORT}, waiting for {TOPIC}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        mqtt.disconnect()


if __name__ == "__main__":
    run()
