"""`publish` and `freshness` in a project's params: where data versions go, and how fresh they are promised to be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from ci.params import Model

# What `git check-ref-format --branch` takes, and a little less: no signs that a shell or a URL would read.
BranchName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*$", max_length=200),
]  # fmt: skip


class Publish(Model):
    """Where `steps.publish` moves `as_of` and dvc.lock."""

    branch: BranchName | None = Field(
        None, description="The branch that is moved, such as main; data/<project> if null, for a person to merge."
    )


class Freshness(Model):
    """What consumers of the data are promised; `steps.check_data --freshness-only` holds the newest version to it."""

    max_age_days: float = Field(
        gt=0, le=36_500, description="Oldest that the newest row may be, in days before now (the clock, or --now)."
    )
    completeness: float = Field(
        1.0, gt=0, le=1, description="Share of the periods that are due which must be there, whole and not empty."
    )
