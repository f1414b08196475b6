"""The devices of the field as Home Assistant holds them: the model, its entry in the registry, its entities."""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from homeassistant.core import Context
from homeassistant.helpers.device_registry import DeviceInfo

from .const import DOMAIN
from .devices.basket import Basket, BasketEvent
from .devices.bridged import Bridge, BridgedDevice, Hello
from .devices.identity import basket_key, bridge_key, bridged_key, printer_key, site_key
from .devices.money import Currency
from .devices.printer import Printer
from .devices.site import Site

type EventSink = Callable[[BasketEvent, Context], None]

# An event entity that is still being added takes its first events from here; a disabled one never does.
MOST_WAITING_EVENTS = 1000


class Fact[ValueT](Protocol):
    """An entity that shows a fact of a device."""

    def read(self) -> ValueT:
        """Return the fact."""

    def write(self, value: ValueT, context: Context) -> None:
        """Write a fact that differs from what is shown."""


class FieldDevice:
    """One device; `key` identifies it on the wire and in storage, for example `basket:basket/1`."""

    def __init__(self, key: str, info: DeviceInfo) -> None:
        self.key = key
        self.info = info
        self.info["identifiers"] = {(DOMAIN, key)}
        # Whether what the device says can reach us.
        self.reachable = True
        # Three lists side by side: to compare, which is done for every message, no entity need be touched.
        self._facts: list[Fact[Any]] = []
        self._reads: list[Callable[[], object]] = []
        self._shown: list[object] = []
        self._watchers: list[Callable[[], None]] = []
        self._claimed: set[str] = set()

    def claim(self, unique_id: str) -> bool:
        """Reserve a unique id for an entity that is about to be built; False when there is one already."""
        if unique_id in self._claimed:
            return False
        self._claimed.add(unique_id)
        return True

    def release(self, unique_id: str) -> None:
        """Let an entity be built again after it was removed for good."""
        self._claimed.discard(unique_id)

    def follow(self, entity: Fact[Any], shown: object) -> Callable[[], None]:
        """Let an entity that shows `shown` follow the device until the returned function is called."""
        self._facts.append(entity)
        self._reads.append(entity.read)
        self._shown.append(shown)

        def leave() -> None:
            index = self._facts.index(entity)
            del self._facts[index], self._reads[index], self._shown[index]

        return leave

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Tell when the device can be heard no more, or again, until the returned function is called."""
        self._watchers.append(watcher)
        return partial(self._watchers.remove, watcher)

    def refresh(self) -> Context | None:
        """Let every entity write what changed, and return the cause they wrote. This runs for every message."""
        context: Context | None = None
        shown = self._shown
        for index, read in enumerate(self._reads):
            value = read()
            if value != shown[index]:
                shown[index] = value
                if context is None:
                    # What one message changes has one cause.
                    context = Context()
                self._facts[index].write(value, context)
        return context

    def reach(self, reachable: bool) -> None:
        """Show whether the device can be heard."""
        if reachable != self.reachable:
            self.reachable = reachable
            for watcher in self._watchers:
                watcher()


class BasketDevice(FieldDevice):
    """A smart basket."""

    def __init__(self, basket: Basket, currency: Currency, site_device_id: str, *, lean: bool) -> None:
        super().__init__(
            basket_key(basket.root),
            DeviceInfo(
                model="Smart basket",
                translation_key="basket",
                translation_placeholders={"name": basket.name},
                via_device_id=site_device_id,
            ),
        )
        self.basket = basket
        self.currency = currency
        # Whether only what every shop needs is enabled when the basket is first seen.
        self.lean = lean
        self.waiting_events: deque[tuple[BasketEvent, Context]] = deque(maxlen=MOST_WAITING_EVENTS)
        self._event_sink: EventSink | None = None

    def attach_event_sink(self, sink: EventSink) -> Callable[[], None]:
        """Send events to `sink`, beginning with those that wait, until the returned function is called."""
        self._event_sink = sink
        while self.waiting_events:
            sink(*self.waiting_events.popleft())

        def detach() -> None:
            self._event_sink = None

        return detach

    def tell(self, events: Iterable[BasketEvent], context: Context) -> None:
        """Pass on what happened, each one by itself, and the cause."""
        for event in events:
            if self._event_sink is None:
                self.waiting_events.append((event, context))
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

    def introduce(self, hello: Hello) -> bool:
        """Take how the bridge introduces itself, and tell whether that is news."""
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

    def __init__(self, entry_id: str, site: Site, currency: Currency, info: DeviceInfo) -> None:
        super().__init__(site_key(entry_id), info)
        self.site = site
        self.currency = currency
