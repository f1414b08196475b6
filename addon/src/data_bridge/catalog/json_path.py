"""Paths into JSON values, compiled once: `data.temperature`, `$.rows[0].value`, `payload['Equip.Tag']`, `a."b.c".d`."""

import re
from collections.abc import Callable

from data_bridge.catalog.casts import Raw

type Step = str | int
type Getter = Callable[[Raw], Raw]

MAXIMUM_STEPS = 32

_TOKEN = re.compile(
    r"""
      \.?\[(?P<index>-?\d{1,9})\]
    | \.?\[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\]
    | \.?\[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]
    | (?P<dot>\.?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^.\[\]"'\\\s]|\\.)(?:[^.\[\]\\]|\\.)*))
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class PathMissingError(LookupError):
    """The value has no such place."""


def parse_path(path: str) -> tuple[tuple[Step, ...], bool]:
    r"""Return the steps of a path, and whether any key was written bare.

    A key with dots is quoted (`"Equip.Tag"`), bracketed (`['Equip.Tag']`) or escaped (`Equip\.Tag`). A leading `$`
    may be there.

    Raises:
        ValueError: naming the character where the path stops making sense.
    """
    text = path.strip()
    position = 1 if text.startswith("$") and text[1:2] in ("", ".", "[") else 0
    steps: list[Step] = []
    bare = False
    while position < len(text):
        found = _TOKEN.match(text, position)
        # A key that is no first step follows a dot.
        if found is None or (position > 0 and found["dot"] == ""):
            raise ValueError(
                f"the path {path!r} makes no sense from character {position + 1}: {text[position:][:20]!r}"
            )
        if found["dot"] == "." and position == 0:
            raise ValueError(f"the path {path!r} must not begin with a dot")
        steps.append(_step(found))
        bare = bare or found["bare"] is not None
        position = found.end()
    if len(steps) > MAXIMUM_STEPS:
        raise ValueError(f"the path {path!r} has more than {MAXIMUM_STEPS} steps")
    return tuple(steps), bare


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    keys = (found["single"], found["double"], found["quoted"], found["bare"])
    return _ESCAPE.sub(r"\1", next(key for key in keys if key is not None))


def _take(value: Raw, step: Step) -> Raw:
    if isinstance(step, str):
        if isinstance(value, dict):
            return value[step]
    elif isinstance(value, list):
        return value[step]
    raise KeyError(step)


def _joined(value: Raw, steps: tuple[Step, ...]) -> Raw:
    """Follow `steps`, letting several in a row be one key with dots: fielded messages have keys such as `Equip.Tag`."""
    if not steps:
        return value
    for count in range(1, len(steps) + 1):
        head = steps[:count]
        if count > 1 and not all(isinstance(step, str) for step in head):
            break
        step: Step = head[0] if count == 1 else ".".join(str(part) for part in head)
        try:
            return _joined(_take(value, step), steps[count:])
        except (KeyError, IndexError):
            continue
    raise KeyError(steps[0])


def prepare_path(path: str) -> Getter:
    """Return a function from a JSON value to the value at `path`; it raises PathMissingError where there is none.

    Raises:
        ValueError: the path makes no sense.
    """
    steps, bare = parse_path(path)
    if not steps:
        return lambda value: value
    may_join = bare and len(steps) > 1

    def get(value: Raw) -> Raw:
        place = value
        try:
            for step in steps:
                place = _take(place, step)
        except (KeyError, IndexError):
            if may_join:
                try:
                    return _joined(value, steps)
                except (KeyError, IndexError):
                    pass
            raise PathMissingError(path) from None
        return place

    if len(steps) > 1 or isinstance(steps[0], int):
        return get
    key = steps[0]

    def get_key(value: Raw) -> Raw:
        if type(value) is dict and key in value:
            return value[key]
        raise PathMissingError(path)

    return get_key
