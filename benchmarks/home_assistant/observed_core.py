"""One real Home Assistant core that tells what messages cost it. Started by basket_updates.py, which talks over stdin.

Each line on stdin ends a period and begins the next; its answer is one JSON line: CPU seconds of the whole process,
MQTT messages handled, and how late a task was that wanted to run every 10 ms.
"""

import argparse
import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from homeassistant.bootstrap import async_setup_hass
from homeassistant.components import mqtt
from homeassistant.components.mqtt.client import MQTT
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.recorder import DATA_INSTANCE
from homeassistant.runner import RuntimeConfig

TICK = 0.01


class Observer:
    """Counts one period."""

    def __init__(self) -> None:
        self.messages = 0
        self.late: list[float] = []
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def finish(self) -> str:
        """Return what happened since the last call, and begin anew."""
        late = sorted(self.late) or [0.0]
        result = {
            "seconds": time.perf_counter() - self._began,
            "cpu": time.process_time() - self._cpu,
            "messages": self.messages,
            "lag_median": statistics.median(late),
            "lag_p99": late[int(len(late) * 0.99)],
            "lag_max": late[-1],
        }
        self.messages, self.late = 0, []
        self._cpu, self._began = time.process_time(), time.perf_counter()
        return json.dumps(result)

    def count_messages(self) -> None:
        """Count at the place where every message enters, whoever wants it."""
        handle: Callable[..., None] = MQTT._async_mqtt_on_message  # noqa: SLF001 -- nothing public counts messages

        @callback
        def counted(client: MQTT, *arguments: Any) -> None:  # noqa: ANN401 -- passed on as they are
            self.messages += 1
            handle(client, *arguments)

        MQTT._async_mqtt_on_message = counted  # type: ignore[assignment,method-assign]  # noqa: SLF001 -- see above

    async def tick(self) -> None:
        """Measure how late this task runs, for ever."""
        while True:
            wanted = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self.late.append(time.perf_counter() - wanted)


async def add_entry(hass: HomeAssistant, domain: str, data: dict[str, Any], options: dict[str, Any]) -> None:
    """Set up an integration without its form."""
    entry = ConfigEntry(
        data=data,
        discovery_keys=MappingProxyType({}),
        domain=domain,
        minor_version=2 if domain == "mqtt" else 1,
        options=options,
        source="user",
        subentries_data=None,
        title=domain,
        unique_id=None,
        version=1,
    )
    await hass.config_entries.async_add(entry)
    if entry.state is not ConfigEntryState.LOADED:
        raise RuntimeError(f"{domain} was not set up: {entry.state} {entry.reason}")


@callback
def _ignore(_: mqtt.ReceiveMessage) -> None:
    """Receive a message."""


async def _observe(directory: str, port: int, reader_of_messages: str, sites: int) -> None:
    observer = Observer()
    observer.count_messages()
    hass = await async_setup_hass(RuntimeConfig(config_dir=directory, skip_pip=True, log_no_color=True))
    if hass is None:
        raise RuntimeError("Home Assistant was not set up")
    logging.getLogger().setLevel(logging.WARNING)
    await hass.async_start()
    await add_entry(hass, "mqtt", {"broker": "127.0.0.1", "port": port, "protocol": "5"}, {"discovery": False})
    if reader_of_messages == "floor":
        await mqtt.async_subscribe(hass, "floor/+/update", _ignore, encoding=None)
    if reader_of_messages == "integration":
        for number in range(sites):
            roots = [f"basket{number or ''}/+"]
            await add_entry(
                hass,
                "iot_data_bridge",
                {"basket_roots": roots, "printers": False, "bridge_id": ""},
                {"currency": "KRW"},
            )
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ticker = asyncio.create_task(observer.tick())
    print("ready", flush=True)
    while line := (await reader.readline()).decode().strip():
        if line.startswith("products "):
            await _set_products(hass, json.loads(line.removeprefix("products ")))
            print("{}", flush=True)
        elif line == "states":
            print(json.dumps({state.entity_id: state.state for state in hass.states.async_all()}), flush=True)
        else:
            if (recorder := hass.data.get(DATA_INSTANCE)) is not None:
                # What a period changed is its cost, also what is still to be written.
                await recorder.async_block_till_done()
            print(observer.finish(), flush=True)
    ticker.cancel()
    await hass.async_stop(force=True)


async def _set_products(hass: HomeAssistant, products: list[tuple[str, str, int]]) -> None:
    for entry in hass.config_entries.async_entries("iot_data_bridge"):
        for code, name, price in products:
            product = {"config_entry_id": entry.entry_id, "code": code, "name": name, "price": price}
            await hass.services.async_call("iot_data_bridge", "set_product", product, blocking=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("port", type=int)
    parser.add_argument("reader", choices=["integration", "entities", "floor"])
    parser.add_argument("sites", type=int, nargs="?", default=1)
    given = parser.parse_args()
    asyncio.run(_observe(given.directory, given.port, given.reader, given.sites))
