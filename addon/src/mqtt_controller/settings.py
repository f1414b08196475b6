"""The controller's settings: the environment as in the field, overridden by command-line flags."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, override

from communicator.common.exception import ProtocolValidationError
from communicator.topics import MAXIMUM_BYTES, check_text, check_topic
from mqtt_controller.commands import LONGEST_ID
from mqtt_controller.displays import MOST_DECIMALS, WON, PriceFormat
from mqtt_controller.presence import tag_code
from mqtt_controller.readers.frames import REGIONS

DEFAULT_PRODUCTS = ("MLON", "WTMN", "APPL", "BNNA", "MILK", "BRED", "EGGS", "RICE")
READERS = ("interactive", "random", "script", "serial")
DISPLAYS = ("terminal", "i2c")
# Every LCD has these; of the won alone there is a drawing.
CURRENCY = re.compile(rf"[A-Za-z.$]{{1,4}}|{WON}")


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it, its value (never a password) and what is expected."""


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """The RFID readers on serial ports."""

    ports: tuple[str, ...] = ("/dev/ttyUSB0",)
    region: str = "korea"
    power_dbm: float = 26.0


@dataclass(frozen=True, slots=True)
class LcdSettings:
    """The LCD on the I2C bus: the port expander's chip and address, the bus number, and the LCD's font ROM."""

    expander: str = "PCF8574"
    address: int = 0x27
    bus: int = 1
    charmap: str = "A00"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a controller is told when it starts."""

    host: str = "localhost"
    port: int = 1883
    root: str = "basket/1"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    basket_id: str = "1"
    birth_topic: str = "homeassistant/status"
    reader: str = "random"
    display: str = "terminal"
    script: Path | None = None
    products: tuple[str, ...] = DEFAULT_PRODUCTS
    seed: int | None = None
    cycle_seconds: float = 0.5
    serial: SerialSettings = field(default_factory=SerialSettings)
    lcd: LcdSettings = field(default_factory=LcdSettings)
    price_format: PriceFormat = field(default_factory=PriceFormat)
    log_level: str = "INFO"

    @property
    def command_topic(self) -> str:
        """Return the topic the server commands this basket on."""
        return f"{self.root}/status"

    @property
    def update_topic(self) -> str:
        """Return the topic this basket's contents go to."""
        return f"{self.root}/update"

    @property
    def availability_topic(self) -> str:
        """Return the topic with the retained last will."""
        return f"{self.root}/availability"

    @property
    def session_topic(self) -> str:
        """Return the topic with the retained session."""
        return f"{self.root}/session"

    @property
    def topics(self) -> tuple[str, ...]:
        """Return every topic below the root."""
        return self.command_topic, self.update_topic, self.availability_topic, self.session_topic


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        """Say in one sentence what is wrong; the usage would be a page."""
        self.exit(2, f"mqtt_controller: {message[:300]}; --help tells all flags\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m mqtt_controller",
        description="The smart basket's own program: reads RFID tags, publishes the contents, shows the total.",
        epilog="Flags win over the environment (the names in capitals). "
        "Prefer MQTT_PASS to --password: other users of the machine can list a program's flags.",
        allow_abbrev=False,
    )
    broker = parser.add_argument_group("broker")
    broker.add_argument("--host", help="the broker's name or address (MQTT_HOST; localhost)")
    broker.add_argument("--port", help="the broker's port (MQTT_PORT; 1883)")
    broker.add_argument("--topic", help="the basket's root topic (MQTT_TOPIC; basket/<basket id>)")
    broker.add_argument("--user", help="user name (MQTT_USER; empty is anonymous)")
    broker.add_argument("--password", "--pass", help="password (MQTT_PASS)")
    broker.add_argument("--basket-id", help="this basket's id (BASKET_ID; 1)")
    broker.add_argument(
        "--birth-topic",
        help="where a server says `online` when it has come up (MQTT_BIRTH_TOPIC; homeassistant/status)",
    )
    reader = parser.add_argument_group("reader")
    reader.add_argument(
        "--reader",
        choices=READERS,
        help="what --script or --serial-port ask for; else interactive in a terminal, random elsewhere",
    )
    reader.add_argument("--script", type=Path, help="the file that --reader script plays")
    reader.add_argument("--products", help="product codes for interactive and random, separated by commas")
    reader.add_argument("--seed", type=int, help="makes the random shopper repeatable")
    reader.add_argument("--cycle", type=float, default=0.5, metavar="SECONDS", help="one polling cycle (0.5)")
    reader.add_argument(
        "--serial-port",
        action="append",
        metavar="DEVICE",
        help="YRM1001/M100 reader (/dev/ttyUSB0); repeat for several",
    )
    reader.add_argument("--region", default="korea", choices=sorted(REGIONS), help="radio rules (korea)")
    reader.add_argument("--power", type=float, default=26.0, metavar="DBM", help="transmit power (26)")
    display = parser.add_argument_group("display")
    display.add_argument("--display", choices=DISPLAYS, default="terminal", help="terminal (default) or the I2C LCD")
    display.add_argument("--currency", help="what follows an amount (DISPLAY_CURRENCY; the sign of won)")
    display.add_argument("--decimals", help="the digits after an amount's point (DISPLAY_DECIMALS; 0)")
    display.add_argument("--lcd-address", default="0x27", help="I2C address of the LCD (0x27)")
    display.add_argument("--lcd-bus", type=int, default=1, help="I2C bus of the LCD (1)")
    display.add_argument(
        "--lcd-expander", default="PCF8574", choices=("PCF8574", "MCP23008"), help="the LCD's port expander"
    )
    display.add_argument("--lcd-charmap", default="A00", choices=("A00", "A02"), help="the LCD's font ROM (A00)")
    parser.add_argument(
        "--log-level",
        default="INFO",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="what goes to standard error",
    )
    return parser


