"""Which private names of paho the fast path stands on, and whether the installed paho still has them."""

import inspect

from paho.mqtt.client import Client

# Every method of ours that replaces one of paho's, or calls it, with the parameters it must have.
METHODS: dict[str, tuple[str, ...]] = {
    "_packet_queue": ("self", "command", "packet", "mid", "qos", "info"),
    "_packet_handle": ("self",),
    "_mid_generate": ("self",),
    "_loop_rc_handle": ("self", "rc"),
    "_check_keepalive": ("self",),
    "loop_misc": ("self",),
}
ATTRIBUTES = ("_in_packet", "_last_msg_in", "_last_msg_out", "_ping_t", "_keepalive", "_sock")
IN_PACKET = (
    "command",
    "have_remaining",
    "remaining_count",
    "remaining_mult",
    "remaining_length",
    "packet",
    "to_process",
    "pos",
)


def misfits(client: Client) -> list[str]:
    """Return what the fast path needs and this client's class does not have; empty when it fits."""
    found = []
    for name, expected in METHODS.items():
        method = getattr(type(client), name, None)
        if method is None:
            found.append(f"{name}() is missing")
        elif tuple(inspect.signature(method).parameters) != expected:
            found.append(f"{name}() has other parameters")
    found.extend(f"{name} is missing" for name in ATTRIBUTES if not hasattr(client, name))
    packet = getattr(client, "_in_packet", None)
    if packet is not None and (not isinstance(packet, dict) or tuple(packet) != IN_PACKET):
        found.append("_in_packet has other fields")
    return found
