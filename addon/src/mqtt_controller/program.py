"""The running program: one loop through which commands, cycles and connections reach the controller in turn."""

import logging
import signal
from collections.abc import Callable, Iterable
from types import FrameType

from mqtt_controller.announcer import Announcer
from mqtt_controller.commands import End, Refused, Start, Total, parse_command
from mqtt_controller.controller import Controller
from mqtt_controller.displays import Display
from mqtt_controller.inbox import MOST_COMMANDS, Inbox, Stop
from mqtt_controller.link import Link
from mqtt_controller.poller import Cycle, Poller
from mqtt_controller.readers import Reader
from mqtt_controller.settings import Settings

# How often the connection's state is looked at; a lost connection is not up again within the first second.
WATCH_SECONDS = 0.2

log = logging.getLogger(__name__)


class Program:
    """Wires one basket, and runs it until a signal or `stop`."""

    def __init__(
        self, settings: Settings, make_readers: Callable[[Callable[[], None]], Iterable[Reader]], display: Display
    ) -> None:
        self._settings = settings
        self._inbox = Inbox()
        self._display = display
        self._link = Link(
            settings,
            on_command=self._take_command,
            on_refused=lambda reason: self._inbox.put(Stop(reason)),
        )
        self._readers = tuple(make_readers(self.stop))

    def stop(self) -> None:
        """End the program soon; may be called from any thread and from a signal handler."""
        self._inbox.put(Stop())

    def run(self) -> str | None:
        """Run until told to stop; return the error that ended it, None for an orderly end."""

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        poller = Poller(
            self._readers,
            self._inbox.put,
            lambda error: self._inbox.put(Stop(f"the polling of the RFID readers failed: {error!r}")),
        )
        controller = Controller(
            self._settings.basket_id, poller, self._display, self._link, price_format=self._settings.price_format
        )
        announcer = Announcer(self._link, controller.session, controller.send_again)
        basket_id = self._settings.basket_id
        if basket_id != basket_id.lower():
            log.warning("Totals that name %r will not be shown: commands count in lower case, ids do not", basket_id)
        self._link.start()
        try:
            return self._loop(controller, announcer)
        finally:
            controller.close()
            announcer.close()
            poller.close()
            self._link.close()
            self._display.close()

    def _loop(self, controller: Controller, announcer: Announcer) -> str | None:
        while True:
            event = self._inbox.get(WATCH_SECONDS)
            # Before the event: a command that came right after a new connection belongs after the announcement.
            announcer.watch()
            match event:
                case Stop(error):
                    return error
                case Start() | End() | Total():
                    controller.obey(event)
                case Cycle():
                    controller.cycle(event)
                case None:
                    pass
            controller.refresh()
            announcer.say_session()

    def _take_command(self, payload: bytes) -> None:
        command = parse_command(payload)
        if isinstance(command, Refused):
            log.warning("Ignored a message on the command topic: %s", command.reason)
        elif not self._inbox.put_command(command):
            log.warning("Left out one of %d commands that wait", MOST_COMMANDS)
