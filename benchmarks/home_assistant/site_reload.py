"""How long a site takes to set up and to reload, and how many updates it misses meanwhile, beside an earlier version.

    PYTHONPATH=. .venv/bin/python benchmarks/home_assistant/site_reload.py
        [--baskets 200] [--reloads 3] [--rounds 3] [--before a7ae94b]

Each round is a new Home Assistant core on a real Mosquitto, first with the integration of the earlier commit, then with
the present one. Every basket is in use and publishes one update in each reload, spread over it; none follows, so an
update that is missed stays missing.
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import MappingProxyType

import paho.mqtt.client as paho
from homeassistant.bootstrap import async_setup_hass
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.runner import RuntimeConfig
from paho.mqtt.enums import CallbackAPIVersion

from development.mosquitto import Mosquitto, free_port

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 30.0
ARRIVE_SECONDS = 5.0


class Floor:
    """The baskets: each has the count of pieces that it published last."""

    def __init__(self, port: int, baskets: int) -> None:
        self.counts = [0] * baskets
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def start_sessions(self) -> None:
        """Put every basket into use."""
        for number in range(len(self.counts)):
            self._client.publish(f"basket/{number}/status", "start", qos=1)
        self.publish_all(0.0)

    def publish_all(self, seconds: float) -> None:
        """Publish one update of each basket, evenly over the time."""
        began = time.perf_counter()
        for number in range(len(self.counts)):
            self.counts[number] += 1
            payload = json.dumps({"id": number, "list": {"MLON": self.counts[number]}})
            self._client.publish(f"basket/{number}/update", payload, qos=1)
            ahead = began + seconds * (number + 1) / len(self.counts) - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


async def add_entry(
    hass: HomeAssistant, domain: str, data: dict[str, object], versions: tuple[int, int]
) -> ConfigEntry:
    """Return a config entry that is loaded."""
    entry: ConfigEntry = ConfigEntry(
        data=data,
        discovery_keys=MappingProxyType({}),
        domain=domain,
        minor_version=versions[1],
        options={"discovery": False} if domain == "mqtt" else {"currency": "KRW"},
        source="user",
        subentries_data=None,
        title=domain,
        unique_id=None,
        version=versions[0],
    )
    await hass.config_entries.async_add(entry)
    if entry.state is not ConfigEntryState.LOADED:
        raise RuntimeError(f"{domain} was not set up: {entry.state} {entry.reason}")
    return entry


def missing(hass: HomeAssistant, floor: Floor) -> int:
    """Return how many baskets do not show what they published last."""
    states = [hass.states.get(f"sensor.basket_{number}_items") for number in range(len(floor.counts))]
    return sum(state is None or state.state != str(count) for state, count in zip(states, floor.counts, strict=True))


async def arrive(hass: HomeAssistant, floor: Floor, seconds: float) -> int:
    """Wait until every update is shown, and return how many baskets still miss theirs after the time."""
    deadline = time.monotonic() + seconds
    while (left := missing(hass, floor)) and time.monotonic() < deadline:  # noqa: ASYNC110 -- states have no common event
        await asyncio.sleep(0.05)
    return left


async def measure(directory: str, port: int, baskets: int, reloads: int, site_version: int) -> None:
    """Measure one core and print one JSON line; times in seconds."""
    hass = await async_setup_hass(RuntimeConfig(config_dir=directory, skip_pip=True, log_no_color=True))
    if hass is None:
        raise RuntimeError("Home Assistant was not set up")
    logging.getLogger().setLevel(logging.WARNING)
    await hass.async_start()
    await add_entry(hass, "mqtt", {"broker": "127.0.0.1", "port": port, "protocol": "5"}, (1, 2))
    topics: dict[str, object] = {"basket_roots": ["basket/+"], "printers": False, "bridge_id": ""}
    site = await add_entry(hass, "iot_data_bridge", topics, (site_version, 1))
    floor = Floor(port, baskets)
    try:
        # Home Assistant delays its subscriptions.
        await asyncio.sleep(1)
        floor.start_sessions()
        if left := await arrive(hass, floor, WAIT_SECONDS):
            raise RuntimeError(f"{left} baskets did not appear")
        await hass.async_block_till_done()
        took: dict[str, list[float]] = {"setup": [], "reload": []}
        lost: list[int] = []
        for _ in range(reloads):
            await hass.config_entries.async_unload(site.entry_id)
            began = time.perf_counter()
            await hass.config_entries.async_setup(site.entry_id)
            took["setup"].append(time.perf_counter() - began)
            await asyncio.sleep(1)
            publishing = threading.Thread(target=floor.publish_all, args=(took["setup"][-1],))
            publishing.start()
            began = time.perf_counter()
            await hass.config_entries.async_reload(site.entry_id)
            took["reload"].append(time.perf_counter() - began)
            await hass.async_add_executor_job(publishing.join)
            lost.append(await arrive(hass, floor, ARRIVE_SECONDS))
        print(json.dumps({**took, "lost": lost}), flush=True)
    finally:
        floor.stop()
        await hass.async_stop(force=True)


def run_core(source: Path, port: int, baskets: int, reloads: int) -> dict[str, list[float]]:
    """Measure the integration of a source tree in a core of its own."""
    constants = (source / "custom_components/iot_data_bridge/const.py").read_text()
    site_version = 2 if "VERSION: Final = 2" in constants else 1
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / ".storage").mkdir()
        (directory / "configuration.yaml").touch()
        (directory / "custom_components").symlink_to(source / "custom_components")
        http = {"server_host": ["127.0.0.1"], "server_port": free_port()}
        stored = {"version": 1, "minor_version": 1, "key": "http", "data": http}
        (directory / ".storage" / "http").write_text(json.dumps(stored))
        numbers = [str(number) for number in (port, baskets, reloads, site_version)]
        with (directory / "console.log").open("wb") as log:
            done = subprocess.run(  # noqa: S603 -- our own script
                [sys.executable, __file__, "--core", str(directory), *numbers],
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
                text=True,
                # The directory of the configuration comes first: the integration is the one of this source tree.
                env={"PYTHONPATH": f"{directory}:{ROOT}", "PATH": "/usr/bin:/bin:/usr/sbin"},
            )
        if done.returncode:
            raise RuntimeError((directory / "console.log").read_text()[-2000:])
        measured: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
        return measured


def run(baskets: int, reloads: int, rounds: int, before: str) -> None:
    """Measure both versions in turn, and print."""
    with tempfile.TemporaryDirectory() as temporary:
        earlier = Path(temporary) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(earlier), before], check=True)  # noqa: S603 -- no input of others
        try:
            results: dict[str, list[dict[str, list[float]]]] = {"before": [], "now": []}
            for _ in range(rounds):
                for name, source in (("before", earlier), ("now", ROOT)):
                    with Mosquitto(Path(temporary) / "broker") as broker:
                        results[name].append(run_core(source, broker.port, baskets, reloads))
        finally:
            subprocess.run([*git, "remove", "--force", str(earlier)], check=True)  # noqa: S603 -- no input of others
    medians: dict[str, dict[str, float]] = {}
    for name, measured in results.items():
        medians[name] = {
            key: statistics.median(value for each in measured for value in each[key]) for key in ("setup", "reload")
        }
        lost = sum(sum(each["lost"]) for each in measured)
        print(
            f"{name:<7} set-up {medians[name]['setup']:.2f} s, reload {medians[name]['reload']:.2f} s, "
            f"updates lost {lost:.0f} of {baskets * reloads * rounds}"
        )
    for key in ("setup", "reload"):
        print(
            f"{key}: {medians['now'][key] / medians['before'][key]:.2f} times the version before (wanted: 1.2 or less)"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--core"]:
        asyncio.run(measure(sys.argv[2], *(int(number) for number in sys.argv[3:])))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--baskets", type=int, default=200)
        parser.add_argument("--reloads", type=int, default=3)
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--before", default="a7ae94b")
        given = parser.parse_args()
        run(given.baskets, given.reloads, given.rounds, given.before)
