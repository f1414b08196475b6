"""The commands of `python -m data_bridge` and what they print; exit codes: 0 success, 1 a finding, 2 it failed."""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from communicator.common.exception import ProtocolError
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, PreparedPublish
from data_bridge import VERSION
from data_bridge.catalog.loader import load
from data_bridge.cli.arguments import hours, letter_number, number_or_zero, utf8
from data_bridge.cli.output import OutputError, checked_output, complain, discard
from data_bridge.cli.replay_client import ask_to_replay, publish_again
from data_bridge.damaged_files import DamagedFile, DamagedFileError, DamagedFiles
from data_bridge.dead_letters.letter import letter_reason
from data_bridge.dead_letters.store import DeadLetter, DeadLetterStore, DeadLetterStoreError, open_to_read
from data_bridge.logs import configure_logging
from data_bridge.pipeline.explain import Skipped, explain
from data_bridge.pipeline.resolver import compile_catalog
from data_bridge.pipeline.ways import Ways
from data_bridge.runtime.bridge import Bridge
from data_bridge.runtime.commands import describe_letter
from data_bridge.runtime.data_directory import DataDirectory, DataDirectoryError
from data_bridge.runtime.health import read_health
from data_bridge.runtime.mqtt import check_connection
from data_bridge.settings import ENVIRONMENT_PREFIX, Settings, SettingsError, describe, load_settings
from data_bridge.yaml_documents import CatalogError

# A turn of uvloop costs a third of asyncio's own, which is most of a lone message's way. There is none for Windows.
if sys.platform == "win32":
    from asyncio import run as run_loop
else:
    from uvloop import run as run_loop

OK = 0
FINDING = 1
FAILED = 2
_AT_ONCE = 500
_OUTCOMES = {
    "already_delivered": "had been delivered meanwhile",
    "failed_again": "failed again and stay, or their deliveries do",
    "open": "wait for the broker's answer and stay until it comes",
    "not_confirmed": "were not confirmed by the broker and stay",
    "not_found": "were no longer in the store",
    "inputs": "are inputs, which only a running bridge can map, and stay",
}


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
            # `list | head`: the reader has what it wanted.
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
    # Until the loop takes them: a log rotation may come at any time.
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with DataDirectory(settings.data_directory, settings.health_path):
        found: list[DamagedFile] = []
        configure_logging(settings.logging, DamagedFiles(found.append))
        run_loop(_carry(settings, found))
    try:
        sys.stdout.flush()
    except OutputError:
        # Messages are what it was started for, not its log.
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
            # Windows' loops know no signal handlers; the ordinary one wakes the loop.
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


# ---------------------------------------------------------------- dead letters


def _open(settings: Settings) -> DeadLetterStore | None:
    """Return the store; None where there is none, for the bridge's user must be the one who makes it."""
    given = settings.dead_letters
    if not settings.dead_letter_path.exists():
        return None
    return DeadLetterStore(settings.dead_letter_path, given.maximum_entries, given.maximum_bytes)


def _list(settings: Settings, given: argparse.Namespace) -> int:
    store = open_to_read(settings.dead_letter_path)
    if store is None:
        complain("0 dead letters in all")
        return OK
    for each in store.find_all(given.limit, given.after, given.reason):
        letter = each.letter
        stored = datetime.fromtimestamp(each.stored, UTC).isoformat(timespec="seconds")
        target = f"{letter.device} {letter.object}" if letter.device else "input"
        print(f"{each.id}\t{stored}\t{letter.reason}\t{target}\t{letter.topic}\t{letter.detail}")
    complain(f"{store.count()} dead letters in all")
    store.close()
    return OK


def _show(settings: Settings, given: argparse.Namespace) -> int:
    store = open_to_read(settings.dead_letter_path)
    found = None
    if store is not None:
        found = store.get(given.id)
        store.close()
    if found is None:
        complain(f"there is no dead letter {given.id}")
        return FINDING
    print(orjson.dumps(describe_letter(found), option=orjson.OPT_INDENT_2).decode())
    return OK


def _replay(settings: Settings, given: argparse.Namespace) -> int:
    store = _open(settings)
    if store is None:
        for number in given.id:
            complain(f"there is no dead letter {number}")
        print("0 replayed")
        return OK if given.all else FINDING
    return _replay_from(store, settings, given)


def _replay_from(store: DeadLetterStore, settings: Settings, given: argparse.Namespace) -> int:
    """Let the running bridge replay: it maps, orders and de-duplicates. Without one only deliveries can be sent."""
    health = read_health(settings.health_path)
    total: Counter[str] = Counter()
    after = 0
    try:
        while True:
            batch = store.find_all(_AT_ONCE, after) if given.all else _take(store, given.id)
            if batch and health.healthy:
                total.update(asyncio.run(ask_to_replay(settings, [each.id for each in batch])))
            elif batch:
                deliveries = [each for each in batch if not each.is_input]
                confirmed = asyncio.run(publish_again(settings, deliveries)) if deliveries else []
                store.remove(confirmed)
                total["replayed"] += len(confirmed)
                total["not_confirmed"] += len(deliveries) - len(confirmed)
                total["inputs"] += len(batch) - len(deliveries)
            if given.all and batch:
                after = batch[-1].id
            elif given.all or not given.id:
                break
    finally:
        store.close()
    print(f"{total['replayed']} replayed")
    for outcome, text in _OUTCOMES.items():
        if total[outcome]:
            complain(f"{total[outcome]} {text}")
    if total["inputs"]:
        complain(health.text)
    return OK if total["replayed"] or (given.all and not total) else FINDING


def _take(store: DeadLetterStore, numbers: list[int]) -> list[DeadLetter]:
    """Return the letters of the next numbers, and take these from the list."""
    found: list[DeadLetter] = []
    for number in numbers[:_AT_ONCE]:
        letter = store.get(number)
        if letter is not None:
            found.append(letter)
        else:
            complain(f"there is no dead letter {number}")
    del numbers[:_AT_ONCE]
    return found


def _purge(settings: Settings, given: argparse.Namespace) -> int:
    store = _open(settings)
    if store is None:
        if given.id:
            complain(f"{len(set(given.id))} of them are not in the store")
        print("0 purged")
        return OK
    if given.id:
        removed = store.remove(given.id)
        missing = len(set(given.id)) - removed
        if missing:
            complain(f"{missing} of them are not in the store")
    else:
        removed = store.purge(None if given.all else time.time() - given.older_than * 3600)
    store.close()
    print(f"{removed} purged")
    return OK


type _Command = Callable[[Settings, argparse.Namespace], int]

_COMMANDS: dict[str, _Command] = {"run": _run, "check": _check, "try": _try, "health": _health}
_LETTERS: dict[str, _Command] = {"list": _list, "show": _show, "replay": _replay, "purge": _purge}
