"""Messages that arrive again: by trace id, and by the broker's own redelivery."""
