"""The mapping layer: from a parsed message to an object and a value of the promised type."""

from typing import Protocol

from data_bridge.catalog.casts import CastError, DigitsLostError, Raw, Value
from data_bridge.catalog.readers import Document, with_digits
from data_bridge.dead_letters.letter import Undelivered
from data_bridge.pipeline.deduplication.redeliveries import Key
from data_bridge.pipeline.delivery.message import Mapped
from data_bridge.pipeline.resolver import CompiledCatalog, EnvelopeRule, Route, TopicRule, envelope_key
from data_bridge.pipeline.transport import Transport
from data_bridge.reasons import Reason

EQUIP_TAG = "Equip.Tag"
MESSAGE_ID = "Message.ID"
VALUE = "VALUE"


class Refusal(Exception):  # noqa: N818 -- an outcome that is counted, not a fault of the program
    """A message or a value that cannot be used, with the counted reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Reject(Protocol):
    """What to do with a message that cannot be used: count it, say so, and acknowledge or store it."""

    def __call__(self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, trace_id: str) -> None:
        """Count `payload`, which came from `topic`, as unusable."""


class Note(Protocol):
    """What to do with a part of a message that cannot be used while the rest can."""

    def __call__(self, reason: Reason, detail: str) -> None:
        """Count it."""


class Part(Protocol):
    """What to do with an object's part of a message that cannot be used while the rest can, and is lost without it."""

    def __call__(
        self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, name: str
    ) -> Undelivered | None:
        """Count it, and return the letter to store for the object `name`, if there is one."""


class Mapping:
    """Looks up the rule, casts the value, and hands both to the transport."""

    def __init__(
        self,
        catalog: CompiledCatalog,
        transport: Transport,
        reject: Reject,
        note: Note,
        part: Part,
        *,
        ordered: bool,
        topics_ordered: bool,
    ) -> None:
        self.catalog = catalog
        self._rules = catalog.envelope_rules
        self._transport = transport
        self._deliver = transport.deliver
        self._deliver_unanswered = transport.deliver_unanswered
        self._reject = reject
        self._note = note
        self._part = part
        self._ordered = ordered
        self._topics_ordered = topics_ordered

    def swap(self, catalog: CompiledCatalog) -> None:
        """Use another catalog from the next message on."""
        self.catalog = catalog
        self._rules = catalog.envelope_rules

    def map_envelope(
        self,
        body: dict[str, str],
        identity: str | None,
        trace_id: str,
        topic: str,
        payload: bytes,
        delivery: int,
        started: int,
    ) -> None:
        """Map the payload of an envelope; that it is what its type says is found out by trying."""
        try:
            rule = self._rules[body["Equip.Tag"] + "\x1f" + body["Message.ID"]]  # envelope_key() without the call
            value = rule.cast(body["VALUE"])
        except (KeyError, TypeError, IndexError, CastError):
            try:
                rule, value = find_envelope(self._rules, body, payload)
            except Refusal as refusal:
                self._reject(refusal.reason, refusal.detail, topic, payload, delivery, trace_id)
                return
        route = rule.route
        if route.targets and not self._ordered:
            if route.answered:
                self._deliver(route, value, identity, trace_id, delivery, started)
            else:
                self._deliver_unanswered(route, value, identity, trace_id, delivery, started)
        elif route.outputs:
            self._transport.deliver_all([(route, value)], identity, trace_id, delivery, started)
        else:
            self._reject(Reason.NO_DEVICE, f"{route.object} goes to no device", topic, payload, delivery, trace_id)

    def map_topic(
        self, topic: str, payload: bytes, document: Document, delivery: int, started: int, key: Key | None
    ) -> None:
        """Map what the topic's rules find in a message; one that fails does not stop the others."""
        mapped: Mapped = []
        refused: list[tuple[TopicRule, Refusal]] = []
        for rule in self.catalog.topic_rules(topic):
            try:
                mapped.append(apply_topic_rule(rule, document, payload))
            except Refusal as refusal:
                refused.append((rule, refusal))
        if not mapped:
            first = refused[0][1] if refused else Refusal(Reason.UNKNOWN_KEY, f"no rule for the topic {topic}")
            self._reject(first.reason, first.detail, topic, payload, delivery, "")
            for _, each in refused[1:]:
                self._note(each.reason, each.detail)
            return
        parts: list[Undelivered] = []
        for rule, each in refused:
            letter = self._part(each.reason, each.detail, topic, payload, delivery, rule.object)
            if letter is not None:
                parts.append(letter)
        self._transport.deliver_all(
            mapped, None, "", delivery, started, key=key, topic=topic if self._topics_ordered else None, parts=parts
        )


def find_envelope(rules: dict[str, EnvelopeRule], body: object, message: bytes) -> tuple[EnvelopeRule, Value]:
    """Return the rule and the cast value of an envelope's payload, slowly and leniently: ids may be numbers.

    `body` is the payload of the envelope whose bytes are `message`.

    Raises:
        Refusal: with the reason that the hot path did not look for.
    """
    if not isinstance(body, dict):
        raise Refusal(Reason.WRONG_SHAPE, f"the envelope's payload is no object but {_kind(body)}")
    for field in (EQUIP_TAG, MESSAGE_ID):
        if field not in body or body[field] is None:
            raise Refusal(Reason.MISSING_FIELD, f"the envelope's payload has no {field}")
    tag, message_id = _identifier(body[EQUIP_TAG], EQUIP_TAG), _identifier(body[MESSAGE_ID], MESSAGE_ID)
    rule = rules.get(envelope_key(tag, message_id))
    if rule is None:
        raise Refusal(Reason.UNKNOWN_KEY, f"no rule for {_short(tag)}, {_short(message_id)}")
    if VALUE not in body:
        raise Refusal(Reason.MISSING_FIELD, f"the envelope's payload has no {VALUE}")
    try:
        return rule, _cast_envelope(rule, body[VALUE], message)
    except CastError as error:
        raise Refusal(Reason(error.reason), f"{rule.route.object}: {error}") from None


def _cast_envelope(rule: EnvelopeRule, raw: Raw, message: bytes) -> Value:
    try:
        return rule.cast(raw)
    except DigitsLostError:
        again: dict[str, dict[str, Raw]] = with_digits(message)  # type: ignore[assignment]  # an envelope, as was seen
        return rule.cast(again["payload"][VALUE])


def apply_topic_rule(rule: TopicRule, document: Document, payload: bytes) -> tuple[Route, Value]:
    """Return the route and the value that a topic rule finds in a message, whose payload is parsed as `document`.

    Raises:
        Refusal: there is no value, it cannot be cast, or its object goes nowhere.
    """
    if rule.route is None:
        raise Refusal(Reason.UNKNOWN_OBJECT, _short(rule.unknown))
    if not rule.route.outputs:
        raise Refusal(Reason.NO_DEVICE, f"{rule.object} goes to no device")
    try:
        return rule.route, rule.read(document, payload)
    except CastError as error:
        raise Refusal(Reason(error.reason), f"{rule.object}: {error}") from None


def _identifier(value: Raw, field: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refusal(Reason.WRONG_SHAPE, f"{field} is neither text nor a whole number but {_kind(value)}")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "a truth", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}[
        type(value)
    ]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 -- what fits a log line
