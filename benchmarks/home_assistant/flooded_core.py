"""One real Home Assistant core with its recorder, which measures what a flood costs. Started by flood.py.

Between the lines `begin` and `end` on stdin it calls an action every 50 ms, and at the end prints one JSON line: the
latency of the actions in seconds, the growth of the process's memory in bytes at its peak, and the longest time between
two commits of the recorder in seconds.
"""

import argparse
import asyncio
import json
import logging
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path

from homeassistant.bootstrap import async_setup_hass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
from homeassistant.runner import RuntimeConfig
from sqlalchemy import Engine, event

from benchmarks.home_assistant.observed_core import add_entry

CALL_SECONDS = 0.05


class Flood:
    """The measurements of one flood."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._commits = [time.perf_counter()]
        self._latencies: list[float] = []
        self._before = _memory()
        self._peak = self._before
        event.listen(Engine, "commit", self._on_commit)

    def _on_commit(self, _: object) -> None:
        self._commits.append(time.perf_counter())

    async def call_actions(self) -> None:
        """Call an action again and again, until cancelled; each makes a state that the recorder writes."""
        while True:
            began = time.perf_counter()
            await self._hass.services.async_call(
                "input_boolean", "toggle", {"entity_id": "input_boolean.other"}, blocking=True
            )
            await self._hass.services.async_call("iot_data_bridge", "get_products", blocking=True, return_response=True)
            self._latencies.append(time.perf_counter() - began)
            self._peak = max(self._peak, _memory())
            await asyncio.sleep(CALL_SECONDS)

    def result(self) -> str:
        """Return the measurements."""
        event.remove(Engine, "commit", self._on_commit)
        commits = [*self._commits, time.perf_counter()]
        late = sorted(self._latencies)
        return json.dumps(
            {
                "calls": len(late),
                "latency_p99": late[int(len(late) * 0.99)],
                "latency_max": late[-1],
                "memory_growth": self._peak - self._before,
                "longest_commit_gap": max(after - before for before, after in pairwise(commits)),
            }
        )


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


async def _observe(directory: str, port: int) -> None:
    hass = await async_setup_hass(RuntimeConfig(config_dir=directory, skip_pip=True, log_no_color=True))
    if hass is None:
        raise RuntimeError("Home Assistant was not set up")
    logging.getLogger().setLevel(logging.WARNING)
    await hass.async_start()
    await add_entry(hass, "mqtt", {"broker": "127.0.0.1", "port": port, "protocol": "5"}, {"discovery": False})
    topics = {"basket_roots": ["basket/+"], "printers": False, "bridge_id": ""}
    await add_entry(hass, "iot_data_bridge", topics, {"currency": "KRW"})
    await get_instance(hass).async_block_till_done()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while (line := (await reader.readline()).decode().strip()) == "begin":
        flood = Flood(hass)
        calls = asyncio.create_task(flood.call_actions())
        print("{}", flush=True)
        await reader.readline()
        await get_instance(hass).async_block_till_done()
        calls.cancel()
        print(flood.result(), flush=True)
    if line:
        raise RuntimeError(f"not understood: {line}")
    await hass.async_stop(force=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    asyncio.run(_observe(given.directory, given.port))
