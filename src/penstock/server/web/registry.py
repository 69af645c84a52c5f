"""Pages of the image registry: what it holds, one repository with its images, deleting a tag, and how to push."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from penstock.apiv1 import registry as i
from penstock.server.api import queries, repositories
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, read, told

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask


def _host(ask: Ask) -> str:
    """How people reach the registry: the plane's first address."""
    return urlsplit(ask.plane.addresses[0]).netloc if ask.plane.addresses else "plane.example"


def _registry(ask: Ask, problem: Problem | None = None, swept: i.RegistrySwept | None = None) -> Show:
    return Show("registry.html", {"usage": ask.ask(repositories.get_usage), "host": _host(ask), "swept": swept, "problem": problem}, 422 if problem else 200)


def registry(ask: Ask) -> Show:
    """What the registry holds."""
    return _registry(ask)


def sweep(ask: Ask) -> Show:
    """Sweep, or say what would go."""
    try:
        found = ask.ask(repositories.sweep, body=i.RegistrySweep(dry_run=ask.first("do") == "look"))
    except PAGE_FAULTS as fault:
        return _registry(ask, told(fault))
    return _registry(ask, swept=found)


def _repository(ask: Ask, name: str, problem: Problem | None = None) -> Show:
    found = ask.ask(repositories.get_repository, query=queries.Repository(name=name))
    return Show("repository.html", {"found": found, "host": _host(ask), "problem": problem}, 422 if problem else 200)


def repository(ask: Ask) -> Show:
    """One repository."""
    return _repository(ask, ask.query.get("name", ""))


def delete(ask: Ask) -> Show | Go:
    """Delete a tag or an image."""
    name = ask.first("repository")
    try:
        said = ask.ask(repositories.delete, body=read(i.RegistryDelete, {key: ask.first(key) for key in ("repository", "reference", "reason")})).said
    except PAGE_FAULTS as fault:
        return _repository(ask, name, told(fault))
    return Go(f"/registry/repository?{urlencode({'name': name})}", said)
