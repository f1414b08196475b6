"""The exception family: every error that a protocol raises is a `ProtocolError`.

A user may show any of them as they are: the text has host, port and the peer's own reason where there is one, and never
a password or a payload.
"""


class ProtocolError(Exception):
    """A protocol could not do what it was asked to.

    Attributes:
        host: the peer's address, where the error is about a peer.
        port: its port, where it has one.
        reason: what went wrong, in the peer's or the system's own words where they gave any.
    """

    def __init__(self, reason: str = "", *, host: str | None = None, port: int | None = None) -> None:
        self.reason = reason
        self.host = host
        self.port = port
        place = None if host is None else host if port is None else f"{host}:{port}"
        super().__init__(reason if place is None else f"{place}: {reason}")


class ProtocolConnectionError(ProtocolError):
    """No connection: refused, unreachable, lost, or not there yet."""


class ProtocolTimeoutError(ProtocolConnectionError):
    """The peer did not answer in time."""


class ProtocolCertificateError(ProtocolConnectionError):
    """TLS: one side did not accept the other's certificate."""


class ProtocolCertificateExpiredError(ProtocolCertificateError):
    """TLS: the peer's certificate has expired, or is not valid yet."""


class ProtocolCertificateUntrustedError(ProtocolCertificateError):
    """TLS: the peer's certificate comes from an authority that is not trusted here."""


class ProtocolCertificateHostError(ProtocolCertificateError):
    """TLS: the peer's certificate is for another host name."""


class ProtocolAuthenticationError(ProtocolError):
    """The peer refused the user name, the password, the client certificate, or what they permit."""


class ProtocolVersionError(ProtocolError):
    """The peer does not speak the chosen version of the protocol."""


class ProtocolClientIdError(ProtocolError):
    """The broker refused the client id."""


class ProtocolUnavailableError(ProtocolError):
    """The peer is there but does not serve now: busy, shutting down, or asking to use another server."""


class ProtocolValidationError(ProtocolError, ValueError):
    """What the caller passed cannot be right: a setting, a topic, a QoS."""


class ProtocolDecodeError(ProtocolError):
    """What the peer sent cannot be read."""


class ProtocolQueueFullError(ProtocolError):
    """A bounded queue is full: the message was not taken, and that is counted."""