def read_settings(arguments: Sequence[str], environment: Mapping[str, str], *, in_terminal: bool) -> Settings:
    """Read flags and environment; an empty variable is an unset one.

    Raises:
        SettingsError: a value cannot be used.
        SystemExit: the flags cannot be read, or ask for help.
    """
    flags = _parser().parse_args(arguments)

    def setting(flag: str | None, variable: str, default: str) -> str:
        return (flag if flag is not None else environment.get(variable, "")).strip() or default

    basket_id = _basket_id(setting(flags.basket_id, "BASKET_ID", "1"))
    user = setting(flags.user, "MQTT_USER", "")
    # A password may begin or end with a space.
    password: str = flags.password if flags.password is not None else environment.get("MQTT_PASS", "")
    _check_login(user, password)
    root = _root(setting(flags.topic, "MQTT_TOPIC", f"basket/{basket_id}"))
    birth_topic = setting(flags.birth_topic, "MQTT_BIRTH_TOPIC", "homeassistant/status")
    _check_birth_topic(birth_topic, root)
    reader: str = flags.reader or _usual_reader(flags.script, flags.serial_port, in_terminal=in_terminal)
    if (reader == "script") != (flags.script is not None):
        raise SettingsError("--reader script and --script FILE go together")
    return Settings(
        host=_host(setting(flags.host, "MQTT_HOST", "localhost")),
        port=_whole("MQTT_PORT or --port", setting(flags.port, "MQTT_PORT", "1883"), 1, 65535),
        root=root,
        user=user or None,
        password=password or None,
        basket_id=basket_id,
        birth_topic=birth_topic,
        reader=reader,
        display=flags.display,
        script=flags.script,
        products=_products(flags.products),
        seed=flags.seed,
        cycle_seconds=_within("--cycle", flags.cycle, 0.01, 60, "seconds"),
        serial=SerialSettings(
            tuple(flags.serial_port or ["/dev/ttyUSB0"]), flags.region, _within("--power", flags.power, 0, 33, "dBm")
        ),
        lcd=LcdSettings(flags.lcd_expander, _address(flags.lcd_address), _bus(flags.lcd_bus), flags.lcd_charmap),
        price_format=PriceFormat(
            _currency(setting(flags.currency, "DISPLAY_CURRENCY", WON)),
            _whole(
                "DISPLAY_DECIMALS or --decimals", setting(flags.decimals, "DISPLAY_DECIMALS", "0"), 0, MOST_DECIMALS
            ),
        ),
        log_level=flags.log_level,
    )


