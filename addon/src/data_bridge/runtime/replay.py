"""Replay of dead letters: each stays in the store until all its deliveries are confirmed or stored."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from time import perf_counter_ns

from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.store import StoredDeadLetter
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.pipeline.delivery.message import Mapped
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.pipeline.ways import EnvelopeWay, Refusal, size_refusal
from data_bridge.reasons import Reason
from data_bridge.settings import Settings

WAIT_SECONDS = 10.0


class Outcome(StrEnum):
    """Outcome of the replay of a letter."""

    REPLAYED = "replayed"  # delivered; the letter is deleted
    FAILED_AGAIN = "failed_again"  # the letter stays with its new reason, or its refused deliveries are letters now
    ALREADY_DELIVERED = "already_delivered"  # its trace was delivered meanwhile
    OPEN = "open"  # no answer of the broker yet; the letter stays until there is one


class Replay:
    """Sends letters again, deliveries as they were and inputs through the catalog of now."""

    def __init__(self, settings: Settings, pipeline: Pipeline, letters: DeadLetterWriter) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._letters = letters
        self._open: dict[int, asyncio.Future[Outcome]] = {}

    async def replay(self, chosen: Iterable[StoredDeadLetter]) -> dict[str, int]:
        """Send letters again, wait a while for their outcomes, and return how many had which.

        A letter with a later outcome is deleted or kept then.
        """
        outcomes = {each.id: self._open.get(each.id) or self._begin(each) for each in chosen}
        if outcomes:
            await asyncio.wait(outcomes.values(), timeout=WAIT_SECONDS)
        counts = Counter(each.result() if each.done() else Outcome.OPEN for each in outcomes.values())
        return {outcome.value: counts[outcome] for outcome in Outcome}

    def _begin(self, each: StoredDeadLetter) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._open[each.id] = future

        def set_outcome(outcome: Outcome) -> None:
            self._open.pop(each.id, None)
            if not future.done():
                future.set_result(outcome)

        try:
            if each.is_input:
                self._send_input(each, set_outcome)
            else:
                self._send_delivery(each, set_outcome)
        except BaseException:
            del self._open[each.id]
            raise
        return future

    def _send_delivery(self, each: StoredDeadLetter, set_outcome: Callable[[Outcome], None]) -> None:
        def on_done(delivered: bool) -> None:
            if delivered:
                self._letters.remove(each.id, lambda: set_outcome(Outcome.REPLAYED))
            else:
                # Kept again under its number before this was called.
                set_outcome(Outcome.FAILED_AGAIN)

        self._pipeline.transport.resend(each.letter, each.id, on_done)

    def _send_input(self, each: StoredDeadLetter, set_outcome: Callable[[Outcome], None]) -> None:
        transport, seen = self._pipeline.transport, self._pipeline.deduplication
        try:
            identity, trace_id, mapped, parts = self._map(each)
        except Refusal as refusal:
            letter = replace(
                each.letter,
                reason=refusal.reason,
                detail=refusal.detail,
                attempts=each.letter.attempts + 1,
                number=each.id,
            )
            self._letters.add(letter, lambda: set_outcome(Outcome.FAILED_AGAIN))
            return
        if identity in seen.current or identity in seen.previous:
            self._letters.remove(each.id, lambda: set_outcome(Outcome.ALREADY_DELIVERED))
            return

        in_flight = transport.in_flight.get(identity)
        success = Outcome.REPLAYED if in_flight is None else Outcome.ALREADY_DELIVERED

        def on_done(delivered: bool) -> None:
            # Refused deliveries and rejected parts are letters of their own by now.
            outcome = success if delivered and not parts else Outcome.FAILED_AGAIN
            self._letters.remove(each.id, lambda: set_outcome(outcome))

        if in_flight is not None:
            in_flight.add_done_callback(on_done)
        else:
            transport.deliver_all(mapped, identity, trace_id, 0, perf_counter_ns(), on_done, parts=parts)

    def _map(self, each: StoredDeadLetter) -> tuple[str, str, Mapped, list[DeadLetter]]:
        """Return identity, trace id and values of an input, and letters of its rejected parts.

        Raises:
            Refusal: it is rejected again.
        """
        letter = each.letter
        maximum = self._settings.ingress.maximum_bytes
        if letter.cut:
            raise Refusal(Reason.TOO_LARGE, letter.detail)
        if not 0 < len(letter.payload) <= maximum:
            raise size_refusal(len(letter.payload), maximum)
        way = self._pipeline.ways.of_letter(letter)
        opened = way.open(letter.payload, letter.trace_id)
        mapped = way.map(opened, letter.payload)
        if not mapped.found:
            raise mapped.missed[0].refusal
        values: Mapped = [(found.fanout, found.value) for found in mapped.found]
        if isinstance(way, EnvelopeWay):
            return way.identity(opened), opened.trace_id, values, []
        parts = [
            replace(
                letter,
                reason=missed.refusal.reason,
                detail=missed.refusal.detail,
                object=missed.rule.object,
                attempts=letter.attempts + 1,
                origin=way.part_origin(missed.rule),
            )
            for missed in mapped.missed
            if missed.rule is not None and missed.refusal.reason is not Reason.MISSING_FIELD
        ]
        # Without a trace id the letter is the identity: a bridge that is killed now does not deliver it twice.
        return f"dead letter {each.id} of {each.stored}", "", values, parts
