"""Finding and making protocols by name."""
