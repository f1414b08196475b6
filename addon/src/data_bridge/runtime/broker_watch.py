"""Refusals, limits and dropped messages of the broker, reported as events and problems."""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from data_bridge.damaged_files import DamagedFileError, read_json
from data_bridge.files import write_atomically
from data_bridge.logs import get_logger
from data_bridge.runtime.problems import SHOWN_SECONDS, Problems, ProblemType

_LOG = get_logger("data_bridge")
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
_FAILURE = 0x80
# MQTT 5.0, section 3.9.3; 0x80 is all that MQTT 3.1.1 has.
_REFUSALS = {
    0x87: "not authorised",
    0x8F: "the topic filter is invalid",
    0x97: "quota exceeded",
    0x9E: "shared subscriptions are not supported",
    0xA2: "wildcards are not supported",
}
_SHOWN_FILTERS = 3
# How long answers to subscriptions are collected.
_ANSWERS_SECONDS = 0.2
# Two clients of one id end each other's connection, each as soon as it is back.
_SHORT_SECONDS = 30.0
_SHORT_CONNECTIONS = 3

type Report = Callable[..., None]
"""report(event, **content) writes a log line and publishes an event"""


class BrokerWatch:
    """Watches a connection's answers and limits, and the broker's counter of dropped messages."""

    def __init__(
        self,
        connection: MQTTProtocol,
        problems: Problems,
        report: Report,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the broker's counter as it was last seen from the file `path`.

        Raises:
            DamagedFileError: the file cannot be used.
        """
        self.last_error: str | None = None  # why there is no connection
        self.dropped = 0  # messages that the broker dropped since the bridge first saw its counter
        self.lossless = True
        self._connection = connection
        self._problems = problems
        self._report = report
        self._path = path
        self._clock = clock
        self._counter = _read_counter(path)
        self._refused: dict[str, int] = {}
        self._lowered: set[str] = set()
        self._connected_at: float | None = None
        self._lost_at: float | None = None
        self._failed_attempts = 0
        self._short_connections = 0
        self._noting = False

    def listen(self) -> None:
        """Subscribe and register the callbacks; before the first connection."""
        callbacks = self._connection.callbacks
        callbacks.subscribed = self._subscribed
        callbacks.attempt_failed = self._reconnect_failed
        callbacks.taken_over = self._taken_over
        self._connection.route(DROPPED_TOPIC, self._count_dropped, 0)

    # ------------------------------------------------------------ the connection

    def connected(self) -> None:
        """Record the broker's limits, and report an outage that has ended."""
        now = self._clock()
        if self._failed_attempts:
            seconds = None if self._lost_at is None else round(now - self._lost_at, 1)
            self._report("reconnected", attempts=self._failed_attempts, seconds=seconds, error=self.last_error)
        self._failed_attempts = 0
        self.last_error = None
        self._connected_at = now
        self._note_limits()

    def disconnected(self, reason: str) -> None:
        """Record that the connection has ended."""
        now = self._clock()
        self.last_error = reason
        short = self._connected_at is not None and now - self._connected_at < _SHORT_SECONDS
        self._short_connections = self._short_connections + 1 if short else 0
        self._connected_at = None
        self._lost_at = now
        if self._short_connections >= _SHORT_CONNECTIONS:
            self._problems.meet(
                ProblemType.BRIDGE_ID_IN_USE,
                f"the connection ended {_SHORT_CONNECTIONS} times in a row within {_SHORT_SECONDS:.0f} s ({reason});"
                f" probably another client uses the client id {self._connection.client_id}: two bridges of one broker"
                " need bridge_ids of their own",
                seconds=SHOWN_SECONDS,
            )

    def attempt_failed(self, reason: str) -> None:
        """Record that an attempt to connect has failed."""
        self._failed_attempts += 1
        self._short_connections = 0
        self.last_error = reason

    def _reconnect_failed(self, reason: str) -> None:
        self.attempt_failed(reason)
        # There is no connection for an event, which follows with the next one.
        _LOG.warning("reconnect_failed", attempts=self._failed_attempts, error=reason)

    def _taken_over(self) -> None:
        self._problems.meet(
            ProblemType.BRIDGE_ID_IN_USE,
            f"another client connected with the client id {self._connection.client_id} and ended this connection: two"
            " bridges of one broker need bridge_ids of their own",
            seconds=SHOWN_SECONDS,
        )

    def _note_limits(self) -> None:
        limits = self._connection.limits
        self._set(
            ProblemType.BROKER_WITHOUT_RETAINED,
            not limits.retain_available,
            "the broker keeps no retained messages: a device or Home Assistant that connects later misses what was"
            " sent before, so that nothing is lost does not hold here",
        )
        self._note_qos()

    def _note_qos(self) -> None:
        limits = self._connection.limits
        if limits.maximum_qos == 0:
            text = "the broker supports QoS 0 only: it confirms nothing"
        else:
            text = f"the broker grants {_named(self._lowered)} QoS 0 only"
        self._set(
            ProblemType.BROKER_WITHOUT_QOS_1,
            limits.maximum_qos == 0 or bool(self._lowered),
            f"{text}, so that nothing is lost does not hold here",
        )
        self.lossless = not (
            ProblemType.BROKER_WITHOUT_QOS_1 in self._problems or ProblemType.BROKER_WITHOUT_RETAINED in self._problems
        )

    # ------------------------------------------------------------ subscriptions

    def keep(self, topic_filters: Iterable[str]) -> None:
        """Forget the answers to subscriptions that are none of these any more."""
        wanted = set(topic_filters)
        self._refused = {each: code for each, code in self._refused.items() if each in wanted}
        self._lowered &= wanted
        self._note_refused()

    def _subscribed(self, topic_filter: str, qos: int, reason_code: int) -> None:
        if topic_filter == DROPPED_TOPIC:
            # Not every broker has this topic, or grants it to every user.
            return
        self._lowered.discard(topic_filter)
        before = self._refused.pop(topic_filter, None)
        if reason_code >= _FAILURE:
            self._refused[topic_filter] = reason_code
        elif reason_code < min(qos, 1):
            self._lowered.add(topic_filter)
        if not self._noting and (before != self._refused.get(topic_filter) or topic_filter in self._lowered):
            # Of thousands of answers at once one sentence.
            self._noting = True
            asyncio.get_running_loop().call_later(_ANSWERS_SECONDS, self._note_answers)

    def _note_answers(self) -> None:
        self._noting = False
        self._note_refused()
        self._note_qos()

    def _note_refused(self) -> None:
        filters = self._refused
        code = next(iter(filters.values()), 0)
        cause = f"reason code 0x{code:02x}, {_REFUSALS.get(code, 'no reason given')}"
        self._set(
            ProblemType.SUBSCRIPTION_REFUSED,
            bool(filters),
            f"the broker refuses to subscribe {_named(filters)} ({cause}): what is published there does not arrive",
        )

    def _set(self, kind: ProblemType, there: bool, text: str) -> None:
        if there:
            self._problems.meet(kind, text)
        else:
            self._problems.solve(kind)

    # ------------------------------------------------------------ dropped messages

    def _count_dropped(self, _topic: str, payload: bytes, _ack_token: int) -> None:
        try:
            counter = int(payload)
        except ValueError:
            return
        before, self._counter = self._counter, counter
        if counter == before:
            return
        try:
            write_atomically(self._path, orjson.dumps({"dropped": counter}))
        except OSError as error:
            self._report("broker_counter_not_kept", error=str(error))
        if before is None:
            return
        # A broker that was restarted counts from 0.
        count = counter - before if counter > before else counter
        if not count:
            return
        self.dropped += count
        self._report("broker_dropped_messages", count=count, total=counter)
        self._problems.meet(
            ProblemType.BROKER_DROPS_MESSAGES,
            "the broker drops messages that it cannot queue for a client that is away or slow, perhaps this bridge:"
            " Mosquitto keeps 1000 for each unless max_queued_messages says otherwise",
            seconds=SHOWN_SECONDS,
        )


def _named(filters: Iterable[str]) -> str:
    names = sorted(filters)
    shown = ", ".join(repr(each[:80]) for each in names[:_SHOWN_FILTERS])
    return shown if len(names) <= _SHOWN_FILTERS else f"{shown} and {len(names) - _SHOWN_FILTERS} more"


def _read_counter(path: Path) -> int | None:
    document = read_json(path)
    if document is None:
        return None
    counter = document.get("dropped") if isinstance(document, dict) else None
    if not isinstance(counter, int) or isinstance(counter, bool):
        raise DamagedFileError(path, "it holds no counter of a broker")
    return counter
