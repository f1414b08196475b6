"""The ways of a message: how each kind of input is parsed, mapped and resolved.

Input, replay and `try` all follow these. The hot path of input takes the common case in fewer steps, with the same
result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from uuid import uuid4

from orjson import JSONDecodeError, loads

from data_bridge.catalog.casts import CastError, DigitsLostError, Raw, Value
from data_bridge.catalog.readers import Document, parse_document, with_digits
from data_bridge.dead_letters.letter import DeadLetter, Origin, OriginKind
from data_bridge.pipeline.connection import FilterMatch, HandlerFactory, RoutingTable
from data_bridge.pipeline.resolver import CompiledCatalog, EnvelopeRule, Fanout, TopicRule, envelope_key
from data_bridge.reasons import Reason

EQUIP_TAG = "Equip.Tag"
MESSAGE_ID = "Message.ID"
VALUE = "VALUE"
# A UUID has 36 characters. Longer ids are replaced by a digest, which bounds the memory.
LONGEST_TRACE_ID = 64


class Layer(StrEnum):
    """The layers that a message passes, as `try` names them."""

    INPUT = "input"
    MAPPING = "mapping"
    RESOLVER = "resolver"
    TRANSPORT = "transport"


class Refusal(Exception):  # noqa: N818 -- a counted outcome, no error of the program
    """A message or value that is rejected, with the counted reason and the layer."""

    def __init__(self, reason: Reason, detail: str, layer: Layer = Layer.MAPPING) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.layer = layer


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that was parsed: its trace id ("" for none), and the part of it that rules read."""

    trace_id: str
    content: Document


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a rule found, and its fan-out."""

    rule: EnvelopeRule | TopicRule
    fanout: Fanout
    value: Value


@dataclass(frozen=True, slots=True)
class Missed:
    """A rule without a usable value or without devices; None for an envelope without a rule."""

    rule: TopicRule | None
    refusal: Refusal
    found: Found | None = None


@dataclass(frozen=True, slots=True)
class MappedMessage:
    """Results of the rules of one way: at least one found or missed value."""

    found: list[Found]
    missed: list[Missed]


class EnvelopeWay:
    """Envelopes: the payload's Equip.Tag and Message.ID lead to one rule."""

    __slots__ = ("_by_key", "_rules", "origin")

    def __init__(self, rules: Mapping[str, EnvelopeRule], by_key: bool) -> None:
        """With `by_key` the identity of a message includes its mapping key."""
        self._rules = rules
        self._by_key = by_key
        self.origin = Origin(OriginKind.ENVELOPE)

    def open(self, payload: bytes, earlier_trace_id: str = "") -> Opened:
        """Parse an envelope; without a trace id in it, it gets the earlier one or a new one.

        Raises:
            Refusal: it is no envelope.
        """
        try:
            message: Raw = loads(payload)
        except JSONDecodeError as error:
            raise Refusal(Reason.INVALID_JSON, str(error), Layer.INPUT) from None
        given, body = open_envelope(message)
        return Opened(trace_of(given, earlier_trace_id), body)

    def map(self, opened: Opened, payload: bytes) -> MappedMessage:
        """Find the rule, and cast the value."""
        try:
            rule, value = find_envelope(self._rules, opened.content, payload)
        except Refusal as refusal:
            return MappedMessage([], [Missed(None, refusal)])
        found = Found(rule, rule.fanout, value)
        return (
            MappedMessage([found], [])
            if rule.fanout.outputs
            else MappedMessage([], [Missed(None, _no_device(rule.fanout), found)])
        )

    def identity(self, opened: Opened) -> str:
        """Return the identity of a message, which its duplicates share."""
        return identity_by_key(opened.trace_id, opened.content) if self._by_key else opened.trace_id


