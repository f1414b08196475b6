"""Dead letters sent again: each stays in the store until all that it holds is safe elsewhere."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from time import perf_counter_ns

from orjson import JSONDecodeError, loads

from data_bridge.catalog.casts import Raw
from data_bridge.catalog.readers import parse_document
from data_bridge.dead_letters.letter import Undelivered
from data_bridge.dead_letters.store import DeadLetter
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.pipeline.delivery.message import Mapped
from data_bridge.pipeline.input import identity_by_key, open_envelope, trace_of
from data_bridge.pipeline.mapping import Refusal, apply_topic_rule, find_envelope
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.reasons import Reason
from data_bridge.settings import Settings

WAIT_SECONDS = 10.0


class Outcome(StrEnum):
    """What became of a letter."""

    REPLAYED = "replayed"  # delivered; the letter is gone
    FAILED_AGAIN = "failed_again"  # the letter stays with its new reason, or its refused deliveries are letters now
    ALREADY_DELIVERED = "already_delivered"  # another message of its trace was, as de-duplication knows
    OPEN = "open"  # no answer of the broker yet; the letter stays until there is one


class Replay:
    """Sends letters again, deliveries as they were and inputs through the catalog of now."""

    def __init__(self, settings: Settings, pipeline: Pipeline, letters: DeadLetterWriter) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._letters = letters
        self._by_key = settings.deduplication.identity == "trace_and_key"
        self._open: dict[int, asyncio.Future[Outcome]] = {}

    async def replay(self, chosen: Iterable[DeadLetter]) -> dict[str, int]:
        """Send letters again, wait a while for their outcomes, and return how many had which.

        A letter whose outcome comes later is taken care of then.
        """
        outcomes = {each.id: self._open.get(each.id) or self._begin(each) for each in chosen}
        if outcomes:
            await asyncio.wait(outcomes.values(), timeout=WAIT_SECONDS)
        counts = Counter(each.result() if each.done() else Outcome.OPEN for each in outcomes.values())
        return {outcome.value: counts[outcome] for outcome in Outcome}

    def _begin(self, each: DeadLetter) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._open[each.id] = future

        def settle(outcome: Outcome) -> None:
            self._open.pop(each.id, None)
            if not future.done():
                future.set_result(outcome)

        try:
            if each.is_input:
                self._send_input(each, settle)
            else:
                self._send_delivery(each, settle)
        except BaseException:
            del self._open[each.id]
            raise
        return future

    def _send_delivery(self, each: DeadLetter, settle: Callable[[Outcome], None]) -> None:
        def then(delivered: bool) -> None:
            if delivered:
                self._letters.remove(each.id, lambda: settle(Outcome.REPLAYED))
            else:
                # Kept again under its number before this was called.
                settle(Outcome.FAILED_AGAIN)

        self._pipeline.transport.resend(each.letter, each.id, then)

    def _send_input(self, each: DeadLetter, settle: Callable[[Outcome], None]) -> None:
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
            self._letters.add(letter, lambda: settle(Outcome.FAILED_AGAIN))
            return
        if identity in seen.current or identity in seen.previous:
            self._letters.remove(each.id, lambda: settle(Outcome.ALREADY_DELIVERED))
            return

        under_way = transport.in_flight.get(identity)
        success = Outcome.REPLAYED if under_way is None else Outcome.ALREADY_DELIVERED

        def then(delivered: bool) -> None:
            # What the broker refused, and what is no use now either, is a letter of its own by now.
            outcome = success if delivered and not parts else Outcome.FAILED_AGAIN
            self._letters.remove(each.id, lambda: settle(outcome))

        if under_way is not None:
            under_way.call_back(then)
        else:
            transport.deliver_all(mapped, identity, trace_id, 0, perf_counter_ns(), then, parts=parts)

    def _map(self, each: DeadLetter) -> tuple[str, str, Mapped, list[Undelivered]]:
        """Return identity, trace id and values of an input, and letters of the parts that are no use now either.

        Raises:
            Refusal: it is no use now either.
        """
        letter = each.letter
        ingress = self._settings.ingress
        if letter.cut:
            raise Refusal(Reason.TOO_LARGE, letter.detail)
        if len(letter.payload) > ingress.maximum_bytes:
            detail = f"{len(letter.payload)} bytes, more than the allowed {ingress.maximum_bytes}"
            raise Refusal(Reason.TOO_LARGE, detail)
        if ingress.carries(letter.topic):
            return *self._map_envelope(each), []
        # Without a trace id it is known by its letter: a bridge that is killed now does not deliver it twice.
        return f"dead letter {each.id} of {each.stored}", "", *self._map_topic(each)

    def _map_envelope(self, each: DeadLetter) -> tuple[str, str, Mapped]:
        try:
            message: Raw = loads(each.letter.payload)
        except JSONDecodeError as error:
            raise Refusal(Reason.INVALID_JSON, str(error)) from None
        given, body = open_envelope(message)
        trace_id = trace_of(given, each.letter.trace_id)
        rule, value = find_envelope(self._pipeline.catalog.envelope_rules, body, each.letter.payload)
        if not rule.route.outputs:
            raise Refusal(Reason.NO_DEVICE, f"{rule.route.object} goes to no device")
        identity = identity_by_key(trace_id, body) if self._by_key else trace_id
        return identity, trace_id, [(rule.route, value)]

    def _map_topic(self, each: DeadLetter) -> tuple[Mapped, list[Undelivered]]:
        letter = each.letter
        document = parse_document(letter.payload)
        mapped: Mapped = []
        refused: list[tuple[str, Refusal]] = []
        for rule in self._pipeline.catalog.topic_rules(letter.topic):
            # Of a message whose other parts were delivered, only this one is left.
            if letter.object in ("", rule.object):
                try:
                    mapped.append(apply_topic_rule(rule, document, letter.payload))
                except Refusal as refusal:
                    refused.append((rule.object, refusal))
        if not mapped:
            raise refused[0][1] if refused else Refusal(Reason.UNKNOWN_KEY, f"no rule for the topic {letter.topic}")
        attempts = letter.attempts + 1
        parts = [
            replace(letter, reason=why.reason, detail=why.detail, object=name, attempts=attempts)
            for name, why in refused
            if why.reason is not Reason.MISSING_FIELD
        ]
        return mapped, parts
