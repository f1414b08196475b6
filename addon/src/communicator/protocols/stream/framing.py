"""Where one message ends in a stream of bytes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, override

from communicator.common.exception import ProtocolDecodeError, ProtocolValidationError

MAXIMUM_FRAME_BYTES = 1_048_576


class Framing(ABC):
    """Turns a message into bytes on the wire, and finds the next message in what has come."""

    @abstractmethod
    def encode(self, message: bytes) -> bytes:
        """Return a message as it goes over the wire.

        Raises:
            ProtocolValidationError: it cannot be framed this way.
        """

    @abstractmethod
    def decode(self, received: bytearray) -> bytes | None:
        """Take the next whole message out of `received`; None when there is none yet.

        Raises:
            ProtocolDecodeError: it can never become one.
        """


@dataclass(frozen=True, slots=True)
class RawFraming(Framing):
    """No frames: a message is what has come so far."""

    @override
    def encode(self, message: bytes) -> bytes:
        return message

    @override
    def decode(self, received: bytearray) -> bytes | None:
        message = bytes(received)
        received.clear()
        return message or None


@dataclass(frozen=True, slots=True)
class DelimiterFraming(Framing):
    """A message ends with a delimiter, which is not part of it."""

    delimiter: bytes = b"\n"
    maximum: int = MAXIMUM_FRAME_BYTES

    def __post_init__(self) -> None:
        """Refuse an empty delimiter.

        Raises:
            ProtocolValidationError: it is empty.
        """
        if not self.delimiter:
            raise ProtocolValidationError("a delimiter must have at least one byte")

    @override
    def encode(self, message: bytes) -> bytes:
        if self.delimiter in message:
            raise ProtocolValidationError(f"a message must not contain its delimiter {self.delimiter!r}")
        return message + self.delimiter

    @override
    def decode(self, received: bytearray) -> bytes | None:
        end = received.find(self.delimiter)
        if end < 0:
            _check_size(len(received), self.maximum)
            return None
        _check_size(end, self.maximum)
        message = bytes(received[:end])
        del received[: end + len(self.delimiter)]
        return message


@dataclass(frozen=True, slots=True)
class LengthFraming(Framing):
    """A message comes after its length in 1, 2, 4 or 8 bytes; `counts_itself` when these are part of the length."""

    size: int = 2
    byteorder: Literal["big", "little"] = "big"
    counts_itself: bool = False
    maximum: int = MAXIMUM_FRAME_BYTES

    def __post_init__(self) -> None:
        """Refuse an impossible length field.

        Raises:
            ProtocolValidationError: naming the field.
        """
        if self.size not in (1, 2, 4, 8):
            raise ProtocolValidationError(f"a length has 1, 2, 4 or 8 bytes, not {self.size}")
        if self.byteorder not in ("big", "little"):
            raise ProtocolValidationError(f'byteorder must be "big" or "little", not {self.byteorder!r}')

    @override
    def encode(self, message: bytes) -> bytes:
        length = len(message) + (self.size if self.counts_itself else 0)
        try:
            return length.to_bytes(self.size, self.byteorder) + message
        except OverflowError as error:
            raise ProtocolValidationError(
                f"{len(message)} bytes are too many for a length of {self.size} bytes"
            ) from error

    @override
    def decode(self, received: bytearray) -> bytes | None:
        if len(received) < self.size:
            return None
        length = int.from_bytes(received[: self.size], self.byteorder) - (self.size if self.counts_itself else 0)
        if length < 0:
            raise ProtocolDecodeError("a message's length is shorter than the length itself")
        _check_size(length, self.maximum)
        end = self.size + length
        if len(received) < end:
            return None
        message = bytes(received[self.size : end])
        del received[:end]
        return message


@dataclass(frozen=True, slots=True)
class FixedFraming(Framing):
    """Every message has the same number of bytes."""

    length: int = 1

    def __post_init__(self) -> None:
        """Refuse an impossible length.

        Raises:
            ProtocolValidationError: it is not 1..1,048,576.
        """
        if not 0 < self.length <= MAXIMUM_FRAME_BYTES:
            raise ProtocolValidationError(f"a fixed length must be 1..{MAXIMUM_FRAME_BYTES}, not {self.length}")

    @override
    def encode(self, message: bytes) -> bytes:
        if len(message) != self.length:
            raise ProtocolValidationError(f"a message must have {self.length} bytes, not {len(message)}")
        return message

    @override
    def decode(self, received: bytearray) -> bytes | None:
        if len(received) < self.length:
            return None
        message = bytes(received[: self.length])
        del received[: self.length]
        return message


_KINDS: dict[str, type[Framing]] = {
    "raw": RawFraming,
    "delimiter": DelimiterFraming,
    "length": LengthFraming,
    "fixed": FixedFraming,
}


def framing_from(setting: Framing | Mapping[str, object] | None) -> Framing:
    """Return the framing that a setting means: an object, `{"kind": "delimiter", "delimiter": ";"}`, or None for raw.

    Raises:
        ProtocolValidationError: the kind or an option is unknown or impossible.
    """
    if setting is None:
        return RawFraming()
    if isinstance(setting, Framing):
        return setting
    options = dict(setting)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProtocolValidationError(f"unknown framing {kind!r}; known are {', '.join(_KINDS)}")
    if isinstance(delimiter := options.get("delimiter"), str):
        options["delimiter"] = delimiter.encode()
    try:
        return _KINDS[kind](**options)
    except TypeError as error:
        raise ProtocolValidationError(f"framing {kind!r}: {error}") from error


def _check_size(size: int, maximum: int) -> None:
    if size > maximum:
        raise ProtocolDecodeError(f"a message has more than {maximum} bytes")
