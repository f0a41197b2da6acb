"""Options of the service; each is also an environment variable `COLLECTOR_<NAME>`."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "COLLECTOR_"
SQLITE, POSTGRES = "sqlite:///", ("postgresql://", "postgres://")
_MB = 2**20
_LOOKS = ("debug", "info", "warning", "error")


def _option(default: Any, text: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": text, **limits})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with defaults that suit one small container."""

    host: str = _option("127.0.0.1", "address to listen on")
    port: int = _option(8090, "port to listen on; 0 takes a free one", least=0, most=65535)
    contracts: str = _option("contracts", "folder of <project>.json, as python -m steps.contracts writes it")
    bundle: str = _option("", "sealed folder of a release, which has the contracts in it; instead of --contracts")
    tokens: str = _option("tokens", "file with a line per sender: name, scopes, sha256 of the token")
    store: str = _option("sqlite:///collector.db", "sqlite:///PATH or postgresql://…; by environment only", secret=True)
    store_file: str = _option("", "file that holds the store's address, where it has a password in it")
    work: str = _option("", "folder for Parquet files; beside the database by default")
    hash_key: str = _option("", "key of sensitive columns that are hashed; by environment only", secret=True)
    hash_key_file: str = _option("", "file that holds the key")
    release_version: str = _option("", "version of the release that this service is; its own by default")
    max_body_mb: int = _option(8, "largest body as it comes over the wire", least=1, most=1024)
    max_inflated_mb: int = _option(32, "largest body after decompression", least=1, most=4096)
    max_records: int = _option(10_000, "largest batch", least=1, most=100_000)
    max_record_kb: int = _option(256, "largest single record", least=1, most=16_384)
    max_waiting: int = _option(50_000, "records waiting for their commit before others get 503", least=1)
    max_quarantine: int = _option(100_000, "rejected records kept for each project", least=0)
    max_ahead_s: float = _option(86_400.0, "how far ahead of this clock a moment may lie", least=0)
    max_disk_mb: int = _option(0, "room that the store and its files may take; 0 no limit of its own", least=0)
    min_free_mb: int = _option(512, "room that is left free on the device", least=0)
    max_connections: int = _option(256, "open connections before others get 503", least=1)
    body_timeout_s: float = _option(30.0, "time for a body to arrive", least=0.1)
    header_timeout_s: float = _option(10.0, "time for a request's head to arrive", least=0.1)
    commit_timeout_s: float = _option(30.0, "longest wait for a commit", least=0.1)
    keep_alive_s: int = _option(65, "time that an idle connection is kept", least=1)
    compact_every_s: float = _option(60.0, "how often settled periods are looked for; 0 never", least=0)
    keep_predictions_days: float = _option(
        0.0, "how long after labels could come predictions are kept; 0 for ever", least=0
    )
    keep_quarantine_days: float = _option(0.0, "how long refused records are kept; 0 for ever", least=0)
    tidy_every_s: float = _option(600.0, "how often what may go is looked for", least=0.05)
    drain_s: float = _option(0.0, "after SIGTERM: time to say not ready and still serve", least=0)
    shutdown_s: int = _option(25, "after that: time for requests under way to finish", least=1)
    log_level: str = _option("info", "debug, info, warning or error", choices=_LOOKS)
    access_log: str = _option("errors", "requests to log: all, errors or none", choices=("all", "errors", "none"))

    @property
    def max_body_bytes(self) -> int:
        """Largest body over the wire."""
        return self.max_body_mb * _MB

    @property
    def max_inflated_bytes(self) -> int:
        """Largest body after decompression."""
        return self.max_inflated_mb * _MB

    @property
    def database(self) -> Path | None:
        """The file of an SQLite store; None for PostgreSQL."""
        return Path(self.store.removeprefix(SQLITE)) if self.store.startswith(SQLITE) else None

    @property
    def folder(self) -> Path:
        """The folder for Parquet files."""
        return Path(self.work) if self.work else (self.database or Path("collector")).with_suffix(".parquet")


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """
    Read options, then the environment, then defaults.

    Raises:
        BadOption: naming the option or variable.
    """
    given = vars(_parser().parse_args(argv))
    values: dict[str, Any] = {}
    for item in fields(Settings):
        flag, variable = "--" + item.name.replace("_", "-"), PREFIX + item.name.upper()
        if given.get(item.name) is not None:
            values[item.name] = _value(flag, given[item.name], item)
        elif variable in environ:
            values[item.name] = _value(variable, environ[variable], item)
    for name in ("store", "hash_key"):
        values |= _from_file(name, values)
    return _checked(Settings(**values))


def _value(source: str, raw: str, item: Any) -> Any:
    kind, limits = type(item.default), item.metadata
    try:
        value = kind(raw)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise BadOption(f"{source}: {raw[:40]!r} is not {wanted}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise BadOption(f"{source}: {value} is not a finite number")
    if "least" in limits and value < limits["least"]:
        raise BadOption(f"{source}: {value} is below {limits['least']}")
    if "most" in limits and value > limits["most"]:
        raise BadOption(f"{source}: {value} is above {limits['most']}")
    if "choices" in limits and value not in limits["choices"]:
        raise BadOption(f"{source}: {value!r} is not one of {', '.join(limits['choices'])}")
    return value


def _from_file(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Take a secret from its file, so that it need not be in the environment."""
    path = values.get(f"{name}_file")
    if not path:
        return {}
    option = PREFIX + name.upper() + "_FILE"
    try:
        secret = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"{option}: {path}: {error}") from error
    if not secret:
        raise BadOption(f"{option}: {path} is empty")
    return {name: secret}


def _checked(settings: Settings) -> Settings:
    if settings.store.startswith(SQLITE) and settings.store != SQLITE:
        return settings
    if settings.store.startswith(POSTGRES):
        return settings
    raise BadOption("COLLECTOR_STORE: neither sqlite:///PATH nor postgresql://…")  # it may hold a password: not shown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m collector",
        description="Collect records, prediction events and outcomes.",
        epilog=f"Each option is also an environment variable: --max-records is {PREFIX}MAX_RECORDS.",
        allow_abbrev=False,
    )
    for item in fields(Settings):
        if "secret" in item.metadata:
            continue  # a command line can be read by every user of the machine
        shown = f" [{item.default}]" if item.default != "" else ""
        parser.add_argument(
            "--" + item.name.replace("_", "-"), help=item.metadata["help"] + shown, metavar=type(item.default).__name__
        )
    return parser
