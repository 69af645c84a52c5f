"""TLS as the agent speaks it: verified always, at a time that is never below the floor, blocking or not as its socket is.

Owns contexts, handshakes, the judging of certificate dates when the system clock is wrong, and sentences for what fails. Never connects,
never retries, and has no switch that verifies less.

It stands on `_ssl`, the native half of `ssl`: the public half costs the resident process most of a megabyte and adds nothing that is used
here. `tests/agent/test_tls.py` holds the names it relies on against every Python that Penstock supports. See docs/decisions/0011-tls-and-the-time-floor.md.
"""

from __future__ import annotations

import _ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any

    from typing_extensions import Buffer

    Session = Any  # an opaque TLS session of `_ssl`

_TLS_CLIENT = 16  # ssl.PROTOCOL_TLS_CLIENT: certificate required, host name checked
_TLS12 = 0x0303
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, OpenSSL 1.1.0 and later
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

WantRead = _ssl.SSLWantReadError
WantWrite = _ssl.SSLWantWriteError

# X509_V_ERR_* (OpenSSL, x509_vfy.h) to what a person can do about it.
_VERDICTS = {
    9: "its certificate is not valid yet; is this device's clock behind?",
    10: "its certificate has expired; renew it on the control plane",
    18: "its certificate is signed by itself and not by an authority this device trusts; join with the plane's CA",
    19: "its certificate comes from an authority this device does not trust; if a proxy opens TLS on the way, name its CA (--ca-file)",
    20: "its certificate comes from an authority this device does not trust; if a proxy opens TLS on the way, name its CA (--ca-file)",
    21: "its certificate comes from an authority this device does not trust; if a proxy opens TLS on the way, name its CA (--ca-file)",
    23: "its certificate has been revoked",
    62: "its certificate is for another name; the address in the join command must be one the certificate names",
    64: "its certificate is for another address; the address in the join command must be one the certificate names",
}


