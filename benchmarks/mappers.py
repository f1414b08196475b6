"""The programs that are measured, each doing the same mapping: topics below bench/in/ to devices/<id>/ingress."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from development.program import find_program

HERE = Path(__file__).parent
PRIVATE = HERE.parent / ".bench"
INGRESS = "bench/in"


def mosquitto_program() -> str:
    """Return Mosquitto 2.1 where scripts/bench could unpack it, else the system's."""
    private = PRIVATE / "mosquitto" / "root" / "usr" / "sbin" / "mosquitto"
    return str(private) if private.exists() else find_program("mosquitto")


def program_version(program: str) -> str:
    """Return the first line that a program says about itself."""
    done = subprocess.run([program, "-h"], capture_output=True, text=True, check=False)  # noqa: S603 -- ours
    return (done.stdout or done.stderr).splitlines()[0]


@dataclass(frozen=True, slots=True)
class Task:
    """What a mapper is started for: the broker's port, the QoS of both directions, a folder of its own."""

    port: int
    qos: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Mapper:
    """One program. `rules` is how many keys its catalog has: the load uses them all, on so many `topics`."""

    name: str
    command: Callable[[Task], list[str]]
    rules: int = 1
    topics: int = 100
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, task: Task, core: int | None) -> subprocess.Popen[bytes]:
        """Start it, on one core of its own where the machine has two."""
        task.folder.mkdir(parents=True)
        with (task.folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 -- ours
                self.command(task), stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **self.environment}
            )
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        return process


def topics(count: int) -> list[str]:
    """Return what the load is published to."""
    return [f"{INGRESS}/{number}" for number in range(count)]


def _bridge(rules: int) -> Callable[[Task], list[str]]:
    """Map envelopes by so many keys."""

    def command(task: Task) -> list[str]:
        lines = []
        for number in range(rules):
            tag, message_id = key(number)
            lines.append(f"equip_tag: {tag}, message_id: {message_id}, object: Bench.Value{number}")
        return _run_bridge(task, lines, rules, f"{INGRESS}/+")

    return command


def _topic_bridge(filters: int, wildcard: bool = False) -> Callable[[Task], list[str]]:
    """Map the messages of so many topics: each by a rule of its own, or all by one with a wildcard."""

    def command(task: Task) -> list[str]:
        how = f"path: payload.VALUE, qos: {task.qos}, topic"
        if wildcard:
            lines = [f'object: "Bench.Value{{1}}", {how}: {INGRESS}/+']
        else:
            lines = [f"object: Bench.Value{number}, {how}: {topic}" for number, topic in enumerate(topics(filters))]
        return _run_bridge(task, lines, filters, "bench/none")

    return command


def _run_bridge(task: Task, rules: list[str], objects: int, ingress: str) -> list[str]:
    with (task.folder / "mappings.yaml").open("w") as file:
        file.write("mappings:\n")
        file.writelines(f"  - {{{rule}, value_type: integer}}\n" for rule in rules)
    with (task.folder / "devices.yaml").open("w") as file:
        file.write("objects:\n")
        file.writelines(f"  Bench.Value{number}: [BENCH{number % 100}]\n" for number in range(objects))
    (task.folder / "bridge.yaml").write_text(
        f"data_directory: data\n"
        f"broker: {{port: {task.port}, protocol: '5.0'}}\n"
        f"ingress: {{topics: [{ingress}], qos: {task.qos}}}\n"
        f"egress: {{qos: {task.qos}}}\n"
    )
    return [sys.executable, "-m", "data_bridge", "run", "--config", str(task.folder / "bridge.yaml")]


def _mosquitto(task: Task) -> list[str]:
    # Two connections: one bridge does not send back what came over itself.
    common = (
        f"address 127.0.0.1:{task.port}\nbridge_protocol_version mqttv50\ncleansession true\nnotifications false\n"
        f"start_type automatic\n"
    )
    configuration = task.folder / "bridge.conf"
    configuration.write_text(
        "user root\nlog_dest none\npersistence false\nmax_queued_messages 0\nallow_anonymous true\n"
        f"listener 0 {task.folder / 'socket'}\n"
        f"connection in\n{common}topic # in {task.qos} x/ {INGRESS}/\n"
        f"connection out\n{common}topic # out {task.qos} x/ devices/bench0/\n"
    )
    return [mosquitto_program(), "-c", str(configuration)]


def _node(script: str) -> Callable[[Task], list[str]]:
    return lambda task: [
        find_program("node"),
        str(HERE / "competitors" / script),
        str(task.port),
        str(task.qos),
        str(task.folder),
    ]


def _paho(task: Task) -> list[str]:
    return [sys.executable, str(HERE / "competitors" / "plain_paho.py"), str(task.port), str(task.qos)]


def key(number: int) -> tuple[str, str]:
    """Return the mapping key of a rule."""
    return f"T{number}", f"M{number % 10}"


BRIDGE = "IoT Data Bridge"
MOSQUITTO = "Mosquitto's bridge"


def all_mappers() -> list[Mapper]:
    """Return every program that can be measured on this machine."""
    mappers = [
        Mapper(BRIDGE, _bridge(1)),
        Mapper(MOSQUITTO, _mosquitto),
        Mapper("plain paho", _paho),
        Mapper(f"{BRIDGE}, 1,000 rules", _bridge(1000), 1000),
        Mapper(f"{BRIDGE}, 100,000 rules", _bridge(100_000), 100_000),
        Mapper(f"{BRIDGE}, 100 topic rules", _topic_bridge(100)),
        Mapper(f"{BRIDGE}, a wildcard topic rule", _topic_bridge(100, wildcard=True)),
        Mapper(f"{BRIDGE}, 30,000 topic rules", _topic_bridge(30_000), topics=30_000),
    ]
    modules = PRIVATE / "node" / "node_modules"
    if modules.exists() and shutil.which("node"):
        environment = {"NODE_PATH": str(modules), "NODE_ENV": "production"}
        mappers[2:2] = [
            Mapper("MQTT.js", _node("mqttjs.cjs"), environment=environment),
            Mapper("Node-RED", _node("nodered.cjs"), environment=environment),
        ]
    return mappers
