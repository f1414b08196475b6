"""The two catalog files: read, checked and turned into one model."""
