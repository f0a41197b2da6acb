"""`verification` of an environment in params.yaml: what is asked of a release under traffic, of whom, and how surely."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ci.params import Model, Name

Kind = Literal["events", "distribution", "counts", "quality"]
Source = Literal["servers", "envoy", "prometheus", "json", "collector", "pairs"]
Measure = Literal["wrong", "brier"]
Standard = Literal["errors", "refused", "slow", "scores", "door_errors", "quality", "disagreement"]
STANDARD: tuple[Standard, ...] = ("errors", "refused", "slow", "scores", "door_errors", "quality", "disagreement")
_SELECTOR = "Selector or query text; $project, $version, $cluster and $environment are filled in."


class Rule(Model):
    """What is asked of one metric."""

    kind: Kind = Field(
        "events",
        description="events: bad of all; distribution: buckets; counts: events alone; quality: labelled answers.",
    )
    source: Source | None = Field(None, description="Who is asked; the section's `source` if null.")
    critical: bool = Field(True, description="May it roll a release back? Critical metrics share alpha.")
    required: bool = Field(True, description="Must it be shown not to be worse before a rollout goes on?")
    share: float = Field(1.0, gt=0, le=100, description="Its part of alpha, relative to the other critical metrics.")
    allowed_increase: float = Field(0.1, ge=0, le=100, description="Relative increase of the odds that is no offence.")
    margin: float = Field(1.0, gt=0, le=100, description="Relative increase that must be ruled out to go on.")
    negligible: float | None = Field(
        None, gt=0, lt=1, description="Share of bad requests that is fine whatever the baseline has."
    )
    limit: float | None = Field(
        None, gt=0, lt=1, description="Largest share of bad requests where there is no baseline to compare with."
    )
    against: Literal["baseline", "limit"] = Field(
        "baseline", description="What it is held against in a rollout; a lone release is always held to a limit."
    )
    tolerance: float | None = Field(
        None, gt=0, description="Difference of two answers, or of an answer and its label, that is none."
    )
    measure: Measure = Field(
        "wrong",
        description="What an answer costs by its label (quality): wrong, none or all; brier, its squared error.",
    )
    bad: str | None = Field(None, max_length=1000, description=f"Bad events. {_SELECTOR}")
    total: str | None = Field(None, max_length=1000, description=f"All events. {_SELECTOR}")
    buckets: str | None = Field(None, max_length=1000, description=f"Cumulative buckets with `le`. {_SELECTOR}")
    heartbeat: str | None = Field(
        None, max_length=1000, description=f"Series that is there while a server is. {_SELECTOR}"
    )
    absent: Literal["no data", "zero"] = Field("no data", description="What a missing point of `bad` means (json).")

    @model_validator(mode="after")
    def _hangs_together(self) -> Rule:
        if self.margin <= self.allowed_increase:
            raise ValueError("margin must be above allowed_increase, or a release could be worse and not worse")
        if not self.critical and not self.required:
            raise ValueError("can never matter: it is neither critical nor required")
        return self


class Http(Model):
    """How an HTTP API is reached."""

    url: str | None = Field(
        None, pattern=r"^https?://[^/@\s]+[^@\s]*$", description="Base address, without a password."
    )
    username_env: str | None = Field(None, description="Environment variable with the user's name (basic).")
    password_env: str | None = Field(None, description="Environment variable with the password (basic).")
    token_env: str | None = Field(None, description="Environment variable with a bearer token.")
    token_header: str = Field("Authorization", pattern=r"^[A-Za-z0-9-]{1,64}$", description="Header that carries it.")
    ca: str | None = Field(None, description="File with the certificate authority (PEM).")
    timeout_s: float = Field(5, gt=0, le=300, description="Longest that one request may take, seconds.")
    tries: int = Field(3, ge=1, le=10, description="Tries before a source counts as unreachable; waits double.")
    max_mb: int = Field(16, ge=1, le=1024, description="Largest answer, megabytes.")


class JsonApi(Http):
    """Any monitoring API that answers JSON over HTTP."""

    path: str = Field(
        "/",
        max_length=500,
        description="Path and query; $query, $since, $until (seconds; also $since_ms, $since_iso) are filled in.",
    )
    body: str | None = Field(None, max_length=4000, description="JSON to POST instead of a GET, filled in likewise.")
    times: str = Field("$.times[*]", max_length=200, description="JSONPath of the points' times.")
    values: str = Field("$.values[*]", max_length=200, description="JSONPath of the points' values.")
    time_unit: Literal["s", "ms", "iso"] = Field("s", description="How times are written.")
    shape: Literal["cumulative", "increments"] = Field(
        "increments", description="Whether a point is a running total, or what happened since the one before."
    )


class Collector(Http):
    """The collection service that keeps predictions with their labels (`collector/`)."""

    url_env: str | None = Field(None, description="Environment variable with the base address, in place of `url`.")
    days: int = Field(400, ge=7, le=4000, description="Newest days that are counted.")
    min_rows: int = Field(20, ge=1, description="Fewest labelled answers of a day that counts.")
    min_labelled: float = Field(0.5, gt=0, le=1, description="Smallest share of a day's answers that is labelled.")
    page: int = Field(10_000, ge=1, le=10_000, description="Labelled answers in one request.")


class Acceptance(Model):
    """What is asked before any statistics."""

    golden_rows: int = Field(20, ge=0, le=1000, description="Golden rows to send through the front door.")
    tolerance: float = Field(1e-4, gt=0, lt=1, description="Largest relative difference of an answer.")
    tries: int = Field(200, ge=1, le=10_000, description="Requests until the front door must have shown the candidate.")
    timeout_s: float = Field(5, gt=0, le=120, description="Longest that one request may take, seconds.")


class Verification(Model):
    """How releases are looked at in one environment; safe as it stands."""

    by: Literal["health", "statistics"] = Field(
        "health", description="Who decides during a rollout: example rows alone, or the statistics of this section."
    )
    source: Source = Field("servers", description="Who is asked unless a metric says otherwise.")
    window_s: float = Field(5, ge=0.2, le=3600, description="Length of a window, seconds.")
    lag_s: float = Field(1, ge=0, le=3600, description="Time until a window's counts are complete, seconds.")
    stale_s: float = Field(10, gt=0, le=3600, description="A sample older than this says nothing, seconds.")
    deadline_s: float = Field(1800, gt=0, le=604_800, description="Longest wait for an answer, seconds.")
    idle_s: float = Field(60, gt=0, le=604_800, description="Longest wait for a candidate's first request, seconds.")
    patience_s: float = Field(30, ge=0, le=3600, description="A source silent for longer is unreachable, seconds.")
    max_skew_s: float = Field(5, gt=0, le=600, description="Largest difference between clocks, seconds.")
    at_deadline: Literal["hold", "roll_back"] = Field("hold", description="What not enough evidence means at the end.")
    alpha: float = Field(0.05, gt=0, le=0.2, description="Chance that a good release is ever called worse.")
    go_on_alpha: float = Field(0.05, gt=0, le=0.2, description="Chance that a release beyond the margin is let go on.")
    slo_ms: float = Field(50, gt=0, description="Latency objective; a bucket of the histogram must end there.")
    sample_ratio: bool = Field(True, description="Is it checked that each release got the traffic it should?")
    ratio_tolerance: float = Field(0.25, ge=0, le=10, description="Relative departure from the weight that is none.")
    leave_one_out: int = Field(3, ge=2, description="With so many servers a verdict must survive leaving out any one.")
    standard: list[Standard] = Field(
        default_factory=lambda: list(STANDARD), description="Metrics that need no declaration."
    )
    metrics: dict[Name, Rule] = Field(
        default_factory=dict, description="More metrics, or other rules for standard ones."
    )
    prometheus: Http = Http()
    json_api: JsonApi = JsonApi()
    collector: Collector = Collector()
    alone: Literal["limits", "predecessor"] = Field(
        "limits",
        description="What a lone release is held against: its limits, or what was recorded of the one before it.",
    )
    acceptance: Acceptance = Acceptance()

    @model_validator(mode="after")
    def _hangs_together(self) -> Verification:
        if self.stale_s < self.window_s:
            raise ValueError("stale_s must be at least window_s, or no window ever counts")
        for name, rule in self.metrics.items():
            _complete(name, rule, rule.source or self.source)
        if self.source in {"collector", "pairs"}:
            raise ValueError(f"source: {self.source} counts only what is asked of it by name")
        for source, http in (("prometheus", self.prometheus), ("json", self.json_api)):
            asked = source == self.source or any(rule.source == source for rule in self.metrics.values())
            if asked and http.url is None:
                key = "json_api" if source == "json" else source
                raise ValueError(f"{key}.url: missing, though {source} is asked")
        return self


def _complete(name: str, rule: Rule, source: Source) -> None:
    """
    Refuse a metric that nobody could count.

    Raises:
        ValueError: naming the metric.
    """
    if rule.measure != "wrong" and name != "quality":
        raise ValueError(f"metrics.{name}: measure belongs to the standard metric quality")
    told = {"bad": rule.bad, "total": rule.total, "buckets": rule.buckets}
    given = {key for key, value in told.items() if value}
    if name in STANDARD and not given:
        return
    if rule.kind == "quality" or source in {"collector", "pairs"}:
        raise ValueError(f"metrics.{name}: only the standard metrics quality and disagreement are asked for there")
    wanted = {"events": {"bad", "total"}, "distribution": {"buckets"}, "counts": {"bad"}}[rule.kind]
    if given != wanted:
        raise ValueError(f"metrics.{name}: {rule.kind} takes {' and '.join(sorted(wanted))}")
    if source == "json" and rule.kind == "distribution":
        raise ValueError(f"metrics.{name}: json knows no buckets")
