"""What compose.yaml, a GitHub workflow and a Grafana dashboard may say: unknown keys are refused.

Of each format only what is used here is known; a new key needs its line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Image = Annotated[str, Meta(pattern=r"^[a-z0-9./-]+(:[A-Za-z0-9][A-Za-z0-9._-]*)?$")]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h)$")]
Variables = dict[Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$")], str]


def taken(file: Path, word: str) -> str:
    """What a person has who takes the words away: "# WORD:" adds a line, "# WORD, instead:" puts
    one in place of the line above."""
    lines: list[str] = []
    for line in file.read_text().splitlines():
        if f"# {word}, instead: " in line:
            lines.pop()
        lines.append(re.sub(f"# {word}(, instead)?: ", "", line))
    return "\n".join(lines)


class Strict(Struct, forbid_unknown_fields=True):
    """A mapping with just these keys."""


class Build(Strict, kw_only=True):
    context: str
    dockerfile: str
    target: Literal["app", "service", "twin", "coordinator"]


class Condition(Strict, kw_only=True):
    condition: Literal["service_started", "service_healthy"]


class Healthcheck(Strict, kw_only=True):
    test: list[str] = []
    interval: Duration = "30s"
    timeout: Duration = "30s"
    retries: int = 3
    disable: bool = False


class Logging(Strict, kw_only=True):
    driver: Literal["json-file"]
    options: dict[str, str]


class Service(Strict, kw_only=True):
    image: Image
    build: Build | UnsetType = UNSET
    command: list[str] = []
    environment: Variables = {}
    volumes: list[str] = []
    networks: list[str] | dict[str, dict[str, Any]] = []
    depends_on: list[str] | dict[str, Condition] = []
    ports: list[Annotated[str, Meta(pattern=r"^(127\.0\.0\.1:)?[0-9]+:[0-9]+$")]] = []
    profiles: list[str] = []
    restart: Literal["unless-stopped"]
    read_only: bool = False
    cap_drop: list[Literal["ALL"]] = []
    cap_add: list[Literal["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"]] = []
    security_opt: list[str] = []
    tmpfs: list[str] = []
    logging: Logging | UnsetType = UNSET
    healthcheck: Healthcheck | UnsetType = UNSET
    mem_limit: Annotated[str, Meta(pattern=r"^[0-9]+[mg]$")] = ""
    cpu_shares: int = 1024
    ulimits: dict[Literal["rtprio"], int] = {}
    shm_size: Annotated[str, Meta(pattern=r"^[0-9]+[mg]$")] = ""


class Network(Strict, kw_only=True):
    internal: bool = False
    ipam: dict[str, list[dict[str, str]]] = {}


class Compose(Struct, kw_only=True):
    """Keys that begin with x- are the author's own."""

    name: str
    services: dict[str, Service]
    networks: dict[str, Network]
    volumes: dict[str, dict[str, Any]]


PinnedAction = Annotated[str, Meta(pattern=r"^[a-z-]+/[a-z-]+@[0-9a-f]{40}$")]


class Step(Strict, kw_only=True, rename={"given": "with"}):
    uses: PinnedAction | UnsetType = UNSET
    run: str | UnsetType = UNSET
    name: str = ""
    given: dict[str, Any] = {}
    env: Variables = {}


class Strategy(Strict, kw_only=True, rename="kebab"):
    matrix: dict[str, list[Any]]
    fail_fast: bool = True


class Job(Strict, kw_only=True, rename="kebab"):
    runs_on: Annotated[str, Meta(pattern=r"^ubuntu-[0-9]{2}\.[0-9]{2}$")]
    timeout_minutes: Annotated[int, Meta(ge=1, le=90)]
    strategy: Strategy | UnsetType = UNSET
    steps: list[Step]


class Workflow(Strict, kw_only=True):
    name: str
    on: dict[str, Any]
    permissions: dict[str, Literal["read", "none"]]
    concurrency: dict[str, Any] = {}
    jobs: dict[str, Job]


class Target(Strict, kw_only=True):
    refId: str
    datasource: dict[str, str]
    expr: str
    legendFormat: str


class Place(Strict, kw_only=True):
    x: Annotated[int, Meta(ge=0, le=23)]
    y: Annotated[int, Meta(ge=0)]
    w: Annotated[int, Meta(ge=1, le=24)]
    h: Annotated[int, Meta(ge=1)]


class Panel(Strict, kw_only=True):
    id: int
    type: Literal["stat", "timeseries"]
    title: str
    datasource: dict[str, str]
    gridPos: Place
    targets: Annotated[list[Target], Meta(min_length=1)]
    fieldConfig: dict[str, Any]
    options: dict[str, Any]
    description: str = ""


class Dashboard(Struct, kw_only=True):
    uid: str
    title: str
    schemaVersion: int
    panels: list[Panel]
