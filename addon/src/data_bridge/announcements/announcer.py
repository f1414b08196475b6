"""Announcements below iot_data_bridge/<bridge_id>/: the latest values, at a bounded rate."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import orjson

from data_bridge import SCHEMA, VERSION
from data_bridge.catalog.casts import Raw, Value
from data_bridge.own_topics import OwnTopics
from data_bridge.pipeline.connection import FAILURE, Connection, PreparedPublish
from data_bridge.pipeline.device_state import DeviceState
from data_bridge.settings import AnnouncementSettings

ONLINE = b"online"
OFFLINE = b"offline"
TICK_SECONDS = 0.1


class Announcer:
    """Publishes availability, hello, catalog, states, metrics and events.

    `refused(topic, error)` is called once for each topic whose announcement the broker can never accept.
    """

    def __init__(
        self,
        connection: Connection,
        topics: OwnTopics,
        name: str,
        settings: AnnouncementSettings,
        refused: Callable[[str, str], None],
    ) -> None:
        self.events_dropped = 0
        self.states_sent = 0
        self._connection = connection
        self._refused = refused
        self._refused_topics: set[str] = set()
        self._topics = topics
        self._hello_message = orjson.dumps(
            {"bridge_id": topics.bridge_id, "name": name, "version": VERSION, "schema": SCHEMA}
        )
        self._interval_ns = int(settings.state_interval * 1e9)
        self._per_tick = max(1, int(settings.states_per_second * TICK_SECONDS))
        self._availability = connection.prepare(topics.availability, 1, True)
        self._events = connection.prepare(topics.events, 0, False)
        self._metrics = connection.prepare(topics.metrics, 0, False)
        self._result = connection.prepare(topics.result, 1, False)
        self._hello = connection.prepare(topics.hello, 1, True)
        self._catalog = connection.prepare(topics.catalog, 1, True)
        self._catalog_message: bytes | None = None
        self._state_topics: dict[str, PreparedPublish] = {}
        self._devices: frozenset[str] = frozenset()
        self._to_forget: dict[str, None] = {}
        self._sent: dict[str, int] = {}
        self._ready: deque[DeviceState] = deque()
        self._early: deque[DeviceState] = deque()

    def use(self, message: bytes, devices: AbstractSet[str]) -> None:
        """Announce a catalog in the words of `message` from now on, and the states of these devices only."""
        self._catalog_message = message
        # A device that went takes its retained state with it, whichever run published that.
        for device in self._devices - devices:
            self.forget(device)
        self._devices = frozenset(devices)

    def announce(self, states: Iterable[DeviceState]) -> None:
        """Publish all retained announcements: after each connect, since a restarted broker may have lost them."""
        self._publish(self._hello, self._hello_message)
        self.announce_catalog()
        for state in states:
            if state.values and not state.dirty:
                state.dirty = True
                self._ready.append(state)
        # Last, so that a subscriber that waits for it finds the others in place.
        self._publish(self._availability, ONLINE)

    def announce_catalog(self) -> None:
        """Publish the retained catalog."""
        if self._catalog_message is not None:
            self._publish(self._catalog, self._catalog_message)

    def _publish(self, prepared: PreparedPublish, payload: bytes) -> bool:
        """Publish a retained announcement; False when there is no room for it now.

        One that the broker can never accept counts as published: another try would have the same result.
        """
        refusal = self._connection.refusal(prepared, payload)
        if refusal is not None:
            self._note_refused(prepared.topic, refusal)
            return True
        return self._connection.publish_prepared(prepared, payload, self._answered, prepared.topic)

    def _answered(self, topic: str, reason_code: int) -> None:
        if reason_code >= FAILURE:
            self._note_refused(topic, f"the broker refused it with reason code 0x{reason_code:02x}")
        else:
            self._refused_topics.discard(topic)

    def _note_refused(self, topic: str, error: str) -> None:
        if topic not in self._refused_topics:
            self._refused_topics.add(topic)
            self._refused(topic, error)

    def goodbye(self) -> None:
        """Publish `offline`: the broker publishes the last will only after an unexpected disconnect."""
        self._publish(self._availability, OFFLINE)

    def forget(self, device: str) -> None:
        """Remove a device's retained state from the broker: now or, where the queue is full, with a later tick."""
        self._to_forget[device] = None
        self._forget_more()

    def _forget_more(self) -> bool:
        """Return whether all queued removals are published."""
        while self._to_forget:
            device = next(iter(self._to_forget))
            if not self._publish(self._state_topic(device), b""):
                return False
            del self._to_forget[device], self._state_topics[device]
            self._sent.pop(device, None)
        return True

    def tick(self, changed: Iterable[DeviceState], known: dict[str, DeviceState]) -> None:
        """Publish the states that are due: each device at most once in an interval, all within the rate for all."""
        self._ready.extend(changed)
        # First, so that the removal of a device that has returned meanwhile does not follow its new state.
        if not self._forget_more():
            return
        now = time.perf_counter_ns()
        budget = self._per_tick
        # Those that had to wait were sent in this order, so the first that is not due ends the search.
        while budget > 0 and self._early and now - self._sent.get(self._early[0].device, 0) >= self._interval_ns:
            budget -= self._send(self._early.popleft(), now, known)
        while budget > 0 and self._ready:
            state = self._ready.popleft()
            if now - self._sent.get(state.device, -self._interval_ns) < self._interval_ns:
                self._early.append(state)
            else:
                budget -= self._send(state, now, known)

    def flush(self, changed: Iterable[DeviceState], known: dict[str, DeviceState]) -> None:
        """Publish the last state of every device, due or not: the last call before the stop."""
        self._forget_more()
        waiting = [*self._early, *self._ready, *changed]
        self._early.clear()
        self._ready.clear()
        for state in waiting:
            self._send(state, time.perf_counter_ns(), known)

    def _send(self, state: DeviceState, now: int, known: dict[str, DeviceState]) -> int:
        state.dirty = False
        if known.get(state.device) is not state:
            return 0
        wall = time.time() - (now - state.changed_ns) / 1e9 if state.changed_ns else time.time()
        # A device without a known value has no retained state.
        payload = encode_state(wall, state.values) if state.values else b""
        topic = self._state_topic(state.device)
        if not self._publish(topic, payload):
            state.dirty = True
            self._ready.append(state)
            return self._per_tick
        self._sent[state.device] = now
        self.states_sent += topic.topic not in self._refused_topics
        return 1

    def event(self, kind: str, **content: object) -> None:
        """Publish an event; without a connection it is only counted."""
        payload = orjson.dumps({"type": kind, "ts": round(time.time(), 3), **content})
        if not self._connection.publish_prepared(self._events, payload):
            self.events_dropped += 1

    def metrics(self, content: dict[str, object]) -> None:
        """Publish the counters."""
        self._connection.publish_prepared(self._metrics, orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS))

    def result(self, content: dict[str, object]) -> None:
        """Answer a command."""
        self._connection.publish_prepared(self._result, orjson.dumps(content))

    @property
    def waiting(self) -> int:
        """Return how many devices have a state that is not announced yet."""
        return len(self._ready) + len(self._early)

    def _state_topic(self, device: str) -> PreparedPublish:
        topic = self._state_topics.get(device)
        if topic is None:
            topic = self._state_topics[device] = self._connection.prepare(self._topics.state(device), 1, True)
        return topic


def encode_state(timestamp: float, values: dict[str, Value]) -> bytes:
    """Return a `state/<device_id>` message; `timestamp` is Unix seconds."""
    return orjson.dumps({"ts": round(timestamp, 3), "values": values})


def decode_state(payload: bytes) -> dict[str, Raw]:
    """Return the values of a state message by object; empty where it is not one."""
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    values = message.get("values") if isinstance(message, dict) else None
    return values if isinstance(values, dict) else {}
