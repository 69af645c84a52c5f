"""The part of the typed client about where images come from and what is in them. `Client.supply` is one.

Owns one method per thing a program may ask there; how a request goes out and comes back is the client's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from penstock.apiv1 import supply as s
from penstock.apiv1.common import Outcome, Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.client_access import Asking


class SupplyClient:
    """Upstream registries, mirrors, what is attached and what runs where, of one control plane, as one asker."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask

    def upstreams(self) -> tuple[s.Upstream, ...]:
        """The registries that images may be copied from."""
        return self._ask("GET", "/upstreams", Page[s.Upstream]).items

    def set_upstream(self, body: s.UpstreamSet) -> s.Upstream:
        """Images may be copied from there."""
        return self._ask("POST", "/upstreams", s.Upstream, body)

    def remove_upstream(self, host: str) -> Outcome:
        """Nothing is copied from there any more."""
        return self._ask("DELETE", f"/upstreams/{quote(host, safe='')}", Outcome)

    def test_upstream(self, host: str) -> s.UpstreamTested:
        """Whether it answers."""
        return self._ask("POST", f"/upstreams/{quote(host, safe='')}/test", s.UpstreamTested)

    def mirrors(self) -> tuple[s.Mirror, ...]:
        """Copies of other registries' images."""
        return self._ask("GET", "/mirrors", Page[s.Mirror]).items

    def check_mirrors(self, mirror: str = "") -> tuple[s.Mirror, ...]:
        """Look again, now."""
        return self._ask("POST", "/mirrors/check", Page[s.Mirror], s.MirrorCheck(mirror=mirror)).items

    def forget_mirror(self, mirror: str) -> Outcome:
        """It is no longer looked at."""
        return self._ask("DELETE", f"/mirrors/{quote(mirror, safe='')}", Outcome)

    def attached(self, release: str) -> tuple[s.ImageAttached, ...]:
        """What is attached to the images of a release."""
        return self._ask("GET", f"/releases/{quote(release, safe='')}/attached", Page[s.ImageAttached]).items

    def find(self, digest: str = "", package: str = "", cve: str = "") -> s.Found:
        """Which devices run it."""
        return self._ask("GET", "/find", s.Found, query={"digest": digest, "package": package, "cve": cve})

    def lists(self) -> tuple[s.VulnerabilityList, ...]:
        """The lists of vulnerabilities there are."""
        return self._ask("GET", "/vulnerability-lists", Page[s.VulnerabilityList]).items

    def import_list(self, body: s.VulnerabilityImport) -> s.VulnerabilitiesImported:
        """Take in entries of a list."""
        return self._ask("POST", "/vulnerability-lists", s.VulnerabilitiesImported, body)

    def remove_list(self, name: str) -> Outcome:
        """Forget a list."""
        return self._ask("DELETE", f"/vulnerability-lists/{quote(name, safe='')}", Outcome)

    def templates(self) -> tuple[s.TemplateBrief, ...]:
        """Catalogue entries that releases are published from."""
        return self._ask("GET", "/templates", Page[s.TemplateBrief]).items

    def template(self, app: str) -> s.Template:
        """One, with its Compose text."""
        return self._ask("GET", f"/templates/{quote(app, safe='')}", s.Template)

    def import_templates(self, catalogue: str, source: str = "", stacks: Mapping[str, str] | None = None) -> s.TemplatesImported:
        """Take in a catalogue of templates."""
        return self._ask("POST", "/templates", s.TemplatesImported, s.TemplatesImport(catalogue=catalogue, source=source, stacks=dict(stacks or {})))

    def remove_template(self, app: str) -> Outcome:
        """A template goes; its app stays."""
        return self._ask("DELETE", f"/templates/{quote(app, safe='')}", Outcome)
