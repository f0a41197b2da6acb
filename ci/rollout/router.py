"""
From desired traffic to Envoy's resources: pure, so that the same wish always gives the same bytes.

Versions are digests of the content. Envoy tells which version it runs, so "is it in effect?" is a comparison.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from ci.files import sha256_of
from ci.params import COLLECTOR, Model, ProjectName
from ci.releases.record import Version
from ci.rollout.state import Address, Instance, Port
from ci.templating import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ClusterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}-v\d+-\d+-\d+$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
MirrorMark = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
HUNDRED_PERCENT = 10_000
SLO_MS = 50.0
_SCORING, _COLLECTING = "/predict|/v2/models/[^/]+(/versions/[^/]+)?/infer", "/v1/[^/]+/(records|events|outcomes)"
RESOURCES = "type.googleapis.com/envoy.config."
CDS_TEXT, RDS_TEXT = "cluster_manager.cds.version_text", "http.door.rds.routes.version_text"


class Cluster(Model):
    """One release and its servers."""

    name: ClusterName
    version: Version
    instances: list[Instance]


class Share(Model):
    """What one release gets, in hundredths of a percent."""

    cluster: ClusterName
    hundredths: int = Field(ge=0, le=HUNDRED_PERCENT)


class Routes(Model):
    """Who answers what; `shares` keep their order, so that a change of weights moves no more users than it must."""

    project: ProjectName
    shares: list[Share] = Field(default_factory=list)
    direct: dict[Version, ClusterName] = Field(default_factory=dict, description="Reached by header or cookie.")
    mirror: Share | None = None
    mark: MirrorMark | None = Field(None, description="What copied requests bear; servers keep the answers to them.")
    sticky: HeaderName | None = None

    @property
    def repeatable(self) -> str:
        """Which paths may be asked twice (a regular expression)."""
        return _COLLECTING if self.project == COLLECTOR else _SCORING

    @model_validator(mode="after")
    def _adds_up(self) -> Routes:
        if self.shares and sum(share.hundredths for share in self.shares) != HUNDRED_PERCENT:
            raise ValueError("shares: do not add up to 100 %")
        return self


class Door(Model):
    """Where Envoy listens, and where it finds its files."""

    project: ProjectName
    environment: str
    host: Address
    port: Port
    admin_host: Address
    admin_port: Port
    folder: Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f\"\\]*$")]
    slo_ms: float = SLO_MS
    stats_port: Port | None = Field(None, description="Where statistics can be read without the rights of admin.")


def shares(weights: Mapping[str, float], names: Mapping[str, str]) -> list[Share]:
    """Round weights (percent) to hundredths that add up; the first takes what rounding leaves over."""
    if not any(weights.values()):
        return []
    total = sum(weights.values())
    found = {version: round(weight / total * HUNDRED_PERCENT) for version, weight in weights.items()}
    first = next(version for version, weight in weights.items() if weight > 0)
    found[first] += HUNDRED_PERCENT - sum(found.values())
    return [Share(cluster=names[version], hundredths=part) for version, part in found.items()]


def bootstrap(door: Door) -> str:
    """Return what Envoy starts with; all else comes from files that it watches."""
    return render("router/bootstrap.json.j2", door=door)


def listeners(door: Door) -> str:
    """Return the front door (LDS)."""
    return _document([json.loads(render("router/listener.json.j2", door=door))], "listener.v3.Listener")


def clusters(door: Door, found: Sequence[Cluster]) -> str:
    """Return the releases (CDS)."""
    resources = [json.loads(render("router/cluster.json.j2", door=door, cluster=item)) for item in found]
    return _document(resources, "cluster.v3.Cluster")


def endpoints(cluster: Cluster) -> str:
    """Return the servers of one release (EDS)."""
    places = [
        {"endpoint": {"address": {"socket_address": {"address": item.host, "port_value": item.port}}}}
        for item in cluster.instances
    ]
    resource = {"cluster_name": cluster.name, "endpoints": [{"lb_endpoints": places}]}
    return _document([resource], "endpoint.v3.ClusterLoadAssignment")


def routes(wish: Routes) -> str:
    """Return who answers what (RDS)."""
    resource = json.loads(render("router/routes.json.j2", routes=wish, total=HUNDRED_PERCENT))
    return _document([resource], "route.v3.RouteConfiguration")


def whole(door: Door, found: Sequence[Cluster], wish: Routes) -> str:
    """Return everything as one static configuration, for `envoy --mode validate`, which opens no files."""
    listener = _resources(listeners(door))[0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = _resources(routes(wish))[0]
    static = []
    for cluster in found:
        made = _resources(clusters(door, [cluster]))[0]
        del made["eds_cluster_config"]
        static.append({**made, "type": "STATIC", "load_assignment": _resources(endpoints(cluster))[0]})
    document = json.loads(bootstrap(door))
    del document["dynamic_resources"]
    own = document.get("static_resources", {"listeners": [], "clusters": []})
    document["static_resources"] = {"listeners": [listener, *own["listeners"]], "clusters": [*static, *own["clusters"]]}
    return json.dumps(document)


def first_files(door: Door) -> dict[str, str]:
    """Return what Envoy finds when it starts for the first time: a door, and nobody behind it."""
    return {
        "lds.json": listeners(door),
        "cds.json": clusters(door, []),
        "rds.json": routes(Routes(project=door.project)),
    }


def files_of(door: Door, found: Sequence[Cluster]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files that make these the known releases, EDS before CDS, and what Envoy says once they are in effect."""
    files = {f"eds-{item.name}.json": endpoints(item) for item in found}
    expected = {f"cluster.{item.name}.version_text": version_of(files[f"eds-{item.name}.json"]) for item in found}
    files["cds.json"] = clusters(door, found)  # last, so that a new cluster finds its servers
    return files, {**expected, CDS_TEXT: version_of(files["cds.json"])}


def version_of(document: str) -> str:
    """Return the version that a document carries and Envoy repeats."""
    return str(json.loads(document)["version_info"])


def _document(resources: list[dict[str, Any]], kind: str) -> str:
    typed = [{"@type": RESOURCES + kind, **item} for item in resources]
    return json.dumps({"version_info": sha256_of(typed)[:16], "resources": typed}, indent=1)


def _resources(document: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(document)["resources"]
    return [{key: value for key, value in item.items() if key != "@type"} for item in found]
