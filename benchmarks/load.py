"""A load generator and receiver that cost as little as Python allows: raw sockets, packets built beforehand.

Both sides are one process and one thread, so that the generator knows at every moment what has arrived. MQTT 3.1.1.
"""

import contextlib
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CONNACK_BYTES = 4
_READ = 1 << 16  # more at once would be mapped anew by the C library at every read
_SILENCE_SECONDS = 5.0
_CONNECT_SECONDS = 10.0
_PUBACK_BYTES = 4
_PUBACK = b"\x40\x02"
# What a message is known by without being taken apart, which costs ten times as much: the name before its value, or
# what stands around its packet identifier. A topic ends in a word or in digits, and no payload begins with a digit.
_VALUES = (b'"value":', b'"VALUE":')
_IDENTIFIER = re.compile(rb'(?s:/(?:ingress|[0-9]+)(..)\{")')
_END = re.compile(rb"[0-9]\}\}?\Z")


def _length(size: int) -> bytes:
    encoded = bytearray()
    while True:
        size, low = divmod(size, 128)
        if not size:
            return bytes([*encoded, low])
        encoded.append(low | 0x80)


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2) + data


def connect(port: int, client_id: str, *, clean: bool = True) -> socket.socket:
    """Return a connected MQTT 3.1.1 client without keep-alive."""
    opened = socket.create_connection(("127.0.0.1", port), _CONNECT_SECONDS)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = _text("MQTT") + bytes([4, 2 if clean else 0, 0, 0]) + _text(client_id)
    opened.sendall(b"\x10" + _length(len(body)) + body)
    answer = opened.recv(CONNACK_BYTES)
    if len(answer) != CONNACK_BYTES or answer[3]:
        raise ConnectionError(f"the broker refused {client_id}: {answer!r}")
    return opened


def subscribe(opened: socket.socket, topic_filter: str, qos: int) -> None:
    """Subscribe and wait for the answer."""
    body = b"\x00\x01" + _text(topic_filter) + bytes([qos])
    opened.sendall(b"\x82" + _length(len(body)) + body)
    answer = opened.recv(5)
    if answer[0] != 0x90 or answer[4] > 2:  # noqa: PLR2004 -- SUBACK, highest QoS
        raise ConnectionError(f"the broker refused the subscription: {answer!r}")


@contextlib.contextmanager
def _not_preempting() -> Iterator[None]:
    """Let no message that arrives interrupt the broker on the core that both share, as it would some 200,000 times.

    The generator then takes what has come when the broker has nothing to do, and costs a tenth.
    """
    if not hasattr(os, "SCHED_BATCH"):
        yield
        return
    before = os.sched_getscheduler(0)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


def publish_packet(topic: str, payload: bytes, qos: int, identifier: int) -> bytes:
    """Return one PUBLISH."""
    body = _text(topic) + (identifier.to_bytes(2) if qos else b"") + payload
    return bytes([0x30 | qos << 1]) + _length(len(body)) + body


def envelope(trace: str, tag: str, message_id: str, value: int) -> bytes:
    """Return an envelope of the wire format; with a 36-character trace and short ids it has about 157 bytes."""
    return (
        f'{{"header":{{"UUID":"{trace}","TIME":"20261121103045","SRC":"GW001"}},'
        f'"payload":{{"Equip.Tag":"{tag}","Message.ID":"{message_id}","VALUE":{value}}}}}'
    ).encode()


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: prebuilt PUBLISH packets whose payloads hold their number as VALUE."""

    packets: list[bytes]
    qos: int


def build(count: int, qos: int, run: int, keys: Callable[[int], tuple[str, str]], topics: Callable[[int], str]) -> Load:
    """Return `count` messages with trace ids that no other run uses; a message's number decides its key and topic."""
    packets = []
    for number in range(count):
        trace = f"{run:08x}-0000-4000-8000-{number:012x}"
        tag, message_id = keys(number)
        payload = envelope(trace, tag, message_id, number)
        packets.append(publish_packet(topics(number), payload, qos, number % 65535 + 1))
    return Load(packets, qos)


