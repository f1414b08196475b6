"""`scripts/develop`: start the whole product, say where it is, and stop it on Ctrl-C."""

import argparse
import asyncio
import contextlib
import fcntl
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from communicator.common.exception import ProtocolError
from development.home_assistant_api import ApiError
from development.observer import NothingArrivedError
from development.program import ProgramFailedError, ProgramMissingError
from development.shop import open_shop
from development.stack import CHECKOUT, PortTakenError, Stack

SESSION = r"sensor\.basket_.*_session"


class AlreadyRunningError(RuntimeError):
    """Another scripts/develop of this checkout is running."""


EXPECTED = (
    AlreadyRunningError,
    ApiError,
    NothingArrivedError,
    PortTakenError,
    ProgramFailedError,
    ProgramMissingError,
    ProtocolError,
)


def report(name: str, detail: str, seconds: float) -> None:
    """Print the status line of one part."""
    print(f"  {name:<15} ready after {seconds:5.1f} s   {detail}", flush=True)


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the checkout's one place for a running stack.

    Raises:
        AlreadyRunningError: somebody else holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError("scripts/develop is already running in this checkout; stop it first.") from None
        yield


async def start(stack: Stack) -> None:
    """Start the stack and, where there are baskets, the shop they are in."""
    await stack.start()
    if stack.demo:
        sessions = tuple(entity for entity in await stack.api.states() if re.fullmatch(SESSION, entity))
        began = time.monotonic()
        await open_shop(stack.api, sessions[:1])
        report("Shop", f"prices are set, {sessions[0]} is started", time.monotonic() - began)


async def run(stack: Stack) -> None:
    """Start the stack and keep it until a signal asks to end or a part fails."""
    stopping = asyncio.Event()
    # SIGHUP: the terminal was closed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    began = time.monotonic()
    ended = asyncio.create_task(stopping.wait())
    tasks: list[asyncio.Task[object]] = [ended]
    try:
        started = asyncio.create_task(start(stack))
        tasks.append(started)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            await started
            print(f"\nready in {time.monotonic() - began:.1f} s", flush=True)
            print(f"  {stack.home_assistant.url}   user {stack.home_assistant.username}", end="")
            print(f"   password {stack.home_assistant.password}")
            print(f"  logs in {stack.directory}   Ctrl-C stops all", flush=True)
            tasks.append(asyncio.create_task(stack.watch()))
            done, _ = await asyncio.wait(tasks[::2], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        print("\nstopping", flush=True)
        await stack.stop()


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/develop",
        description="Start Mosquitto, the bridge, Home Assistant and simulated field devices; Ctrl-C stops them.",
    )
    parser.add_argument("--port", type=int, default=8123, help="Home Assistant's port (default %(default)s)")
    parser.add_argument("--broker-port", type=int, default=18830, help="the broker's port (default %(default)s)")
    parser.add_argument("--no-demo", action="store_true", help="without the simulated baskets, printer and data source")
    parser.add_argument("--reset", action="store_true", help="forget users, devices and history of earlier starts")
    parser.add_argument("--directory", type=Path, default=CHECKOUT / ".dev", help="what it writes (default .dev)")
    arguments = parser.parse_args()
    directory: Path = arguments.directory
    try:
        with alone(directory):
            if arguments.reset:
                for path in directory.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif path.name != "lock":
                        path.unlink()
            stack = Stack(directory, arguments.port, arguments.broker_port, demo=not arguments.no_demo, report=report)
            asyncio.run(run(stack))
    except EXPECTED as error:
        print(f"scripts/develop: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
