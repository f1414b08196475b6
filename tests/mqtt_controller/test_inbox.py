"""In which order things reach the basket's loop, and which of too many do."""

import threading

from mqtt_controller.inbox import MOST_COMMANDS, Command, Inbox, Stop
from mqtt_controller.poller import Cycle


def everything(inbox: Inbox) -> list[object]:
    found: list[object] = []
    while (event := inbox.get(0)) is not None:
        found.append(event)
    return found


def commands(*numbers: int) -> list[Command]:
    return [Command(str(number).encode()) for number in numbers]


def test_events_come_in_their_order() -> None:
    inbox = Inbox()
    inbox.put_command(b"1")
    inbox.put(Cycle(1, {}))
    inbox.put_command(b"2")
    inbox.put(Stop("reason"))
    assert everything(inbox) == [Command(b"1"), Cycle(1, {}), Command(b"2"), Stop("reason")]


def test_of_too_many_commands_the_newest_stay_and_everything_else_does() -> None:
    inbox = Inbox()
    inbox.put(Cycle(1, {}))
    kept = [inbox.put_command(str(number).encode()) for number in range(MOST_COMMANDS + 5)]
    inbox.put(Stop())
    assert kept == [True] * MOST_COMMANDS + [False] * 5
    assert everything(inbox) == [Cycle(1, {}), *commands(*range(5, MOST_COMMANDS + 5)), Stop()]
    assert inbox.put_command(b"0")


def test_an_event_ends_the_wait_for_it() -> None:
    inbox = Inbox()
    threading.Timer(0.05, inbox.put, [Stop()]).start()
    assert inbox.get(15) == Stop()
