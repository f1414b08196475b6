"""Publishes a message every second. Run subscriber.py in another terminal to see them arrive.

python examples/publisher.py
MQTT_HOST=broker.local MQTT_USER=me MQTT_PASS=secret python examples/publisher.py
"""

import os
import time

from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol

BROKER = os.environ.get("MQTT_HOST", "localhost")
PORT = int(os.environ.get("MQTT_PORT", "1883"))
TOPIC = os.environ.get("MQTT_TOPIC", "iot-data-bridge/example")
USER = os.environ.get("MQTT_USER") or None
PASSWORD = os.environ.get("MQTT_PASS") or None


def run() -> None:
    """Connect and publish until Ctrl-C."""
    mqtt = MQTTProtocol(MQTTConfig(broker_address=BROKER, port=PORT, username=USER, password=PASSWORD))
    mqtt.connect()
    print(f"Connected to {BROKER}:{PORT}")
    count = 0
    try:
        while True:
            count += 1
            message = f"message {count}"
            mqtt.publish(TOPIC, message, qos=1)
            print(f"Sent {message!r} to {TOPIC}", flush=True)
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        mqtt.disconnect()


if __name__ == "__main__":
    run()
