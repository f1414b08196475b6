"""Keys of devices, made of their names on the wire; they identify devices in storage and in the registries.

Ids of bridges and of devices behind them are levels of topics, which hold no `/`: it separates them, so that no two
devices have one key. The name of an object may hold any character, and stands last.
"""

from .topics import SiteTopics

_BASKET, _PRINTER, _BRIDGE, _BRIDGED, _SITE = "basket:", "printer:", "bridge:", "bridged:", "site:"


def basket_key(root: str) -> str:
    """Return the key of the basket with this root topic, for example `basket:basket/1`."""
    return f"{_BASKET}{root}"


def printer_key(uuid: str) -> str:
    """Return the key of a printer."""
    return f"{_PRINTER}{uuid}"


def bridge_key(bridge_id: str) -> str:
    """Return the key of a bridge."""
    return f"{_BRIDGE}{bridge_id}"


def bridge_id_of(key: str) -> str | None:
    """Return the id of the bridge that a key names, None for the key of another kind of device."""
    return key.removeprefix(_BRIDGE) if key.startswith(_BRIDGE) else None


def bridged_key(bridge_id: str, device_id: str) -> str:
    """Return the key of a device behind a bridge, for example `bridged:edge/VM-A`."""
    return f"{_BRIDGED}{bridge_id}/{device_id}"


def object_key(device_key: str, object_name: str) -> str:
    """Return the unique id of an object of a bridged device, for example `bridged:edge/VM-A/GPS.Latitude`."""
    return f"{device_key}/{object_name}"


def site_key(entry_id: str) -> str:
    """Return the key of a site itself, which no topic names."""
    return f"{_SITE}{entry_id}"


def is_read(key: str, topics: SiteTopics) -> bool:
    """Tell whether the messages of the device with this key belong to a site."""
    for prefix, reads in (
        (_BASKET, topics.reads_basket),
        (_PRINTER, lambda _: topics.printers),
        (_BRIDGE, topics.reads_bridge),
        (_BRIDGED, lambda rest: topics.reads_bridge(rest.partition("/")[0])),
    ):
        if key.startswith(prefix):
            return reads(key.removeprefix(prefix))
    return True
