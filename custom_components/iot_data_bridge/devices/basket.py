"""The model of a smart basket: contents, session, money and events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from .basket_events import BasketEvent, EventKind, limited
from .basket_messages import (
    BasketCommand,
    BasketId,
    BasketUpdate,
    CommandKind,
    ControllerSession,
    Detail,
    DetailValue,
    same_basket,
)
from .basket_session import BasketSession, SessionChange
from .controller_watch import ControllerWatch
from .errors import MalformedMessageError
from .instant import Instant
from .products import PriceList
from .shown_total import ShownTotal


class Problem(StrEnum):
    """The reasons of a basket's problem, the most urgent first."""

    ITEMS_WITHOUT_SESSION = "items_without_session"
    OTHER_ID = "other_id"
    CONTENTS_ALTERNATE = "contents_alternate"
    UNKNOWN_PRODUCT = "unknown_product"
    TOTAL_DIFFERS = "total_differs"
    UNREADABLE = "unreadable"
    SILENT = "silent"
    CONTROLLER_ERROR = "controller_error"


@dataclass(frozen=True, slots=True)
class BasketRules:
    """The options of a site that concern its baskets.

    Attributes:
        silence: after how long without a message an active basket is a problem; None for never.
        running_total: whether we send a total after each update.
        command_expiry: after how long a basket cannot hear a command any more.
        refuse_uncertain: whether a total of uncertain contents is not computed.
    """

    silence: timedelta | None = None
    running_total: bool = False
    command_expiry: timedelta = timedelta(seconds=60)
    refuse_uncertain: bool = False


