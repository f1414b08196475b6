"""How long a message of 1 MB, and the loading of 100,000 rules, hold up the others.

    .venv/bin/python -m benchmarks.stall

Messages leave at 500 a second; the largest latency with and without the disturbance is printed.
"""

import tempfile
import threading
import time
from pathlib import Path

from benchmarks.load import Bench, Load, build, connect, envelope, publish_packet
from benchmarks.mappers import Mapper, Task, all_mappers, key, mosquitto_program
from development.mosquitto import Mosquitto

RATE = 500.0
SECONDS = 6


def _loads(number: int, rules: int) -> Load:
    return build(int(RATE * SECONDS), 1, number, lambda each: key(each % rules), lambda _: "bench/in/0")


def _worst(bench: Bench, load: Load) -> tuple[float, float]:
    result = bench.pace(load, RATE)
    return result.quantile(0.99), max(result.latencies) * 1000


def _run(mapper: Mapper, folder: Path, first: int) -> None:
    with Mosquitto(folder / "broker", persistence=False, program=mosquitto_program()) as broker:
        process = mapper.start(Task(broker.port, 1, folder / "mapper"), None)
        try:
            bench = Bench(broker.port, "devices/#", 1, "stall")
            while not bench.probe(_loads(first, mapper.rules), 0.25):
                first += 1000
            bench.discard(0.5)
            print(
                f"{mapper.name}: p99 {{:.1f}} ms, worst {{:.1f}} ms undisturbed".format(
                    *_worst(bench, _loads(first + 1, mapper.rules))
                )
            )
            if mapper.rules == 1:
                large = connect(broker.port, "large")
                body = envelope("large", "T0", "M0", 1).replace(
                    b'"VALUE":1', b'"VALUE":1,"more":[' + b"1234567," * 129_000 + b"1]"
                )
                packet = publish_packet("bench/in/0", body, 0, 0)
                timer = threading.Timer(2, large.sendall, (packet,))
                what = f"while a message of {len(packet)} bytes passes"
            else:
                mappings = folder / "mapper" / "mappings.yaml"
                timer = threading.Timer(1, mappings.write_text, (mappings.read_text() + "\n",))
                what = f"while {mapper.rules:,} rules are loaded again"
            timer.start()
            print(
                f"{mapper.name}: p99 {{:.1f}} ms, worst {{:.1f}} ms {what}".format(
                    *_worst(bench, _loads(first + 2, mapper.rules))
                )
            )
            timer.join()
            time.sleep(0.1)
        finally:
            process.terminate()
            process.wait(30)


def main() -> None:
    """Run it."""
    mappers = all_mappers()
    for number, mapper in enumerate((mappers[0], mappers[-1])):
        with tempfile.TemporaryDirectory(prefix="stall-") as name:
            _run(mapper, Path(name), 1 + number * 1_000_000)


if __name__ == "__main__":
    main()
