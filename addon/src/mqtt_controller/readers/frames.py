"""The serial protocol of the YRM1001 and M100 RFID readers, both ways: frames in bytes, bytes in frames.

    BB | type | command | length (2 bytes, big endian) | parameters | checksum | 7E

The checksum is the low byte of the sum from the type to the last parameter. A frame ends where its length says: 7E, and
BB too, also occur inside. Source: the modules' user protocol manual.
"""

import binascii
from dataclasses import dataclass
from enum import IntEnum

HEADER = 0xBB
END = 0x7E
# Header, type, command and length before the parameters; checksum and end after them.
PREFIX_LENGTH = 5
SUFFIX_LENGTH = 2
# The longest real frames are of memory reads, about 200 bytes; a larger length is line noise.
LONGEST_PARAMETERS = 512
# RSSI (1 byte) and PC (2) before the EPC, CRC (2) after it.
TAG_BEFORE_EPC = 3
TAG_AFTER_EPC = 2


class FrameType(IntEnum):
    """Who speaks, and why."""

    COMMAND = 0x00
    RESPONSE = 0x01
    NOTICE = 0x02


class CommandCode(IntEnum):
    """What a frame is about. A failed command is answered with ERROR and one byte that says why."""

    REGION = 0x07
    POLL_ONCE = 0x22
    POLL_MANY = 0x27
    STOP = 0x28
    CHANNEL = 0xAB
    HOPPING = 0xAD
    POWER = 0xB6
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """The parameter of an ERROR response."""

    NO_TAG = 0x15  # a round of polling heard nobody: an ordinary answer
    UNKNOWN_COMMAND = 0x17


REGIONS = {"china": 0x01, "us": 0x02, "europe": 0x03, "china-840": 0x04, "korea": 0x06}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `kind` and `code` are kept as numbers, for a reader may say more than this program knows."""

    kind: int
    code: int
    parameters: bytes = b""

    def encode(self) -> bytes:
        """Return the frame as it travels."""
        body = bytes((self.kind, self.code)) + len(self.parameters).to_bytes(2, "big") + self.parameters
        return bytes((HEADER,)) + body + bytes((sum(body) & 0xFF, END))


def tag_crc(protocol_control: int, epc: bytes) -> int:
    """Return the CRC-16 that a tag keeps over PC and EPC (ISO/IEC 18000-63, annex F)."""
    return binascii.crc_hqx(protocol_control.to_bytes(2, "big") + epc, 0xFFFF) ^ 0xFFFF


@dataclass(frozen=True, slots=True)
class TagNotice:
    """A tag that answered a poll: RSSI in dBm, protocol control word, EPC, and the tag's own CRC-16."""

    rssi: int
    protocol_control: int
    epc: bytes
    crc: int

    @property
    def intact(self) -> bool:
        """Tell whether PC and EPC are as the tag sent them: a frame's own checksum misses one error in 256."""
        return self.crc == tag_crc(self.protocol_control, self.epc)

    def frame(self) -> Frame:
        """Return the notice as a frame."""
        rssi = self.rssi.to_bytes(1, "big", signed=True)
        control, crc = self.protocol_control.to_bytes(2, "big"), self.crc.to_bytes(2, "big")
        return Frame(FrameType.NOTICE, CommandCode.POLL_ONCE, rssi + control + self.epc + crc)


def tag_notice(frame: Frame) -> TagNotice | None:
    """Read a frame as a tag's notice; None when it is something else."""
    parameters = frame.parameters
    if (frame.kind, frame.code) != (FrameType.NOTICE, CommandCode.POLL_ONCE):
        return None
    if len(parameters) <= TAG_BEFORE_EPC + TAG_AFTER_EPC:
        return None
    return TagNotice(
        rssi=int.from_bytes(parameters[:1], "big", signed=True),
        protocol_control=int.from_bytes(parameters[1:TAG_BEFORE_EPC], "big"),
        epc=parameters[TAG_BEFORE_EPC:-TAG_AFTER_EPC],
        crc=int.from_bytes(parameters[-TAG_AFTER_EPC:], "big"),
    )


class FrameParser:
    """Finds the frames in a stream of bytes that comes in pieces, with noise between.

    What cannot be a frame is skipped byte by byte, so noise never costs the good frame behind it. A piece of noise that
    looks like the beginning of a long frame makes the parser wait for its end; `flush` gives up the wait.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes, and return the frames that they completed."""
        self._buffer += data
        return self._take(waiting=True)

    def flush(self) -> list[Frame]:
        """Return the frames behind an incomplete beginning, and forget everything else: nothing more will come."""
        frames = self._take(waiting=False)
        self._buffer.clear()
        return frames

    def _take(self, *, waiting: bool) -> list[Frame]:
        frames: list[Frame] = []
        buffer = self._buffer
        position = 0
        while (position := buffer.find(HEADER, position)) >= 0:
            frame = self._frame_at(position)
            if isinstance(frame, Frame):
                frames.append(frame)
                position += PREFIX_LENGTH + len(frame.parameters) + SUFFIX_LENGTH
            elif frame is None and waiting:
                break
            else:
                position += 1
        del buffer[: len(buffer) if position < 0 else position]
        return frames

    def _frame_at(self, start: int) -> Frame | bool | None:
        """Return the frame that begins here, None when more bytes must tell, False when there is none."""
        buffer = self._buffer
        if len(buffer) > start + 1 and buffer[start + 1] > max(FrameType):
            return False
        if len(buffer) < start + PREFIX_LENGTH:
            return None
        length = int.from_bytes(buffer[start + 3 : start + PREFIX_LENGTH], "big")
        if length > LONGEST_PARAMETERS:
            return False
        checksum_at = start + PREFIX_LENGTH + length
        if len(buffer) < checksum_at + SUFFIX_LENGTH:
            return None
        if buffer[checksum_at + 1] != END or sum(buffer[start + 1 : checksum_at]) & 0xFF != buffer[checksum_at]:
            return False
        return Frame(buffer[start + 1], buffer[start + 2], bytes(buffer[start + PREFIX_LENGTH : checksum_at]))
