"""A config entry's settings as values with types."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .const import (
    CONF_ACCEPT_DEVICES,
    CONF_ACCEPT_UNTIL,
    CONF_BASKET_ROOTS,
    CONF_BRIDGE_ID,
    CONF_COMMAND_EXPIRY,
    CONF_CURRENCY,
    CONF_PRINTERS,
    CONF_REFUSE_UNCERTAIN,
    CONF_RUNNING_TOTAL,
    CONF_SESSION_DAYS,
    CONF_SILENCE_MINUTES,
    DEFAULT_BASKET_ROOTS,
    DEFAULT_COMMAND_EXPIRY,
    DEFAULT_SESSION_DAYS,
    DEFAULT_SILENCE_MINUTES,
    EVERY_BRIDGE,
)
from .devices.admission import Acceptance, accepted_until
from .devices.basket import BasketRules
from .devices.money import Currency
from .devices.topics import SiteTopics


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The topics and options of a site.

    Attributes:
        command_expiry: seconds after which the broker drops a command that its basket did not take.
        accept_until: until when new devices are accepted, None for always.
        keep_sessions: how long the record of a session is kept.
    """

    topics: SiteTopics
    currency: Currency
    rules: BasketRules
    command_expiry: int
    accept_until: datetime | None = None
    keep_sessions: timedelta = timedelta(days=DEFAULT_SESSION_DAYS)

    @classmethod
    def of(cls, hass: HomeAssistant, entry: ConfigEntry) -> Self:
        """Read the settings of an entry."""
        options = entry.options
        expiry: int = options.get(CONF_COMMAND_EXPIRY, DEFAULT_COMMAND_EXPIRY)
        minutes: int = options.get(CONF_SILENCE_MINUTES, DEFAULT_SILENCE_MINUTES)
        return cls(
            topics=topics_of(entry),
            currency=Currency(options.get(CONF_CURRENCY, hass.config.currency)),
            rules=BasketRules(
                silence=timedelta(minutes=minutes) if minutes else None,
                running_total=options.get(CONF_RUNNING_TOTAL, False),
                command_expiry=timedelta(seconds=expiry),
                refuse_uncertain=options.get(CONF_REFUSE_UNCERTAIN, False),
            ),
            command_expiry=expiry,
            accept_until=accepted_until(
                Acceptance(options.get(CONF_ACCEPT_DEVICES, Acceptance.ALWAYS)),
                dt_util.parse_datetime(options.get(CONF_ACCEPT_UNTIL, "")),
            ),
            keep_sessions=timedelta(days=options.get(CONF_SESSION_DAYS, DEFAULT_SESSION_DAYS)),
        )


def topics_of(entry: ConfigEntry) -> SiteTopics:
    """Return the topic namespace of an entry."""
    data = entry.data
    return SiteTopics(
        basket_roots=tuple(data.get(CONF_BASKET_ROOTS, DEFAULT_BASKET_ROOTS)),
        printers=data.get(CONF_PRINTERS, True),
        bridge_id=data.get(CONF_BRIDGE_ID, EVERY_BRIDGE),
    )
