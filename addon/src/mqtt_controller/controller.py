"""The basket itself: what a command and a polling cycle do to session, display and updates.

Everything happens in the thread that calls; the program's loop (`program.py`) is the only one that does.
"""

import logging
from decimal import Decimal
from typing import Protocol

from mqtt_controller.allowance import Allowance
from mqtt_controller.commands import Command, End, Start, Total
from mqtt_controller.displays import Display, DisplayError, Lines, PriceFormat, total_lines
from mqtt_controller.messages import session_payload, told_id, update_payload
from mqtt_controller.poller import Cycle
from mqtt_controller.presence import Presence, Snapshot
from mqtt_controller.session import Session

# So many changes at once, and then so many a second, reach the display: more than anybody reads.
CHANGES_AT_ONCE = 20
CHANGES_PER_SECOND = 5.0

log = logging.getLogger(__name__)


class Polling(Protocol):
    """What begins and ends the polling of the readers."""

    def start(self, session: int) -> None:
        """Begin to report cycles that carry `session`."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class Updates(Protocol):
    """Where the contents go."""

    def send(self, payload: bytes) -> bool:
        """Hand one update to the broker; return False when there is no connection."""
        ...


class Controller:
    """One basket."""

    def __init__(
        self,
        basket_id: str,
        polling: Polling,
        display: Display,
        updates: Updates,
        *,
        price_format: PriceFormat | None = None,
        session: Session | None = None,
    ) -> None:
        self._session = session or Session()
        self._price_format = price_format or PriceFormat()
        self._basket_id = basket_id
        self._polling = polling
        self._display = display
        self._updates = updates
        self._presence = Presence()
        self._announced = False  # the contents were sent in this session
        self._snapshot: Snapshot | None = None
        self._unsent = False
        self._display_works = True
        self._changes = Allowance(CHANGES_AT_ONCE, CHANGES_PER_SECOND)
        self._lines: Lines | None = None
        self._drawn = False
        self._foreign_tags: frozenset[bytes] = frozenset()
        # An LCD keeps what it showed when the program before this one was killed.
        self._show(None)

    @property
    def active(self) -> bool:
        """Tell whether a session runs."""
        return self._session.active

    def session(self) -> bytes:
        """Return what is to be said of the session."""
        return session_payload(self._basket_id, active=self._session.active, since=self._session.since)

    def obey(self, command: Command) -> None:
        """Do what a server says."""
        match command:
            case Start():
                self._start()
            case End():
                self._end()
            case Total(total_price, basket_id):
                self._total(total_price, basket_id)

    def cycle(self, cycle: Cycle) -> None:
        """Take one polling cycle, and send the contents if they changed or were not sent in this session."""
        if not self.active or cycle.session != self._session.number:
            return
        self._presence.cycle(cycle.sightings)
        self._report_foreign_tags()
        snapshot = self._presence.snapshot()
        if self._announced and snapshot == self._snapshot:
            return
        self._announced = True
        self._snapshot = snapshot
        self._send()

    def send_again(self) -> None:
        """Send again what the server may have missed while the broker was away.

        An update has QoS 0 and may have gone into a dead connection, so a running session always sends; after its end
        only what could not be sent, for `end` itself proved the connection.
        """
        if self._snapshot is not None and (self._unsent or (self.active and self._announced)):
            self._send()

    def close(self) -> None:
        """End the session that may run: display dark, readers idle."""
        if self.active:
            self._end()
        if not self._drawn:
            self._draw()

    def refresh(self) -> None:
        """Bring the display up to date, where it changes too often to show every change; several times a second."""
        if not self._drawn and self._changes.take():
            self._draw()

    def _start(self) -> None:
        if self.active:
            return
        self._session.begin()
        self._announced = False
        # Whoever takes the basket now is another customer: what lay in it last is not known to be there.
        self._presence.clear()
        self._show(total_lines(0, self._price_format))
        self._polling.start(self._session.number)
        log.info("Session started")

    def _end(self) -> None:
        if not self.active:
            return
        self._session.end()
        self._polling.stop()
        self._show(None)
        log.info("Session ended")

    def _total(self, total_price: Decimal, basket_id: int | str | None) -> None:
        if not self.active:
            log.debug("Ignored a total before a start")
        elif basket_id is not None and basket_id != told_id(self._basket_id):
            log.debug("Ignored a total for basket %.40r", basket_id)
        else:
            self._show(total_lines(total_price, self._price_format))

    def _send(self) -> None:
        if self._snapshot is not None:
            self._unsent = not self._updates.send(update_payload(self._basket_id, self._snapshot))

    def _show(self, lines: Lines | None) -> None:
        self._lines = lines
        self._drawn = False
        self.refresh()

    def _draw(self) -> None:
        self._drawn = True
        try:
            if self._lines is None:
                self._display.off()
            else:
                self._display.show(self._lines)
        except DisplayError as error:
            if self._display_works:
                log.error("Display: %s; the basket goes on without it", error)  # noqa: TRY400 -- no trace: the text says it
            self._display_works = False
        else:
            self._display_works = True

    def _report_foreign_tags(self) -> None:
        foreign = self._presence.foreign_tags()
        for epc in foreign - self._foreign_tags:
            log.warning("Tag %s carries no product code and is not counted", epc.hex().upper())
        self._foreign_tags = foreign
