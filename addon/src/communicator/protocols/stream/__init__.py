"""Request and response over a stream of bytes: TCP and serial lines."""
