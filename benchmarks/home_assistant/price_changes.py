"""What one change of a price costs Home Assistant's loop, with a short and with a long price list.

    PYTHONPATH=. .venv/bin/python benchmarks/home_assistant/price_changes.py
        [--products 50000] [--changes 200] [--rounds 5]

One real Home Assistant core on one real Mosquitto, with 50 baskets in use that hold the product. The rounds alternate
between the lists. A change is one `set_product` that is awaited; its cost is the time that the loop was busy,
whatever ran, until it was answered.
"""

import argparse
import asyncio
import json
import logging
import multiprocessing
import statistics
import tempfile
import time
from asyncio.events import Handle
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant.bootstrap import async_setup_hass
from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.runner import RuntimeConfig

from development.mosquitto import Mosquitto, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
SHORT = 10
BASKETS = 50
DOMAIN = "iot_data_bridge"


class LoopClock:
    """Counts how long the loop was busy, and its longest single step; in seconds."""

    def __init__(self) -> None:
        self.busy = 0.0
        self.longest = 0.0
        run: Callable[[Handle], None] = Handle._run  # noqa: SLF001 -- nothing public tells

        def timed(handle: Handle) -> None:
            began = time.perf_counter()
            run(handle)
            took = time.perf_counter() - began
            self.busy += took
            self.longest = max(self.longest, took)

        Handle._run = timed  # type: ignore[assignment,method-assign]  # noqa: SLF001 -- see above

    def reset(self) -> None:
        """Begin anew."""
        self.busy = self.longest = 0.0


async def _start(directory: str, port: int) -> HomeAssistant:
    hass = await async_setup_hass(RuntimeConfig(config_dir=directory, skip_pip=True, log_no_color=True))
    if hass is None:
        raise RuntimeError("Home Assistant was not set up")
    logging.getLogger().setLevel(logging.WARNING)
    await hass.async_start()
    await _add_entry(hass, "mqtt", 2, {"broker": "127.0.0.1", "port": port, "protocol": "5"}, {"discovery": False})
    site = {"basket_roots": ["basket/+"], "printers": False, "bridge_id": ""}
    await _add_entry(hass, DOMAIN, 1, site, {"currency": "KRW"})
    return hass


async def _add_entry(
    hass: HomeAssistant, domain: str, minor: int, data: dict[str, Any], options: dict[str, Any]
) -> None:
    entry = ConfigEntry(
        data=data,
        discovery_keys=MappingProxyType({}),
        domain=domain,
        minor_version=minor,
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


async def _hold(hass: HomeAssistant, products: int) -> None:
    listed = [{"code": f"P{number}", "name": f"Product {number}", "price": number} for number in range(products)]
    data = {"products": listed, "remove_others": True}
    await hass.services.async_call(DOMAIN, "set_products", data, blocking=True)


async def _change(hass: HomeAssistant, clock: LoopClock, changes: int, price: int) -> tuple[float, float]:
    """Return the loop's time a change and its longest step, in milliseconds."""
    clock.reset()
    for number in range(changes):
        product = {"code": "P1", "price": price + number}
        await hass.services.async_call(DOMAIN, "set_product", product, blocking=True)
    return clock.busy / changes * 1000, clock.longest * 1000


async def _measure(directory: str, port: int, products: int, changes: int, rounds: int) -> None:
    clock = LoopClock()
    hass = await _start(directory, port)
    for number in range(BASKETS):
        await mqtt.async_publish(hass, f"basket/{number}/status", "start", 1)
        await mqtt.async_publish(hass, f"basket/{number}/update", f'{{"id":{number},"list":{{"P1":2}}}}', 1)
    await asyncio.sleep(2)
    measured: dict[int, list[tuple[float, float]]] = {SHORT: [], products: []}
    price = 1000
    for _ in range(rounds):
        for size, results in measured.items():
            await _hold(hass, size)
            # The work that a change of the whole list leaves behind is not that of one price.
            await asyncio.sleep(2)
            price += changes
            results.append(await _change(hass, clock, changes, price))
    for size, results in measured.items():
        typical = statistics.median(mean for mean, _ in results)
        longest = statistics.median(step for _, step in results)
        print(f"{size:>7,} products: {typical:.2f} ms of the loop a change, longest step {longest:.1f} ms")
    short, long = (statistics.median(mean for mean, _ in results) for results in measured.values())
    print(f"ratio {long / short:.2f}")
    await hass.async_stop(force=True)


def _run(directory: str, port: int, products: int, changes: int, rounds: int) -> None:
    asyncio.run(_measure(directory, port, products, changes, rounds))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder) / "broker") as broker:
        directory = Path(folder) / "config"
        storage = directory / ".storage"
        storage.mkdir(parents=True)
        (directory / "configuration.yaml").touch()
        (directory / "custom_components").symlink_to(REPOSITORY / "custom_components")
        http = {"server_host": ["127.0.0.1"], "server_port": free_port()}
        (storage / "http").write_text(json.dumps({"version": 1, "minor_version": 1, "key": "http", "data": http}))
        # Home Assistant forbids its thread to block ever after, which ending the broker does.
        arguments = (str(directory), broker.port, given.products, given.changes, given.rounds)
        core = multiprocessing.get_context("spawn").Process(target=_run, args=arguments)
        core.start()
        core.join()


if __name__ == "__main__":
    main()