class TopicWay:
    """Messages of topic rules: each rule takes its value from the payload. There is at least one."""

    __slots__ = ("origin", "rules")

    def __init__(self, rules: tuple[TopicRule, ...]) -> None:
        self.rules = rules
        self.origin = Origin(OriginKind.TOPIC, tuple(dict.fromkeys(rule.topic_filter for rule in rules)))

    def open(self, payload: bytes, earlier_trace_id: str = "") -> Opened:
        """Parse a payload, which may be plain text; it has no trace id."""
        del earlier_trace_id
        return Opened("", parse_document(payload))

    def map(self, opened: Opened, payload: bytes) -> MappedMessage:
        """Let each rule find its value; one that fails does not stop the others."""
        mapped = MappedMessage([], [])
        for rule in self.rules:
            try:
                mapped.found.append(apply_topic_rule(rule, opened.content, payload))
            except Refusal as refusal:
                mapped.missed.append(Missed(rule, refusal))
        return mapped

    def of_retained(self) -> "TopicWay | None":
        """Return the way of messages that the broker has kept, None where each rule ignores them."""
        rules = tuple(rule for rule in self.rules if rule.rule.takes_retained)
        if len(rules) == len(self.rules):
            return self
        return TopicWay(rules) if rules else None

    def part_origin(self, rule: TopicRule) -> Origin:
        """Return the origin of a letter that holds only the part of one rule."""
        return Origin(OriginKind.TOPIC, (rule.topic_filter,), rule.rule.path)


type Way = EnvelopeWay | TopicWay


class Ways:
    """Which ways the messages of a topic take: as envelopes, by topic rules, or both."""

    def __init__(
        self, catalog: CompiledCatalog, ingress: Mapping[str, int], make_handlers: HandlerFactory, *, by_key: bool
    ) -> None:
        """Prepare the filters of the ingress and of topic rules, with their QoS.

        Raises:
            ProtocolValidationError: a filter is impossible.
        """
        self.catalog = catalog
        self.envelopes = EnvelopeWay(catalog.envelope_rules, by_key)
        self._ingress = frozenset(ingress)
        filters = dict(ingress)
        for topic_filter, qos in catalog.filters.items():
            filters[topic_filter] = max(qos, filters.get(topic_filter, 0))
        self.table = RoutingTable(filters, make_handlers)

    def of(self, matches: Iterable[FilterMatch]) -> tuple[Way, ...]:
        """Return the ways of messages of a topic that these filters match."""
        matches = list(matches)
        ways: list[Way] = []
        if any(each.topic_filter in self._ingress for each in matches):
            ways.append(self.envelopes)
        rules = self.catalog.topic_rules(matches)
        if rules:
            ways.append(TopicWay(rules))
        return tuple(ways)

    def of_topic(self, topic: str) -> tuple[Way, ...]:
        """Return all ways of a topic's messages."""
        return self.of(self._matches(topic))

    def of_letter(self, letter: DeadLetter) -> Way:
        """Return the way that an input which became a letter takes now: that which it took, by the rules of now.

        Raises:
            Refusal: there is none any more.
        """
        origin = letter.origin
        kind = origin.kind if origin.kind is not OriginKind.UNKNOWN else self._likely_kind(letter)
        if kind is OriginKind.ENVELOPE:
            return self.envelopes
        rules = self._rules_of_letter(letter)
        if not rules:
            what = f"{letter.object} at the topic" if letter.object else "the topic"
            raise Refusal(Reason.UNKNOWN_KEY, f"no rule for {what} {letter.topic}")
        return TopicWay(tuple(rules))

    def _rules_of_letter(self, letter: DeadLetter) -> Sequence[TopicRule]:
        origin = letter.origin
        rules = self.catalog.topic_rules(self._matches(letter.topic))
        # Where its filters are no longer there, all rules of the topic.
        chosen = [rule for rule in rules if rule.topic_filter in origin.filters] or rules
        if not letter.object:
            return chosen
        # The values of the other rules were delivered.
        chosen = [rule for rule in chosen if rule.object == letter.object]
        if origin.kind is OriginKind.TOPIC and len(chosen) > 1:
            return [rule for rule in chosen if rule.rule.path == origin.path]
        return chosen

    def _matches(self, topic: str) -> list[FilterMatch]:
        return [match for match, _ in self.table.match(topic)]

    def _likely_kind(self, letter: DeadLetter) -> OriginKind:
        """Return the kind of a letter that an earlier version stored without it."""
        kinds = [
            OriginKind.ENVELOPE if isinstance(way, EnvelopeWay) else OriginKind.TOPIC
            for way in self.of_topic(letter.topic)
        ]
        if len(kinds) < 2:  # noqa: PLR2004 -- the two kinds
            return kinds[0] if kinds else OriginKind.TOPIC
        if letter.trace_id:
            return OriginKind.ENVELOPE
        if letter.object or letter.reason not in _WITHOUT_TRACE:
            return OriginKind.TOPIC
        try:
            self.envelopes.open(letter.payload)
        except Refusal:
            return OriginKind.ENVELOPE
        # Had it been refused as an envelope, it would have a trace id.
        return OriginKind.TOPIC if letter.reason is Reason.MISSING_FIELD else OriginKind.ENVELOPE


