"""The commands on dead letters: list, show, replay and purge."""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import batched

import orjson

from data_bridge.cli.exit_codes import FINDING, OK
from data_bridge.cli.output import complain
from data_bridge.cli.replay_client import ask_to_replay, publish_again
from data_bridge.dead_letters.store import DeadLetterStore, StoredDeadLetter, open_to_read
from data_bridge.runtime.commands import describe_letter
from data_bridge.runtime.health import read_health
from data_bridge.settings import Settings

_AT_ONCE = 500
_OUTCOMES = {
    "already_delivered": "had been delivered meanwhile",
    "failed_again": "failed again and stay, or their deliveries do",
    "open": "wait for the broker's answer and stay until it comes",
    "not_confirmed": "were not confirmed by the broker and stay",
    "not_found": "were no longer in the store",
    "inputs": "are inputs, which only a running bridge can map, and stay",
}


def _open(settings: Settings) -> DeadLetterStore | None:
    """Return the store; None where there is none: only the bridge's user may create it."""
    given = settings.dead_letters
    if not settings.dead_letter_path.exists():
        return None
    return DeadLetterStore(settings.dead_letter_path, given.maximum_entries, given.maximum_bytes)


def list_letters(settings: Settings, given: argparse.Namespace) -> int:
    """Print one line for each letter, oldest first."""
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


def show_letter(settings: Settings, given: argparse.Namespace) -> int:
    """Print everything about one letter, as JSON."""
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


def replay_letters(settings: Settings, given: argparse.Namespace) -> int:
    """Send letters again, and print how many had which outcome."""
    store = _open(settings)
    if store is None:
        for number in given.id:
            complain(f"there is no dead letter {number}")
        print("0 replayed")
        return OK if given.all else FINDING
    health = read_health(settings.health_path)
    total: Counter[str] = Counter()
    try:
        for batch in _all(store) if given.all else _chosen(store, given.id):
            total.update(_replay_batch(store, settings, batch, bridge_runs=health.healthy))
    finally:
        store.close()
    print(f"{total['replayed']} replayed")
    for outcome, text in _OUTCOMES.items():
        if total[outcome]:
            complain(f"{total[outcome]} {text}")
    if total["inputs"]:
        complain(health.text)
    return OK if total["replayed"] or (given.all and not total) else FINDING


def _replay_batch(
    store: DeadLetterStore, settings: Settings, batch: list[StoredDeadLetter], *, bridge_runs: bool
) -> dict[str, int]:
    """Let the running bridge replay: it maps, orders and de-duplicates. Without one only deliveries can be sent."""
    if bridge_runs:
        return asyncio.run(ask_to_replay(settings, [each.id for each in batch]))
    deliveries = [each for each in batch if not each.is_input]
    confirmed = asyncio.run(publish_again(settings, deliveries)) if deliveries else []
    store.remove(confirmed)
    return {
        "replayed": len(confirmed),
        "not_confirmed": len(deliveries) - len(confirmed),
        "inputs": len(batch) - len(deliveries),
    }


def _all(store: DeadLetterStore) -> Iterator[list[StoredDeadLetter]]:
    """Yield all letters, oldest first; each once, for those that stay are behind the last one."""
    after = 0
    while batch := store.find_all(_AT_ONCE, after):
        yield batch
        after = batch[-1].id


def _chosen(store: DeadLetterStore, numbers: Sequence[int]) -> Iterator[list[StoredDeadLetter]]:
    """Yield the letters of these numbers."""
    for some in batched(numbers, _AT_ONCE, strict=False):
        found: list[StoredDeadLetter] = []
        for number in some:
            letter = store.get(number)
            if letter is not None:
                found.append(letter)
            else:
                complain(f"there is no dead letter {number}")
        if found:
            yield found


def purge_letters(settings: Settings, given: argparse.Namespace) -> int:
    """Delete letters for good."""
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
