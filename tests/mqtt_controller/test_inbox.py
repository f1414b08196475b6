"""In which order things reach the basket's loop, and which of too many do."""

import threading
from decimal import Decimal

from mqtt_controller.commands import End, Start, Total
from mqtt_controller.inbox import MOST_COMMANDS, Inbox, Stop
from mqtt_controller.poller import Cycle


def everything(inbox: Inbox) -> list[object]:
    found: list[object] = []
    while (event := inbox.get(0)) is not None:
        found.append(event)
    return found


def total(price: int) -> Total:
    return Total(Decimal(price), None)


def test_events_come_in_their_order() -> None:
    inbox = Inbox()
    inbox.put_command(Start())
    inbox.put(Cycle(1, {}))
    inbox.put_command(End())
    inbox.put(Stop("reason"))
    assert everything(inbox) == [Start(), Cycle(1, {}), End(), Stop("reason")]


def test_of_too_many_commands_the_oldest_leave_totals_first() -> None:
    inbox = Inbox()
    inbox.put(Cycle(1, {}))
    assert inbox.put_command(Start())
    kept = [inbox.put_command(total(number)) for number in range(MOST_COMMANDS + 4)]
    assert not inbox.put_command(End())
    inbox.put(Stop())
    assert kept == [True] * (MOST_COMMANDS - 1) + [False] * 5
    assert everything(inbox) == [Cycle(1, {}), Start(), *map(total, range(6, MOST_COMMANDS + 4)), End(), Stop()]
    assert inbox.put_command(Start())


def test_of_too_many_starts_and_ends_the_oldest_leave() -> None:
    inbox = Inbox()
    for _ in range(MOST_COMMANDS):
        inbox.put_command(Start())
    assert not inbox.put_command(End())
    assert everything(inbox) == [Start()] * (MOST_COMMANDS - 1) + [End()]


def test_an_event_ends_the_wait_for_it() -> None:
    inbox = Inbox()
    threading.Timer(0.05, inbox.put, [Stop()]).start()
    assert inbox.get(15) == Stop()
