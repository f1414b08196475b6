"""The interfaces that protocols implement and applications depend on."""
