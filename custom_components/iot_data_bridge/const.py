"""Names that several modules share."""

import logging
from typing import Final

DOMAIN: Final = "iot_data_bridge"
LOGGER: Final = logging.getLogger(__package__)

# Of config entries; migration.py tells what each changed.
VERSION: Final = 2

CONF_BASKET_ROOTS: Final = "basket_roots"
CONF_BRIDGE_ID: Final = "bridge_id"
CONF_PRINTERS: Final = "printers"

CONF_ACCEPT_DEVICES: Final = "accept_devices"
# The end of the ten minutes, ISO 8601; not shown in any form.
CONF_ACCEPT_UNTIL: Final = "accept_devices_until"
CONF_COMMAND_EXPIRY: Final = "command_expiry"
CONF_CURRENCY: Final = "currency"
CONF_REFUSE_UNCERTAIN: Final = "refuse_uncertain"
CONF_RUNNING_TOTAL: Final = "running_total"
CONF_SESSION_DAYS: Final = "session_days"
CONF_SILENCE_MINUTES: Final = "silence_minutes"

# Fired for each event of a basket, which the activity log tells as a sentence.
EVENT_BASKET_ACTIVITY: Final = f"{DOMAIN}_basket_activity"

DEFAULT_BASKET_ROOTS: Final = ("basket/+", "basket/+/+")
DEFAULT_COMMAND_EXPIRY: Final = 60
DEFAULT_SESSION_DAYS: Final = 365
DEFAULT_SILENCE_MINUTES: Final = 15
EVERY_BRIDGE: Final = "+"
