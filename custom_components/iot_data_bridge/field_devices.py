"""Devices in Home Assistant: the model, its entry in the registry, its entities."""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from homeassistant.core import Context
from homeassistant.helpers.device_registry import DeviceInfo

from .const import DOMAIN, LOGGER
from .devices.basket import Basket
from .devices.basket_events import BasketEvent
from .devices.bridged import Bridge, BridgedDevice, Hello
from .devices.identity import basket_key, bridge_key, bridged_key, printer_key, site_key
from .devices.money import Currency
from .devices.printer import Printer
from .devices.sessions import SentEnd
from .devices.site import Site

type EventSink = Callable[[BasketEvent, Context], None]

# An event entity that is still being added takes its first events from this queue; a disabled one never does.
MOST_QUEUED_EVENTS = 1000


class ValueWriter[ValueT](Protocol):
    """An entity that shows one value of a device."""

    def read(self) -> ValueT:
        """Return the current value."""

    def write(self, value: ValueT) -> None:
        """Write the state for a value that changed."""


class FieldDevice:
    """One device; `key` identifies it on the wire and in storage, for example `basket:basket/1`."""

    def __init__(self, key: str, info: DeviceInfo) -> None:
        self.key = key
        self.info = info
        self.info["identifiers"] = {(DOMAIN, key)}
        # Whether messages of the device can arrive.
        self.connected = True
        # Three parallel lists: comparing values, which every message does, touches no entity.
        self._entities: list[ValueWriter[Any]] = []
        self._reads: list[Callable[[], object]] = []
        self._shown: list[object] = []
        self._availability_listeners: list[Callable[[], None]] = []
        self._claimed: set[str] = set()

    def claim(self, unique_id: str) -> bool:
        """Reserve a unique id for an entity that is about to be built; False when there is one already."""
        if unique_id in self._claimed:
            return False
        self._claimed.add(unique_id)
        return True

    def release(self, unique_id: str) -> None:
        """Let an entity be built again after it was removed from the registry."""
        self._claimed.discard(unique_id)

    def add_entity(self, entity: ValueWriter[Any], shown: object) -> Callable[[], None]:
        """Keep the state of an entity up to date, which shows `shown` now, until the returned function is called."""
        self._entities.append(entity)
        self._reads.append(entity.read)
        self._shown.append(shown)

        def remove() -> None:
            index = self._entities.index(entity)
            del self._entities[index], self._reads[index], self._shown[index]

        return remove

    def add_availability_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` at each change of `connected`, until the returned function is called."""
        self._availability_listeners.append(listener)
        return partial(self._availability_listeners.remove, listener)

    def refresh(self) -> None:
        """Write the states that changed. This runs for every message."""
        shown = self._shown
        for index, read in enumerate(self._reads):
            value = read()
            if value != shown[index]:
                shown[index] = value
                # Without a context: the first of several states with one would be taken for the cause of the others.
                self._entities[index].write(value)

    def set_connected(self, connected: bool) -> None:
        """Make the device's entities available or unavailable."""
        if connected != self.connected:
            self.connected = connected
            for listener in self._availability_listeners:
                listener()


class BasketDevice(FieldDevice):
    """A smart basket."""

    def __init__(
        self, basket: Basket, name: str, currency: Currency, site_device_id: str, *, hidden: frozenset[str]
    ) -> None:
        super().__init__(
            basket_key(basket.root),
            DeviceInfo(
                model="Smart basket",
                translation_key="basket",
                translation_placeholders={"name": name},
                via_device_id=site_device_id,
            ),
        )
        self.basket = basket
        self.currency = currency
        # The keys of the entities that are registered disabled.
        self.hidden = hidden
        self.sent_end = SentEnd()
        self.queued_events: deque[tuple[BasketEvent, Context]] = deque(maxlen=MOST_QUEUED_EVENTS)
        self.lost_events = 0
        self._event_sink: EventSink | None = None

    def attach_event_sink(self, sink: EventSink) -> Callable[[], None]:
        """Send events to `sink`, the queued ones first, until the returned function is called."""
        self._event_sink = sink
        if self.lost_events:
            LOGGER.warning(
                "The basket %s had %s events more than are kept until its event entity is there",
                self.basket.root,
                self.lost_events,
            )
            self.lost_events = 0
        while self.queued_events:
            sink(*self.queued_events.popleft())

        def detach() -> None:
            self._event_sink = None

        return detach

    def fire_events(self, events: Iterable[BasketEvent], context: Context) -> None:
        """Fire the events of one message with their common context."""
        for event in events:
            if self._event_sink is None:
                self.lost_events += len(self.queued_events) == MOST_QUEUED_EVENTS
                self.queued_events.append((event, context))
            else:
                self._event_sink(event, context)


class PrinterDevice(FieldDevice):
    """A 3D printer."""

    def __init__(self, printer: Printer, site_device_id: str) -> None:
        super().__init__(
            printer_key(printer.uuid),
            DeviceInfo(
                model="3D printer (OctoPrint, FACTOR)",
                serial_number=printer.uuid,
                translation_key="printer",
                translation_placeholders={"name": printer.uuid.split("-", maxsplit=1)[0]},
                via_device_id=site_device_id,
            ),
        )
        self.printer = printer


class BridgeDevice(FieldDevice):
    """A bridge."""

    def __init__(self, bridge: Bridge, site_device_id: str) -> None:
        info = DeviceInfo(model="IoT Data Bridge", name=bridge.name, via_device_id=site_device_id)
        if bridge.version is not None:
            info["sw_version"] = bridge.version
        super().__init__(bridge_key(bridge.bridge_id), info)
        self.bridge = bridge

    def apply_hello(self, hello: Hello) -> bool:
        """Apply the bridge's hello; False when it changes nothing."""
        if (self.bridge.name, self.bridge.version) == (hello.name, hello.version):
            return False
        self.bridge.name, self.bridge.version = hello.name, hello.version
        self.info["name"] = hello.name
        if hello.version is not None:
            self.info["sw_version"] = hello.version
        return True


class BridgedFieldDevice(FieldDevice):
    """A device behind a bridge."""

    def __init__(self, device: BridgedDevice, bridge: BridgeDevice, bridge_device_id: str) -> None:
        super().__init__(
            bridged_key(device.bridge.bridge_id, device.device_id),
            DeviceInfo(name=device.name, model="Bridged device", via_device_id=bridge_device_id),
        )
        self.device = device
        self.bridge = bridge


class SiteDevice(FieldDevice):
    """The shop itself."""

    def __init__(self, entry_id: str, site: Site, info: DeviceInfo) -> None:
        super().__init__(site_key(entry_id), info)
        self.site = site
