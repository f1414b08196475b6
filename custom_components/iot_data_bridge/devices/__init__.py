"""The devices of the field as values: bytes in, state, events and commands out. Nothing here knows Home Assistant."""
