"""Options of the server; each is also an environment variable `SLIPWAY_SERVING_<NAME>`."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "SLIPWAY_SERVING_"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


def _option(default: Any, text: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": text, **limits})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with defaults that suit one small container."""

    model: str = _option("", "the bundle: a folder, file://, oci://, oci+http:// or oci-layout:// (also MODEL_URI)")
    trusted_keys: str = _option("", "files with the public keys whose releases may run, by comma; for oci")
    allow_unsigned: bool = _option(False, "take bundles from a registry that nobody has signed")
    registry_ca: str = _option("", "file with the registry's certificate authority (PEM)")
    registry_login: str = _option("", "name:password for the registry; by environment only", secret=True)
    registry_login_file: str = _option("", "file that holds name:password for the registry")
    registry_timeout_s: float = _option(30.0, "longest that one answer of the registry may take", least=0.1)
    cache: str = _option("", "folder that keeps what was fetched; without one it stays in memory")
    host: str = _option("127.0.0.1", "address to listen on")
    port: int = _option(8080, "port to listen on; 0 takes a free one", least=0, most=65535)
    release_version: str = _option("", "version of the release that this bundle is; without one, its digest")
    max_body_bytes: int = _option(4 * 2**20, "largest body as it comes over the wire", least=1)
    max_inflated_bytes: int = _option(16 * 2**20, "largest body after decompression", least=1)
    max_rows: int = _option(10_000, "largest batch", least=1)
    max_concurrency: int = _option(256, "predictions under way before others get 503", least=1)
    max_heavy: int = _option(8, "of these, large batches under way or waiting", least=1)
    max_connections: int = _option(1024, "open connections before others get 503", least=1)
    body_timeout_s: float = _option(10.0, "time for a body to arrive", least=0.1)
    header_timeout_s: float = _option(10.0, "time for a request's head to arrive", least=0.1)
    keep_alive_s: int = _option(65, "time that an idle connection is kept", least=1)
    drain_s: float = _option(0.0, "after SIGTERM: time to say not ready and still serve", least=0)
    shutdown_s: int = _option(25, "after that: time for requests under way to finish", least=1)
    slo_ms: float = _option(50.0, "latency objective: gets a histogram bucket of its own", least=0.001)
    micro_batch: int = _option(64, "most one-row requests scored in one run", least=1)
    poll_s: float = _option(0.0, "look for another bundle this often; 0 never", least=0)
    admin_token: str = _option("", "bearer token that may ask for a hot swap; by environment only", secret=True)
    admin_token_file: str = _option("", "file that holds the admin token")
    admin_loopback: bool = _option(False, "callers on this host may ask for a hot swap without a token")
    events_rate: float = _option(0.0, "share of predictions recorded as events", least=0, most=1)
    events_file: str = _option("", "append events here, one JSON document a line")
    events_url: str = _option("", "POST events here, in batches; a collection service by its address alone")
    events_token: str = _option("", "bearer token for that; by environment only", secret=True)
    events_token_file: str = _option("", "file that holds the bearer token")
    events_queue: int = _option(10_000, "events waiting before others are dropped", least=1)
    log_level: str = _option("info", "debug, info, warning or error", choices=("debug", "info", "warning", "error"))
    access_log: str = _option("errors", "requests to log: all, errors or none", choices=("all", "errors", "none"))


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """
    Read options, then the environment, then defaults.

    Raises:
        BadOption: naming the option or variable.
    """
    given = vars(_parser().parse_args(argv))
    values: dict[str, Any] = {}
    for item in fields(Settings):
        source, raw = _find(item.name, given, environ)
        if raw is not None:
            values[item.name] = _value(source, raw, item)
    for name in ("admin_token", "registry_login", "events_token"):
        values |= _from_file(name, values)
    return _checked(Settings(**values))


def _find(name: str, given: Mapping[str, str | None], environ: Mapping[str, str]) -> tuple[str, str | None]:
    if given.get(name) is not None:
        return "--" + name.replace("_", "-"), given[name]
    variable = PREFIX + name.upper()
    if name == "model" and variable not in environ:
        variable = "MODEL_URI"
    return variable, environ.get(variable)


def _value(source: str, raw: str, item: Any) -> Any:
    kind = type(item.default)
    try:
        value = _boolean(raw) if kind is bool else kind(raw)
    except ValueError:
        raise BadOption(f"{source}: {raw!r} is not {_KINDS[kind]}") from None
    _within(source, value, item.metadata)
    return value


def _within(source: str, value: Any, limits: Mapping[str, Any]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise BadOption(f"{source}: {value} is not a finite number")
    if "least" in limits and value < limits["least"]:
        raise BadOption(f"{source}: {value} is below {limits['least']}")
    if "most" in limits and value > limits["most"]:
        raise BadOption(f"{source}: {value} is above {limits['most']}")
    if "choices" in limits and value not in limits["choices"]:
        raise BadOption(f"{source}: {value!r} is not one of {', '.join(limits['choices'])}")


_KINDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _boolean(raw: str) -> bool:
    if raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    raise ValueError(raw)


def _from_file(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Take a secret from its file, so that it need not be in the environment."""
    path = values.get(f"{name}_file")
    if not path:
        return {}
    option = f"--{name.replace('_', '-')}-file"
    try:
        secret = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"{option}: {path}: {error}") from error
    if not secret:
        raise BadOption(f"{option}: {path} is empty")
    return {name: secret}


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve one model bundle.",
        epilog=f"Each option is also an environment variable: --max-rows is {PREFIX}MAX_ROWS.",
        allow_abbrev=False,
    )
    for item in fields(Settings):
        if "secret" in item.metadata:
            continue  # a command line can be read by every user of the machine
        flag = "--" + item.name.replace("_", "-")
        extra: dict[str, Any] = {"nargs": "?", "const": "true"} if isinstance(item.default, bool) else {}
        shown = f" [{item.default}]" if item.default != "" else ""
        parser.add_argument(flag, help=item.metadata["help"] + shown, metavar=type(item.default).__name__, **extra)
    return parser
