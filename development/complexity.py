"""Checks that no function of the bridge branches more than a reader can follow: `python -m development.complexity`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from radon.complexity import cc_visit

_ROOT = Path(__file__).resolve().parent.parent / "addon" / "src"
_FOLDER = "data_bridge"
_MAXIMUM = 12
# Loops that each message passes, where a call more is measured: each with the limit that it has instead.
_HOT_LOOPS = {
    "data_bridge/pipeline/input.py Input.receive_envelope": 16,
    "data_bridge/pipeline/transport.py Transport.deliver_qos0": 14,
}


def complaints(root: Path = _ROOT) -> Iterator[str]:
    """Yield each function that is too complex, and each exception that no function needs."""
    needless = dict(_HOT_LOOPS)
    for path in sorted((root / _FOLDER).rglob("*.py")):
        file = path.relative_to(root).as_posix()
        for block in cc_visit(path.read_text(encoding="utf-8")):
            name = f"{file} {block.fullname}"
            if block.letter == "C" or block.complexity <= _MAXIMUM:
                continue
            maximum = needless.pop(name, _MAXIMUM)
            if block.complexity > maximum:
                yield f"{name} in line {block.lineno} has a complexity of {block.complexity}, more than {maximum}"
    for name in needless:
        yield f"{name} is no hot loop any more: take it from the list"


def main() -> int:
    """Print the complaints, and return 1 if there are any."""
    found = list(complaints())
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
