"""A sensor gateway that publishes IoT Data Bridge envelopes: a ship's GPS and engine, one value a second each.

MQTT_PORT=… MQTT_USER=… MQTT_PASS=… python -m development.data_source
"""

import itertools
import json
import math
import signal
import threading
import time
import uuid
from collections.abc import Iterator

from development.connection import BrokerAccount

INGRESS = "iot/ingress"


def envelope(equip_tag: str, message_id: str, value: float | str) -> str:
    """Return one message as sources in the field send it: dotted keys, a local time without a zone."""
    header = {
        "UUID": str(uuid.uuid4()),
        "TIME": time.strftime("%Y%m%d%H%M%S"),
        "SRC": "SENSOR-GW-01",
        "DEST": "IoTDataBridge",
        "TYPE": "SENSORDATA",
    }
    return json.dumps({"header": header, "payload": {"Equip.Tag": equip_tag, "Message.ID": message_id, "VALUE": value}})


def readings(step: int) -> Iterator[tuple[str, str, float]]:
    """Yield one value for each mapped key of the example catalogs; they wander slowly."""
    yield "GPS001", "GLL001", round(37.5665 + 0.01 * math.sin(step / 40), 6)
    yield "GPS001", "GLL002", round(126.9780 + 0.01 * math.cos(step / 40), 6)
    yield "ENG001", "RPM001", round(720 + 30 * math.sin(step / 15))


def main() -> None:
    """Publish until asked to end."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    client = BrokerAccount.from_environment().client()
    client.connect()
    for step in itertools.count():
        for equip_tag, message_id, value in readings(step):
            client.publish(INGRESS, envelope(equip_tag, message_id, value), qos=1)
        if stop.wait(1):
            break
    client.disconnect()


if __name__ == "__main__":
    main()
