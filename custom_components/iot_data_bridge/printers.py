"""Printers: one status topic each."""

from collections.abc import Iterable
from typing import override

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import callback

from .clock import instant_now
from .device_collection import DeviceCollection, Handler, SiteContext, payload_of
from .devices.admission import DeviceKind
from .devices.dialects.factor import parse_status
from .devices.identity import printer_key
from .devices.instant import Instant
from .devices.json_values import JsonObject, JsonValue
from .devices.printer import Printer
from .devices.topics import FACTOR_STATUS_PREFIX, Channel
from .field_devices import PrinterDevice

_FACTOR_HEAD = len(FACTOR_STATUS_PREFIX)


class Printers(DeviceCollection):
    """The printers of a site, by their uuids."""

    def __init__(self, context: SiteContext) -> None:
        super().__init__(context)
        self.by_uuid: dict[str, PrinterDevice] = {}

    @override
    def devices(self) -> Iterable[PrinterDevice]:
        return self.by_uuid.values()

    @override
    def handlers(self) -> dict[Channel, Handler]:
        return {Channel.FACTOR_STATUS: self._on_factor_status}

    @override
    def restore(self, stored: JsonValue) -> None:
        printer = Printer.from_json(stored)
        if self._context.reads(printer_key(printer.uuid)):
            self._add(printer)

    @override
    def stored(self) -> list[JsonObject]:
        return [device.printer.as_json() for device in self.by_uuid.values()]

    @override
    def remove(self, key: str) -> bool:
        device = next((device for device in self.by_uuid.values() if device.key == key), None)
        if device is None:
            return False
        del self.by_uuid[device.printer.uuid]
        return True

    @override
    def check_timeouts(self, now: Instant) -> None:
        for device in self.by_uuid.values():
            if device.printer.check_timeouts(now):
                device.refresh()

    @callback
    def _on_factor_status(self, message: ReceiveMessage) -> None:
        report = parse_status(payload_of(message))
        uuid = message.topic[_FACTOR_HEAD:]
        device = self.by_uuid.get(uuid)
        if device is None:
            self._context.admit(DeviceKind.PRINTER, printer_key(uuid), uuid, len(self.by_uuid))
            device = self._add(Printer(uuid))
            self._context.build(device)
        if message.retain:
            device.printer.apply_retained(report)
        else:
            device.printer.apply(report, instant_now())
        device.refresh()
        self._context.save_soon()

    def _add(self, printer: Printer) -> PrinterDevice:
        device = PrinterDevice(printer, self._context.site_device_id)
        device.connected = self._context.connected
        self.by_uuid[printer.uuid] = device
        return device
