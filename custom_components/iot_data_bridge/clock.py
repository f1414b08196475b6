"""The clock of the integration."""

import time
from datetime import timedelta

from homeassistant.util import dt as dt_util

from .devices.instant import Instant


def instant_now() -> Instant:
    """Return the current instant."""
    return Instant(timedelta(seconds=time.monotonic()), dt_util.utcnow())
