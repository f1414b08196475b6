"""The running program: one loop through which commands, cycles and connections reach the controller in turn."""

import queue
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType

from mqtt_controller.announcer import Announcer
from mqtt_controller.controller import Controller
from mqtt_controller.displays import Display
from mqtt_controller.link import Link
from mqtt_controller.poller import Cycle, Poller
from mqtt_controller.readers import Reader
from mqtt_controller.settings import Settings

# How often the connection's state is looked at; a lost connection is not up again within the first second.
WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Command:
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Stop:
    error: str | None = None


class Program:
    """Wires one basket, and runs it until a signal or `stop`."""

    def __init__(
        self, settings: Settings, make_readers: Callable[[Callable[[], None]], Iterable[Reader]], display: Display
    ) -> None:
        self._settings = settings
        self._events: queue.SimpleQueue[_Command | Cycle | _Stop] = queue.SimpleQueue()
        self._display = display
        self._link = Link(
            settings,
            on_command=lambda payload: self._events.put(_Command(payload)),
            on_refused=lambda reason: self._events.put(_Stop(reason)),
        )
        self._readers = tuple(make_readers(self.stop))

    def stop(self) -> None:
        """End the program soon; may be called from any thread and from a signal handler."""
        self._events.put(_Stop())

    def run(self) -> str | None:
        """Run until told to stop; return the error that ended it, None for an orderly end."""

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        poller = Poller(
            self._readers,
            self._events.put,
            lambda error: self._events.put(_Stop(f"the polling of the RFID readers failed: {error!r}")),
        )
        controller = Controller(
            self._settings.basket_id, poller, self._display, self._link, price_format=self._settings.price_format
        )
        announcer = Announcer(self._link, controller.session, controller.send_again)
        self._link.start()
        try:
            return self._loop(controller, announcer)
        finally:
            controller.close()
            announcer.say_session()
            poller.close()
            self._link.close()
            self._display.close()

    def _loop(self, controller: Controller, announcer: Announcer) -> str | None:
        while True:
            try:
                event = self._events.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                event = None
            # Before the event: a command that came right after a new connection belongs after the announcement.
            announcer.watch()
            match event:
                case _Stop(error):
                    return error
                case _Command(payload):
                    controller.command(payload)
                case Cycle():
                    controller.cycle(event)
                case None:
                    continue
            announcer.say_session()
