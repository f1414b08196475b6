"""The running program: one loop through which commands, cycles and connections reach the controller in turn."""

import logging
import queue
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType

from mqtt_controller.controller import Controller
from mqtt_controller.displays import Display
from mqtt_controller.link import Link
from mqtt_controller.poller import Cycle, Poller
from mqtt_controller.readers import Reader
from mqtt_controller.settings import Settings

# How often the connection's state is looked at; a lost connection is not up again within the first second.
WATCH_SECONDS = 0.2

log = logging.getLogger(__name__)


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
        poller = Poller(self._readers, self._events.put)
        controller = Controller(self._settings.basket_id, poller, self._display, self._link)
        self._link.start()
        try:
            return self._loop(controller)
        finally:
            controller.close()
            poller.close()
            self._link.close()
            self._display.close()

    def _loop(self, controller: Controller) -> str | None:
        was_connected = False
        while True:
            try:
                event = self._events.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                event = None
            match event:
                case _Stop(error):
                    return error
                case _Command(payload):
                    controller.command(payload)
                case Cycle():
                    controller.cycle(event)
                case None:
                    pass
            connected = self._link.connected
            if connected and not was_connected:
                log.info("Connected to %s:%d as %s", self._settings.host, self._settings.port, self._settings.root)
            if connected and (not was_connected or self._link.called_offline()) and self._link.announce():
                controller.connected()
            if was_connected and not connected:
                log.warning("The broker is away; the basket goes on, its contents will be sent when it is back")
            was_connected = connected
