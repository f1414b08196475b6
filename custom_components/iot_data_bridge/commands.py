"""Commands to baskets: QoS 1, not retained, with a message expiry."""

import asyncio
from decimal import Decimal

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .clock import instant_now
from .const import DOMAIN, LOGGER
from .devices.basket_messages import LARGEST_TOTAL, encode_end, encode_start, encode_total
from .devices.products import MOST_NAMED_PRODUCTS
from .devices.sessions import Outcome
from .field_devices import BasketDevice
from .subscriptions import SiteSubscriptions


class BasketCommander:
    """Publishes the commands of one site; `expiry` in seconds.

    A session follows the commands received on the wire, our own included: one sent before the subscriptions to the
    command topics stand is never received, and the session's state would stay wrong. So commands wait for them.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, subscriptions: SiteSubscriptions, expiry: int) -> None:
        self._hass = hass
        self._subscriptions = subscriptions
        self._stopped = True
        self._entry = entry
        self._expiry: int | None = expiry
        self._queued_totals: dict[str, BasketDevice] = {}
        self._sending: asyncio.Task[None] | None = None

    @callback
    def start(self) -> None:
        """Send commands from now on."""
        self._stopped = False

    @callback
    def stop(self) -> None:
        """Send no more commands, neither queued nor begun ones."""
        self._stopped = True
        self._queued_totals.clear()
        if self._sending is not None:
            self._sending.cancel()

    @callback
    def set_expiry(self, expiry: int) -> None:
        """Change the message expiry, in seconds."""
        if self._expiry is not None:
            self._expiry = expiry

    async def async_start(self, device: BasketDevice) -> None:
        """Begin a session.

        Raises:
            HomeAssistantError: the broker did not take the command.
        """
        await self._async_publish(device, encode_start())

    async def async_end(self, device: BasketDevice) -> None:
        """End a session that was paid.

        Raises:
            HomeAssistantError: the broker did not take the command.
        """
        await self._async_end(device, Outcome.PAID)

    async def async_cancel(self, device: BasketDevice) -> None:
        """End a session that is no revenue. The basket gets the same command: the wire has only one.

        Raises:
            HomeAssistantError: the broker did not take the command.
        """
        await self._async_end(device, Outcome.CANCELLED)

    async def _async_end(self, device: BasketDevice, outcome: Outcome) -> None:
        device.sent_end.note(outcome, instant_now())
        try:
            await self._async_publish(device, encode_end())
        except HomeAssistantError:
            device.sent_end.withdraw()
            raise

    async def async_show_total(self, device: BasketDevice, total_price: Decimal | None = None) -> Decimal:
        """Show a total, or the one computed from the price list, and return it.

        Raises:
            ServiceValidationError: a product has no price, or the total is larger than displays show.
            HomeAssistantError: the broker did not take the command.
        """
        total, payload = total_command(device, total_price)
        await self._async_publish(device, payload)
        self._subscriptions.sent_totals[device.key] = total
        return total

    @callback
    def queue_total(self, device: BasketDevice) -> None:
        """Send the total soon; several changes before that make one command."""
        if self._stopped or device.basket.total is None:
            return
        self._queued_totals[device.key] = device
        if self._sending is None:
            self._sending = self._entry.async_create_background_task(
                self._hass, self._async_send_totals(), "iot_data_bridge running totals", eager_start=False
            )

    def sent_total(self, device: BasketDevice) -> Decimal | None:
        """Return the total that the broker took last in a basket's session; its echo may be lost."""
        return self._subscriptions.sent_totals.get(device.key)

    @callback
    def forget_sent_total(self, device: BasketDevice) -> None:
        """Take a new session's display as showing no total."""
        self._subscriptions.sent_totals.pop(device.key, None)

    @callback
    def discard_total(self, device: BasketDevice) -> None:
        """Cancel the queued total of a basket."""
        self._queued_totals.pop(device.key, None)

    async def _async_send_totals(self) -> None:
        try:
            while self._queued_totals:
                devices, self._queued_totals = list(self._queued_totals.values()), {}
                results = await asyncio.gather(
                    *(self.async_show_total(device) for device in devices), return_exceptions=True
                )
                for device, result in zip(devices, results, strict=True):
                    if isinstance(result, HomeAssistantError):
                        LOGGER.debug("The running total of %s was not sent: %s", device.basket.root, result)
                    elif isinstance(result, BaseException):
                        raise result
        finally:
            self._sending = None

    async def _async_publish(self, device: BasketDevice, payload: str) -> None:
        topic = f"{device.basket.root}/status"
        await self._subscriptions.async_wait_confirmed()
        if self._stopped:
            raise _not_sent("site_reloading", device)
        if not mqtt.is_connected(self._hass):
            # The client would report a failure and yet keep the command, to send it whenever the broker is back.
            raise _not_sent("broker_disconnected", device)
        try:
            await self._async_publish_with_expiry(topic, payload)
        except HomeAssistantError as error:
            raise _not_sent("publish_failed", device) from error

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


def _not_sent(key: str, device: BasketDevice) -> HomeAssistantError:
    # The text of another error would be in another language.
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={"basket": device.basket.root}
    )


def _listed(codes: tuple[str, ...]) -> str:
    named = ", ".join(codes[:MOST_NAMED_PRODUCTS])
    return named if len(codes) <= MOST_NAMED_PRODUCTS else f"{named}, …"


def total_command(device: BasketDevice, total_price: Decimal | None = None) -> tuple[Decimal, str]:
    """Return the total to show and the message that shows it.

    Raises:
        ServiceValidationError: a product has no price, the total is larger than displays show, or the contents are
            uncertain and the site refuses such totals.
    """
    basket = device.basket
    total = basket.total if total_price is None else total_price
    if total is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="unknown_product",
            translation_placeholders={"basket": basket.root, "products": _listed(basket.unknown)},
        )
    if total_price is None and basket.contents_uncertain and basket.rules.refuse_uncertain:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="contents_uncertain",
            translation_placeholders={"basket": basket.root},
        )
    total = device.currency.round(total)
    if total > LARGEST_TOTAL:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="total_too_large",
            translation_placeholders={"basket": basket.root, "largest": f"{LARGEST_TOTAL:,}"},
        )
    return total, encode_total(basket.basket_id, total)
