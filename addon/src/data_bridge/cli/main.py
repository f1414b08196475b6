"""The commands of `python -m data_bridge` and their output; exit codes: 0 success, 1 a finding, 2 failure."""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from communicator.common.exception import ProtocolError
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, PreparedPublish
from data_bridge import VERSION
from data_bridge.catalog.loader import load
from data_bridge.cli.arguments import hours, letter_number, number_or_zero, utf8
from data_bridge.cli.dead_letters import list_letters, purge_letters, replay_letters, show_letter
from data_bridge.cli.exit_codes import FAILED, FINDING, OK
from data_bridge.cli.output import OutputError, checked_output, complain, discard
from data_bridge.damaged_files import DamagedFile, DamagedFileError, DamagedFiles
from data_bridge.dead_letters.store import DeadLetterStoreError
from data_bridge.logs import configure_logging
from data_bridge.pipeline.explain import Skipped, explain
from data_bridge.pipeline.resolver import compile_catalog
from data_bridge.pipeline.ways import Ways
from data_bridge.runtime.bridge import Bridge
from data_bridge.runtime.commands import letter_reason
from data_bridge.runtime.data_directory import DataDirectory, DataDirectoryError
from data_bridge.runtime.health import read_health
from data_bridge.runtime.mqtt import check_connection
from data_bridge.settings import ENVIRONMENT_PREFIX, Settings, SettingsError, describe
from data_bridge.settings_loader import load_settings
from data_bridge.yaml_documents import CatalogError

# An iteration of uvloop costs a third of asyncio's, most of the latency of a single message. Not on Windows.
if sys.platform == "win32":
    from asyncio import run as run_loop
else:
    from uvloop import run as run_loop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_bridge", description="Maps messages from devices to devices by catalog, losing none."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        default=os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG"),
        help=f"YAML file with settings; {ENVIRONMENT_PREFIX}<SECTION>_<NAME> in the environment wins over it",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    add("run", "carry messages until stopped by SIGTERM or Ctrl-C")
    check = add("check", "check settings and catalogs, and print what is wrong or doubtful")
    check.add_argument("--strict", action="store_true", help="fail on warnings too")
    check.add_argument("--show-settings", action="store_true", help="print the effective settings, without secrets")
    attempt = add("try", "map one message and print every layer's output; nothing is sent")
    attempt.add_argument("message", type=utf8, help="the payload, or - to read it from standard input")
    attempt.add_argument("--topic", type=utf8, help="the topic it comes from; without it the first ingress topic")
    add("health", "tell whether the bridge with these settings works; for health checks")
    letters = commands.add_parser("dead-letters", help="list, show, replay or purge what could not be delivered")
    actions = letters.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line each, oldest first", parents=[common])
    listing.add_argument("--limit", type=letter_number, default=100)
    listing.add_argument("--after", type=number_or_zero, default=0, metavar="ID", help="only those after this one")
    listing.add_argument("--reason", type=_reason, help="only those with this reason")
    show = actions.add_parser("show", help="everything about one, as JSON", parents=[common])
    show.add_argument("id", type=letter_number)
    replay = actions.add_parser("replay", help="send again, and forget what was delivered", parents=[common])
    chosen = replay.add_mutually_exclusive_group(required=True)
    chosen.add_argument("id", type=letter_number, nargs="*", default=[])
    chosen.add_argument("--all", action="store_true")
    purge = actions.add_parser("purge", help="delete for good", parents=[common])
    chosen = purge.add_mutually_exclusive_group(required=True)
    chosen.add_argument("id", type=letter_number, nargs="*", default=[])
    chosen.add_argument("--older-than", type=hours, metavar="HOURS")
    chosen.add_argument("--all", action="store_true")
    return parser


def _reason(word: str) -> str:
    try:
        return letter_reason(utf8(word))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        with checked_output():
            return _main(_parser().parse_args(arguments))
    except OutputError as error:
        if error.ended:
            # `list | head`: the reader has closed the pipe.
            return OK
        complain(error)
        return FAILED


