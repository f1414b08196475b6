"""The running bridge: connection, periodic tasks, commands, replay, metrics and health."""
