"""Deliveries on their way to the broker: in flight, ordered, held back and retried."""
