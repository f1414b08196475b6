"""Ten minutes at half of the maximum: does the bridge's memory stay flat?

    .venv/bin/python -m benchmarks.soak [--minutes 10] [--qos 1] [--rate 0]

Without a rate the maximum is measured first. The mean memory of the last fifth is compared with that of the second
fifth (the first is warm-up); growth of 5 % and more, or a lost message, is exit code 1.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.load import Bench, Load, build
from benchmarks.mappers import Task, all_mappers, key, mosquitto_program, topics
from development.mosquitto import Mosquitto

ALLOWED_GROWTH = 0.05


def resident_kilobytes(process_id: int) -> int:
    """Return a process's resident memory."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--qos", type=int, choices=(0, 1), default=1)
    parser.add_argument("--rate", type=float, default=0)
    given = parser.parse_args()
    mapper = all_mappers()[0]
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        broker = Mosquitto(
            folder / "broker", persistence=False, settings=("max_queued_messages 0",), program=mosquitto_program()
        )
        with broker:
            process = mapper.start(Task(broker.port, given.qos, folder / "mapper"), None)
            try:
                return _soak(broker, process.pid, given)
            finally:
                process.terminate()
                process.wait(30)


def _soak(broker: Mosquitto, process_id: int, given: argparse.Namespace) -> int:
    bench = Bench(broker.port, "devices/#", given.qos, "soak")
    number = 1_000_000
    spread = topics(100)

    def load(count: int) -> Load:
        nonlocal number
        number += 1
        return build(count, given.qos, number, lambda _: key(0), lambda each: spread[each % len(spread)])

    while not bench.probe(load(1), 0.25):
        pass
    bench.discard(0.5)
    rate = given.rate or bench.flood(load(50_000)).rate / 2
    begun = time.monotonic()
    seconds = given.minutes * 60
    # (seconds passed, kilobytes): de-duplication's generations make a saw-tooth, so means are compared.
    samples: list[tuple[float, int]] = []
    sent = received = 0
    while (passed := time.monotonic() - begun) < seconds:
        result = bench.pace(load(int(rate * 5)), rate)
        sent += result.sent
        received += result.received
        memory = resident_kilobytes(process_id)
        samples.append((passed, memory))
        p99 = result.quantile(0.99)
        print(f"{passed:5.0f} s  {received} of {sent}, {memory / 1024:.1f} MB, p99 {p99:.2f} ms", flush=True)
    early = [memory for passed, memory in samples if seconds / 5 <= passed < seconds * 2 / 5]
    late = [memory for passed, memory in samples if passed >= seconds * 4 / 5]
    growth = statistics.mean(late) / statistics.mean(early) - 1
    lost = sent - received
    print(
        f"{given.minutes:g} minutes at {rate:.0f} msg/s, QoS {given.qos}: {lost} lost, "
        f"memory {growth:+.1%} after warm-up"
    )
    return 1 if lost or growth >= ALLOWED_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