@dataclass(slots=True)
class Basket:
    """One basket. The methods apply messages in the order of their arrival and return the events.

    Contents are those of the last snapshot: controllers do not repeat it, so it is kept over sessions and restarts.

    Attributes:
        online: whether the basket is there, as far as it was heard; None before.
        announced: the controller's own last word, its last will included; None without one. Not stored.
        certain: whether the contents are those of the last update, which is not known when one may have been missed.
    """

    root: str
    prices: PriceList
    rules: BasketRules
    controller: ControllerWatch = field(default_factory=ControllerWatch)
    contents: dict[str, int] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    details: dict[Detail, DetailValue] = field(default_factory=dict)
    session: BasketSession = field(default_factory=BasketSession)
    certain: bool = False
    last_activity: datetime | None = None
    online: bool | None = None
    announced: bool | None = field(default=None, compare=False)
    display: ShownTotal = field(default_factory=ShownTotal)
    budget: Decimal | None = None
    silent: bool = False
    # The last message on the update topic could not be read: the contents are those of the one before.
    unreadable: bool = False
    # Items left by a session were paid for or put back; a change outside a session was seen by no server.
    moved_without_session: bool = False
    quiet_since: Instant | None = field(default=None, compare=False)
    # Derived from the fields above; stored because every entity reads them.
    items: int = 0
    total: Decimal | None = Decimal(0)
    priced: Decimal = Decimal(0)
    unknown: tuple[str, ...] = ()
    # Counts the changes of the lines of the basket's list: contents, prices, ticks.
    revision: int = 0

    @property
    def active(self) -> bool:
        """Tell whether a session runs."""
        return self.session.started is not None

    @property
    def session_started(self) -> datetime | None:
        """Return the beginning of the running session, None without one."""
        return self.session.started

    @property
    def shows_totals(self) -> bool:
        """Tell whether the basket shows a total: it may have obeyed a `start` that it has not confirmed yet."""
        return self.active or (self.session.requested and self.announced is True)

    @property
    def contents_uncertain(self) -> bool:
        """Tell whether the contents of a basket in use may be older than its last update."""
        return not self.certain and self.session.started is not None

    @property
    def over_budget(self) -> bool:
        """Tell whether the contents cost more than the budget; products without a price cost nothing here."""
        return self.budget is not None and self.priced > self.budget

    @property
    def basket_id(self) -> BasketId | None:
        """Return the id that the basket told."""
        return self.controller.basket_id

    @property
    def shown_total(self) -> Decimal | None:
        """Return the total on the display, None when none was shown in this session."""
        return self.display.amount

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Return the products without a price; of no price list nothing is missing."""
        return self.unknown if self.unknown and len(self.prices) else ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return the current problems, the most urgent first."""
        controller, difference = self.controller, self.display.difference
        if not (
            self.unknown
            or self.silent
            or self.unreadable
            or self.details
            or self.moved_without_session
            or difference is not None
            or controller.alternations
            or controller.other_id
        ):
            return ()
        present = {
            Problem.ITEMS_WITHOUT_SESSION: self.moved_without_session,
            Problem.OTHER_ID: controller.other_id,
            Problem.CONTENTS_ALTERNATE: controller.contents_alternate,
            Problem.UNKNOWN_PRODUCT: self.unpriced,
            Problem.TOTAL_DIFFERS: difference is not None and self.total is not None,
            Problem.UNREADABLE: self.unreadable,
            Problem.SILENT: self.silent,
            Problem.CONTROLLER_ERROR: self.details.get(Detail.ERROR),
        }
        return tuple(problem for problem in Problem if present[problem])

    def apply_update(self, update: BasketUpdate, now: Instant) -> tuple[BasketEvent, ...]:
        """Apply a snapshot of the contents and the details.

        Raises:
            MalformedMessageError: `other_id`: the message is of another basket, the first one's is kept.
        """
        if not self.controller.accept(update.basket_id, now):
            raise MalformedMessageError("other_id")
        begun = self._confirm(now)
        self.unreadable = False
        self._describe(update)
        contents = update.contents
        if contents is None:
            return begun
        self.certain = True
        if contents == self.contents:
            return begun
        total_before = self.total
        before, self.contents = self.contents, contents
        self.moved_without_session = bool(contents) and self.session.known and not self.session.covers(now)
        self.controller.change(before, contents, now)
        events = self._move(before, contents)
        if self.checked:
            # Ticked means seen by staff: a piece that came since was not.
            self.checked = {code for code in self.checked if code in contents and contents[code] <= before.get(code, 0)}
        self.display.follow(total_before, self.total, now, running=self.rules.running_total)
        return begun + events

    def apply_retained(self, update: BasketUpdate) -> None:
        """Apply a retained snapshot: it is the state of an unknown time, not an activity of the basket."""
        self.controller.restore(update.basket_id, None)
        self.certain = False
        self._describe(update)
        if update.contents is not None:
            self.contents = update.contents
            self.price_contents()

    def apply_command(self, command: BasketCommand, now: Instant) -> tuple[BasketEvent, ...]:
        """Apply a command of this or another server."""
        expires = now + self.rules.command_expiry
        match command.kind:
            case CommandKind.START:
                return self._change(self.session.start(now, expires, self._listens), now)
            case CommandKind.END:
                return self._change(self.session.end(now, expires, self._listens), now)
            case CommandKind.TOTAL:
                return self._show(command, now)

    def apply_session(self, session: ControllerSession | None, now: Instant) -> tuple[BasketEvent, ...]:
        """Apply the controller's own word on its session, or its withdrawal.

        Raises:
            MalformedMessageError: `other_id`: the message is of another basket, the first one's is kept.
        """
        if session is None:
            self.session.forget_controller()
            return ()
        if not self.controller.accept(session.basket_id, now):
            raise MalformedMessageError("other_id")
        return self._change(self.session.tell(session, now), now)

    def apply_availability(self, online: bool, now: Instant) -> tuple[BasketEvent, ...]:
        """Apply the controller's last will or birth message."""
        self.announced = online
        if online:
            return self._confirm(now)
        self.online = False
        return ()

    def apply_retained_availability(self, online: bool) -> None:
        """Apply a retained availability: it is a state, not an activity of the basket."""
        self.announced = self.online = online

    def check_session(self, now: Instant) -> tuple[BasketEvent, ...]:
        """Give up waiting for an answer to a command that has expired."""
        return self._change(self.session.check(now), now)

    def restore_session(self, started: datetime | None) -> None:
        """Continue with the session that was stored last, which may be newer than the rest that was stored."""
        if started == self.session.started:
            return
        if started is None:
            self.budget = None
        else:
            self.checked.clear()
        self.moved_without_session = False
        self.display.clear()
        self.session.restore(started)

    def check_timeouts(self, now: Instant, subscribed_since: Instant | None) -> bool:
        """Apply timeouts: silence, a total that is overdue. Return whether anything changed.

        `subscribed_since` is the beginning of the current gapless subscription, None without one.
        """
        before, self.silent = self.silent, self._is_silent(now, subscribed_since)
        overdue = self.display.check(self.total, now)
        return self.controller.check(now) or overdue or before != self.silent

    def reprice(self, now: Instant) -> None:
        """Compute the money anew after the price list changed."""
        before = self.total
        self.price_contents()
        if self.total != before:
            self.display.follow(before, self.total, now, running=self.rules.running_total)

    def check(self, code: str, checked: bool) -> None:
        """Tick a product off as seen by staff, or take that back.

        Raises:
            KeyError: the product is not in the basket.
        """
        if code not in self.contents:
            raise KeyError(code)
        self.revision += 1
        if checked:
            self.checked.add(code)
        else:
            self.checked.discard(code)

    def forget_amounts(self) -> None:
        """Drop the amounts that were given in another currency."""
        self.budget = None
        self.display.clear()

    def line_price(self, code: str) -> Decimal | None:
        """Return the price of all pieces of a product in the basket."""
        unit = self.prices.unit_price(code)
        return None if unit is None else unit * self.contents.get(code, 0)

    def _is_silent(self, now: Instant, subscribed_since: Instant | None) -> bool:
        silence = self.rules.silence
        if not self.active or silence is None or subscribed_since is None:
            return False
        return now - max(self.quiet_since or subscribed_since, subscribed_since) > silence

    @property
    def _listens(self) -> bool | None:
        """Return whether the controller is there; None when its own word is missing or older than its last message."""
        if self.online is False:
            return False
        return True if self.announced else None

    def _describe(self, update: BasketUpdate) -> None:
        for detail, value in update.details.items():
            # A detail that was always null does not exist.
            if value is not None or detail in self.details:
                self.details[detail] = value

    def _confirm(self, now: Instant) -> tuple[BasketEvent, ...]:
        """Take a sign of life."""
        self.online = True
        self.silent = False
        self.last_activity = now.utc
        self.quiet_since = now
        return self._change(self.session.confirm(now, answers=self.announced is True), now)

    def _change(self, changes: Iterable[SessionChange], now: Instant) -> tuple[BasketEvent, ...]:
        """Follow the changes of the session, and return their events."""
        events: list[BasketEvent] = []
        for change in changes:
            match change:
                case SessionChange.REQUESTED:
                    self._clear()
                case SessionChange.STARTED:
                    self.quiet_since = now
                    self._clear()
                    events.append(BasketEvent(EventKind.SESSION_STARTED, self.items, self.total))
                case SessionChange.CONFIRMED:
                    self.quiet_since = now
                    events.append(BasketEvent(EventKind.SESSION_STARTED, self.items, self.total))
                case SessionChange.NOT_HEARD:
                    self.display.clear()
                    events.append(BasketEvent(EventKind.SESSION_NOT_HEARD, self.items, self.total))
                case SessionChange.ENDED:
                    # The next customer has another budget.
                    self.budget = None
                    self.display.clear()
                    self.controller.reset()
                    self.silent = False
                    events.append(BasketEvent(EventKind.SESSION_ENDED, self.items, self.total))
        return tuple(events)

    def _clear(self) -> None:
        """Begin with an empty display and without ticks, as a session does."""
        self.moved_without_session = False
        self.display.clear()
        self.controller.reset()
        if self.checked:
            self.checked.clear()
            self.revision += 1

    def _show(self, command: BasketCommand, now: Instant) -> tuple[BasketEvent, ...]:
        # As the controller: ignored before a start, and when it is another basket's.
        if not self.shows_totals or not same_basket(self.basket_id, command.basket_id):
            return ()
        # Compared as the amount that can be paid; servers with binary floats send 10799.999999999998.
        shown = None if command.total_price is None else self.prices.currency.round(command.total_price)
        if not self.display.show(shown, self.total, now):
            return ()
        return (BasketEvent(EventKind.TOTAL_SHOWN, self.items, shown),)

    def price_contents(self) -> None:
        """Compute the money of all contents anew."""
        self.revision += 1
        unit_price = self.prices.unit_price
        items = 0
        priced = Decimal(0)
        unknown: list[str] = []
        for code, count in self.contents.items():
            items += count
            price = unit_price(code)
            if price is None:
                unknown.append(code)
            else:
                priced += price * count
        self.items = items
        self.priced = priced
        self.total = None if unknown else priced
        self.unknown = tuple(unknown)

    def _move(self, before: Mapping[str, int], after: Mapping[str, int]) -> tuple[BasketEvent, ...]:
        """Price what was put in or taken out, which is mostly one product of many, and return what happened."""
        unit_price = self.prices.unit_price
        events: list[BasketEvent] = []
        items, priced = self.items, self.priced
        unknown = bool(self.unknown)
        differences = [(code, -count) for code, count in before.items() if code not in after]
        differences += [(code, change) for code, count in after.items() if (change := count - before.get(code, 0))]
        for code, difference in differences:
            items += difference
            unit = unit_price(code)
            kind = EventKind.ITEM_ADDED if difference > 0 else EventKind.ITEM_REMOVED
            count = abs(difference)
            if unit is None:
                unknown = True
                events.append(BasketEvent(kind, count, None, code))
                if code not in before:
                    events.append(BasketEvent(EventKind.UNKNOWN_PRODUCT, count, None, code))
            else:
                priced += unit * difference
                events.append(BasketEvent(kind, count, unit * count, code))
        self.revision += 1
        self.items = items
        # Nothing is spelled 0, whatever digits the prices had that were taken away.
        self.priced = priced if after else Decimal(0)
        self.unknown = tuple(code for code in after if unit_price(code) is None) if unknown else ()
        self.total = None if self.unknown else self.priced
        return limited(events)
