"""Each device's latest values, as they are announced to Home Assistant."""

from collections.abc import Container, Mapping

from data_bridge.catalog.casts import Raw, Value, ValueType, is_of
from data_bridge.catalog.model import Catalog


class DeviceState:
    """A device's latest values, waiting to be announced; `object_types` has the types of its announced objects."""

    __slots__ = ("changed_ns", "device", "dirty", "object_types", "values")

    def __init__(self, device: str, object_types: Mapping[str, ValueType]) -> None:
        self.device = device
        self.object_types = object_types
        self.values: dict[str, Value] = {}
        self.dirty = False
        self.changed_ns = 0

    def keep(self, earlier: Mapping[str, Raw]) -> bool:
        """Add earlier values of these objects where there is no newer one; False when a value does not fit."""
        belong = True
        for name, value in earlier.items():
            value_type = self.object_types.get(name)
            if value_type is not None and is_of(value, value_type):
                self.values.setdefault(name, value)
            else:
                belong = False
        return belong


def device_states(
    catalog: Catalog, announced: Container[str], earlier: Mapping[str, DeviceState]
) -> dict[str, DeviceState]:
    """Return the state of each device that gets an announced object: the earlier one where it holds the same.

    Otherwise the state is a new one without values, so that a message in flight, mapped by the earlier catalog, does
    not write to it.
    """
    object_types: dict[str, dict[str, ValueType]] = {}
    for each in catalog.objects.values():
        if each.name in announced:
            for device in each.devices:
                object_types.setdefault(device, {})[each.name] = each.value_type
    states: dict[str, DeviceState] = {}
    for device, given in object_types.items():
        known = earlier.get(device)
        states[device] = known if known is not None and known.object_types == given else DeviceState(device, given)
    return states
