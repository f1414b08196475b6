"""Why a message, or a part of it, did not reach a device: the words of counters, logs, events and dead letters."""

from enum import StrEnum


class Reason(StrEnum):
    """One counted reason each."""

    TOO_LARGE = "too_large"  # above the size limit; never parsed
    INVALID_JSON = "invalid_json"  # not JSON: broken, binary, nested too deep, NaN, a number beyond all numbers
    NOT_TEXT = "not_text"  # a topic rule without a path met bytes that are no UTF-8
    WRONG_SHAPE = "wrong_shape"  # JSON, but no envelope: a list, a text, a payload that is no object
    MISSING_FIELD = "missing_field"  # an envelope without Equip.Tag, Message.ID or VALUE; a path that leads nowhere
    NULL_VALUE = "null_value"
    UNKNOWN_KEY = "unknown_key"  # no rule for this Equip.Tag and Message.ID
    UNKNOWN_OBJECT = "unknown_object"  # a template made a name that no object of this type has
    NO_DEVICE = "no_device"  # mapped to an object without a device
    CAST_FAILED = "cast_failed"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_OPTION = "unknown_option"  # not in the rule's enum map
    DUPLICATE = "duplicate"
    NO_TRANSPORT = "no_transport"  # the device is reached over a transport that is not there
    REFUSED = "refused"  # the broker refused a delivery, every time it was tried
    UNSUBSCRIBED = "unsubscribed"  # received by a subscription of an earlier catalog
    OVERLOAD = "overload"  # QoS 0 input beyond the limit of waiting messages
    CLEARED = "cleared"  # an empty payload, which removes a retained message
    RETAINED = "retained"  # kept by the broker, for rules that ignore such messages
    INTERNAL_ERROR = "internal_error"  # a fault of the bridge itself, met by this message


INPUT_REASONS = frozenset(Reason) - {
    Reason.DUPLICATE,
    Reason.NO_TRANSPORT,
    Reason.REFUSED,
    Reason.UNSUBSCRIBED,
    Reason.OVERLOAD,
    Reason.CLEARED,
    Reason.RETAINED,
}
"""The reasons to skip an input, and the names that `dead_letters.keep` takes."""

LOSES_DATA = INPUT_REASONS - {Reason.NULL_VALUE}
"""Those for which something is lost that the source said: null is the word for nothing."""

# Normal traffic: no log line.
QUIET = frozenset({Reason.CLEARED, Reason.RETAINED})
