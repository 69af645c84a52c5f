"""The front door: one Litestar application with /api/v1, the pages, their live stream, static files, health and metrics.

Owns only the turning of the two tables of routes into an application. Who may what, and what is done, stands in the tables' lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from penstock.server.actions import system
from penstock.server.api import frame as api
from penstock.server.api import livepage, streams
from penstock.server.api.livepage import LivePages
from penstock.server.api.problems import make
from penstock.server.api.routes import ROUTES
from penstock.server.core import access
from penstock.server.core.errors import Refused
from penstock.server.core.rights import Target
from penstock.server.web.frame import HEADERS, Web
from penstock.server.web.routes import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.types import Method

    from penstock.server.actions.context import Plane
    from penstock.server.web.frame import Page

# What is neither API nor page: method, path, permission, doc line. Checked by the same test as the two tables.
PLAIN = (
    ("GET", "/live", "devices.read", "What changed, for pages; each topic is checked for itself."),
    ("GET", "/static/{path:path}", api.PUBLIC, "Style, script, fonts."),
    ("GET", "/healthz", api.PUBLIC, "Alive."),
    ("GET", "/readyz", api.PUBLIC, "Ready to serve."),
    ("GET", "/metrics", "system.metrics", "Numbers for Prometheus; needs a token."),
)


class _Numbers:
    """The plane's numbers as Prometheus reads them."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for name, labels, value in system.metrics(self.plane):
            family = families.get(name)
            if family is None:
                family = families[name] = GaugeMetricFamily(name, name.replace("_", " "), labels=tuple(labels))
            family.add_metric(tuple(str(item) for item in labels.values()), value)
        streams_open = GaugeMetricFamily("penstock_live_streams", "open server-sent event streams")
        streams_open.add_metric((), streams.count())
        yield from families.values()
        yield streams_open


def litestar_path(path: str) -> str:
    """A table's path as the router wants it."""
    return "/".join(f"{{{part[1:-1]}:str}}" if part.startswith("{") and ":" not in part else part for part in path.split("/")) or "/"


def _handler(method: str, path: str, endpoint: Any, limit: int) -> HTTPRouteHandler:
    async def serve(request: Request[Any, Any, Any]) -> Response[Any]:
        return await endpoint(request)  # type: ignore[no-any-return]

    verb: Method = method  # type: ignore[assignment]
    return HTTPRouteHandler(litestar_path(path), http_method=verb, request_max_body_size=limit, include_in_schema=False, status_code=200)(serve)


class Front:
    """The application: pages' event streams, which stay open for long, before the framework (`api.livepage`), all else in it."""

    def __init__(self, framework: Litestar, live: LivePages) -> None:
        self.framework = framework
        self.live = live

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == livepage.PATH:
            await self.live(scope, receive, send)
        else:
            await self.framework(scope, receive, send)


def build_front(plane: Plane) -> Front:
    """The application. Its lifespan ends its threads."""
    frame = api.Frame(plane)
    web = Web(frame)
    handlers: list[HTTPRouteHandler] = []

    def add_route(route: api.Route) -> None:
        async def endpoint(request: Request[Any, Any, Any]) -> Response[Any]:
            return await frame.serve(route, request)

        handlers.append(_handler(route.method, route.path, endpoint, route.most))

    for route in ROUTES:
        add_route(route)

    def add_page(page: Page) -> None:
        async def endpoint(request: Request[Any, Any, Any]) -> Response[Any]:
            return await web.serve(page, request)

        handlers.append(_handler(page.method, page.path, endpoint, page.most))

    for page in PAGES:
        add_page(page)

    async def static(request: Request[Any, Any, Any]) -> Response[Any]:
        return web.static(request)

    async def healthz(_request: Request[Any, Any, Any]) -> Response[Any]:
        return Response(b"alive\n", media_type="text/plain", headers={"Cache-Control": "no-store"})

    async def readyz(_request: Request[Any, Any, Any]) -> Response[Any]:
        problems = await frame.run(lambda: system.ready(plane))
        body = "".join(f"{line}\n" for line in problems) or "ready\n"
        return Response(body.encode(), media_type="text/plain", status_code=503 if problems else 200, headers={"Cache-Control": "no-store"})

    registry = CollectorRegistry()
    registry.register(_Numbers(plane))

    async def metrics(request: Request[Any, Any, Any]) -> Response[Any]:
        try:
            asker = await frame.identify(request)
            access.permit(asker.actor, "system.metrics", Target())
            body = await frame.run(lambda: generate_latest(registry))
            return Response(body, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
        except Refused as refused:
            return api.refusal(refused)

    for (method, path, _permission, _doc), endpoint in zip(PLAIN[1:], (static, healthz, readyz, metrics), strict=True):
        handlers.append(_handler(method, path, endpoint, 64 * 1024))

    def unknown(request: Request[Any, Any, Any], fault: Exception) -> Response[Any]:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        if request.url.path.startswith("/api/"):
            if isinstance(fault, HTTPException):
                return api.of_http(fault)
            return api.problem(make(500, "internal", "something went wrong here that should not have; the server's log has it", remedy="try again"))
        return web.not_found(request) if status == 404 else Response(f"{status}\n".encode(), status_code=status, media_type="text/plain", headers=HEADERS)

    async def close(_app: Litestar) -> None:
        frame.close()

    made = Litestar(route_handlers=handlers, openapi_config=None, exception_handlers={Exception: unknown}, on_shutdown=[close], logging_config=None)
    return Front(made, LivePages(frame))
