"""Measures all mappers in turn, round after round, and prints medians and their ratios to Mosquitto's own bridge.

Called by scripts/bench. The broker and the load share the first core, the mapper has the second to itself.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.load import Bench, Load, build
from benchmarks.mappers import (
    BRIDGE,
    MOSQUITTO,
    PRIVATE,
    Mapper,
    Task,
    all_mappers,
    key,
    mosquitto_program,
    program_version,
    topics,
)
from broker.mosquitto import MAXIMUM_IN_FLIGHT
from development.mosquitto import Mosquitto

CEILING = "broker alone"
# What comes after what is random to the processor's caches.
_STRIDE = 7919
READY_SECONDS = 60.0
BEGIN, END = "<!-- results: written by scripts/bench --write -->", "<!-- end of results -->"


@dataclass(slots=True)
class Measured:
    """One program in one round. Latencies in milliseconds; None where it could not keep up."""

    name: str
    qos: int
    rate: float
    lost: int
    cpu_microseconds: float | None = None
    megabytes: float | None = None
    at_1000: tuple[float, float] | None = None
    at_5000: tuple[float, float] | None = None
    at_half: tuple[float, float] | None = None
    half: float = 0.0


class Runner:
    """Knows the machine's cores, numbers the loads, and measures one thing after the other."""

    def __init__(self, folder: Path, seconds: float, in_flight: int = MAXIMUM_IN_FLIGHT) -> None:
        self._folder = folder
        self._seconds = seconds
        self._in_flight = in_flight
        self._number = 0
        cores = sorted(os.sched_getaffinity(0))
        self._theirs: int | None = None
        if len(cores) > 1:
            self._theirs = cores[1]
            os.sched_setaffinity(0, {cores[0]})

    def _broker(self) -> Mosquitto:
        self._number += 1
        # No limit to what may wait: it is the load that keeps within its window.
        settings = (
            "max_queued_messages 0",
            f"max_inflight_messages {self._in_flight}",
            "log_type error",
            "log_type notice",
            "log_type information",
        )
        return Mosquitto(
            self._folder / f"broker{self._number}", persistence=False, settings=settings, program=mosquitto_program()
        )

    def _load(self, count: int, qos: int, mapper: Mapper | None = None) -> Load:
        self._number += 1
        rules, spread = (1, topics(100)) if mapper is None else (mapper.rules, topics(mapper.topics))
        return build(
            count,
            qos,
            self._number,
            lambda number: key(number * _STRIDE % rules),
            lambda number: spread[number * _STRIDE % len(spread)],
        )

    def ceiling(self, qos: int) -> Measured:
        """Measure the load through the broker with nobody between."""
        with self._broker() as broker:
            bench = Bench(broker.port, "bench/in/+", qos, "ceiling")
            bench.flood(self._load(5000, qos))
            result = bench.flood(self._load(int(60_000 * self._seconds / 2), qos))
            bench.close()
        return Measured(CEILING, qos, result.rate, result.sent - result.received)

    def mapper(self, mapper: Mapper, qos: int) -> Measured:
        """Measure one program."""
        with self._broker() as broker:
            process = mapper.start(Task(broker.port, qos, self._folder / f"mapper{self._number}"), self._theirs)
            try:
                return self._measure(mapper, qos, broker, process)
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _measure(self, mapper: Mapper, qos: int, broker: Mosquitto, process: subprocess.Popen[bytes]) -> Measured:
        bench = Bench(broker.port, "devices/#", qos, "load")
        self._await_ready(bench, mapper, qos, process)
        # Warm-up, and a guess of how long the real flood takes.
        guess = bench.flood(self._load(3000, qos, mapper)).rate
        guess = bench.flood(self._load(int(guess) or 1, qos, mapper)).rate
        load = self._load(max(2000, int(guess * self._seconds)), qos, mapper)
        before = _cpu_seconds(process.pid)
        result = bench.flood(load)
        used = _cpu_seconds(process.pid) - before
        measured = Measured(mapper.name, qos, result.rate, result.sent - result.received)
        measured.cpu_microseconds = used / result.received * 1e6 if result.received else None
        measured.half = result.rate / 2
        measured.at_1000 = self._latency(bench, mapper, qos, 1000)
        if result.rate > 5500:  # noqa: PLR2004 -- it must be able to keep up
            measured.at_5000 = self._latency(bench, mapper, qos, 5000)
        measured.at_half = self._latency(bench, mapper, qos, measured.half)
        measured.megabytes = _resident_megabytes(process.pid)
        bench.close()
        return measured

    def _await_ready(self, bench: Bench, mapper: Mapper, qos: int, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            # One at a time until one comes through: the program is up and subscribed.
            if bench.probe(self._load(1, qos, mapper), 0.25):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{mapper.name} did not start; see {self._folder}")
        bench.discard(0.5)

    def _latency(self, bench: Bench, mapper: Mapper, qos: int, rate: float) -> tuple[float, float] | None:
        result = bench.pace(self._load(int(rate * self._seconds), qos, mapper), rate)
        if result.received < result.sent:
            return None
        return result.quantile(0.5), result.quantile(0.99)


def _cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(process_id: int) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def _shown(value: float | None, form: str = ",.0f") -> str:
    return "-" if value is None else format(value, form)


def _pair(rows: list[Measured], attribute: str) -> str:
    found = [getattr(row, attribute) for row in rows if getattr(row, attribute) is not None]
    if not found:
        return "-"
    return f"{statistics.median(p50 for p50, _ in found):.2f} / {statistics.median(p99 for _, p99 in found):.2f}"


def table(rows: list[Measured], qos: int) -> str:
    """Return one QoS's results as a Markdown table."""
    lines = [
        f"### QoS {qos}",
        "",
        "| program | msg/s | ratio | CPU us/msg | MB | p50/p99 ms at 1,000/s | at 5,000/s | at half | lost |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    names = list(dict.fromkeys(row.name for row in rows if row.qos == qos))
    of = {name: [row for row in rows if row.name == name and row.qos == qos] for name in names}
    reference = _median([row.rate for row in of.get(MOSQUITTO, [])])
    for name in names:
        mine = of[name]
        rate = _median([row.rate for row in mine])
        # Ratios of the same round, then their median: what disturbs a round disturbs both.
        ratios = [row.rate / other.rate for row, other in zip(mine, of.get(MOSQUITTO, []), strict=False) if other.rate]
        ratio = _median(ratios) if reference else None
        lines.append(
            f"| {name} | {_shown(rate)} | {_shown(ratio, '.2f')} "
            f"| {_shown(_median([row.cpu_microseconds for row in mine if row.cpu_microseconds is not None]), '.1f')} "
            f"| {_shown(_median([row.megabytes for row in mine if row.megabytes is not None]))} "
            f"| {_pair(mine, 'at_1000')} | {_pair(mine, 'at_5000')} | {_pair(mine, 'at_half')} "
            f"| {sum(row.lost for row in mine)} |"
        )
    return "\n".join(lines)


def machine(rounds: int) -> str:
    """Return what was measured on, and with what."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    versions = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{os.cpu_count()} cores of {model}",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        program_version(mosquitto_program()),
    ]
    node = PRIVATE / "node" / "node_modules"
    for package in ("mqtt", "node-red"):
        manifest = node / package / "package.json"
        if manifest.exists():
            versions.append(f"{package} {json.loads(manifest.read_text())['version']}")
    if shutil.which("node"):
        done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)  # noqa: S607 -- from PATH
        versions.append(f"Node {done.stdout.strip()}")
    return f"Medians of {rounds} interleaved rounds. " + "; ".join(versions) + "."


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each measurement takes, about")
    parser.add_argument("--quick", action="store_true", help="one short round: does it all work?")
    parser.add_argument("--only", action="append", help="only programs whose name contains this, or another of these")
    parser.add_argument("--qos", type=int, choices=(0, 1), action="append")
    parser.add_argument(
        "--in-flight",
        type=int,
        default=MAXIMUM_IN_FLIGHT,
        help="the broker's max_inflight_messages; the app's own is %(default)s, Mosquitto's default 20",
    )
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    given = parser.parse_args()
    rounds, seconds = (1, 1.0) if given.quick else (given.rounds, given.seconds)
    mappers = [
        mapper
        for mapper in all_mappers()
        if not given.only or any(part.lower() in mapper.name.lower() for part in given.only)
    ]
    levels = given.qos or [0, 1]
    rows: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        runner = Runner(Path(folder), seconds, given.in_flight)
        for number in range(rounds):
            for qos in levels:
                rows.append(runner.ceiling(qos))
                # Each round begins with another program, so that none is always the one after the heaviest.
                for mapper in mappers[number % len(mappers) :] + mappers[: number % len(mappers)]:
                    measured = runner.mapper(mapper, qos)
                    rows.append(measured)
                    print(f"round {number + 1} {json.dumps(asdict(measured))}", file=sys.stderr, flush=True)
    order = [CEILING, *(mapper.name for mapper in mappers)]
    rows.sort(key=lambda row: order.index(row.name))
    text = machine(rounds) + "\n\n" + "\n\n".join(table(rows, qos) for qos in levels) + "\n"
    print(text)
    if given.write:
        readme = Path(__file__).parent / "README.md"
        before, _, rest = readme.read_text().partition(BEGIN)
        readme.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")
    return 0 if any(row.name.startswith(BRIDGE) for row in rows) or given.only else 1


if __name__ == "__main__":
    sys.exit(main())
