"""Apps the end-to-end tests deploy: Compose files around the one test image, with and without faults."""

from __future__ import annotations

from typing import Any

from tests.e2e.house import House

# Two services and a volume that a bad release writes to before it fails.
LINE = """\
name: {app}
services:
  writer:
    image: {image}
    environment:
      WRITE: /data/log
      LINE: ${{LINE:-7}}
    volumes: [data:/data]
    healthcheck:
      test: [CMD, /bin/app, check]
      interval: 1s
      timeout: 3s
      retries: 2
    restart: unless-stopped
    stop_grace_period: 2s
  page:
    image: {page}
    volumes: [data:/data:ro]
    depends_on:
      writer: {{condition: service_healthy}}
    restart: unless-stopped
    stop_grace_period: 2s
volumes:
  data: {{}}
x-penstock:
  soak: {soak}s
  deadline: {deadline}s
  volumes: {{data: {policy}}}
"""


def release(house: House, version: str, *, app: str = "line", soak: int = 2, deadline: int = 8, policy: str = "snapshot", payload: int = 0, **env: str) -> Any:
    """Version `version` of the two-service app: the writer's image bakes `env` in, the page's image never changes."""
    writer = house.plane.push(house.images.make(f"{app}-{version}", env=env, payload_bytes=payload), f"lab/writer:{version}", house.images)
    page = house.plane.push(house.images.make("page"), "lab/page:1", house.images)
    compose = LINE.format(app=app, image=writer, page=page, soak=soak, deadline=deadline, policy=policy)
    return house.plane.publish(app, version, compose)
