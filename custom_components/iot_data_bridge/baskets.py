"""Baskets: their updates, the commands of every server, and the sums of the site."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import override

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import Context, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .clock import instant_now
from .commands import BasketCommander
from .device_collection import DeviceCollection, Handler, SiteContext, payload_of
from .devices.admission import DeviceKind
from .devices.basket import Basket
from .devices.basket_events import SESSION_EVENTS, BasketEvent, EventKind
from .devices.basket_messages import BasketUpdate, parse_availability, parse_command, parse_session, parse_update
from .devices.basket_storage import restored_basket, stored_basket
from .devices.errors import MalformedMessageError
from .devices.identity import basket_key
from .devices.instant import Instant
from .devices.json_values import JsonObject, JsonValue
from .devices.products import PriceList, PriceListChange
from .devices.topics import BASKET_SUFFIXES, Channel
from .field_devices import BasketDevice, SiteDevice
from .price_repairs import PriceRepairs
from .session_log import SessionLog
from .settings import SiteSettings

# However many baskets change, the site is counted once a second.
SITE_SECONDS = 1.0
# Of the to-do lists of a hundred baskets none is found; from here on they are registered disabled.
MOST_LISTED_BASKETS = 20
# A site has a budget of 9,500 enabled entities. From here on new baskets have those that every shop needs, which leaves
# room for 1,000 of them, and the user can enable the others.
MOST_FULL_BASKETS = 65
LISTS = frozenset({"contents"})
DISPENSABLE = LISTS | {
    "budget",
    "cancel",
    "distinct_products",
    "last_activity",
    "over_budget",
    "session_started",
    "show_total",
}

_UPDATE_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_UPDATE])
_COMMAND_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_COMMAND])
_AVAILABILITY_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_AVAILABILITY])
_SESSION_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_SESSION])


class Baskets(DeviceCollection):
    """The baskets of a site, by their root topics."""

    def __init__(
        self,
        context: SiteContext,
        *,
        settings: SiteSettings,
        prices: PriceList,
        commander: BasketCommander,
        site: SiteDevice,
        repairs: PriceRepairs,
        sessions: SessionLog,
    ) -> None:
        super().__init__(context)
        self._settings = settings
        self._running_total = settings.rules.running_total
        self._prices = prices
        self._commander = commander
        self._site = site
        self._repairs = repairs
        self._sessions = sessions
        self._counting = False
        self.by_root: dict[str, BasketDevice] = {}

    @override
    def devices(self) -> Iterable[BasketDevice]:
        return self.by_root.values()

    @override
    def handlers(self) -> dict[Channel, Handler]:
        return {
            Channel.BASKET_UPDATE: self._on_update,
            Channel.BASKET_COMMAND: self._on_command,
            Channel.BASKET_AVAILABILITY: self._on_availability,
            Channel.BASKET_SESSION: self._on_session,
        }

    @override
    def restore(self, stored: JsonValue) -> None:
        basket = restored_basket(stored, self._prices, self._settings.rules, instant_now())
        if self._context.reads(basket_key(basket.root)):
            self._add(basket)

    @callback
    def restore_sessions(self, started: Mapping[str, datetime]) -> None:
        """Continue with the sessions that were stored last, by the roots of their baskets; all others are idle."""
        for root in started:
            if root not in self.by_root and self._context.reads(basket_key(root)):
                self._add(Basket(root, self._prices, self._settings.rules))
        for root, device in self.by_root.items():
            device.basket.restore_session(started.get(root))

    def sessions(self) -> dict[str, datetime]:
        """Return the beginning of each running session, by the root of its basket."""
        return {
            root: started
            for root, device in self.by_root.items()
            if (started := device.basket.session_started) is not None
        }

    @callback
    def mark_uncertain(self) -> None:
        """Know that updates may have been missed."""
        for device in self.by_root.values():
            if device.basket.certain:
                device.basket.certain = False
                device.refresh()

    @override
    def stored(self) -> list[JsonObject]:
        return [stored_basket(device.basket) for device in self.by_root.values()]

    @override
    def remove(self, key: str) -> bool:
        device = next((device for device in self.by_root.values() if device.key == key), None)
        if device is None:
            return False
        del self.by_root[device.basket.root]
        self._commander.discard_total(device)
        self._count_soon()
        return True

    @override
    def check_timeouts(self, now: Instant) -> None:
        subscribed_since = self._context.subscribed_since
        for device in self.by_root.values():
            if device.basket.session.unanswered:
                self._apply(device, device.basket.check_session)
            if device.basket.check_timeouts(now, subscribed_since):
                device.refresh()
                self._count_soon()

    @override
    def set_connected(self, connected: bool) -> None:
        super().set_connected(connected)
        if connected:
            self.catch_up()

    @callback
    def catch_up(self) -> None:
        """Send the running totals that could not be sent before."""
        if not self._running_total:
            return
        for device in self.by_root.values():
            basket = device.basket
            # After a start a display shows 0.
            if basket.active and basket.total not in (basket.shown_total or 0, self._commander.sent_total(device)):
                self._commander.queue_total(device)

    @callback
    def apply(self, settings: SiteSettings) -> None:
        """Apply changed options."""
        begun = settings.rules.running_total and not self._running_total
        self._settings = settings
        self._running_total = settings.rules.running_total
        for device in self.by_root.values():
            device.basket.rules = settings.rules
        if begun:
            self.catch_up()

    @callback
    def forget_amounts(self) -> None:
        """Drop budgets and shown totals, which are of another currency than the site's."""
        for device in self.by_root.values():
            device.basket.forget_amounts()

    @callback
    def on_edited(self, device: BasketDevice) -> None:
        """Write a change made through an entity: the budget, a tick."""
        device.refresh()
        self._context.save_soon()

    @callback
    def reprice(self, change: PriceListChange) -> None:
        """Compute the baskets anew that hold a product whose price or name changed."""
        now = instant_now()
        codes = change.codes()
        # The problem of every unknown product depends on whether there is a price list at all.
        present = len(self._prices)
        first_or_last = bool(present) is not bool(present - len(change.added) + len(change.removed))
        for device in self.by_root.values():
            basket = device.basket
            if not codes.isdisjoint(basket.contents):
                basket.reprice(now)
            elif not first_or_last:
                continue
            device.refresh()
            if self._running_total and basket.active and basket.items:
                self._commander.queue_total(device)
        self.summarise()

    @callback
    def summarise(self) -> None:
        """Bring the site up to date."""
        self._site.site.summarise(device.basket for device in self.by_root.values())
        self._site.refresh()
        self._repairs.show(
            list_missing=not len(self._prices) and any(device.basket.items for device in self.by_root.values()),
            unpriced=self._site.site.unknown_products,
        )

    @callback
    def _on_update(self, message: ReceiveMessage) -> None:
        root = message.topic[:-_UPDATE_TAIL]
        try:
            update = parse_update(payload_of(message))
        except MalformedMessageError:
            self._mark_unreadable(root)
            raise
        if message.retain:
            self._on_retained_update(root, update)
            return
        device = self._device(root)
        basket = device.basket
        details = len(basket.details)
        try:
            self._apply(device, partial(basket.apply_update, update))
        except MalformedMessageError:
            device.refresh()
            self._count_soon()
            raise
        if len(basket.details) != details:
            self._context.build(device)
        if self._running_total and basket.active and update.contents is not None:
            self._commander.queue_total(device)

    def _mark_unreadable(self, root: str) -> None:
        """Show that a basket's contents are older than its last message."""
        device = self.by_root.get(root)
        if device is not None and not device.basket.unreadable:
            device.basket.unreadable = True
            device.refresh()
            self._count_soon()

    def _on_retained_update(self, root: str, update: BasketUpdate) -> None:
        """Apply a retained update, unless the basket is known: then its state is newer."""
        if root in self.by_root:
            return
        device = self._device(root)
        device.basket.apply_retained(update)
        self._context.build(device)
        self._changed(device, ())
        self._count_soon()

    @callback
    def _on_command(self, message: ReceiveMessage) -> None:
        # Commands are not published retained. A retained one is of unknown age; the stored session is newer.
        if message.retain:
            return
        command = parse_command(payload_of(message))
        device = self._device(message.topic[:-_COMMAND_TAIL])
        self._apply(device, partial(device.basket.apply_command, command))
        if not device.basket.active:
            # An end of no session is not recorded; of one that still runs, the basket has to say so.
            device.sent_end.withdraw()

    @callback
    def _on_session(self, message: ReceiveMessage) -> None:
        session = parse_session(payload_of(message))
        root = message.topic[:-_SESSION_TAIL]
        # A session that is withdrawn, or was left on the broker by a basket that was taken away, is no basket.
        if (session is None or message.retain) and root not in self.by_root:
            return
        device = self._device(root)
        self._apply(device, partial(device.basket.apply_session, session))

    def _apply(self, device: BasketDevice, apply: Callable[[Instant], tuple[BasketEvent, ...]]) -> None:
        """Let a basket take a message, and follow a change of its session, which is stored at once."""
        basket, now = device.basket, instant_now()
        started, shown_total = basket.session_started, basket.shown_total
        events = apply(now)
        kinds = {event.kind for event in events} & SESSION_EVENTS
        if kinds:
            self._site.site.turn_day(dt_util.as_local(now.utc))
        if EventKind.SESSION_STARTED in kinds:
            self._commander.forget_sent_total(device)
            self._site.site.count_start()
        if EventKind.SESSION_ENDED in kinds:
            events = self._sessions.end(device, events, started, shown_total, now)
        self._changed(device, events)
        if kinds:
            self._context.save_sessions()
        # A display shows 0 after a start, and the basket does not repeat contents that have not changed.
        if EventKind.SESSION_STARTED in kinds and self._running_total and basket.items:
            self._commander.queue_total(device)

    @callback
    def _on_availability(self, message: ReceiveMessage) -> None:
        online = parse_availability(payload_of(message))
        root = message.topic[:-_AVAILABILITY_TAIL]
        # The last will of a basket that was taken away, or deleted and then switched off, is no basket.
        if online is None or (not online and root not in self.by_root):
            return
        device = self._device(root)
        # A retained one tells how things are, not that the basket did something just now.
        if message.retain:
            device.basket.apply_retained_availability(online)
            self._changed(device, ())
        else:
            self._apply(device, partial(device.basket.apply_availability, online))

    def _device(self, root: str) -> BasketDevice:
        """Return a basket, a new one if it is admitted.

        Raises:
            MalformedMessageError: the basket is new, and not admitted.
        """
        device = self.by_root.get(root)
        if device is None:
            self._context.admit(DeviceKind.BASKET, basket_key(root), root, len(self.by_root))
            device = self._add(Basket(root, self._prices, self._settings.rules))
            self._context.build(device)
            self._count_soon()
        return device

    def _add(self, basket: Basket) -> BasketDevice:
        device = BasketDevice(
            basket,
            self._settings.topics.basket_name(basket.root),
            self._settings.currency,
            self._context.site_device_id,
            hidden=_hidden(len(self.by_root)),
        )
        device.connected = self._context.connected
        self.by_root[basket.root] = device
        return device

    def _changed(self, device: BasketDevice, events: tuple[BasketEvent, ...]) -> None:
        device.refresh()
        if events:
            device.fire_events(events, Context())
            self._count_soon()
        self._context.save_soon()

    def _count_soon(self) -> None:
        if not self._counting:
            self._counting = True
            self._cancel_count = async_call_later(self._context.hass, SITE_SECONDS, self._on_count)

    @callback
    def _on_count(self, _: datetime) -> None:
        self._counting = False
        self.summarise()

    @callback
    def stop(self) -> None:
        """Cancel the timer and withdraw the site's repair."""
        self._repairs.withdraw()
        if self._counting:
            self._counting = False
            self._cancel_count()


def _hidden(baskets: int) -> frozenset[str]:
    """Return the keys of the entities that the next basket beside so many others has disabled."""
    if baskets < MOST_LISTED_BASKETS:
        return frozenset()
    return LISTS if baskets < MOST_FULL_BASKETS else DISPENSABLE