@dataclass(slots=True)
class Result:
    """What arrived: seconds from the first to the last, and the one-way latency of each message in seconds."""

    sent: int
    received: int
    duplicates: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Return messages a second."""
        return self.received / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Return a latency in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000 if ordered else float("nan")


class Bench:
    """A sender and a receiver on one broker."""

    def __init__(self, port: int, receive_filter: str, receive_qos: int, name: str) -> None:
        self.sender = connect(port, f"send-{name}")
        self.receiver = connect(port, f"receive-{name}")
        subscribe(self.receiver, receive_filter, receive_qos)
        for each in (self.sender, self.receiver):
            each.setblocking(False)
        self._rest = b""
        self._receive_qos = receive_qos
        self._value = b""

    def close(self) -> None:
        """Close both connections."""
        self.sender.close()
        self.receiver.close()

    def flood(self, load: Load, *, window: int = 1000, batch: int = 50) -> Result:
        """Send as fast as messages arrive, with at most `window` of them under way: the fastest that loses nothing."""
        with _not_preempting():
            return self._flood(load, window, batch)

    def _flood(self, load: Load, window: int, batch: int) -> Result:
        packets, total = load.packets, len(load.packets)
        sent = arrived = confirmed = 0
        unsent = b""
        started = last = time.perf_counter()
        while arrived < total and time.perf_counter() - last < _SILENCE_SECONDS:
            # A packet identifier must not be used again before it is confirmed.
            may_send = min(total, arrived + window, confirmed + window if load.qos else total)
            if not unsent and may_send - sent >= min(batch, total - sent) > 0:
                unsent = b"".join(packets[sent:may_send])
                sent = may_send
            unsent = self._send(unsent)
            readable = self._wait(unsent, 0.05)
            if self.sender in readable:
                confirmed += len(self.sender.recv(_READ)) // _PUBACK_BYTES
            if self.receiver in readable:
                arrived += self._count()
                last = time.perf_counter()
        self._end_of_last()
        return Result(sent, arrived, 0, last - started, [])

    def pace(self, load: Load, rate: float) -> Result:
        """Send so many messages a second, in time with the clock, and take each message's latency."""
        packets, total = load.packets, len(load.packets)
        sent = duplicates = 0
        arrived_at = [0.0] * total
        unsent = b""
        started = last = time.perf_counter()
        arrived = 0
        while arrived < total and time.perf_counter() - last < _SILENCE_SECONDS:
            due = min(total, int((time.perf_counter() - started) * rate) + 1)
            if not unsent and due > sent:
                unsent = b"".join(packets[sent:due])
                sent = due
            unsent = self._send(unsent)
            readable = self._wait(unsent, min(0.05, max(0.0, started + sent / rate - time.perf_counter())))
            if self.sender in readable:
                self.sender.recv(_READ)
            if self.receiver in readable:
                numbers = self._numbers()
                last = time.perf_counter()
                for number in numbers:
                    if arrived_at[number]:
                        duplicates += 1
                    else:
                        arrived += 1
                        arrived_at[number] = last
        # From when a message was due: one that was sent late because something stalled counts with its delay.
        latencies = [at - started - number / rate for number, at in enumerate(arrived_at) if at]
        return Result(sent, arrived, duplicates, last - started, latencies)

    def probe(self, load: Load, seconds: float) -> bool:
        """Send the load's first packet, and tell whether anything comes back in so many seconds."""
        self._send(load.packets[0])
        return self.receiver in self._wait(b"", seconds) or self.receiver in self._wait(b"", seconds)

    def discard(self, seconds: float) -> None:
        """Take and forget what still comes, until nothing does for so many seconds."""
        while readable := self._wait(b"", seconds):
            if self.sender in readable:
                self.sender.recv(_READ)
            if self.receiver in readable:
                self._count()
        self._rest = b""

    def _send(self, unsent: bytes) -> bytes:
        if unsent:
            with contextlib.suppress(BlockingIOError):
                return unsent[self.sender.send(unsent) :]
        return unsent

    def _wait(self, unsent: bytes, seconds: float) -> list[socket.socket]:
        readable, _, _ = select.select([self.receiver, self.sender], [self.sender] if unsent else [], [], seconds)
        return readable

    def _read(self) -> bytes:
        data = self.receiver.recv(_READ)
        if not data:
            raise ConnectionError("the broker closed the receiver's connection")
        return self._rest + data

    def _count(self) -> int:
        """Read once, acknowledge what asks for it, and return how many messages came."""
        data = self._read()
        if self._receive_qos:
            identifiers, end = [], 0
            for match in _IDENTIFIER.finditer(data):
                identifiers.append(match[1])
                end = match.end()
            self._rest = data[end:]
            self._acknowledge(identifiers)
            return len(identifiers)
        if not self._value:
            self._value = next((each for each in _VALUES if each in data), b"")
        count = data.count(self._value) if self._value else 0
        self._rest = data[data.rfind(self._value) + len(self._value) :] if count else data
        return count

    def _end_of_last(self) -> None:
        """Take what follows the last message's mark, so that the next read begins with a packet."""
        while not _END.search(self._rest) and self.receiver in self._wait(b"", 1.0):
            self._rest = self._read()
        self._rest = b""

    def _numbers(self) -> list[int]:
        """Do the same, and return the messages' numbers."""
        data = self._read().lstrip(b"}")  # an envelope ends in two, and nothing begins with one
        position, end = 0, len(data)
        numbers: list[int] = []
        identifiers: list[bytes] = []
        while position + 4 < end:
            command = data[position]
            size = data[position + 1]
            body = position + 2
            if size > 0x7F:  # noqa: PLR2004 -- the continuation bit
                size = (size & 0x7F) | data[position + 2] << 7
                body += 1
            following = body + size
            if following > end:
                break
            if command & 0x06:
                topic_end = body + 2 + (data[body] << 8 | data[body + 1])
                identifiers.append(data[topic_end : topic_end + 2])
            start = data.rfind(b":", body, following) + 1
            numbers.append(int(float(data[start:following].rstrip(b"}"))))
            position = following
        self._rest = data[position:]
        self._acknowledge(identifiers)
        return numbers

    def _acknowledge(self, identifiers: list[bytes]) -> None:
        if identifiers:
            self.receiver.setblocking(True)
            self.receiver.sendall(_PUBACK + _PUBACK.join(identifiers))
            self.receiver.setblocking(False)