# Why an envelope may have been refused before its trace id was known.
_WITHOUT_TRACE = frozenset(
    {Reason.INVALID_JSON, Reason.WRONG_SHAPE, Reason.MISSING_FIELD, Reason.TOO_LARGE, Reason.INTERNAL_ERROR}
)


def size_refusal(size: int, maximum_bytes: int) -> Refusal:
    """Return the refusal of a message of `size` bytes, which is 0 or above the limit."""
    if not size:
        return Refusal(Reason.CLEARED, "the payload is empty: a retained message was removed", Layer.INPUT)
    return Refusal(Reason.TOO_LARGE, f"{size} bytes, more than the allowed {maximum_bytes}", Layer.INPUT)


def open_envelope(message: Raw) -> tuple[Raw, Raw]:
    """Return trace id (None: it has none) and payload of an envelope, slowly.

    Raises:
        Refusal: it is no envelope.
    """
    if not isinstance(message, dict):
        raise Refusal(Reason.WRONG_SHAPE, "the message is no JSON object", Layer.INPUT)
    if "payload" not in message:
        raise Refusal(Reason.MISSING_FIELD, "the envelope has no payload", Layer.INPUT)
    header = message.get("header")
    return (header.get("UUID") if isinstance(header, dict) else None), message["payload"]


def trace_of(given: Raw, otherwise: str = "") -> str:
    """Return a trace id of bounded length: the given one if it is a text or a whole number, else another or a new."""
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if not isinstance(given, str) or not given:
        return otherwise or str(uuid4())
    if len(given) <= LONGEST_TRACE_ID:
        return given
    return blake2b(given.encode(), digest_size=16).hexdigest()


def identity_by_key(trace_id: str, body: object) -> str:
    """Return the identity of a message of a trace: the trace id and the mapping key."""
    if not isinstance(body, dict):
        return trace_id
    key = f"{body.get(EQUIP_TAG)}\x1f{body.get(MESSAGE_ID)}"
    if len(key) > LONGEST_TRACE_ID:
        key = blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{trace_id}\x1f{key}"


def find_envelope(rules: Mapping[str, EnvelopeRule], body: object, message: bytes) -> tuple[EnvelopeRule, Value]:
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
        raise Refusal(Reason(error.reason), f"{rule.fanout.object}: {error}") from None


def _cast_envelope(rule: EnvelopeRule, raw: Raw, message: bytes) -> Value:
    try:
        return rule.cast(raw)
    except DigitsLostError:
        again: dict[str, dict[str, Raw]] = with_digits(message)  # type: ignore[assignment]  # an envelope, as was seen
        return rule.cast(again["payload"][VALUE])


def apply_topic_rule(rule: TopicRule, document: Document, payload: bytes) -> Found:
    """Return the value that a topic rule finds in a message; `document` is its parsed payload.

    Raises:
        Refusal: there is no value, it cannot be cast, or its object has no device.
    """
    if rule.fanout is None:
        raise Refusal(Reason.UNKNOWN_OBJECT, _short(rule.unknown))
    if not rule.fanout.outputs:
        raise _no_device(rule.fanout)
    try:
        return Found(rule, rule.fanout, rule.read(document, payload))
    except CastError as error:
        raise Refusal(Reason(error.reason), f"{rule.object}: {error}") from None


def _no_device(fanout: Fanout) -> Refusal:
    return Refusal(Reason.NO_DEVICE, f"{fanout.object} goes to no device", Layer.RESOLVER)


def _identifier(value: Raw, field: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refusal(Reason.WRONG_SHAPE, f"{field} is neither text nor a whole number but {_kind(value)}")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}[
        type(value)
    ]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 -- the length for a log line
