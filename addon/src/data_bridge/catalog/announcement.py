"""The retained `catalog` message: each device with its objects, as far as they fit into one MQTT packet."""

from dataclasses import dataclass

import orjson

from data_bridge.catalog.model import Catalog, CatalogObject

# Mosquitto 2.1 accepts packets of up to 2,000,000 bytes by default.
DEFAULT_MAXIMUM_BYTES = 1_000_000
# Version, number of omitted objects, and braces.
_FRAME_BYTES = 80


@dataclass(frozen=True, slots=True)
class Announcement:
    """The message, and which objects are in it; the others are bridged all the same, but Home Assistant sees none."""

    payload: bytes
    objects: frozenset[str]
    omitted: int


def announce(catalog: Catalog, maximum_bytes: int = DEFAULT_MAXIMUM_BYTES) -> Announcement:
    """Return the message; objects that would make it larger than `maximum_bytes` are left out, the last ones first."""
    by_device: dict[str, list[bytes]] = {identifier: [] for identifier in catalog.devices}
    heads = {
        identifier: b'{"id":%b,"name":%b,"objects":[' % (orjson.dumps(identifier), orjson.dumps(device.name))
        for identifier, device in catalog.devices.items()
    }
    size = _FRAME_BYTES + sum(len(head) + 3 for head in heads.values())
    announced: set[str] = set()
    for each in catalog.objects.values():
        described = _describe(each)
        size += (len(described) + 1) * len(each.devices)
        if size > maximum_bytes:
            break
        announced.add(each.name)
        for device in each.devices:
            by_device[device].append(described)
    omitted = len(catalog.objects) - len(announced)
    devices = b",".join(heads[identifier] + b",".join(objects) + b"]}" for identifier, objects in by_device.items())
    note = b',"omitted":%d' % omitted if omitted else b""
    payload = b'{"version":%b,"devices":[%b]%b}' % (orjson.dumps(catalog.version), devices, note)
    return Announcement(payload, frozenset(announced), omitted)


def _describe(each: CatalogObject) -> bytes:
    return orjson.dumps(
        {
            "object": each.name,
            "value_type": each.value_type.value,
            "unit": each.unit,
            "device_class": each.device_class,
            "state_class": each.state_class,
            "access": each.access,
            "min": each.min,
            "max": each.max,
            "options": each.options,
        }
    )
