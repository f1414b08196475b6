"""What Home Assistant tells baskets: QoS 1, not retained, and forgotten by the broker when it comes too late."""

import asyncio
from contextlib import suppress
from decimal import Decimal

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import DOMAIN, LOGGER
from .devices.basket_messages import CommandKind, encode_end, encode_start, encode_total
from .field_devices import BasketDevice

# A command must reach its basket even where the broker never lets us hear it.
HEARING_SECONDS = 5.0


class BasketCommander:
    """Publishes the commands of one site; `expiry` in seconds.

    A session is what the wire tells, our own commands included: one that is sent before our subscriptions to the
    command topics stand would never be heard, and the session's state would stay wrong. So commands wait for them.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, expiry: int) -> None:
        self._hass = hass
        self._entry = entry
        self._expiry: int | None = expiry
        self._owed: dict[str, BasketDevice] = {}
        self._paying: asyncio.Task[None] | None = None
        self._filters: frozenset[str] = frozenset()
        self._unheard: set[str] = set()
        self._hears = asyncio.Event()
        self._hears.set()

    @callback
    def expect(self, topic_filter: str) -> None:
        """Wait for this subscription to command topics before commands are sent."""
        self._filters |= {topic_filter}
        self._unheard.add(topic_filter)
        self._hears.clear()

    @callback
    def hear(self, topic_filter: str) -> None:
        """Know that the broker confirmed a subscription."""
        self._unheard.discard(topic_filter)
        if not self._unheard:
            self._hears.set()

    @callback
    def lose(self) -> None:
        """Know that the connection is gone, and the subscriptions with it."""
        for topic_filter in self._filters:
            self.expect(topic_filter)

    async def async_start(self, device: BasketDevice) -> None:
        """Begin a session.

        Raises:
            HomeAssistantError: the broker did not take the command.
        """
        await self._async_publish(device, CommandKind.START, encode_start())

    async def async_end(self, device: BasketDevice) -> None:
        """End a session.

        Raises:
            HomeAssistantError: the broker did not take the command.
        """
        await self._async_publish(device, CommandKind.END, encode_end())

    async def async_show_total(self, device: BasketDevice, total_price: Decimal | None = None) -> Decimal:
        """Show a total, or the one computed from the price list, and return it.

        Raises:
            ServiceValidationError: a product has no price, or the basket's id is not known.
            HomeAssistantError: the broker did not take the command.
        """
        total, payload = total_command(device, total_price)
        await self._async_publish(device, CommandKind.TOTAL, payload)
        return total

    @callback
    def owe_total(self, device: BasketDevice) -> None:
        """Send the total soon; of several changes in between only the last is told."""
        if device.basket.total is None or device.basket.address is None:
            return
        self._owed[device.key] = device
        if self._paying is None:
            self._paying = self._entry.async_create_background_task(
                self._hass, self._async_pay(), "iot_data_bridge running totals", eager_start=False
            )

    @callback
    def forgive_total(self, device: BasketDevice) -> None:
        """Send no total that is still owed to a basket."""
        self._owed.pop(device.key, None)

    async def _async_pay(self) -> None:
        try:
            while self._owed:
                devices, self._owed = list(self._owed.values()), {}
                results = await asyncio.gather(
                    *(self.async_show_total(device) for device in devices), return_exceptions=True
                )
                for device, result in zip(devices, results, strict=True):
                    if isinstance(result, HomeAssistantError):
                        LOGGER.debug("The running total of %s was not sent: %s", device.basket.root, result)
                    elif isinstance(result, BaseException):
                        raise result
        finally:
            self._paying = None

    async def _async_publish(self, device: BasketDevice, kind: CommandKind, payload: str) -> None:
        topic = f"{device.basket.root}/status"
        if not self._hears.is_set() and mqtt.is_connected(self._hass):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hears.wait(), HEARING_SECONDS)
        if not mqtt.is_connected(self._hass):
            # The client would report a failure and yet keep the command, to send it whenever the broker is back.
            raise _publish_failed(device, kind, "no connection to the MQTT broker")
        try:
            await self._async_publish_with_expiry(topic, payload)
        except HomeAssistantError as error:
            raise _publish_failed(device, kind, str(error)) from error

    async def _async_publish_with_expiry(self, topic: str, payload: str) -> None:
        if self._expiry is not None:
            try:
                await mqtt.async_publish(self._hass, topic, payload, 1, False, message_expiry_interval=self._expiry)
            except ServiceValidationError as error:
                if error.translation_key != "mqtt_message_expiry_interval_not_supported":
                    raise
                LOGGER.warning(
                    "The MQTT integration does not speak protocol version 5, so a command that a basket missed stays"
                    " valid as long as the broker keeps it; choose version 5 in the MQTT integration's settings"
                )
                self._expiry = None
            else:
                return
        await mqtt.async_publish(self._hass, topic, payload, 1, False)


def _publish_failed(device: BasketDevice, kind: CommandKind, error: str) -> HomeAssistantError:
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="publish_failed",
        translation_placeholders={"basket": device.basket.root, "command": kind, "error": error},
    )


def total_command(device: BasketDevice, total_price: Decimal | None = None) -> tuple[Decimal, str]:
    """Return the total to show and the message that shows it.

    Raises:
        ServiceValidationError: a product has no price, or the basket's id is not known.
    """
    basket = device.basket
    total = basket.total if total_price is None else total_price
    if total is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="unknown_product",
            translation_placeholders={"basket": basket.root, "products": ", ".join(basket.unknown)},
        )
    if (address := basket.address) is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="basket_id_unknown",
            translation_placeholders={"basket": basket.root},
        )
    total = device.currency.round(total)
    return total, encode_total(address, total)
