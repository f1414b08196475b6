"""A bounded rate for each topic of snapshots: of the messages in excess only the last counts."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .device_collection import payload_of
from .devices.errors import MalformedMessageError
from .devices.token_bucket import TokenBucket
from .devices.topics import Channel

# A basket reports a change when a poll of its reader ends, a printer and a bridged device once a second.
RATE = 2.0
BURST = 20.0
# Each message replaces all that an earlier one of its topic said.
SNAPSHOTS = frozenset({Channel.BASKET_UPDATE, Channel.BASKET_SESSION, Channel.FACTOR_STATUS, Channel.BRIDGE_STATE})
MOST_HELD_BYTES = 16_000_000
# Above this number, buckets that are full are dropped: topics are invented by strangers.
MOST_BUCKETS = 5_000
RELEASE_SECONDS = 1 / RATE

type _Key = tuple[str, bool]


class MessageLimiter:
    """Holds back snapshots that come too fast and hands the last of each topic on when its rate allows.

    Attributes:
        superseded: how many messages of each channel were replaced by a later one.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        handle: Callable[[Channel, ReceiveMessage], None],
        refuse: Callable[[Channel, str, MalformedMessageError], None],
    ) -> None:
        self._hass = hass
        self._handle = handle
        self._refuse = refuse
        self._buckets: dict[str, TokenBucket] = {}
        self._held: dict[_Key, tuple[Channel, ReceiveMessage]] = {}
        self._held_bytes = 0
        self._cancel: CALLBACK_TYPE | None = None
        self.superseded: Counter[Channel] = Counter()

    @callback
    def admits(self, channel: Channel, message: ReceiveMessage) -> bool:
        """Tell whether a message is handled now; otherwise it is held, in the place of an earlier one."""
        topic = message.topic
        now = self._hass.loop.time()
        bucket = self._buckets.get(topic)
        if bucket is None:
            self._drop_full_buckets(now)
            self._buckets[topic] = TokenBucket(RATE, BURST, BURST - 1.0, now)
            return True
        key = _key(channel, message)
        if key not in self._held and bucket.take(now):
            return True
        self._hold(key, channel, message)
        return False

    @callback
    def release(self, topic: str) -> None:
        """Hand on what is held of a topic: a later message of its device is about to be handled."""
        if self._held:
            for key in [key for key in self._held if key[0] == topic]:
                self._hand_on(key)

    @callback
    def stop(self) -> None:
        """Hand on everything that is held, and stop the timer."""
        for key in list(self._held):
            self._hand_on(key)
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _hold(self, key: _Key, channel: Channel, message: ReceiveMessage) -> None:
        earlier = self._held.get(key)
        size = self._held_bytes + len(message.payload) - (0 if earlier is None else len(earlier[1].payload))
        if size > MOST_HELD_BYTES:
            self._refuse(channel, message.topic, MalformedMessageError("too_many_messages"))
            return
        if earlier is not None:
            self.superseded[channel] += 1
        self._held[key] = channel, message
        self._held_bytes = size
        if self._cancel is None:
            self._cancel = async_call_later(self._hass, RELEASE_SECONDS, self._on_timer)

    def _hand_on(self, key: _Key) -> None:
        channel, message = self._held.pop(key)
        self._held_bytes -= len(message.payload)
        self._handle(channel, message)

    @callback
    def _on_timer(self, _: datetime) -> None:
        self._cancel = None
        now = self._hass.loop.time()
        for key in list(self._held):
            if self._buckets[key[0]].take(now):
                self._hand_on(key)
        if self._held:
            self._cancel = async_call_later(self._hass, RELEASE_SECONDS, self._on_timer)

    def _drop_full_buckets(self, now: float) -> None:
        if len(self._buckets) >= MOST_BUCKETS:
            held = {topic for topic, _ in self._held}
            self._buckets = {
                topic: bucket for topic, bucket in self._buckets.items() if topic in held or not bucket.is_full(now)
            }


def _key(channel: Channel, message: ReceiveMessage) -> _Key:
    """Return a message's topic, and of a basket whether it may name contents: without them it replaces none."""
    return message.topic, channel is not Channel.BASKET_UPDATE or b"list" in payload_of(message).lower()
