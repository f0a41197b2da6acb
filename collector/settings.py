"""Options of the service; each is also an environment variable `COLLECTOR_<NAME>`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from serving import options
from serving.errors import BadOption
from serving.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "COLLECTOR_"
SQLITE, POSTGRES = "sqlite:///", ("postgresql://", "postgres://")
_MB = 2**20
_LOOKS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with defaults that suit one small container."""

    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(8090, "port to listen on; 0 takes a free one", least=0, most=65535)
    contracts: str = option("contracts", "folder of <project>.json, as python -m steps.contracts writes it")
    bundle: str = option("", "sealed folder of a release, which has the contracts in it; instead of --contracts")
    tokens: str = option("tokens", "file with a line per sender: name, scopes, sha256 of the token")
    store: str = option("sqlite:///collector.db", "sqlite:///PATH or postgresql://…; by environment only", secret=True)
    store_file: str = option("", "file that holds the store's address, where it has a password in it")
    work: str = option("", "folder for Parquet files; beside the database by default")
    hash_key: str = option("", "key of sensitive columns that are hashed; by environment only", secret=True)
    hash_key_file: str = option("", "file that holds the key")
    release_version: str = option("", "version of the release that this service is; its own by default")
    max_body_mb: int = option(8, "largest body as it comes over the wire", least=1, most=1024)
    max_inflated_mb: int = option(32, "largest body after decompression", least=1, most=4096)
    max_records: int = option(10_000, "largest batch", least=1, most=100_000)
    max_record_kb: int = option(256, "largest single record", least=1, most=16_384)
    max_waiting: int = option(50_000, "records waiting for their commit before others get 503", least=1)
    max_quarantine: int = option(100_000, "rejected records kept for each project", least=0)
    max_ahead_s: float = option(86_400.0, "how far ahead of this clock a moment may lie", least=0)
    max_disk_mb: int = option(0, "room that the store and its files may take; 0 no limit of its own", least=0)
    min_free_mb: int = option(512, "room that is left free on the device", least=0)
    max_connections: int = option(256, "open connections before others get 503", least=1)
    body_timeout_s: float = option(30.0, "time for a body to arrive", least=0.1)
    header_timeout_s: float = option(10.0, "time for a request's head to arrive", least=0.1)
    commit_timeout_s: float = option(30.0, "longest wait for a commit", least=0.1)
    keep_alive_s: int = option(65, "time that an idle connection is kept", least=1)
    compact_every_s: float = option(60.0, "how often settled periods are looked for; 0 never", least=0)
    keep_predictions_days: float = option(
        0.0, "how long after labels could come predictions are kept; 0 for ever", least=0
    )
    keep_quarantine_days: float = option(0.0, "how long refused records are kept; 0 for ever", least=0)
    tidy_every_s: float = option(600.0, "how often what may go is looked for", least=0.05)
    drain_s: float = option(0.0, "after SIGTERM: time to say not ready and still serve", least=0)
    shutdown_s: int = option(25, "after that: time for requests under way to finish", least=1)
    log_level: str = option("info", "debug, info, warning or error", choices=_LOOKS)
    access_log: str = option("errors", "requests to log: all, errors or none", choices=("all", "errors", "none"))

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
    about = f"Each option is also an environment variable: --max-records is {PREFIX}MAX_RECORDS."
    parser = options.parser(Settings, "python -m collector", "Collect records, prediction events and outcomes.", about)
    variables = {
        item.name: (variable := PREFIX + item.name.upper(), environ.get(variable)) for item in fields(Settings)
    }
    values = options.filled(Settings, vars(parser.parse_args(argv)), variables)
    for name in ("store", "hash_key"):
        values |= options.from_file(name, values, f"{PREFIX}{name.upper()}_FILE")
    return _checked(Settings(**values))


def _checked(settings: Settings) -> Settings:
    if settings.store.startswith(SQLITE) and settings.store != SQLITE:
        return settings
    if settings.store.startswith(POSTGRES):
        return settings
    raise BadOption("COLLECTOR_STORE: neither sqlite:///PATH nor postgresql://…")  # it may hold a password: not shown
