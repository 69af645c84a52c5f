"""Messages on their way out: an HTTPS POST that is signed, or a mail by SMTP. Real sockets, each wait bounded.

Owns reaching the receiver and saying in a sentence why it could not. Where a message may go is decided here, since it is a question of addresses: never to the
plane's own machine or link (unless a setting allows it), at the very address that was looked at, and never where a redirect points to. Never words a message,
never tries twice, and never logs a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Protocol

from penstock.wire.codec import WireError
from penstock.wire.urls import Url, read_url

STEP_S, WHOLE_S = 10.0, 25.0  # one wait; all of one delivery
MOST_ANSWER = 2048
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for one receiver. `way` is a target's; `secret` signs (a webhook) or signs in (SMTP)."""

    id: str
    kind: str
    way: dict[str, Any]
    secret: bytes = field(repr=False)
    body: bytes
    subject: str = ""
    text: str = ""


class Undelivered(Exception):
    """It did not arrive; the text says why, for whoever set the receiver up."""


class Courier(Protocol):
    """What the plane asks of it."""

    def deliver(self, parcels: Sequence[Parcel], now_ms: int) -> list[str]:
        """Carry these, at most one for each receiver; for each an empty text, or why it did not arrive."""
        ...


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """What the header Penstock-Signature says: HMAC-SHA256 over the time, a dot and the body."""
    mac = hmac.new(secret, str(at_s).encode("ascii") + b"." + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={mac}"


class NetCourier:
    """Carries over the network. `loopback`: the plane's own machine may be a receiver; `proxy`: an HTTP proxy's URL for webhooks."""

    def __init__(self, *, loopback: bool = False, proxy: str = "", whole_s: float = WHOLE_S, step_s: float = STEP_S) -> None:
        self._loopback = loopback
        self._proxy = read_url(proxy, ("http",), "proxy") if proxy else None
        self._whole_s, self._step_s = whole_s, step_s

    def deliver(self, parcels: Sequence[Parcel], now_ms: int) -> list[str]:
        """See `Courier.deliver`."""
        if not parcels:
            return []
        with ThreadPoolExecutor(min(AT_ONCE, len(parcels)), thread_name_prefix="courier") as pool:
            return list(pool.map(lambda one: self._one(one, now_ms), parcels))

    def _one(self, parcel: Parcel, now_ms: int) -> str:
        try:
            if parcel.kind == "webhook":
                self._post(parcel, now_ms)
            else:
                self._mail(parcel, now_ms)
        except Undelivered as fault:
            return str(fault)
        except TimeoutError:
            return f"it did not answer within {self._step_s:.0f} seconds"
        except ssl.SSLCertVerificationError as fault:
            return f"its certificate is not trusted: {fault.verify_message}"
        except smtplib.SMTPResponseException as fault:
            said = fault.smtp_error.decode("utf-8", "replace") if isinstance(fault.smtp_error, bytes) else str(fault.smtp_error)
            return f"the mail server answered {fault.smtp_code}: {_plain(said)}"
        except smtplib.SMTPRecipientsRefused as fault:
            said = "; ".join(f"{who}: {code} {_plain(why.decode('utf-8', 'replace'))}" for who, (code, why) in sorted(fault.recipients.items()))
            return f"the mail server takes no mail for {said}"
        except (OSError, ssl.SSLError, http.client.HTTPException, smtplib.SMTPException) as fault:
            return f"it cannot be reached: {_plain(str(fault)) or type(fault).__name__}"
        except ValueError as fault:
            return f"the message cannot be made: {_plain(str(fault))}"
        return ""

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def _post(self, parcel: Parcel, now_ms: int) -> None:
        try:
            url = read_url(parcel.way["url"])
        except WireError as fault:
            raise Undelivered(f"its address cannot be used: {fault.why}") from None
        context = ssl.create_default_context(cadata=parcel.way.get("ca") or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "penstock",
            "Penstock-Notice": parcel.id,
            "Penstock-Signature": signature(parcel.secret, now_ms // 1000, parcel.body),
            "Connection": "close",
        }
        raw = self._tunnel(url) if self._proxy is not None else self._open(url.host, url.port)
        with self._bounded(raw):
            connection = http.client.HTTPSConnection(url.host, url.port, timeout=self._step_s, context=context)
            connection.sock = context.wrap_socket(raw, server_hostname=url.host)
            try:
                connection.request("POST", url.path or "/", body=parcel.body, headers={**headers, "Host": url.authority()})
                answer = connection.getresponse()
                said = answer.read(MOST_ANSWER)
            finally:
                connection.close()
        if 300 <= answer.status < 400:
            raise Undelivered(f"it answered {answer.status} and points elsewhere; redirects are not followed: give the address it points to")
        if not 200 <= answer.status < 300:
            raise Undelivered(f"it answered {answer.status}" + (f": {text}" if (text := _plain(said.decode("utf-8", "replace"))) else ""))

    def _tunnel(self, url: Url) -> socket.socket:
        assert self._proxy is not None
        self._check_literal(url.host)
        raw = socket.create_connection((self._proxy.host, self._proxy.port), self._step_s)
        try:
            self._ask_proxy(raw, url)
        except BaseException:
            raw.close()
            raise
        return raw

    def _ask_proxy(self, raw: socket.socket, url: Url) -> None:
        raw.sendall(f"CONNECT {url.host_port()} HTTP/1.1\r\nHost: {url.host_port()}\r\n\r\n".encode("ascii"))
        head = b""
        while b"\r\n\r\n" not in head:
            piece = raw.recv(1)  # what comes after the head is the receiver's TLS
            if not piece or len(head) > MOST_ANSWER:
                raise Undelivered("the proxy ended the connection")
            head += piece
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if status.split(" ")[1:2] != ["200"]:
            raise Undelivered(f"the proxy answered: {_plain(status)}")

    # --- mail ---------------------------------------------------------------------------------------------------------

    def _mail(self, parcel: Parcel, now_ms: int) -> None:
        way = parcel.way
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = way["sender"], ", ".join(way["to"]), parcel.subject
        message["Date"] = formatdate(now_ms / 1000)
        message["Message-ID"] = f"<{parcel.id}@{way['sender'].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(parcel.text)
        context = ssl.create_default_context(cadata=way.get("ca") or None)
        raw = self._open(way["host"], way["port"])
        with self._bounded(raw):
            plain = raw if way["security"] != "tls" else context.wrap_socket(raw, server_hostname=way["host"])
            server = _Smtp(plain, way["host"], way["port"], self._step_s)
            try:
                if way["security"] == "starttls":
                    server.starttls(context=context)
                if way.get("user"):
                    server.login(way["user"], parcel.secret.decode("utf-8"))
                refused = server.send_message(message)
                if refused:
                    raise smtplib.SMTPRecipientsRefused(refused)
            finally:
                server.close()

    # --- addresses ----------------------------------------------------------------------------------------------------

    def _open(self, host: str, port: int) -> socket.socket:
        """A connection to the first address of `host` that takes one, each looked at before. Raises Undelivered, OSError."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            raise Undelivered(f"there is no address for {host}") from None
        for *_, place in found:
            self._check(str(place[0]), host)
        last: OSError = OSError("no address")
        for *_, place in found[:4]:
            try:
                return socket.create_connection((str(place[0]), port), self._step_s)
            except OSError as fault:
                last = fault
        raise last

    def _check_literal(self, host: str) -> None:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host == "localhost" or host.endswith(".localhost"):
                self._check("127.0.0.1", host)
            return
        self._check(host, host)

    def _check(self, address: str, host: str) -> None:
        one = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(one, ipaddress.IPv6Address) and one.ipv4_mapped is not None:
            one = one.ipv4_mapped
        if one.is_loopback and self._loopback:
            return
        if one.is_loopback or one.is_unspecified or one.is_link_local or one.is_multicast or str(one) == "255.255.255.255":
            raise Undelivered(
                f"{host} is {one}, which is the control plane's own machine or link; messages go there only if the setting notify_loopback allows it"
                if one.is_loopback or one.is_unspecified
                else f"{host} is {one}, which no message is sent to"
            )

    @contextmanager
    def _bounded(self, raw: socket.socket) -> Iterator[None]:
        """Cut the connection when the whole of it takes too long: a receiver that sends one byte now and then must not hold anybody up."""
        raw.settimeout(self._step_s)
        over = threading.Event()
        sleeper = raw.dup()  # wrapping takes the descriptor away from `raw`

        def cut() -> None:
            over.set()
            try:
                sleeper.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

        timer = threading.Timer(self._whole_s, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, http.client.HTTPException, smtplib.SMTPException):
            if not over.is_set():
                raise
        finally:
            timer.cancel()
            sleeper.close()
            raw.close()
        if over.is_set():  # what was cut off may look like an answer
            raise Undelivered(f"it did not end within {self._whole_s:.0f} seconds")


class _Smtp(smtplib.SMTP):
    """smtplib's client over a connection that is open already, to an address that was looked at."""

    def __init__(self, ready: socket.socket, host: str, port: int, timeout: float) -> None:
        self._ready = ready
        super().__init__(host, port, local_hostname="penstock", timeout=timeout)
        self._host = host

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002
        return self._ready


def _plain(text: str) -> str:
    """What somebody else says, on one line and shortened."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:200]
