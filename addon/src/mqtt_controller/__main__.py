"""`python -m mqtt_controller`: one smart basket."""

import logging
import os
import sys
from collections.abc import Callable, Iterable

from communicator.common.standard_streams import open_missing_streams
from mqtt_controller.displays import Display, DisplayError
from mqtt_controller.displays.character_lcd import CharacterLcd
from mqtt_controller.displays.terminal import TerminalDisplay
from mqtt_controller.output import FloodFilter, background_output
from mqtt_controller.program import Program
from mqtt_controller.readers import Reader, ReaderError
from mqtt_controller.readers.interactive import InteractiveReader
from mqtt_controller.readers.module import SerialReader
from mqtt_controller.readers.simulated import RandomShopper, ScriptedReader, ScriptError, read_script
from mqtt_controller.settings import Settings, SettingsError, read_settings


def make_readers(settings: Settings, quit_program: Callable[[], None]) -> Iterable[Reader]:
    """Return the readers that the settings name."""
    match settings.reader:
        case "interactive":
            return [InteractiveReader(settings.products, settings.cycle_seconds, quit_program)]
        case "script" if settings.script is not None:
            return [ScriptedReader(read_script(settings.script), settings.cycle_seconds)]
        case "serial":
            return [
                SerialReader(
                    port,
                    settings.cycle_seconds,
                    region=settings.serial.region,
                    power_dbm=settings.serial.power_dbm,
                )
                for port in settings.serial.ports
            ]
        case _:
            return [RandomShopper(settings.products, settings.cycle_seconds, seed=settings.seed)]


def make_display(settings: Settings) -> Display:
    """Return the display that the settings name."""
    return CharacterLcd(settings.lcd) if settings.display == "i2c" else TerminalDisplay()


def in_terminal() -> bool:
    """Tell whether somebody can press keys: not in a pipe, and not in a shell's background."""
    if not sys.stdin.isatty():
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError):  # Windows has no process groups; a terminal may be nobody's
        return True


def main() -> int:
    """Run until a signal; return 0 after an orderly end, 1 when it cannot go on, 2 when the settings are wrong."""
    open_missing_streams()
    with background_output():
        return _run()


def _run() -> int:
    try:
        settings = read_settings(sys.argv[1:], os.environ, in_terminal=in_terminal())
        _log(settings.log_level)
        program = Program(settings, lambda quit_program: make_readers(settings, quit_program), make_display(settings))
    except (SettingsError, ScriptError, ReaderError, DisplayError) as error:
        sys.stderr.write(f"mqtt_controller: {error}\n")
        return 2
    failure = program.run()
    if failure is not None:
        sys.stderr.write(f"mqtt_controller: {failure}\n")
        return 1
    return 0


def _log(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FloodFilter())
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
