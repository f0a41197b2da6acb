"""Options of the server; each is also an environment variable `SLIPWAY_SERVING_<NAME>`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from serving import options
from serving.errors import BadOption
from serving.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "SLIPWAY_SERVING_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with defaults that suit one small container."""

    model: str = option("", "the bundle: a folder, file://, oci://, oci+http:// or oci-layout:// (also MODEL_URI)")
    trusted_keys: str = option("", "files with the public keys whose releases may run, by comma; for oci")
    allow_unsigned: bool = option(False, "take bundles from a registry that nobody has signed")
    registry_ca: str = option("", "file with the registry's certificate authority (PEM)")
    registry_login: str = option("", "name:password for the registry; by environment only", secret=True)
    registry_login_file: str = option("", "file that holds name:password for the registry")
    registry_timeout_s: float = option(30.0, "longest that one answer of the registry may take", least=0.1)
    cache: str = option("", "folder that keeps what was fetched; without one it stays in memory")
    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(8080, "port to listen on; 0 takes a free one", least=0, most=65535)
    release_version: str = option("", "version of the release that this bundle is; without one, its digest")
    max_body_bytes: int = option(4 * 2**20, "largest body as it comes over the wire", least=1)
    max_inflated_bytes: int = option(16 * 2**20, "largest body after decompression", least=1)
    max_rows: int = option(10_000, "largest batch", least=1)
    max_concurrency: int = option(256, "predictions under way before others get 503", least=1)
    max_heavy: int = option(8, "of these, large batches under way or waiting", least=1)
    max_connections: int = option(1024, "open connections before others get 503", least=1)
    body_timeout_s: float = option(10.0, "time for a body to arrive", least=0.1)
    header_timeout_s: float = option(10.0, "time for a request's head to arrive", least=0.1)
    keep_alive_s: int = option(65, "time that an idle connection is kept", least=1)
    drain_s: float = option(0.0, "after SIGTERM: time to say not ready and still serve", least=0)
    shutdown_s: int = option(25, "after that: time for requests under way to finish", least=1)
    slo_ms: float = option(50.0, "latency objective: gets a histogram bucket of its own", least=0.001)
    micro_batch: int = option(64, "most one-row requests scored in one run", least=1)
    poll_s: float = option(0.0, "look for another bundle this often; 0 never", least=0)
    admin_token: str = option("", "bearer token that may ask for a hot swap; by environment only", secret=True)
    admin_token_file: str = option("", "file that holds the admin token")
    admin_loopback: bool = option(False, "callers on this host may ask for a hot swap without a token")
    events_rate: float = option(0.0, "share of predictions recorded as events", least=0, most=1)
    events_file: str = option("", "append events here, one JSON document a line")
    events_url: str = option("", "POST events here, in batches; a collection service by its address alone")
    events_token: str = option("", "bearer token for that; by environment only", secret=True)
    events_token_file: str = option("", "file that holds the bearer token")
    events_queue: int = option(10_000, "events waiting before others are dropped", least=1)
    log_level: str = option("info", "debug, info, warning or error", choices=("debug", "info", "warning", "error"))
    access_log: str = option("errors", "requests to log: all, errors or none", choices=("all", "errors", "none"))


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """
    Read options, then the environment, then defaults.

    Raises:
        BadOption: naming the option or variable.
    """
    about = f"Each option is also an environment variable: --max-rows is {PREFIX}MAX_ROWS."
    parser = options.parser(Settings, "python -m serving", "Serve one model bundle.", about)
    variables = {item.name: _variable(item.name, environ) for item in fields(Settings)}
    values = options.filled(Settings, vars(parser.parse_args(argv)), variables)
    for name in ("admin_token", "registry_login", "events_token"):
        values |= options.from_file(name, values, options.flag(f"{name}_file"))
    return _checked(Settings(**values))


def _variable(name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    variable = PREFIX + name.upper()
    if name == "model" and variable not in environ:
        variable = "MODEL_URI"
    return variable, environ.get(variable)


def _checked(settings: Settings) -> Settings:
    if not settings.model:
        raise BadOption("--model: missing; name the bundle's folder there or in MODEL_URI")
    if settings.registry_login and not all(settings.registry_login.partition(":")):
        raise BadOption("--registry-login-file: not of the form name:password")
    if settings.events_rate and not (settings.events_file or settings.events_url):
        raise BadOption("--events-rate: needs --events-file or --events-url")
    if settings.events_url and not settings.events_url.startswith(("http://", "https://")):
        raise BadOption("--events-url: not an http:// or https:// address")
    return settings
