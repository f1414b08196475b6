"""OctoPrint with the FACTOR plug-in (octoprint-factor-plugin on PyPI): `octoprint/status/<device_uuid>`.

Two kinds of message share the topic: a full status every second, and `{"state_id","state_string"}` at each change,
which is merged and replaces nothing.
"""

from ..errors import MalformedMessageError
from ..json_values import JsonObject, JsonValue, parse_object, to_float, to_text
from ..printer import PrinterReport, PrinterState

_STATES = {
    "STARTING": PrinterState.PRINTING,
    "PRINTING": PrinterState.PRINTING,
    "PRINTING_FROM_SD": PrinterState.PRINTING,
    "RESUMING": PrinterState.PRINTING,
    "FINISHING": PrinterState.PRINTING,
    "PAUSING": PrinterState.PAUSED,
    "PAUSED": PrinterState.PAUSED,
    "CANCELLING": PrinterState.PRINTING,
    "OPERATIONAL": PrinterState.IDLE,
    "ERROR": PrinterState.ERROR,
    "CLOSED_WITH_ERROR": PrinterState.ERROR,
    "OFFLINE": PrinterState.OFFLINE,
    "CLOSED": PrinterState.OFFLINE,
}


def parse_status(payload: bytes) -> PrinterReport:
    """Read either kind of message. Progress is 0..100 here.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object` or `nothing_known`.
    """
    message = parse_object(payload)
    state = message.get("state")
    if "state_id" in message and not isinstance(state, dict):
        return PrinterReport(state=_by_text(message.get("state_id")) or _by_text(message.get("state_string")))
    if not isinstance(state, dict) and not isinstance(message.get("temperatures"), dict):
        raise MalformedMessageError("nothing_known")
    progress, job, temperatures = _inner(message, "progress"), _inner(message, "job"), _inner(message, "temperatures")
    nozzle, bed = _inner(temperatures, "tool0"), _inner(temperatures, "bed")
    completion = to_float(progress.get("completion"))
    return PrinterReport(
        state=_by_flags(state, message) if isinstance(state, dict) else None,
        full=True,
        progress=None if completion is None else min(max(completion, 0.0), 100.0),
        file_name=to_text(_inner(job, "file").get("name")),
        nozzle_temperature=to_float(nozzle.get("actual")),
        nozzle_target=to_float(nozzle.get("target")),
        bed_temperature=to_float(bed.get("actual")),
        bed_target=to_float(bed.get("target")),
    )


def _inner(values: JsonObject, key: str) -> JsonObject:
    inner = values.get(key)
    return inner if isinstance(inner, dict) else {}


def _by_flags(state: JsonObject, message: JsonObject) -> PrinterState | None:
    # Texts may be localised, so flags come first, then the id, the text last.
    flags = _inner(state, "flags")
    if flags.get("printing") is True:
        return PrinterState.PRINTING
    if flags.get("paused") is True:
        return PrinterState.PAUSED
    if flags.get("error") is True:
        return PrinterState.ERROR
    named = _by_text(message.get("state_id")) or _by_text(state.get("text"))
    if named is not None:
        return named
    if flags.get("operational") is True:
        return PrinterState.IDLE
    return None


def _by_text(value: JsonValue) -> PrinterState | None:
    if not isinstance(value, str):
        return None
    # "Offline (Error: ...)" and "Printing from SD" begin with the word that counts.
    upper = value.strip().upper().replace(" ", "_")
    return _STATES.get(upper) or _STATES.get(upper.split("_")[0])
