"""What a basket's update costs Home Assistant: our integration against MQTT sensors with value templates.

    .venv/bin/python benchmarks/home_assistant/basket_updates.py [--baskets 1000] [--seconds 20] [--rounds 3]

Two real Home Assistant cores on one real Mosquitto read the same baskets, each under its own root so that only one of
them works at a time: `basket/<n>` by the integration, `plain/<n>` by Home Assistant's own MQTT entities in YAML. The
rounds alternate. CPU is that of the whole process, less what it uses when nothing is published, by message; the floor
is what a third core uses that only receives the messages.

The MQTT entities are one for each entity of ours that an update can change, with templates that compute the same:
items, distinct products, total price, last activity, connectivity, problem with its reasons, over budget, the contents
as lines with names, counts and prices, and an event for what was put in or taken out. What no template gives is left
out: ticks, the site's figures, a second event in one message, storage; the integration does all of that in its time.

One site enables the dispensable entities of its first 150 baskets only, and so do the MQTT entities here.
--sites 7 spreads the baskets over sites, so that every basket has all of its entities on both sides.
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

from development.mosquitto import Mosquitto, free_port

HERE = Path(__file__).resolve().parent
PRICES = {f"P{number:03}": 500 + number * 730 for number in range(300)}
# A shopper takes this many pieces, sometimes puts one back, and takes all out again at the till, one by one.
TRIP_PIECES = 20
PUT_BACK = 0.2
SETTLE_SECONDS = 15
MOST_FULL_BASKETS = 150

_CONTENTS = "{% set contents = value_json.list %}"
_PRICED = (
    f"{_CONTENTS}{{% set prices = {json.dumps(PRICES)} %}}{{% set ns = namespace(total=0, unknown=[]) %}}"
    "{% for code, count in contents.items() %}{% if code in prices %}"
    "{% set ns.total = ns.total + prices[code] * count %}"
    "{% else %}{% set ns.unknown = ns.unknown + [code] %}{% endif %}{% endfor %}"
)
_LINES = (
    f"{_CONTENTS}{{% set prices = {json.dumps(PRICES)} %}}{{% set ns = namespace(lines=[]) %}}"
    "{% for code, count in contents.items() %}{% set ns.lines = ns.lines + "
    "[{'name': code ~ ' x ' ~ count, 'price': (prices[code] * count) if code in prices else none}] %}{% endfor %}"
    "{{ {'lines': ns.lines} | tojson }}"
)


def _problem(number: int) -> str:
    """Return the template of the reasons, as a list."""
    return (
        f"{_PRICED}{{% set ns.reasons = [] %}}"
        f"{{% if contents and states('sensor.plain_{number}_session') != 'active' %}}"
        "{% set ns.reasons = ns.reasons + ['items_without_session'] %}{% endif %}"
        "{% if ns.unknown %}{% set ns.reasons = ns.reasons + ['unknown_product'] %}{% endif %}"
        f"{{% set shown = states('sensor.plain_{number}_shown_total') %}}"
        "{% if not ns.unknown and is_number(shown) and shown | int != ns.total %}"
        "{% set ns.reasons = ns.reasons + ['total_differs'] %}{% endif %}"
        "{% if value_json.error | default('') %}{% set ns.reasons = ns.reasons + ['controller_error'] %}{% endif %}"
    )


def _event(number: int) -> str:
    """Return the template of what was put in or taken out, by the contents that the items sensor showed before."""
    return (
        f"{_CONTENTS}{{% set before = state_attr('sensor.plain_{number}_items', 'contents') or {{}} %}}"
        f"{{% set prices = {json.dumps(PRICES)} %}}{{% set ns = namespace(event=none) %}}"
        "{% for code in (before.keys() | list + contents.keys() | list) | unique %}"
        "{% set difference = contents.get(code, 0) - before.get(code, 0) %}"
        "{% if difference %}{% set ns.event = "
        "{'event_type': 'item_added' if difference > 0 else 'item_removed', 'product': code, "
        "'count': difference | abs, "
        f"'price': prices.get(code, 0) * difference | abs, 'basket': 'plain/{number}'}} %}}{{% endif %}}{{% endfor %}}"
        "{{ ns.event | tojson if ns.event else '' }}"
    )


def plain_configuration(baskets: int, sites: int) -> str:
    """Return the YAML of the same baskets as MQTT entities."""
    sensors: list[dict[str, object]] = []
    binary_sensors: list[dict[str, object]] = []
    events: list[dict[str, object]] = []
    numbers: list[dict[str, object]] = []
    for number in range(baskets):
        root = f"plain/{number}"
        full = number // sites < MOST_FULL_BASKETS

        def entity(key: str, template: str, channel: str = "update", **more: object) -> dict[str, object]:
            return {
                "name": f"Plain {number} {key}",  # noqa: B023 -- called only in this round
                "unique_id": f"plain_{number}_{key}",  # noqa: B023 -- see above
                "state_topic": f"{root}/{channel}",  # noqa: B023 -- see above
                "value_template": template,
                **more,
            }

        topic = f"{root}/update"
        # Before the items, whose attributes are the contents before.
        events.append(entity("activity", _event(number), event_types=["item_added", "item_removed", "unknown_product"]))
        if full:
            sensors += [
                entity("distinct products", "{{ value_json.list | count }}", state_class="measurement"),
                entity(
                    "last activity",
                    "{{ utcnow().replace(second=0, microsecond=0).isoformat() }}",
                    device_class="timestamp",
                ),
            ]
            binary_sensors.append(
                entity(
                    "over budget",
                    f"{_PRICED}{{% set budget = states('number.plain_{number}_budget') | int(0) %}}"
                    "{{ 'ON' if budget and ns.total > budget else 'OFF' }}",
                )
            )
            numbers.append(
                {
                    "name": f"Plain {number} budget",
                    "unique_id": f"plain_{number}_budget",
                    "command_topic": f"{root}/budget",
                    "max": 1_000_000,
                }
            )
        sensors += [
            entity(
                "total price",
                _PRICED + "{{ none if ns.unknown else ns.total }}",
                unit_of_measurement="KRW",
                device_class="monetary",
            ),
            entity(
                "contents",
                "{{ value_json.list | count }}",
                json_attributes_topic=topic,
                json_attributes_template=_LINES,
            ),
            entity("session", "{{ 'active' if value_json.msg == 'start' else 'idle' }}", "status"),
            entity(
                "items",
                "{{ value_json.list.values() | sum }}",
                state_class="measurement",
                json_attributes_topic=topic,
                json_attributes_template="{{ {'contents': value_json.list} | tojson }}",
            ),
        ]
        binary_sensors += [
            entity("connectivity", "ON", device_class="connectivity"),
            entity(
                "problem",
                _problem(number) + "{{ 'ON' if ns.reasons else 'OFF' }}",
                device_class="problem",
                json_attributes_topic=topic,
                json_attributes_template=_problem(number)
                + "{{ {'reason': ns.reasons | first | default(none), 'reasons': ns.reasons} | tojson }}",
            ),
        ]
    # JSON is YAML.
    return json.dumps(
        {"mqtt": {"event": events, "sensor": sensors, "binary_sensor": binary_sensors, "number": numbers}}
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

    def __init__(self, name: str, directory: Path, broker_port: int, configuration: str, *reader: str) -> None:
        self.name = name
        storage = directory / ".storage"
        storage.mkdir(parents=True)
        (directory / "configuration.yaml").write_text(configuration)
        (directory / "custom_components").symlink_to(HERE.parents[1] / "custom_components")
        http = {"server_host": ["127.0.0.1"], "server_port": free_port()}
        (storage / "http").write_text(json.dumps({"version": 1, "minor_version": 1, "key": "http", "data": http}))
        arguments = [sys.executable, str(HERE / "observed_core.py"), str(directory), str(broker_port)]
        self._process = subprocess.Popen(  # noqa: S603 -- our own script
            [*arguments, *reader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(directory / "console.log").open("wb"),
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


def run(baskets: int, sites: int, seconds: int, rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        # The slower core must not lose messages while it catches up.
        broker = Mosquitto(directory / "broker", settings=("max_queued_messages 0", "max_queued_bytes 0"))
        broker.start()
        ours = Core("integration", directory / "integration", broker.port, "", "integration", str(sites))
        plain = Core("MQTT entities", directory / "plain", broker.port, plain_configuration(baskets, sites), "entities")
        floor = Core("floor", directory / "floor", broker.port, "", "floor")
        shoppers = {
            ours: Baskets(broker.port, "basket", baskets, sites),
            plain: Baskets(broker.port, "plain", baskets),
            floor: Baskets(broker.port, "floor", baskets),
        }
        try:
            for core in shoppers:
                core.wait_until_ready()
            ours.ask(f"products {json.dumps(PRICES)}")
            for shopper in shoppers.values():
                shopper.start_sessions()
                shopper.shop(5)
            # The registries are written 10 s after the last new entity, which is no cost of a message.
            time.sleep(SETTLE_SECONDS)
            for core in shoppers:
                _wait_until_quiet(core)
            results: dict[Core, list[tuple[Period, Period]]] = {core: [] for core in shoppers}
            for _ in range(rounds):
                for core, shopper in shoppers.items():
                    core.period()
                    time.sleep(5)
                    idle = core.period()
                    published = shopper.shop(seconds)
                    busy = _until_handled(core, published)
                    results[core].append((idle, busy))
                    _print(core, idle, busy)
            _check(ours, shoppers[ours])
            _check(plain, shoppers[plain])
            mine, theirs, least = (
                statistics.median(_cost(*pair) for pair in results[core]) for core in (ours, plain, floor)
            )
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


def _until_handled(core: Core, published: int) -> Period:
    """Return one period that reaches to the last of the published messages."""
    parts = [core.period()]
    deadline = time.monotonic() + 300
    while sum(part.messages for part in parts) < published:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{core.name} handled {sum(part.messages for part in parts)} of {published} messages")
        time.sleep(0.2)
        parts.append(core.period())
    longest = max(parts, key=lambda part: part.seconds)
    return Period(
        seconds=sum(part.seconds for part in parts),
        cpu=sum(part.cpu for part in parts),
        messages=sum(part.messages for part in parts),
        lag_median=longest.lag_median,
        lag_p99=longest.lag_p99,
        lag_max=max(part.lag_max for part in parts),
    )


def _cost(idle: Period, busy: Period) -> float:
    return (busy.cpu - idle.cpu / idle.seconds * busy.seconds) / busy.messages


def _print(core: Core, idle: Period, busy: Period) -> None:
    print(
        f"{core.name:<14} {busy.messages / busy.seconds:6.0f} msg/s  {_cost(idle, busy) * 1e6:6.0f} us/msg  "
        f"event loop late by: idle p99 {idle.lag_p99 * 1e3:.1f} ms max {idle.lag_max * 1e3:.1f} ms, "
        f"busy median {busy.lag_median * 1e3:.2f} ms p99 {busy.lag_p99 * 1e3:.1f} ms max {busy.lag_max * 1e3:.1f} ms",
        flush=True,
    )


def _check(core: Core, shopper: Baskets) -> None:
    """Make sure that every basket shows what was published last: cheap and wrong would not count."""
    shown = json.loads(core.ask("items"))
    prefix = "sensor.basket" if core.name == "integration" else "sensor.plain"
    for number, contents in enumerate(shopper.contents):
        entity_id, wanted = f"{prefix}_{number}_items", str(sum(contents.values()))
        if shown.get(entity_id) != wanted:
            raise RuntimeError(f"{core.name}: {entity_id} is {shown.get(entity_id)} and should be {wanted}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baskets", type=int, default=1000)
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    run(given.baskets, given.sites, given.seconds, given.rounds)