class TlsError(Exception):
    """No secure connection. `why` is a sentence without the address; `certificate`: the other side's certificate was the reason."""

    def __init__(self, why: str, *, certificate: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.certificate = certificate


def seconds_of(text: str) -> int:
    """ "Nov 21 03:08:41 2026 GMT", the form `_ssl` gives certificate dates in, as unix seconds. Raises ValueError."""
    month, day, clock, year, zone = text.split()
    if zone != "GMT":
        raise ValueError(f"not a certificate's date: {text!r}")
    hour, minute, second = (int(part) for part in clock.split(":"))
    years, number = int(year), _MONTHS.index(month) + 1
    ahead = years - (number <= 2)  # days from a civil date, in years that begin in March
    of_year = (153 * (number + (-3 if number > 2 else 9)) + 2) // 5 + int(day) - 1
    days = ahead * 365 + ahead // 4 - ahead // 100 + ahead // 400 + of_year - 719468
    return days * 86400 + hour * 3600 + minute * 60 + second


class Context:
    """What to trust for one address. `ca`: PEM certificates, and nothing else is trusted; empty means the system's store. `at_s`: judge
    the dates of certificates at this time (unix seconds) because the system clock is behind it; 0: the system clock serves."""

    def __init__(self, ca: tuple[str, ...], at_s: int = 0) -> None:
        self.at_s = at_s
        context: Any = _ssl._SSLContext(_TLS_CLIENT)  # noqa: SLF001 - see the module
        context.minimum_version = _TLS12
        context._set_alpn_protocols(b"\x08http/1.1")  # noqa: SLF001
        if at_s:
            context.verify_flags |= _NO_CHECK_TIME  # the dates are judged by `Stream._judge_dates`, at the floor
        try:
            if ca:
                context.load_verify_locations(None, None, "\n".join(ca))
            else:
                context.set_default_verify_paths()
        except (OSError, ValueError) as fault:
            raise TlsError(f"the CA certificates to trust cannot be read: {fault}", certificate=True) from None
        self._context = context

    def wrap(self, sock: socket, host: str, session: Session | None = None) -> Stream:
        """A client's side over a connected socket; call `handshake` next. `session` is one of an earlier `Stream` of this context."""
        try:
            inner = self._context._wrap_socket(sock, False, host, session=session)  # noqa: SLF001
        except ValueError:  # a session of another context: the handshake is then a full one
            inner = self._context._wrap_socket(sock, False, host)  # noqa: SLF001
        return Stream(inner, sock, self)

    def anchors(self) -> list[dict[str, Any]]:
        """The trusted certificates that have been loaded, read."""
        found: list[dict[str, Any]] = self._context.get_ca_certs()
        return found


class Stream:
    """One TLS connection. It has the verbs of a socket that `http1.Connection` uses; on a non-blocking socket they raise WantRead or
    WantWrite. OSError means the connection broke."""

    def __init__(self, inner: Any, sock: socket, context: Context) -> None:
        self._inner = inner
        self._sock = sock
        self._context = context

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        return self._sock.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """As the socket's: 0 makes it non-blocking."""
        self._sock.settimeout(seconds)

    def handshake(self) -> None:
        """Do it, or go on with it. Raises TlsError, WantRead or WantWrite."""
        try:
            self._inner.do_handshake()
        except (WantRead, WantWrite):
            raise
        except _ssl.SSLCertVerificationError as fault:
            code = getattr(fault, "verify_code", 0)
            raise TlsError(_VERDICTS.get(code, f"its certificate was not accepted ({getattr(fault, 'verify_message', fault)})"), certificate=True) from None
        except _ssl.SSLError as fault:
            raise TlsError(f"it does not speak TLS 1.2 or later with us ({fault.reason or fault.strerror or fault})") from None
        except OSError as fault:
            raise TlsError(f"the connection broke during the TLS handshake ({fault.strerror or str(fault) or 'closed'})") from None
        if self._context.at_s and not self._inner.session_reused:
            self._judge_dates(self._context.at_s)

    def _judge_dates(self, at_s: int) -> None:
        """The dates of the verified chain, at the floor. Python 3.9 shows only the leaf; the anchors are then judged besides."""
        chain = getattr(self._inner, "get_verified_chain", None)
        certificates = [one.get_info() for one in chain() or ()] if chain else [self._inner.getpeercert(False), *self._issuers()]
        if not certificates:
            raise TlsError("it showed no certificate", certificate=True)
        for certificate in certificates:
            if seconds_of(certificate["notAfter"]) < at_s:
                raise TlsError(_VERDICTS[10], certificate=True)
            if seconds_of(certificate["notBefore"]) > at_s:
                raise TlsError(
                    f"its certificate begins at {certificate['notBefore']}, later than any time this device knows of; set its clock", certificate=True
                )

    def _issuers(self) -> list[dict[str, Any]]:
        issuer = self._inner.getpeercert(False).get("issuer")
        return [anchor for anchor in self._context.anchors() if anchor.get("subject") == issuer]

    def recv(self, count: int) -> bytes:
        """Up to `count` bytes; empty when the other side has closed properly. A connection cut without TLS's own goodbye is an OSError."""
        try:
            data: bytes = self._inner.read(count)
        except _ssl.SSLZeroReturnError:
            return b""
        except _ssl.SSLEOFError:
            raise ConnectionResetError("the connection was cut") from None
        return data

    def send(self, data: bytes | memoryview) -> int:
        """Write some of `data`; how much."""
        count: int = self._inner.write(data)
        return count

    def sendall(self, data: Buffer) -> None:
        """Write all of it (blocking sockets)."""
        left = memoryview(data)
        while left:
            left = left[self.send(left) :]

    def pending(self) -> int:
        """Decrypted bytes that wait to be read without the socket becoming readable."""
        count: int = self._inner.pending()
        return count

    def session(self) -> Session | None:
        """The session to resume next time; with TLS 1.3 only known once something has been read. Ask rarely: every asking costs some six
        kilobytes for good, because the native half does not free what it copies (measured with Python 3.11, 3.12 and 3.13; 3.9 does)."""
        return self._inner.session

    def resumed(self) -> bool:
        """Whether this connection took an earlier session up again."""
        return bool(self._inner.session_reused)

    def version(self) -> str:
        """For example "TLSv1.3"."""
        return self._inner.version() or ""

    def close(self) -> None:
        """Say goodbye if that needs no waiting, and close the socket."""
        if self._sock.fileno() < 0:
            return
        try:
            self._sock.settimeout(0)
            self._inner.shutdown()
        except OSError:
            self._sock.close()  # it is gone, or would have to be waited for
        self._sock.close()
