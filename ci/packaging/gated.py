"""The verdict on which a release stands, read from the gate's report; without one there is no release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome, StepError
from ci.files import read_json, sha256
from ci.releases.record import GateEvidence

if TYPE_CHECKING:
    from pathlib import Path


class NotPassed(StepError):  # noqa: N818
    """The gate said no, or could not say."""

    outcome = Outcome.REJECTED


def evidence(report: Path, bundle: str) -> GateEvidence:
    """
    Return the verdict about a bundle (its digest in hex).

    Raises:
        BadInput: nobody judged it, or the report is of another bundle.
        NotPassed: it was judged, and did not pass.
    """
    hint = (
        f"python -m steps.gate --project {report.parent.name}, or --ungated REASON for a release that is never promoted"
    )
    if not report.is_file():
        raise BadInput(f"{report}: missing: nobody has judged this bundle", hint=hint)
    document = read_json(report)
    judged = document.get("data", {}).get("challenger")
    if judged is None and document.get("outcome") != Outcome.PASSED:
        raise NotPassed(f"{report}: {document.get('outcome')}: {document.get('message')}", hint=hint)
    if judged != bundle:
        raise BadInput(f"{report}: judged bundle {str(judged)[:12]}, and this one is {bundle[:12]}", hint=hint)
    if document.get("outcome") != Outcome.PASSED:
        raise NotPassed(f"{report}: {document.get('outcome')}: {document.get('message')}", hint=hint)
    inputs = document.get("inputs", {})
    return GateEvidence(
        outcome=str(document["outcome"]),
        report=sha256(report),
        champion=_digest(inputs.get("champion")),
        test_set=_digest(inputs.get("test set")),
    )


def _digest(value: object) -> str | None:
    text = str(value)
    return text if len(text) == 64 and set(text) <= set("0123456789abcdef") else None
