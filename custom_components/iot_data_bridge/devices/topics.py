"""The topics of one site: which filters it needs, and whether two of them could both match one message."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """The kind of message of a subscription."""

    BASKET_UPDATE = "basket_update"
    BASKET_COMMAND = "basket_command"
    BASKET_AVAILABILITY = "basket_availability"
    BASKET_SESSION = "basket_session"
    FACTOR_STATUS = "factor_status"
    BRIDGE_AVAILABILITY = "bridge_availability"
    BRIDGE_HELLO = "bridge_hello"
    BRIDGE_CATALOG = "bridge_catalog"
    BRIDGE_STATE = "bridge_state"


BASKET_SUFFIXES = {
    Channel.BASKET_UPDATE: "/update",
    Channel.BASKET_COMMAND: "/status",  # despite its name: commands of servers to the basket
    # A retained session needs its basket, which a retained availability makes: the order of the subscriptions counts.
    Channel.BASKET_AVAILABILITY: "/availability",
    Channel.BASKET_SESSION: "/session",
}


def update_topic_of(command_topic: str) -> str:
    """Return the topic of a basket's updates from that of its commands."""
    root = command_topic.removesuffix(BASKET_SUFFIXES[Channel.BASKET_COMMAND])
    return root + BASKET_SUFFIXES[Channel.BASKET_UPDATE]


FACTOR_STATUS_PREFIX = "octoprint/status/"
LONGEST_ROOT = 1000
BRIDGE_PREFIX = "iot_data_bridge/"


@dataclass(frozen=True, slots=True)
class SiteTopics:
    """The topic namespace of a site.

    Attributes:
        basket_roots: filters of basket roots, for example `basket/+`; `+` stands for one level, `#` is not allowed.
        printers: whether FACTOR printers are read.
        bridge_id: the bridge that is read, `+` for every one, empty for none.
    """

    basket_roots: tuple[str, ...]
    printers: bool
    bridge_id: str

    def filters(self) -> dict[str, Channel]:
        """Return the topic filters to subscribe to, with the channel of each."""
        found = {root + suffix: channel for root in self.basket_roots for channel, suffix in BASKET_SUFFIXES.items()}
        if self.printers:
            found[f"{FACTOR_STATUS_PREFIX}+"] = Channel.FACTOR_STATUS
        if self.bridge_id:
            base = f"{BRIDGE_PREFIX}{self.bridge_id}/"
            found[f"{base}availability"] = Channel.BRIDGE_AVAILABILITY
            found[f"{base}hello"] = Channel.BRIDGE_HELLO
            found[f"{base}catalog"] = Channel.BRIDGE_CATALOG
            found[f"{base}state/+"] = Channel.BRIDGE_STATE
        return found

    def reads_basket(self, root: str) -> bool:
        """Tell whether the messages of the basket with this root topic belong to the site."""
        return any(filters_overlap(root_filter, root) for root_filter in self.basket_roots)

    def basket_name(self, root: str) -> str:
        """Return the levels of a root that tell its basket from the site's others, for example `store02 unit015`.

        They are those that vary: where a filter has `+`, or where filters of the same length differ.
        """
        levels = root.split("/")
        filters = [split for each in self.basket_roots if len(split := each.split("/")) == len(levels)]
        varying = [
            level
            for level, *patterns in zip(levels, *filters, strict=True)
            if "+" in patterns or len(set(patterns)) > 1
        ]
        return " ".join(varying or levels[1:]) or root

    def reads_bridge(self, bridge_id: str) -> bool:
        """Tell whether the messages of this bridge belong to the site."""
        return self.bridge_id in ("+", bridge_id)


def filters_overlap(first: str, second: str) -> bool:
    """Tell whether one topic could match both filters. Neither may hold `#`."""
    one, other = first.split("/"), second.split("/")
    return len(one) == len(other) and all("+" in (a, b) or a == b for a, b in zip(one, other, strict=True))


def first_overlap(filters: Iterable[str], others: Iterable[str] = ()) -> tuple[str, str] | None:
    """Return two different filters that overlap: two of `filters`, or one of them and one of `others`."""
    mine, theirs = list(filters), list(others)
    for position, one in enumerate(mine):
        for other in [*mine[position + 1 :], *theirs]:
            if filters_overlap(one, other):
                return one, other
    return None


def valid_root(root: str) -> bool:
    """Tell whether a text can be the filter of basket roots: levels without `#`, and `+` only as a whole level."""
    if (
        not root
        or root.startswith(("/", "$"))
        or root.endswith("/")
        or "\0" in root
        or "#" in root
        or len(root) > LONGEST_ROOT
    ):
        return False
    return all(level and (level == "+" or "+" not in level) for level in root.split("/"))