def _usual_reader(script: Path | None, serial_ports: list[str] | None, *, in_terminal: bool) -> str:
    if script is not None:
        return "script"
    if serial_ports:
        return "serial"
    return "interactive" if in_terminal else "random"


def _within(name: str, value: float, lowest: float, highest: float, unit: str) -> float:
    if not lowest <= value <= highest:  # also false for nan
        raise SettingsError(f"{name} is {value}: expected {lowest} to {highest} {unit}")
    return value


def _whole(name: str, text: str, lowest: int, highest: int) -> int:
    # Ten digits are enough for every setting, and thousands of them are no number to Python.
    if not re.fullmatch("[0-9]{1,10}", text) or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name} is {text[:40]!r}: expected a number from {lowest} to {highest}")
    return int(text)


def _currency(text: str) -> str:
    if not CURRENCY.fullmatch(text):
        raise SettingsError(
            f"DISPLAY_CURRENCY or --currency is {text[:40]!r}: expected up to four letters, for example EUR, or {WON}"
        )
    return text


def _basket_id(text: str) -> str:
    try:
        check_text("basket id", text)
    except ProtocolValidationError as error:
        raise SettingsError(f"BASKET_ID or --basket-id: {error}") from error
    if len(text) > LONGEST_ID:
        raise SettingsError(f"BASKET_ID or --basket-id has {len(text)} characters: expected {LONGEST_ID} at most")
    return text


def _host(text: str) -> str:
    try:
        # Python's look-up of names refuses by UnicodeError what can be no name.
        text.encode("idna")
        check_text("host", text)
    except (ProtocolValidationError, UnicodeError):
        raise SettingsError(f"MQTT_HOST or --host is {text[:80]!a}: expected a name or an address") from None
    return text


def _check_login(user: str, password: str) -> None:
    try:
        check_text("user name", user)
    except ProtocolValidationError as error:
        raise SettingsError(f"MQTT_USER or --user: {error}") from error
    if password and not user:
        raise SettingsError("MQTT_PASS or --password is set without MQTT_USER or --user: a password needs a user name")
    # The error of an encoder holds what it could not encode.
    if not _is_utf_8(password) or len(password.encode()) > MAXIMUM_BYTES:
        raise SettingsError(f"MQTT_PASS or --password is not UTF-8, or longer than {MAXIMUM_BYTES} bytes")


def _is_utf_8(text: str) -> bool:
    # What is not UTF-8 in the environment reaches a program as lone surrogates.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _root(text: str) -> str:
    root = text.rstrip("/")
    try:
        check_topic(root)
        for topic in Settings(root=root).topics:
            check_topic(topic)
    except ProtocolValidationError as error:
        raise SettingsError(
            f"MQTT_TOPIC or --topic is {text[:80]!a}: expected a topic without wildcards, such as basket/1 ({error})"
        ) from error
    if root.startswith("$"):
        raise SettingsError(f"MQTT_TOPIC or --topic is {text[:80]!a}: topics with $ are the broker's own")
    return root


def _check_birth_topic(topic: str, root: str) -> None:
    try:
        check_topic(topic)
    except ProtocolValidationError as error:
        raise SettingsError(f"MQTT_BIRTH_TOPIC or --birth-topic: {error}") from error
    if topic in Settings(root=root).topics:
        raise SettingsError(
            f"MQTT_BIRTH_TOPIC or --birth-topic is {topic[:80]!a}, which is a topic of the basket itself"
        )


def _products(text: str | None) -> tuple[str, ...]:
    if text is None:
        return DEFAULT_PRODUCTS
    products = tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    for code in products:
        try:
            tag_code(code)
        except ValueError:
            raise SettingsError(
                f"--products has {code!r}: expected codes of up to four ASCII characters, for example MLON,WTMN"
            ) from None
    if not products:
        raise SettingsError("--products names no product")
    return products


def _bus(number: int) -> int:
    return int(_within("--lcd-bus", number, 0, 255, "as a bus"))


def _address(text: str) -> int:
    try:
        address = int(text, 0)
    except ValueError:
        raise SettingsError(f"--lcd-address is {text!r}: expected a number such as 0x27") from None
    return int(_within("--lcd-address", address, 0x03, 0x77, "(7 bits)"))
