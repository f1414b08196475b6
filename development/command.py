"""The command: start the whole product, say where it is, and stop it on Ctrl-C."""

import argparse
import asyncio
import contextlib
import fcntl
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from communicator.common.exception import ProtocolError
from development import leftovers
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
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError("scripts/develop is already running in this checkout; stop it first.") from None
        if ended := leftovers.end(directory):
            print(f"  ended {ended} processes that an earlier start, itself killed, had left behind", flush=True)
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
    # From the first moment: a part that dies while a later one starts is the one to blame.
    watched = asyncio.create_task(stack.watch())
    started = asyncio.create_task(start(stack))
    try:
        done, _ = await asyncio.wait({ended, watched, started}, return_when=asyncio.FIRST_COMPLETED)
        if watched in done:
            await watched
        if started in done:
            await started
            announce(stack, time.monotonic() - began)
            await asyncio.wait({ended, watched}, return_when=asyncio.FIRST_COMPLETED)
            if watched.done():
                await watched
    finally:
        tasks = (ended, watched, started)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        print("\nstopping", flush=True)
        await stack.stop()


def announce(stack: Stack, seconds: float) -> None:
    """Print where the product is and how to get in."""
    user = stack.home_assistant
    print(f"\nready in {seconds:.1f} s")
    print(f"  {user.url}   user {user.username}   password {user.password}")
    print(f"  logs in {stack.directory}   Ctrl-C stops all", flush=True)


def port(text: str) -> int:
    """Read a TCP port.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 65535:  # noqa: PLR2004 -- the range of TCP
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 1 to 65535")
    return int(text)


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/develop",
        description="Start Mosquitto, the bridge, Home Assistant and simulated field devices; Ctrl-C stops them.",
    )
    parser.add_argument("--port", type=port, default=8123, help="Home Assistant's port (default %(default)s)")
    parser.add_argument("--broker-port", type=port, default=18830, help="the broker's port (default %(default)s)")
    parser.add_argument("--no-demo", action="store_true", help="without the simulated baskets, printer and data source")
    parser.add_argument("--reset", action="store_true", help="forget users, devices and history of earlier starts")
    parser.add_argument("--directory", type=Path, default=CHECKOUT / ".dev", help="what it writes (default .dev)")
    arguments = parser.parse_args()
    directory: Path = arguments.directory
    if arguments.port == arguments.broker_port:
        parser.error("--port and --broker-port must differ")
    try:
        with alone(directory):
            if arguments.reset:
                Stack.forget(directory)
            stack = Stack(directory, arguments.port, arguments.broker_port, demo=not arguments.no_demo, report=report)
            asyncio.run(run(stack))
    except EXPECTED as error:
        print(f"scripts/develop: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"scripts/develop: {error.strerror or error}: {error.filename or directory}", file=sys.stderr)
        return 1
    return 0
