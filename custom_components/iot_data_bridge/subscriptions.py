"""The MQTT subscriptions of one site: held while it is set up or reloaded, and dead as soon as they are closed."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from homeassistant.components import mqtt
from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange, ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_call_later
from homeassistant.util.hass_dict import HassKey

from .const import LOGGER
from .devices.topics import Channel, SiteTopics

type Deliver = Callable[[Channel, ReceiveMessage], None]

# Commands are sent after this time even where the broker refuses the subscription.
SUBSCRIBE_SECONDS = 5.0
# Subscriptions that wait for a reload's second half end after this time.
RELOAD_SECONDS = 5.0
MOST_HELD = 20_000
MOST_HELD_BYTES = 32_000_000
_MQTT = "mqtt"
_WAITING: HassKey[dict[str, SiteSubscriptions]] = HassKey("iot_data_bridge_subscriptions")


class SiteSubscriptions:
    """Receives the messages of a site and delivers them, or holds them until `deliver_to` is called.

    Home Assistant copies the subscriptions of a reloaded MQTT entry to a new client, on which the old functions to
    unsubscribe do nothing. So this object ends its subscriptions before the MQTT entry unloads, makes new ones when it
    is loaded again, and takes no message of any but the current ones.

    Attributes:
        complete: whether no message can have been missed since the last call of `deliver_to`.
        sent_totals: the totals that the broker took last, by the keys of the baskets; they outlive a reload as the
            messages do, since an echo that is under way comes after it.
    """

    def __init__(self, hass: HomeAssistant, topics: SiteTopics) -> None:
        self._hass = hass
        self.topics = topics
        self._deliver: Deliver | None = None
        self._held: deque[tuple[Channel, ReceiveMessage]] = deque()
        self._held_bytes = 0
        self._unsubscribe: list[CALLBACK_TYPE] = []
        self._watches: list[CALLBACK_TYPE] = []
        self._cancel_expiry: CALLBACK_TYPE | None = None
        # Messages of earlier subscriptions carry an earlier number.
        self._generation = 0
        self._unconfirmed: set[str] = set()
        self._confirmed = asyncio.Event()
        self._closed = False
        self.complete = False
        self.sent_totals: dict[str, Decimal] = {}

    async def async_open(self, earlier: SiteSubscriptions | None = None) -> None:
        """Subscribe, and take the place of `earlier` without missing a message."""
        self._watches = [
            mqtt.async_subscribe_connection_status(self._hass, self._on_connection),
            async_dispatcher_connect(self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._on_entry_changed),
        ]
        if earlier is not None and earlier.topics != self.topics:
            # Home Assistant's client fails on a filter that is given up while its SUBSCRIBE still waits.
            await earlier.async_wait_confirmed()
        await self._async_subscribe()
        if earlier is not None:
            self.complete = earlier.complete
            self.sent_totals = earlier.sent_totals
            for channel, message in earlier.close():
                self._hold(channel, message)

    @callback
    def deliver_to(self, deliver: Deliver) -> None:
        """Deliver the held messages, then each one as it arrives."""
        self._deliver = deliver
        while self._held and self._deliver is not None:
            channel, message = self._held.popleft()
            self._held_bytes -= len(message.payload)
            deliver(channel, message)
        self.complete = mqtt.is_connected(self._hass)

    @callback
    def hold(self) -> None:
        """Hold what arrives from now on."""
        self._deliver = None

    @callback
    def keep_for_reload(self, entry_id: str) -> None:
        """Hold what arrives until the site is set up again, which follows at once in a reload."""
        self.hold()
        self._hass.data.setdefault(_WAITING, {})[entry_id] = self

        @callback
        def expire(_: datetime) -> None:
            end_kept_subscriptions(self._hass, entry_id)

        self._cancel_expiry = async_call_later(self._hass, RELOAD_SECONDS, HassJob(expire, cancel_on_shutdown=True))

    @callback
    def close(self) -> list[tuple[Channel, ReceiveMessage]]:
        """End every subscription, and return the messages that were held; nothing is received after that."""
        self._closed = True
        self._deliver = None
        self._end_subscriptions()
        while self._watches:
            self._watches.pop()()
        if self._cancel_expiry is not None:
            self._cancel_expiry()
            self._cancel_expiry = None
        held, self._held, self._held_bytes = list(self._held), deque(), 0
        return held

    async def async_wait_confirmed(self) -> None:
        """Wait until the broker has confirmed the subscriptions, but no longer than 5 s."""
        if not self._confirmed.is_set() and mqtt.is_connected(self._hass):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._confirmed.wait(), SUBSCRIBE_SECONDS)

    async def _async_subscribe(self) -> None:
        self._end_subscriptions()
        generation = self._generation
        for topic_filter, channel in self.topics.filters().items():

            @callback
            def receive(message: ReceiveMessage, channel: Channel = channel) -> None:
                if generation == self._generation:
                    self._receive(channel, message)

            # Bytes: payloads that are no UTF-8 are counted here, not dropped by the MQTT integration.
            unsubscribe = await mqtt.async_subscribe(self._hass, topic_filter, receive, 1, encoding=None)
            self._unsubscribe.append(unsubscribe)
            self._watch_confirmation(topic_filter, generation)

    def _watch_confirmation(self, topic_filter: str, generation: int) -> None:
        self._require_confirmation(topic_filter)

        @callback
        def confirm() -> None:
            if generation == self._generation:
                self._unconfirmed.discard(topic_filter)
                if not self._unconfirmed:
                    self._confirmed.set()

        self._unsubscribe.append(mqtt.async_on_subscribe_done(self._hass, topic_filter, 1, confirm))

    def _require_confirmation(self, topic_filter: str) -> None:
        self._unconfirmed.add(topic_filter)
        self._confirmed.clear()

    def _end_subscriptions(self) -> None:
        self._generation += 1
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._unconfirmed.clear()
        self._confirmed.set()

    def _receive(self, channel: Channel, message: ReceiveMessage) -> None:
        if self._deliver is not None:
            self._deliver(channel, message)
        else:
            self._hold(channel, message)

    def _hold(self, channel: Channel, message: ReceiveMessage) -> None:
        self._held.append((channel, message))
        self._held_bytes += len(message.payload)
        while len(self._held) > MOST_HELD or self._held_bytes > MOST_HELD_BYTES:
            # Later messages replace what earlier ones said.
            _, dropped = self._held.popleft()
            self._held_bytes -= len(dropped.payload)
            if self.complete:
                LOGGER.warning("More than %s messages arrived while a site was set up; the oldest are lost", MOST_HELD)
            self.complete = False

    @callback
    def _on_connection(self, connected: bool) -> None:
        self.complete = connected and self._deliver is not None
        if not connected:
            for topic_filter in self.topics.filters():
                self._require_confirmation(topic_filter)

    @callback
    def _on_entry_changed(self, change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain != _MQTT or change is not ConfigEntryChange.UPDATED:
            return
        if entry.state is ConfigEntryState.UNLOAD_IN_PROGRESS:
            self.complete = False
            self._end_subscriptions()
        elif entry.state is ConfigEntryState.LOADED and not self._unsubscribe:
            self._hass.async_create_task(self._async_subscribe_again(), "iot_data_bridge subscriptions")

    async def _async_subscribe_again(self) -> None:
        if not self._closed and not self._unsubscribe:
            await self._async_subscribe()


@callback
def kept_subscriptions(hass: HomeAssistant, entry_id: str) -> SiteSubscriptions | None:
    """Return the subscriptions that an unloaded site left for its reload."""
    return hass.data.get(_WAITING, {}).pop(entry_id, None)


@callback
def end_kept_subscriptions(hass: HomeAssistant, entry_id: str) -> None:
    """Close the subscriptions that an unloaded site left, if there are any."""
    if (kept := kept_subscriptions(hass, entry_id)) is not None:
        kept.close()
