"""Keys of devices, made of their names on the wire; they identify devices in storage and in the registries."""

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


def bridged_key(bridge_id: str, device_id: str) -> str:
    """Return the key of a device behind a bridge."""
    return f"{_BRIDGED}{bridge_id}:{device_id}"


def site_key(entry_id: str) -> str:
    """Return the key of a site itself, which no topic names."""
    return f"{_SITE}{entry_id}"


def is_read(key: str, topics: SiteTopics) -> bool:
    """Tell whether the messages of the device with this key belong to a site."""
    for prefix, reads in (
        (_BASKET, topics.reads_basket),
        (_PRINTER, lambda _: topics.printers),
        (_BRIDGE, topics.reads_bridge),
        # An id of a bridge may hold a colon; what is behind the bridge of the site begins with its key in any case.
        (_BRIDGED, lambda rest: topics.bridge_id == "+" or rest.startswith(f"{topics.bridge_id}:")),
    ):
        if key.startswith(prefix):
            return reads(key.removeprefix(prefix))
    return True
