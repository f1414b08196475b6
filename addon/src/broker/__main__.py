"""What the container calls: `prepare` once before the services start, `check-health` from time to time."""

import argparse
import sys

from broker.health import Broker, UnhealthyError, round_trip
from broker.options import HEALTHCHECK_USER, OptionsError
from broker.prepare import Layout, prepare

_HEALTH_SECONDS = 8.0


def main() -> int:
    """Run the named step; 1 is a failure, explained in one line."""
    parser = argparse.ArgumentParser(prog="python -m broker")
    parser.add_argument("step", choices=["prepare", "check-health"])
    step: str = parser.parse_args().step
    layout = Layout()
    try:
        if step == "prepare":
            for note in prepare(layout):
                print(f"app: {note}")
        else:
            password = layout.healthcheck_password.read_text(encoding="ascii")
            round_trip(
                Broker(layout.internal.address, layout.internal.port, HEALTHCHECK_USER, password), _HEALTH_SECONDS
            )
    except (OptionsError, UnhealthyError, OSError) as error:
        print(f"app: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
