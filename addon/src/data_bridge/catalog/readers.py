"""From the payload of a topic rule's message to the rule's value: one prepared function for each rule."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from orjson import JSONDecodeError, loads

from data_bridge.catalog.casts import Cast, CastError, DigitsLostError, Raw, Value
from data_bridge.catalog.json_path import Getter, PathMissingError, prepare_path


@dataclass(frozen=True, slots=True)
class NoJson:
    """A payload that is no JSON, and where it ceases to be."""

    error: str


type Document = Raw | NoJson
type Reader = Callable[[Document, bytes], Value]
"""read(document, payload): the value in a payload, which `parse_document` has parsed once for all rules.

It raises CastError.
"""


def parse_document(payload: bytes) -> Document:
    """Return the JSON value of a payload."""
    try:
        document: Raw = loads(payload)
    except JSONDecodeError as error:
        return NoJson(str(error))
    return document


def with_digits(payload: bytes) -> Raw:
    """Return the value of a JSON payload with each number as its text.

    The payload must be one that `parse_document` can parse. It costs several times as much.
    """
    document: Raw = json.loads(payload, parse_int=str, parse_float=str)
    return document


def prepare_reader(cast: Cast, path: str | None, *, verbatim: bool) -> Reader:
    """Return the function from a payload to a value.

    With a `path` the payload must be JSON that holds something there. Without one it is the value itself, as JSON or
    as plain text; when `verbatim` it is a text byte for byte, but for the quotes of a JSON string.

    Raises:
        ValueError: the path makes no sense.
    """
    if path is not None:
        return _reader_at(prepare_path(path), path, cast)
    return _read_text if verbatim else _reader_of_whole(cast)


def _reader_at(get: Getter, path: str, cast: Cast) -> Reader:
    def read(document: Document, payload: bytes) -> Value:
        if isinstance(document, NoJson):
            raise CastError("invalid_json", document.error)
        try:
            raw = get(document)
        except PathMissingError:
            raise CastError("missing_field", f"the message has no {path}") from None
        try:
            return cast(raw)
        except DigitsLostError:
            return cast(get(with_digits(payload)))

    return read


def _reader_of_whole(cast: Cast) -> Reader:
    def read(document: Document, payload: bytes) -> Value:
        if isinstance(document, NoJson):
            return cast(_text(payload))
        try:
            return cast(document)
        except DigitsLostError:
            return cast(with_digits(payload))

    return read


def _read_text(document: Document, payload: bytes) -> Value:
    return document if isinstance(document, str) else _text(payload)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise CastError("not_text", f"neither JSON nor UTF-8 text (byte {error.start})") from None
