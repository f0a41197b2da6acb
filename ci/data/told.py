"""What an ingest has to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.data.manifest import Manifest, Part


def told(manifest: Manifest, new: Sequence[Part], restated: Sequence[tuple[Part, Part]], folder: Path) -> Result:
    """Say what was read now, and what of it reads differently than before."""
    kept = len(manifest.parts) - len(new)
    read = ", ".join(part.period for part in new[:6]) + (" …" if len(new) > 6 else "")
    again = f"; restated: {', '.join(made.period for _, made in restated)}" if restated else ""
    return Result(
        f"{manifest.rows:,} rows in {len(manifest.parts)} periods up to {manifest.watermark or manifest.as_of}; "
        f"read {read or 'nothing new'}{f', kept {kept}' if kept else ''}{again}",
        checks=[_restatement(former, made) for former, made in restated],
        facts={
            "data version": manifest.version[:12],
            "as of": manifest.as_of,
            "rows": manifest.rows,
            "periods": len(manifest.parts),
            "read now": len(new),
            "watermark": manifest.watermark,
        },
        tables=[
            Table(
                "Periods",
                ("period", "era", "rows", "newest row", "read now", "sha256"),
                [(p.period, p.era, p.rows, p.newest, p in new, p.sha256[:12]) for p in reversed(manifest.parts)],
            )
        ],
        outputs={str(folder / part.file): part.sha256 for part in manifest.parts},
    )


def _restatement(former: Part, made: Part) -> Check:
    """Tell that a period which was taken as whole reads differently now: late rows, other values, other code."""
    more = made.rows - former.rows
    what = f"{abs(more):,} rows {'more' if more > 0 else 'fewer'}" if more else "as many rows, other values"
    extra = {"former": former.sha256, "now": made.sha256}
    return Check(f"restated {made.period}", Found.WARNED, f"reads differently now: {what}", more, 0, extra=extra)
