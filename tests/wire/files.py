"""The descriptions of the wire in this folder, for the tests of all programs that read or write it."""

from pathlib import Path
from typing import Any

import yaml


def read_wire_file(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return one description, for example that of `basket_commands`."""
    described: dict[str, list[dict[str, Any]]] = yaml.safe_load(
        (Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8")
    )
    return described


def payload_of(message: dict[str, Any]) -> bytes:
    """Return the payload of a described message: `text` in UTF-8, or `bytes` in hexadecimal."""
    return bytes.fromhex(message["bytes"]) if "bytes" in message else str(message["text"]).encode()


def name_of(message: object) -> str | None:
    """Return how a described message is called in the names of tests; None leaves that to pytest."""
    if not isinstance(message, dict):
        return None
    return repr(message["bytes"] if "bytes" in message else message.get("text", message))
