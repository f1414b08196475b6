"""Dead letters: values and messages that could not be delivered, stored in SQLite until replayed or purged."""
