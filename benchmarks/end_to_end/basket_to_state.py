"""How long a basket's update takes to become the entity's state, through the real broker and a real Home Assistant.

    .venv/bin/python -m benchmarks.end_to_end.basket_to_state [--updates 300] [--every 0.05]

Starts the whole stack without its demo devices, publishes updates as a basket does, and listens to `state_changed` over
the WebSocket API as a dashboard does. The clock runs from before the publish to after the event's arrival, both in
this process; the same message back from the broker alone is the floor.
"""

import argparse
import asyncio
import json
import operator
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from development.home_assistant_api import JsonObject
from development.mosquitto import free_port
from development.stack import Stack

BASKET = "basket/benchmark"


def summary(name: str, seconds: list[float]) -> str:
    """Return one row of the result, in milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{name:<28} median {statistics.median(ordered) * 1e3:6.2f} ms   p99 {p99 * 1e3:6.2f} ms   n {len(ordered)}"


async def measure(updates: int, every: float) -> None:
    """Start the stack, measure, print."""
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(Path(directory), free_port(), free_port(), demo=False)
        try:
            await stack.start()
            for row in await _measure(stack, updates, every):
                print(row)
        finally:
            await stack.stop()


async def _measure(stack: Stack, updates: int, every: float) -> list[str]:
    arrivals: dict[str, float] = {}
    floor: list[float] = []
    whole: list[float] = []
    changed = asyncio.Event()

    def record(event: JsonObject) -> None:
        data = event["data"]
        if isinstance(data, dict) and isinstance(state := data["new_state"], dict):
            entity_id = str(state["entity_id"])
            if entity_id.endswith("_items") and "benchmark" in entity_id:
                arrivals[str(state["state"])] = time.perf_counter()
                changed.set()

    # Home Assistant subscribes a moment after its set-up, and nothing on a basket's wire is retained.
    while not any(entity_id.endswith("benchmark_items") for entity_id in await stack.api.states()):
        stack.observer.publish(f"{BASKET}/update", json.dumps({"id": 1, "list": {}}))
        await asyncio.sleep(0.5)
    async with stack.api.subscribe("subscribe_events", record, event_type="state_changed"):
        for count in range(1, updates + 1):
            payload = json.dumps({"id": 1, "list": {"MLON": count}})
            async with stack.observer.expect(f"{BASKET}/update", partial(operator.eq, payload.encode())) as echo:
                began = time.perf_counter()
                stack.observer.publish(f"{BASKET}/update", payload, qos=0)
                await echo
                floor.append(time.perf_counter() - began)
                async with asyncio.timeout(10):
                    while str(count) not in arrivals:
                        changed.clear()
                        await changed.wait()
                whole.append(arrivals[str(count)] - began)
            await asyncio.sleep(every)
    return [summary("back from the broker alone", floor), summary("update to entity state", whole)]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--every", type=float, default=0.05, help="seconds between two updates")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.updates, arguments.every))


if __name__ == "__main__":
    main()
