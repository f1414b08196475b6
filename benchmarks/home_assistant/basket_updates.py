"""What a basket's update costs Home Assistant: our integration against MQTT sensors with value templates.

    PYTHONPATH=. .venv/bin/python benchmarks/home_assistant/basket_updates.py
        [--baskets 1000] [--sites 1] [--seconds 20] [--rounds 3] [--recorder]

Two real Home Assistant cores on one real Mosquitto read the same baskets, each under its own root so that only one of
them works at a time: `basket/<n>` by the integration, `plain/<n>` by Home Assistant's own MQTT entities in YAML, which
plain_entities.py writes. The rounds alternate. CPU is that of the whole process by message, less what a third core uses
while nothing is published; that third core only receives messages and is the floor.

One site enables the contents of its first 20 baskets and the dispensable entities of its first 75 only, and so do the
MQTT entities here. --sites 14 spreads the baskets over sites, so that every basket has its dispensable entities on both
sides.
--recorder lets each core record into SQLite, as Home Assistant does by default; a part of a round ends when all of it
is written.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.home_assistant.plain_entities import product_name, write_entities
from development.mosquitto import Mosquitto, free_port

HERE = Path(__file__).resolve().parent
PRICES = {f"P{number:03}": 500 + number * 730 for number in range(300)}
# A shopper takes this many pieces, sometimes puts one back, and takes all out again at the till, one by one.
TRIP_PIECES = 20
PUT_BACK = 0.2
SETTLE_SECONDS = 15
MOST_LISTED_BASKETS = 20
MOST_FULL_BASKETS = 75
IDLE_SECONDS = 5
# The lag of the event loop is told for this many parts of a round: it must not grow from one to the next.
WINDOWS = 4
# Only warnings and errors are logged, and these would be about the entities that are compared.
TELLING_LOGGERS = (
    "custom_components.iot_data_bridge",
    "homeassistant.components.mqtt",
    "homeassistant.components.template",
    "homeassistant.helpers.template",
)


@dataclass(frozen=True, slots=True)
class Period:
    """What one core measured; times in seconds."""

    seconds: float
    cpu: float
    messages: int
    lag_median: float
    lag_p99: float
    lag_max: float


class Core:
    """A Home Assistant core as a child process."""

    def __init__(
        self, name: str, directory: Path, configuration: dict[str, object], broker_port: int, *reader: str
    ) -> None:
        self.name = name
        self.log = directory / "console.log"
        storage = directory / ".storage"
        storage.mkdir(parents=True)
        # JSON is YAML.
        (directory / "configuration.yaml").write_text(json.dumps(configuration))
        (directory / "custom_components").symlink_to(HERE.parents[1] / "custom_components")
        http = {"server_host": ["127.0.0.1"], "server_port": free_port()}
        (storage / "http").write_text(json.dumps({"version": 1, "minor_version": 1, "key": "http", "data": http}))
        arguments = [sys.executable, str(HERE / "observed_core.py"), str(directory), str(broker_port)]
        self._process = subprocess.Popen(  # noqa: S603 -- our own script
            [*arguments, *reader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Return when everything is set up."""
        if self._answer() != "ready":
            raise RuntimeError(f"{self.name} did not start")

    def ask(self, line: str) -> str:
        """Send a line and return the answer."""
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()

    def period(self) -> Period:
        """End a period and begin the next."""
        return Period(**json.loads(self.ask("period")))

    def stop(self) -> None:
        """End the core."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self.name} ended")
        return line


class Baskets:
    """Shoppers who put one piece in or out of each basket once a second."""

    def __init__(self, port: int, root: str, number: int, sites: int = 1) -> None:
        self.contents: list[dict[str, int]] = [{} for _ in range(number)]
        self._paying = [False] * number
        self._roots = [f"{root}{basket % sites or ''}/{basket}" for basket in range(number)]
        self._random = random.Random(5)  # noqa: S311 -- repeatable, not secret
        for contents in self.contents:
            # Everybody is somewhere in the middle of a trip.
            for code in self._random.choices(list(PRICES), k=self._random.randrange(TRIP_PIECES)):
                contents[code] = contents.get(code, 0) + 1
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def start_sessions(self) -> None:
        """Tell every basket to start."""
        for root in self._roots:
            self._client.publish(f"{root}/status", '{"msg":"start"}', qos=1)

    def shop(self, seconds: int) -> int:
        """Publish one update of each basket in each second, evenly, and return how many."""
        began = time.perf_counter()
        baskets = len(self.contents)
        codes = list(PRICES)
        for second in range(seconds):
            for number, contents in enumerate(self.contents):
                pieces = sum(contents.values())
                if pieces >= TRIP_PIECES or not pieces:
                    self._paying[number] = bool(pieces)
                if pieces and (self._paying[number] or self._random.random() < PUT_BACK):
                    code = self._random.choice(list(contents))
                    contents[code] -= 1
                    if not contents[code]:
                        del contents[code]
                else:
                    code = self._random.choice(codes)
                    contents[code] = contents.get(code, 0) + 1
                payload = json.dumps({"id": number, "list": contents})
                self._client.publish(f"{self._roots[number]}/update", payload)
                ahead = began + second + (number + 1) / baskets - time.perf_counter()
                if ahead > 0.001:  # noqa: PLR2004 -- finer sleeps cost more than they keep
                    time.sleep(ahead)
        return seconds * baskets

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def run(baskets: int, sites: int, seconds: int, rounds: int, *, recorder: bool) -> None:
    """Measure and print."""
    common: dict[str, object] = {"recorder": {}} if recorder else {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "plain").mkdir()
        listed, full = (min(baskets, most * sites) for most in (MOST_LISTED_BASKETS, MOST_FULL_BASKETS))
        by_hand = write_entities(directory / "plain", baskets, listed, full, PRICES)
        # The slower core must not lose messages while it catches up.
        broker = Mosquitto(directory / "broker", settings=("max_queued_messages 0", "max_queued_bytes 0"))
        broker.start()
        ours = Core("integration", directory / "integration", common, broker.port, "integration", str(sites))
        plain = Core("MQTT entities", directory / "plain", common | by_hand, broker.port, "entities")
        floor = Core("floor", directory / "floor", common, broker.port, "floor")
        shoppers = {
            ours: Baskets(broker.port, "basket", baskets, sites),
            plain: Baskets(broker.port, "plain", baskets),
            floor: Baskets(broker.port, "floor", baskets),
        }
        try:
            for core in shoppers:
                core.wait_until_ready()
            ours.ask(f"products {json.dumps([(code, product_name(code), price) for code, price in PRICES.items()])}")
            for shopper in shoppers.values():
                shopper.start_sessions()
                shopper.shop(5)
            # The registries are written 10 s after the last new entity, which is no cost of a message.
            time.sleep(SETTLE_SECONDS)
            for core in shoppers:
                _wait_until_quiet(core)
            costs: dict[Core, list[float]] = {core: [] for core in shoppers}
            for _ in range(rounds):
                floor.period()
                time.sleep(IDLE_SECONDS)
                idle = floor.period()
                for core, shopper in shoppers.items():
                    windows = _shop(core, shopper, seconds)
                    costs[core].append(_cost(idle, windows))
                    _print(core, costs[core][-1], windows)
            for core in (ours, plain):
                _check(core, shoppers[core])
            mine, theirs, least = (statistics.median(costs[core]) for core in (ours, plain, floor))
            print(f"CPU per message: integration {mine * 1e6:.0f} us, MQTT entities {theirs * 1e6:.0f} us")
            print(f"ratio {theirs / mine:.1f} (wanted: 5 or more)")
            print(f"less the floor of {least * 1e6:.0f} us for receiving: {(theirs - least) / (mine - least):.1f}")
        finally:
            for core, shopper in shoppers.items():
                shopper.stop()
                core.stop()
            broker.stop()


def _wait_until_quiet(core: Core) -> None:
    core.period()
    while True:
        time.sleep(1)
        if core.period().messages == 0:
            return


def _shop(core: Core, shopper: Baskets, seconds: int) -> list[Period]:
    """Let the shoppers shop and return what each part of the time cost, to the last of the published messages."""
    published = 0
    windows: list[Period] = []
    core.period()
    for _ in range(WINDOWS):
        published += shopper.shop(max(1, seconds // WINDOWS))
        windows.append(core.period())
    deadline = time.monotonic() + 300
    while sum(window.messages for window in windows) < published:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{core.name} did not handle {published} messages")
        time.sleep(0.2)
        windows.append(core.period())
    return windows


def _cost(idle: Period, busy: list[Period]) -> float:
    """Return the CPU seconds of a message."""
    cpu, seconds = sum(period.cpu for period in busy), sum(period.seconds for period in busy)
    return (cpu - idle.cpu / idle.seconds * seconds) / sum(period.messages for period in busy)


def _print(core: Core, cost: float, windows: list[Period]) -> None:
    late = ", ".join(
        f"{period.lag_median * 1e3:.1f}/{period.lag_p99 * 1e3:.1f}/{period.lag_max * 1e3:.1f}"
        for period in windows[:WINDOWS]
    )
    rate = sum(period.messages for period in windows) / sum(period.seconds for period in windows)
    print(
        f"{core.name:<14} {rate:6.0f} msg/s {cost * 1e6:6.0f} us/msg  "
        f"event loop late by p50/p99/max ms, {WINDOWS} windows: {late}",
        flush=True,
    )


def _check(core: Core, shopper: Baskets) -> None:
    """Make sure that everything shows what was published last: cheap and wrong would not count."""
    time.sleep(2)  # sums follow within a second
    log = core.log.read_text().splitlines()
    if complaints := [line for line in log if any(f"[{logger}" in line for logger in TELLING_LOGGERS)]:
        raise RuntimeError(f"{core.name} logged {len(complaints)} complaints, the last: {complaints[-1]}")
    shown: dict[str, str] = json.loads(core.ask("states"))
    mine = core.name == "integration"
    wanted: dict[str, str] = {}
    items = value = 0
    for number, contents in enumerate(shopper.contents):
        basket = f"{'basket' if mine else 'plain'}_{number}"
        pieces, price = sum(contents.values()), sum(PRICES[code] * count for code, count in contents.items())
        items, value = items + pieces, value + price
        wanted[f"sensor.{basket}_session"] = "active"
        wanted[f"sensor.{basket}_items"] = str(pieces)
        wanted[f"sensor.{basket}_total_price"] = str(price)
        if (contents_list := f"{'todo' if mine else 'sensor'}.{basket}_contents") in shown:
            wanted[contents_list] = str(len(contents))
        wanted[f"binary_sensor.{basket}_connectivity"] = "on"
        wanted[f"binary_sensor.{basket}_problem"] = "off"
        if f"sensor.{basket}_distinct_products" in shown:
            wanted[f"sensor.{basket}_distinct_products"] = str(len(contents))
            wanted[f"binary_sensor.{basket}_over_budget"] = "off"
    for entity_id, state in wanted.items():
        if shown.get(entity_id) != state:
            raise RuntimeError(f"{core.name}: {entity_id} is {shown.get(entity_id)} and should be {state}")
    shop = "sensor.iot_data_bridge_" if mine else "sensor.shop_"
    for fact, total in (("baskets_in_use", len(shopper.contents)), ("items_out", items), ("value_on_the_floor", value)):
        found = sum(int(state) for entity_id, state in shown.items() if entity_id.startswith(f"{shop}{fact}"))
        if found != total:
            raise RuntimeError(f"{core.name}: {fact} is {found} and should be {total}")
    print(f"{core.name}: {len(wanted) + 3} of {len(shown)} states checked")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baskets", type=int, default=1000)
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recorder", action="store_true")
    given = parser.parse_args()
    run(given.baskets, given.sites, given.seconds, given.rounds, recorder=given.recorder)
