"""What becomes of the program's words: streams that are closed, full or flooded, seen on the real program."""

import errno
import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mqtt_controller.allowance import Allowance
from mqtt_controller.output import LINES_AT_ONCE, MOST_WAITING_BYTES, BackgroundStream, FloodFilter
from tests.mqtt_controller.conftest import PATIENCE, Shop, wait_for

ROOT = "basket/unit0001"
COMMANDS = f"{ROOT}/status"


class Pipe:
    """A pipe whose reader reads only what a test asks for."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_all(self) -> str:
        """Return everything that is in it."""
        os.set_blocking(self.reader, False)
        found = b""
        try:
            while data := os.read(self.reader, 1 << 20):
                found += data
        except BlockingIOError:
            pass
        return found.decode()

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            os.close(descriptor)


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def test_what_is_written_arrives_in_order(pipe: Pipe) -> None:
    stream = BackgroundStream(pipe.writer, "utf-8", strict=True)
    for number in range(100):
        print(f"line {number} 원", file=stream, flush=True)
    stream.finish()
    assert pipe.read_all() == "".join(f"line {number} 원\n" for number in range(100))
    pipe.close()


def test_a_full_pipe_waits_for_nobody_and_says_later_what_is_missing(pipe: Pipe) -> None:
    stream = BackgroundStream(pipe.writer, "utf-8", strict=True)
    line = "x" * 999 + "\n"
    lines = 2 * MOST_WAITING_BYTES // len(line)
    for _ in range(lines):
        stream.write(line)
    read: list[str] = []

    def note() -> re.Match[str] | None:
        read.append(pipe.read_all())
        return re.search("mqtt_controller: ([0-9]+) texts were left out here", "".join(read))

    left_out = int(wait_for("the note", note)[1])
    stream.finish()
    assert 0 < left_out < lines
    assert ("".join(read) + pipe.read_all()).count(line) == lines - left_out
    pipe.close()


def test_the_end_waits_for_nobody_either(pipe: Pipe) -> None:
    stream = BackgroundStream(pipe.writer, "utf-8", strict=True)
    stream.write("x" * 200_000)
    stream.finish()
    assert pipe.read_all().startswith("xxx")
    pipe.close()


@pytest.mark.parametrize("strict", [True, False])
def test_an_error_is_raised_by_a_later_write_where_it_matters(pipe: Pipe, strict: bool) -> None:
    os.close(pipe.reader)
    stream = BackgroundStream(pipe.writer, "utf-8", strict=strict)
    stream.write("x\n")
    stream.finish()
    if strict:
        with pytest.raises(OSError, match="Broken pipe") as caught:
            stream.write("y\n")
        assert caught.value.errno == errno.EPIPE
    else:
        stream.write("y\n")
    os.close(pipe.writer)


def test_characters_that_the_stream_does_not_have_are_replaced(pipe: Pipe) -> None:
    for strict in (True, False):
        stream = BackgroundStream(pipe.writer, "ascii", strict=strict)
        stream.write("원 \udcff\n")
        stream.finish()
    assert pipe.read_all() == "? ?\n\\uc6d0 \\udcff\n"
    pipe.close()


def test_an_allowance_is_a_burst_and_then_a_pace() -> None:
    now = 0.0
    allowance = Allowance(3, 0.5, lambda: now)
    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]
    now = 2.0
    assert [allowance.take() for _ in range(2)] == [True, False]
    now = 1000.0
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_a_flood_of_one_kind_of_line_is_cut_and_the_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test_output")
    log.addFilter(flood := FloodFilter())
    try:
        for number in range(1000):
            log.warning("Ignored %d", number)
        log.warning("Something else")
    finally:
        log.removeFilter(flood)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == LINES_AT_ONCE + 1
    assert lines[-2] == f"Ignored {LINES_AT_ONCE - 1} (more like this are left out for a while)"
    assert lines[-1] == "Something else"


# The program ------------------------------------------------------------------------------------------


def size(*files: Path) -> int:
    return sum(file.stat().st_size for file in files)


def memory(process: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


FLOODS = {
    "rubbish": [b"rubbish %d"],
    "long": [b'{"msg":"' + b"x" * 10_000 + b'%d"}'],
    "totals": [b'{"msg":"total","payload":{"totalprice":%d}}'],
    "sessions": [b"start", b"end"],
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read in Linux's /proc")
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_messages_fills_neither_log_nor_memory(shop: Shop, kind: str) -> None:
    basket = shop.open("--reader", "random")
    shop.server.send(COMMANDS, "start")
    basket.wait_display("Total Price: / 0 원")
    before = memory(basket.process.pid)
    for number in range(5_000):
        for payload in FLOODS[kind]:
            shop.server.shout(COMMANDS, payload % number if b"%d" in payload else payload)
    shop.server.send(COMMANDS, "start")
    shop.server.send(COMMANDS, '{"msg":"total","payload":{"totalprice":4321}}')
    basket.wait_display("Total Price: / 4,321 원")
    assert size(basket.log, basket.output) < 50_000
    assert memory(basket.process.pid) - before < 50_000_000


@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "12", "02", "012"])
def test_the_program_runs_with_closed_standard_streams(shop: Shop, closed: str) -> None:
    redirections = " ".join(f"{number}{'<' if number == '0' else '>'}&-" for number in closed)
    settings = {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(shop.broker.port), "MQTT_TOPIC": ROOT}
    after = len(shop.server.messages)
    with subprocess.Popen(  # noqa: S603 -- ours
        ["/bin/sh", "-c", f"exec {sys.executable} -m mqtt_controller --cycle 0.05 --seed 1 {redirections}"],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"online", after=after)
            shop.server.send(COMMANDS, "start")
            shop.server.send(COMMANDS, "no command")
            shop.server.wait(f"{ROOT}/update", lambda payload: b'"list":{"' in payload, after=after)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"offline", after=after)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_nobody_reads_stops_nothing(shop: Shop, stream: str) -> None:
    pipe = Pipe()
    fcntl.fcntl(pipe.writer, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    settings = {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(shop.broker.port), "MQTT_TOPIC": ROOT}
    after = len(shop.server.messages)
    with subprocess.Popen(
        [sys.executable, "-m", "mqtt_controller", "--cycle", "0.05", "--seed", "1", "--log-level", "DEBUG"],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=pipe.writer if stream == "stdout" else subprocess.DEVNULL,
        stderr=pipe.writer if stream == "stderr" else subprocess.DEVNULL,
    ) as process:
        try:
            shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"online", after=after)
            # More than the pipe holds, in lines of many kinds and in what the display shows.
            for number in range(300):
                shop.server.shout(COMMANDS, f'{{"msg":"kind {number}"}}')
                shop.server.send(COMMANDS, "start" if number % 2 else "end")
            after = len(shop.server.messages)
            shop.server.wait(f"{ROOT}/update", lambda payload: b'"list":{"' in payload, after=after)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            pipe.close()
