"""Events: what the ledger remembers. One annotated tag holds one event; nothing is ever changed or taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from ci.errors import BadInput
from ci.params import Digest, Model, Name, Sha256
from ci.releases.dataset import DataVersion
from ci.releases.record import Release, Version

GitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Person = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>]{1,200}$", strip_whitespace=True)]
Text = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$", max_length=2000, strip_whitespace=True)
]
# A project, or its data: flights, flights-data. No project has a hyphen in its name.
LedgerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}(-data)?$")]
Evidence = Annotated[str, StringConstraints(pattern=r"^(sha256:)?[0-9a-f]{64}$")]


def _is_moment(text: str) -> str:
    if spelled(datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)) != text:
        raise ValueError(f"not a moment as the ledger spells it: {text}")
    return text


_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
Moment = Annotated[str, AfterValidator(_is_moment)]


def spelled(moment: datetime) -> str:
    """Spell a moment as the ledger does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def moment_of(text: str) -> datetime:
    """Return the moment that `spelled` spelled."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)


class Kind(StrEnum):
    """What may happen to a release."""

    REGISTERED = "registered"
    ASSIGNED = "assigned"  # it is live in an environment now
    ABORTED = "aborted"  # it was to become live, and did not
    VERIFIED = "verified"  # it was looked at where it is live
    APPROVED = "approved"  # a person agreed that it enters an environment
    BAD = "bad"  # nobody may go back to it
    GOOD = "good"  # a former mark was wrong


_SOMEWHERE = {Kind.ASSIGNED, Kind.ABORTED, Kind.VERIFIED, Kind.APPROVED}


class Signature(Model):
    """By whose Ed25519 key an event is known."""

    key: Sha256 = Field(description="Fingerprint of the public key.")
    value: str = Field(pattern=r"^[A-Za-z0-9+/=]{80,100}$", description="Of the body without this field, base64.")


class Draft(Model):
    """An event that has no place in the ledger yet."""

    kind: Kind
    project: LedgerName
    version: Version
    release: Sha256 = Field(description="Digest of the record of the release, or of the data version.")
    actor: Person = Field(description="Who did it.")
    reason: Text = Field("", description="Why, in a person's words.")
    build: Text | None = Field(None, description="URL of the build that did it.")
    environment: Name | None = None
    approver: Person | None = Field(None, description="Who agreed (assigned, aborted).")
    former: Version | None = Field(None, description="Live before (assigned, aborted).")
    how: Text = Field("", description="promoted, rolled back, settled (assigned); how it ended (aborted).")
    verified: bool = Field(False, description="Verification said that it is not worse, with evidence.")
    evidence: dict[str, Evidence] = Field(default_factory=dict, description="Name to digest of a stored file.")
    packagings: dict[str, Digest] = Field(default_factory=dict, description="What runs: digests in the registry.")
    record: Release | None = Field(None, description="The whole record (registered).")
    data: DataVersion | None = Field(None, description="The whole record of a data version (registered).")
    happened: Moment | None = Field(None, description="When it did, where that was before it was written.")

    @model_validator(mode="after")
    def _is_whole(self) -> Draft:
        if (self.kind in _SOMEWHERE) is not (self.environment is not None):
            raise ValueError(f"environment: a release is {self.kind} with exactly one" if self.kind in _SOMEWHERE
                             else f"environment: a release is {self.kind} everywhere")  # fmt: skip
        if (self.kind is Kind.REGISTERED) is not (self._whole is not None):
            raise ValueError("record: belongs to what is registered, and to nothing else")
        if self._whole and (self._whole.name, self._whole.digest) != (self.name, self.release):
            raise ValueError("record: of another release, or changed since its digest was taken")
        if self.kind in {Kind.BAD, Kind.GOOD} and not self.reason:
            raise ValueError("reason: missing")
        if self.verified and not self.evidence:
            raise ValueError("verified: without evidence nothing is")
        return self

    @property
    def _whole(self) -> Release | DataVersion | None:
        return self.record or self.data

    @property
    def name(self) -> str:
        """The release as people say it: flights@v1.4.0."""
        return f"{self.project}@v{self.version}"


def drafted(release: Release, **values: Any) -> Draft:
    """
    Draft an event about a release.

    Raises:
        BadInput: a value that no event may have, such as a reason with control characters.
    """
    about = {"project": release.project, "version": release.version, "release": release.digest}
    try:
        return Draft(**{**about, **values})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{name}: {message}" if name else message) from error


class Event(Draft):
    """An event in its place."""

    schema_version: int = Field(1, ge=1, le=1)
    number: int = Field(ge=1, description="Place in the project's ledger; no number is left out.")
    previous: GitId | None = Field(None, description="Git object of the tag before; null for the first.")
    commit: GitId = Field(description="The release's own commit, to which the tag points.")
    at: Moment = Field(description="UTC, later than the event before.")
    signature: Signature | None = None

    @model_validator(mode="after")
    def _begins_once(self) -> Event:
        if (self.number == 1) is not (self.previous is None):
            raise ValueError("previous: the first event alone has none")
        return self

    @property
    def when(self) -> str:
        """The moment from which on it is true: when it happened, as far as that was told, and no later than it was written."""
        return min(self.at, self.happened or self.at)

    def signed_part(self) -> dict[str, object]:
        """Return what the signature is about: all but itself; events of releases were signed before data had any."""
        return self.model_dump(mode="json", exclude={"signature"} | (set() if self.data else {"data"}))

    def __str__(self) -> str:
        """One line for people; the first line of the tag's message."""
        where = f" {_IN[self.kind]} {self.environment}" if self.environment else ""
        what = self.how if self.kind is Kind.ASSIGNED and self.how else str(self.kind)
        agreed = f", approved by {self.approver}" if self.approver else ""
        why = f": {' '.join(self.reason.split())[:200]}" if self.reason else ""
        return f"{self.name} {_SAID.get(self.kind, what)}{where} by {self.actor}{agreed}{why}"


_IN = {Kind.ASSIGNED: "to", Kind.ABORTED: "on its way to", Kind.VERIFIED: "in", Kind.APPROVED: "for"}
_SAID = {Kind.BAD: "marked bad", Kind.GOOD: "marked good again"}
