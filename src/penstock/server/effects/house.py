"""The house the plane lives in: room on its disk, and how long the certificate it shows is good.

Owns asking the machine. Never judges: from when on that is too little stands in `core.faults`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from penstock.server.effects import certs


class House(Protocol):
    """What the plane asks of it."""

    def disk(self) -> tuple[int, int]:
        """(free, whole) bytes where its data lies; (0, 0) when that cannot be told."""
        ...

    def certificate_ends_ms(self) -> int:
        """When the certificate it shows ends (unix ms); 0 when it shows none."""
        ...


class FolderHouse:
    """A data folder, and the file of the certificate being served (None: a proxy ends TLS)."""

    def __init__(self, folder: Path, certificate: Path | None) -> None:
        self._folder = folder
        self._certificate = certificate

    def disk(self) -> tuple[int, int]:
        """See `House.disk`."""
        try:
            found = shutil.disk_usage(self._folder)
        except OSError:
            return 0, 0
        return found.free, found.total

    def certificate_ends_ms(self) -> int:
        """See `House.certificate_ends_ms`."""
        if self._certificate is None:
            return 0
        try:
            text = self._certificate.read_bytes()
            return certs.facts(text[text.find(b"-----BEGIN CERTIFICATE-----") :]).ends_ms
        except (OSError, certs.CertFault):
            return 0
