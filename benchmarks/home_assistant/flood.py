"""What one basket that publishes without measure does to the rest of Home Assistant.

    PYTHONPATH=. .venv/bin/python benchmarks/home_assistant/flood.py [--updates 300] [--seconds 15] [--tree PATH]

A real Home Assistant core with its recorder on a real Mosquitto. The basket sends `--updates` snapshots of some 11 kB
within `--seconds`, each with a thousand other products than the one before. Meanwhile an action is called every 50 ms.
--tree measures the integration of another checkout.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from development.mosquitto import Mosquitto, free_port

HERE = Path(__file__).resolve().parent
PRODUCTS = 1_000
# Nothing that the flood began may still wait after this time.
CALM_SECONDS = 20


def _configure(directory: Path, tree: Path) -> None:
    storage = directory / ".storage"
    storage.mkdir(parents=True)
    (directory / "configuration.yaml").write_text("recorder:\nhistory:\nlogbook:\ninput_boolean:\n  other:\n", "utf-8")
    (directory / "custom_components").symlink_to(tree / "custom_components")
    http = {"server_host": ["127.0.0.1"], "server_port": free_port()}
    (storage / "http").write_text(json.dumps({"version": 1, "minor_version": 1, "key": "http", "data": http}))


def _snapshot(number: int) -> str:
    codes = (f"{(number % 2) * PRODUCTS + product:04}" for product in range(PRODUCTS))
    return json.dumps({"id": 1, "list": dict.fromkeys(codes, 1)}, separators=(",", ":"))


def _flood(port: int, updates: int, seconds: float) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    began = time.monotonic()
    for number in range(updates):
        client.publish("basket/1/update", _snapshot(number), qos=1).wait_for_publish(10)
        time.sleep(max(0.0, began + (number + 1) * seconds / updates - time.monotonic()))
    client.disconnect()
    client.loop_stop()


def measure(updates: int, seconds: float, tree: Path) -> dict[str, float]:
    """Return the measurements of one flood; times in seconds, memory in bytes."""
    with tempfile.TemporaryDirectory() as scratch, Mosquitto(Path(scratch) / "broker") as broker:
        directory = Path(scratch) / "core"
        _configure(directory, tree)
        log = (Path(scratch) / "console.log").open("wb")
        process = subprocess.Popen(  # noqa: S603 -- our own script
            [sys.executable, str(HERE / "flooded_core.py"), str(directory), str(broker.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process, log:
            commands, answers = process.stdin, process.stdout
            if commands is None or answers is None:
                raise RuntimeError("no pipes")

            def ask(line: str) -> str:
                commands.write(line)
                commands.flush()
                return answers.readline()

            if answers.readline().strip() != "ready":
                raise RuntimeError((Path(scratch) / "console.log").read_text("utf-8"))
            ask("begin\n")
            _flood(broker.port, updates, seconds)
            time.sleep(CALM_SECONDS)
            result: dict[str, float] = json.loads(ask("end\n"))
            commands.close()
        return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--tree", type=Path, default=HERE.parents[1])
    given = parser.parse_args()
    measured = measure(given.updates, given.seconds, given.tree)
    print(
        f"actions: {measured['calls']:,.0f} calls, p99 {measured['latency_p99'] * 1000:,.0f} ms,"
        f" worst {measured['latency_max'] * 1000:,.0f} ms\n"
        f"memory: + {measured['memory_growth'] / 1e6:,.0f} MB\n"
        f"longest time between two commits of the recorder: {measured['longest_commit_gap']:,.1f} s"
    )
