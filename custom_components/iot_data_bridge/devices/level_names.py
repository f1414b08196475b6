"""Names that strangers choose and that become keys of storage and registries: topic levels, and ids that are ones."""

import re

LONGEST_LEVEL = 128
# Bidirectional controls, which make one name look like another, and what neither a log nor a page can show.
_LEVEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def is_level_name(text: str) -> bool:
    """Tell whether a level of a topic may name a device: 1 to 128 characters, no control and no bidirectional one."""
    return len(text) <= LONGEST_LEVEL and _LEVEL.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Tell whether a text from a payload may be an id, which is a level name that could be a level of a topic."""
    return is_level_name(text) and not any(character in text for character in "/+#")


def is_topic_name(text: str) -> bool:
    """Tell whether every level of a topic may name a device, for example those of a basket's root."""
    return all(map(is_level_name, text.split("/")))