def _main(given: argparse.Namespace) -> int:
    try:
        settings = load_settings(Path(given.config) if given.config else None)
    except SettingsError as error:
        complain(error)
        return FAILED
    try:
        command = _LETTERS[given.action] if given.command == "dead-letters" else _COMMANDS[given.command]
        return command(settings, given)
    except (
        SettingsError,
        CatalogError,
        ProtocolError,
        DamagedFileError,
        DataDirectoryError,
        DeadLetterStoreError,
    ) as error:
        complain(error)
    except sqlite3.Error as error:
        complain(f"the dead letters in {settings.dead_letter_path} cannot be used: {error}")
    except OSError as error:
        complain(f"the data directory {settings.data_directory} cannot be used: {error}")
    return FAILED


def _run(settings: Settings, _: argparse.Namespace) -> int:
    # Until the loop handles it: a log rotation may happen at any time.
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with DataDirectory(settings.data_directory, settings.health_path):
        found: list[DamagedFile] = []
        configure_logging(settings.logging, DamagedFiles(found.append))
        run_loop(_carry(settings, found))
    try:
        sys.stdout.flush()
    except OutputError:
        # The log is not its purpose: a full standard output is no failure.
        discard(sys.stdout)
    return OK


async def _carry(settings: Settings, found: list[DamagedFile]) -> None:
    bridge = Bridge(settings, found)
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGHUP, bridge.reopen_log_files)
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, bridge.stop)
        except NotImplementedError:
            # Windows' event loops have no signal handlers; an ordinary one wakes the loop.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(bridge.stop))
    await bridge.run()


def _check(settings: Settings, given: argparse.Namespace) -> int:
    if given.show_settings:
        print(describe(settings))
    started = time.perf_counter()
    usable = True
    try:
        check_connection(settings)
    except SettingsError as error:
        print(f"error: {error}")
        usable = False
    try:
        catalog = load(settings.catalog_files())
    except CatalogError as error:
        for refusal in error.every():
            print(f"error: {refusal}")
        return FINDING
    for each in catalog.warnings:
        print(f"warning: {each}")
    if not usable:
        return FINDING
    print(
        f"ok: {len(catalog.rules)} rules, {len(catalog.objects)} objects, {len(catalog.devices)} devices, "
        f"{len(catalog.warnings)} warnings, catalog {catalog.version}, {time.perf_counter() - started:.2f} s"
    )
    return FINDING if given.strict and catalog.warnings else OK


def _try(settings: Settings, given: argparse.Namespace) -> int:
    catalog = load(settings.catalog_files())
    protocol = MQTTProtocol(broker_address="unused")  # prepares topics; it is never connected

    def prepare(topic: str, qos: int, retain: bool) -> PreparedPublish:
        return protocol.prepare(topic, qos, retain)

    payload = sys.stdin.buffer.read() if given.message == "-" else given.message.encode()
    topic = given.topic or settings.ingress.topics[0]
    ingress = dict.fromkeys(settings.ingress.topics, settings.ingress.qos)
    ways = Ways(compile_catalog(catalog, prepare, {}), ingress, lambda _topic, _matches: (), by_key=False)
    steps = explain(ways.of_topic(topic), topic, payload, maximum_bytes=settings.ingress.maximum_bytes)
    for step in steps:
        print(f"{type(step).__name__:15} {orjson.dumps(step).decode()}")
    return FINDING if any(isinstance(step, Skipped) for step in steps) else OK


def _health(settings: Settings, _: argparse.Namespace) -> int:
    health = read_health(settings.health_path)
    print(health.text)
    return OK if health.healthy else FINDING


type _Command = Callable[[Settings, argparse.Namespace], int]

_COMMANDS: dict[str, _Command] = {"run": _run, "check": _check, "try": _try, "health": _health}
_LETTERS: dict[str, _Command] = {
    "list": list_letters,
    "show": show_letter,
    "replay": replay_letters,
    "purge": purge_letters,
}
