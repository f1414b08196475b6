"""The command line: run, check, try, health and dead-letters."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from communicator.common.exception import ProtocolError
from data_bridge.app import Bridge
from data_bridge.catalogs.documents import CatalogError
from data_bridge.logs import configure_logging
from data_bridge.settings import Settings, SettingsError, load_settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_bridge", description="Maps messages by catalog.")
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="carry messages until stopped")
    run.add_argument("--config", type=Path, help="YAML file with settings")
    return parser


async def _run(settings: Settings) -> None:
    bridge = Bridge(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, bridge.stop)
    await bridge.run()


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        settings = load_settings(given.config)
        configure_logging(settings.logging)
        asyncio.run(_run(settings))
    except (SettingsError, CatalogError, ProtocolError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
