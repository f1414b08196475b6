"""The input layer: size limit, JSON, trace id and de-duplication."""

from collections.abc import Callable
from hashlib import blake2b
from time import perf_counter_ns
from uuid import uuid4

from orjson import JSONDecodeError, loads

from data_bridge.catalog.casts import Raw
from data_bridge.catalog.readers import parse_document
from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.deduplication.redeliveries import Key, Redeliveries, key_of
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.mapping import EQUIP_TAG, MESSAGE_ID, Mapping, Refusal, Reject
from data_bridge.pipeline.transport import Transport
from data_bridge.reasons import Reason

# A UUID has 36 characters. Longer ids are remembered by a digest, so that nobody fills the memory with them.
LONGEST_TRACE_ID = 64


class Input:
    """Takes messages from the connection, and passes on those that can be parsed and were not seen before."""

    def __init__(
        self,
        connection: Connection,
        deduplication: Deduplication,
        transport: Transport,
        mapping: Mapping,
        reject: Reject,
        *,
        maximum_bytes: int,
        redeliveries: Redeliveries | None,
        by_key: bool = False,
    ) -> None:
        self.received = 0
        self.duplicates = 0
        self._acknowledge = connection.acknowledge
        self._seen = deduplication
        self._in_flight = transport.in_flight
        self._mapping = mapping
        self._map = mapping.map_envelope
        self._reject = reject
        self._maximum = maximum_bytes
        self._by_key = by_key
        self._transmission = connection.transmission
        self._redeliveries = redeliveries

    def receive_envelope(self, topic: str, payload: bytes, delivery: int) -> None:  # noqa: C901 -- a call costs more here
        """Take a message of an ingress topic."""
        started = perf_counter_ns()
        self.received += 1
        if len(payload) > self._maximum:
            self._too_large(topic, payload, delivery)
            return
        try:
            message = loads(payload)
        except JSONDecodeError as error:
            self._reject(Reason.INVALID_JSON, str(error), topic, payload, delivery, "")
            return
        try:
            trace_id = message["header"]["UUID"]
            body = message["payload"]
        except (KeyError, TypeError, IndexError):
            try:
                trace_id, body = open_envelope(message)
            except Refusal as refusal:
                self._reject(refusal.reason, refusal.detail, topic, payload, delivery, "")
                return
        if trace_id.__class__ is not str or not trace_id or len(trace_id) > LONGEST_TRACE_ID:
            trace_id = trace_of(trace_id)
        identity = trace_id if not self._by_key else identity_by_key(trace_id, body)
        seen = self._seen
        if identity in seen.current or identity in seen.previous:
            self.duplicates += 1
            if delivery:
                self._acknowledge(delivery)
            return
        pending = self._in_flight.get(identity)
        if pending is not None:
            # The same message is on its way: this copy is answered when that one is safe.
            self.duplicates += 1
            if delivery:
                if pending.repeats is None:
                    pending.repeats = []
                pending.repeats.append(delivery)
            return
        try:
            self._map(body, identity, trace_id, topic, payload, delivery, started)
        except Exception as error:  # noqa: BLE001 -- nothing that a message contains may stop the bridge
            self._failed(error, topic, payload, delivery, identity)

    def receive_topic(self, topic: str, payload: bytes, delivery: int) -> None:
        """Take a message of a topic rule's filter."""
        started = perf_counter_ns()
        self.received += 1
        if len(payload) > self._maximum:
            self._too_large(topic, payload, delivery)
            return
        key: Key | None = None
        if delivery and self._redeliveries is not None:
            identifier, marked = self._transmission(delivery)
            key = key_of(identifier, topic, payload)
            if not marked:
                self._redeliveries.forget(identifier)
            elif self._is_redelivered(self._redeliveries, key, delivery):
                return
        try:
            self._mapping.map_topic(topic, payload, parse_document(payload), delivery, started, key)
        except Exception as error:  # noqa: BLE001 -- as above
            self._failed(error, topic, payload, delivery, None)

    def _is_redelivered(self, redeliveries: Redeliveries, key: Key, delivery: int) -> bool:
        """Answer a message that was delivered before, or is on its way; False when it was not."""
        pending = redeliveries.under_way.get(key)
        if pending is None and not redeliveries.was_delivered(key):
            return False
        self.duplicates += 1
        if pending is None:
            self._acknowledge(delivery)
        elif pending.repeats is None:
            pending.repeats = [delivery]
        else:
            pending.repeats.append(delivery)
        return True

    def _failed(self, error: Exception, topic: str, payload: bytes, delivery: int, identity: str | None) -> None:
        if identity is not None:
            self._in_flight.pop(identity, None)
        self._reject(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}", topic, payload, delivery, "")

    def _too_large(self, topic: str, payload: bytes, delivery: int) -> None:
        detail = f"{len(payload)} bytes, more than the allowed {self._maximum}"
        self._reject(Reason.TOO_LARGE, detail, topic, payload, delivery, "")


type Receive = Callable[[str, bytes, int], None]


def open_envelope(message: Raw) -> tuple[Raw, Raw]:
    """Return trace id (None: it has none) and payload of an envelope, slowly.

    Raises:
        Refusal: it is no envelope.
    """
    if not isinstance(message, dict):
        raise Refusal(Reason.WRONG_SHAPE, "the message is no JSON object")
    if "payload" not in message:
        raise Refusal(Reason.MISSING_FIELD, "the envelope has no payload")
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


def identity_by_key(trace_id: str, body: Raw) -> str:
    """Return what tells apart the messages of one trace: the trace id and the mapping key."""
    if not isinstance(body, dict):
        return trace_id
    key = f"{body.get(EQUIP_TAG)}\x1f{body.get(MESSAGE_ID)}"
    if len(key) > LONGEST_TRACE_ID:
        key = blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{trace_id}\x1f{key}"
