"""Texts with places such as `{device}`: topics of devices, and names of objects."""

import re
from collections.abc import Callable

_PLACE = re.compile(r"\{([^{}]*)\}")


def prepare_template(template: str, names: frozenset[str]) -> Callable[[dict[str, str]], str] | None:
    """Return a function that fills `{name}` places, or None when there are none to fill.

    Raises:
        ValueError: a place names something that is not known here.
    """
    used = set(_PLACE.findall(template))
    if not used:
        return None
    unknown = sorted(used - names)
    if unknown:
        raise ValueError(
            f"{template!r} names {{{unknown[0]}}}, which is not known here; known: "
            + (", ".join(f"{{{name}}}" for name in sorted(names)) or "nothing")
        )
    return lambda values: _PLACE.sub(lambda found: values[found[1]], template)
