"""From what the system, TLS or the broker said to the exception that the user gets."""

import socket
import ssl

from communicator.common.exception import (
    ProtocolAuthenticationError,
    ProtocolCertificateError,
    ProtocolCertificateExpiredError,
    ProtocolCertificateHostError,
    ProtocolCertificateUntrustedError,
    ProtocolClientIdError,
    ProtocolConnectionError,
    ProtocolError,
    ProtocolTimeoutError,
    ProtocolUnavailableError,
    ProtocolVersionError,
)

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_NOT_IN_FORCE = (9, 10)
_OTHER_HOST = (62, 63, 64)

# Reason codes of CONNACK, MQTT 5.0 section 3.2.2.2; paho translates those of 3.1.1 to them.
_BY_REASON_CODE: dict[int, type[ProtocolError]] = {
    0x84: ProtocolVersionError,
    0x85: ProtocolClientIdError,
    0x86: ProtocolAuthenticationError,
    0x87: ProtocolAuthenticationError,
    0x88: ProtocolUnavailableError,
    0x89: ProtocolUnavailableError,
    0x8A: ProtocolAuthenticationError,
    0x8C: ProtocolAuthenticationError,
    0x97: ProtocolUnavailableError,
    0x9C: ProtocolUnavailableError,
    0x9D: ProtocolUnavailableError,
    0x9F: ProtocolUnavailableError,
}


def refusal(reason_code: int, name: str, host: str, port: int, explanation: str | None = None) -> ProtocolError:
    """Return the exception for a CONNACK that is not a success; `explanation` is the broker's reason string."""
    kind = _BY_REASON_CODE.get(reason_code, ProtocolError)
    text = f"the broker refused the connection: {name}"
    return kind(f"{text} ({explanation})" if explanation else text, host=host, port=port)


def connect_failure(error: Exception, host: str, port: int) -> ProtocolError:
    """Return the exception for what happened below MQTT while connecting."""
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, host, port)
    if isinstance(error, TimeoutError):
        return ProtocolTimeoutError("no answer in time", host=host, port=port)
    if isinstance(error, socket.gaierror):
        return ProtocolConnectionError(f"the host name cannot be resolved: {error.strerror}", host=host, port=port)
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return ProtocolConnectionError(text, host=host, port=port)


def _tls_failure(error: ssl.SSLError, host: str, port: int) -> ProtocolError:
    if isinstance(error, ssl.SSLCertVerificationError):
        kind: type[ProtocolCertificateError]
        if error.verify_code in _NOT_IN_FORCE:
            kind = ProtocolCertificateExpiredError
        elif error.verify_code in _OTHER_HOST:
            kind = ProtocolCertificateHostError
        else:
            kind = ProtocolCertificateUntrustedError
        return kind(f"the broker's certificate is not accepted: {error.verify_message}", host=host, port=port)
    reason = (error.reason or "").replace("_", " ").lower() or "the TLS handshake failed"
    # An alert is what the other side says of us.
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        return ProtocolAuthenticationError(f"the broker refused our certificate: {reason}", host=host, port=port)
    return ProtocolConnectionError(f"TLS: {reason}", host=host, port=port)
