"""Whether a new signature may take over from an old one without any caller noticing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.errors import BundleError

if TYPE_CHECKING:
    from serving.signature import Input, Signature


def check(old: Signature, new: Signature) -> None:
    """
    Hold a hot swap to one rule: what the old model took, the new one takes, and it answers in the same form.

    Anything else is a new major version, and is deployed beside the old one.

    Raises:
        BundleError: reason `incompatible`, naming the field.
    """
    fault = _outside(old, new) or next(filter(None, (_input(column, new) for column in old.inputs)), None)
    if fault:
        raise BundleError("incompatible", f"signature.json: {fault}")


def _outside(old: Signature, new: Signature) -> str | None:
    if new.project != old.project:
        return f"project is {new.project}, this server serves {old.project}"
    if new.task != old.task:
        return f"task is {new.task}, was {old.task}"
    if new.output.classes != old.output.classes:
        return "output.classes differ"
    added = {column.name for column in new.inputs} - {column.name for column in old.inputs}
    return f"{min(added)} is new, and callers do not send it" if added else None


def _input(old: Input, signature: Signature) -> str | None:
    new = next((column for column in signature.inputs if column.name == old.name), None)
    if new is None:
        return f"{old.name} is gone, and callers send it"
    if new.type != old.type:
        return f"{old.name} is a {new.type}, was a {old.type}"
    if old.nullable and not new.nullable:
        return f"{old.name} must no longer be null"
    if new.bounds[0] > old.bounds[0] or new.bounds[1] < old.bounds[1]:
        return f"{old.name} has a narrower range"
    if new.max_length is not None and (old.max_length is None or new.max_length < old.max_length):
        return f"{old.name} must be shorter"
    if new.rejects and not (old.rejects and set(old.categories or ()) <= set(new.categories or ())):
        return f"{old.name} refuses values that were taken"
    return None
