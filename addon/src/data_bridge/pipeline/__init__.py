"""The layers that a message passes: input, mapping, resolver, transport. Each has one method on the hot path."""
