"""The TLS side of a connection."""

import socket
import ssl

from communicator.common.exception import ProtocolValidationError
from communicator.protocols.mqtt.configuration import MQTTConfig


class TimedContext(ssl.SSLContext):
    """A client context that ends a handshake after `handshake_seconds`.

    Paho gives a handshake the keep-alive time, which may be longer than the caller wants to wait for `connect`.
    """

    handshake_seconds: float = 60.0

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,  # noqa: ARG002 -- the signature is Python's
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Wrap a connected socket and do the handshake at once; a failure closes the socket."""
        sock.settimeout(self.handshake_seconds)
        wrapped = super().wrap_socket(sock, server_side, False, suppress_ragged_eofs, server_hostname, session)
        try:
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


class RenewedContext(ssl.SSLContext):
    """A client context whose files are read anew for each connection: a renewed certificate needs no restart."""

    config: MQTTConfig

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Wrap a connected socket with the files as they are now; a failure closes the socket.

        Raises:
            ProtocolValidationError: a file is not there or is no certificate or key.
        """
        try:
            context = _load(self.config)
        except BaseException:
            sock.close()
            raise
        return context.wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )


def client_context(config: MQTTConfig) -> RenewedContext:
    """Return the context for these settings: TLS 1.2 or newer, certificate and host name checked unless told otherwise.

    Raises:
        ProtocolValidationError: a file is not there or is no certificate or key.
    """
    _load(config)
    context = RenewedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.config = config
    # Read by those who ask whether the host name is checked.
    context.check_hostname = not config.tls_insecure
    return context


def _load(config: MQTTConfig) -> TimedContext:
    """Return a context with the files as they are now.

    Raises:
        ProtocolValidationError: a file is not there or is no certificate or key.
    """
    context = TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.handshake_seconds = config.timeout
    context.minimum_version = _oldest_version(config.tls_version)
    if config.tls_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if config.ca_certs is not None:
            context.load_verify_locations(config.ca_certs)
        else:
            context.load_default_certs()
    except OSError as error:
        raise ProtocolValidationError(f"ca_certs {config.ca_certs!r} cannot be used: {error}") from error
    if config.certfile is not None:
        try:
            # A function, or OpenSSL asks on the terminal when an encrypted key has no password here.
            context.load_cert_chain(config.certfile, config.keyfile, lambda: config.keyfile_password or "")
        except OSError as error:
            raise ProtocolValidationError(
                f"certfile {config.certfile!r} with keyfile {config.keyfile!r} cannot be used: {error}"
            ) from error
    return context


def _oldest_version(setting: int | None) -> ssl.TLSVersion:
    try:
        version = ssl.TLSVersion.TLSv1_2 if setting is None else ssl.TLSVersion(setting)
    except ValueError:
        # The fielded API takes ssl.PROTOCOL_… too: the newest that both know, or one fixed old version.
        return ssl.TLSVersion.TLSv1_2
    return max(version, ssl.TLSVersion.TLSv1_2)
