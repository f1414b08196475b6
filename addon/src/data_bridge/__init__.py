"""The bridge: maps messages of devices to values for other devices, by catalog, without losing a message."""

from importlib.metadata import version

VERSION = version("iot-data-bridge")
# The version of the announcement format that `hello` names.
SCHEMA = 1
