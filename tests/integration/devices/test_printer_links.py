"""The two links of a printer: its host's to the broker, and its own to the host."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.iot_data_bridge.devices.dialects.factor import parse_status
from custom_components.iot_data_bridge.devices.instant import Instant
from custom_components.iot_data_bridge.devices.printer import Printer, PrinterReport, PrinterState

NOON = Instant(timedelta(0), datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
SECOND = timedelta(seconds=1)
PRINTING = PrinterReport(
    PrinterState.PRINTING,
    full=True,
    progress=40.0,
    file_name="boat.gcode",
    nozzle_temperature=214.92,
    nozzle_target=215.0,
    bed_temperature=60.04,
    bed_target=60.0,
)


@pytest.fixture
def printer() -> Printer:
    """A printer that prints."""
    printer = Printer("u")
    printer.apply(PRINTING, NOON)
    return printer


def measured(printer: Printer) -> tuple[float | None, ...]:
    return printer.nozzle_temperature, printer.nozzle_target, printer.bed_temperature, printer.bed_target


def state(printer: Printer) -> PrinterState | None:
    return printer.state


def test_a_printing_printer_has_both_links(printer: Printer) -> None:
    assert (printer.online, printer.linked) == (True, True)
    assert measured(printer) == (214.9, 215.0, 60.0, 60.0)


def test_nothing_measured_outlives_thirty_seconds_of_silence_and_the_job_does(printer: Printer) -> None:
    assert not printer.check_timeouts(NOON + 29 * SECOND)
    assert state(printer) is PrinterState.PRINTING
    assert printer.check_timeouts(NOON + 30 * SECOND)
    assert (printer.online, printer.linked, state(printer)) == (False, None, None)
    assert measured(printer) == (None, None, None, None)
    assert (printer.progress, printer.file_name) == (40.0, "boat.gcode")
    assert not printer.check_timeouts(NOON + 31 * SECOND)


def test_a_host_whose_printer_is_switched_off_is_connected_and_keeps_the_job(printer: Printer) -> None:
    printer.apply(parse_status(b'{"state":{"text":"Offline","flags":{}},"temperatures":{}}'), NOON + SECOND)
    assert (printer.online, printer.linked, state(printer)) == (True, False, PrinterState.OFFLINE)
    assert measured(printer) == (None, None, None, None)
    assert (printer.progress, printer.file_name) == (40.0, "boat.gcode")


def test_a_printer_that_says_only_that_it_is_closed_has_no_temperature_any_more(printer: Printer) -> None:
    printer.apply(parse_status(b'{"state_id":"CLOSED","state_string":"Closed"}'), NOON + SECOND)
    assert measured(printer) == (None, None, None, None)


def test_a_host_that_reports_rarely_is_given_three_of_its_intervals(printer: Printer) -> None:
    printer.apply(PRINTING, NOON + 60 * SECOND)
    assert not printer.check_timeouts(NOON + (60 + 179) * SECOND)
    assert printer.check_timeouts(NOON + (60 + 180) * SECOND)
    restored = Printer.from_json(printer.as_json())
    restored.apply(PRINTING, NOON + timedelta(days=1))
    assert not restored.check_timeouts(NOON + timedelta(days=1, seconds=179))


def test_a_night_without_a_report_is_no_interval(printer: Printer) -> None:
    morning = NOON + timedelta(hours=9)
    printer.apply(PRINTING, morning)
    assert printer.check_timeouts(morning + 30 * SECOND)


def test_a_change_of_the_state_between_two_reports_is_no_interval(printer: Printer) -> None:
    printer.apply(PRINTING, NOON + 60 * SECOND)
    printer.apply(parse_status(b'{"state_id":"PAUSED"}'), NOON + 61 * SECOND)
    assert not printer.check_timeouts(NOON + (61 + 179) * SECOND)


def test_the_name_of_a_job_survives_its_end(printer: Printer) -> None:
    assert printer.last_job == "boat.gcode"
    printer.apply(PrinterReport(PrinterState.IDLE, full=True), NOON + SECOND)
    assert (printer.file_name, printer.last_job) == (None, "boat.gcode")
    # A file that is only chosen is no job yet.
    printer.apply(PrinterReport(PrinterState.IDLE, full=True, file_name="chair.gcode"), NOON + SECOND)
    assert printer.last_job == "boat.gcode"


def test_a_restored_printer_has_its_job_and_nothing_measured(printer: Printer) -> None:
    restored = Printer.from_json(printer.as_json())
    assert (restored.progress, restored.file_name, restored.last_job) == (40.0, "boat.gcode", "boat.gcode")
    assert (restored.online, restored.linked, restored.state) == (False, None, None)
    assert measured(restored) == (None, None, None, None)


@pytest.mark.parametrize("interval", ["x", -5, 1e14, None, 1e999])
def test_a_damaged_interval_is_bounded(interval: object) -> None:
    restored = Printer.from_json({"uuid": "u", "interval": interval})  # type: ignore[dict-item] # damaged on purpose
    assert timedelta(0) <= restored.interval <= timedelta(minutes=10)


def test_a_retained_report_is_no_sign_of_life(printer: Printer) -> None:
    new = Printer("v")
    new.apply_retained(PRINTING)
    assert (new.online, new.state, new.file_name, new.progress) == (False, None, "boat.gcode", 40.0)
    assert measured(new) == (None, None, None, None)
    printer.apply_retained(PrinterReport(PrinterState.IDLE, full=True))
    assert (printer.online, printer.file_name) == (True, "boat.gcode")
