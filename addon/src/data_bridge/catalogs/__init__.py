"""The two catalogs: read, checked, compiled."""
