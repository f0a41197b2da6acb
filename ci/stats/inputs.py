"""The one door for arrays: what passes here is finite, of equal length, and fits the metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.stats.metrics import Metric, Need

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_SUM_TOLERANCE = 1e-3  # single-precision softmax over many classes is off by less


@dataclass(frozen=True, slots=True)
class Sample:
    """
    Checked inputs of one measurement.

    truth      (n_rows,) targets, or class codes from 0
    models     one or two score arrays, each (n_rows,) or (n_rows, n_classes)
    weights    (n_rows,) ≥ 0, ones unless `weighted`
    clusters   (n_rows,) codes 0 … n_clusters − 1, or None where rows are independent
    """

    truth: Floats
    models: tuple[Floats, ...]
    weights: Floats
    weighted: bool = False
    clusters: Codes | None = None
    n_clusters: int | None = None

    @property
    def n_rows(self) -> int:
        """Rows, whatever they weigh."""
        return len(self.truth)

    @property
    def n_classes(self) -> int:
        """Columns of the scores; two where a row has one score."""
        return self.models[0].shape[1] if self.models[0].ndim == 2 else 2

    def totals(self, amounts: Floats) -> Floats:
        """Sum `amounts` (n_rows,) over each cluster: (n_clusters,); as they are where rows are independent."""
        if self.clusters is None:
            return amounts
        return summed(self.clusters, amounts, self.n_clusters or 0)


def checked(
    metric: Metric,
    y: npt.ArrayLike,
    models: tuple[npt.ArrayLike, ...],
    *,
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> Sample:
    """
    Turn what a caller has into a `Sample` that `metric` can be measured on.

    y (n_rows,); each model (n_rows,) or (n_rows, n_classes); clusters integers (n_rows,); weights ≥ 0 (n_rows,).

    Raises:
        ValueError: empty, unequal lengths, NaN or infinity, unknown classes, fewer than two clusters, or a
            requirement of the metric is not met; the message starts with the metric's name.
    """
    try:
        truth = _finite("y", y)
        scores = tuple(_finite("scores", model) for model in models)
        _check_shapes(metric, truth, scores)
        for need in metric.needs - _AMONG_WEIGHED:
            _CHECKS[need](truth, scores)
        weighing = np.ones(len(truth)) if weights is None else weighed(weights, len(truth))
        for need in metric.needs & _AMONG_WEIGHED:
            _CHECKS[need](truth[weighing > 0], scores)
        codes, n_clusters = (None, None) if clusters is None else clustered(clusters, len(truth))
    except ValueError as error:
        raise ValueError(f"{metric.name}: {error}") from None
    return Sample(truth, scores, weighing, weights is not None, codes, n_clusters)


def summed(codes: npt.NDArray[np.integer[Any]], amounts: Floats, size: int) -> Floats:
    """Sum `amounts` (n_rows,) by code (n_rows,): shape (size,)."""
    return np.bincount(codes, weights=amounts, minlength=size).astype(np.float64, copy=False)


def clustered(clusters: npt.ArrayLike, n_rows: int) -> tuple[Codes, int]:
    """
    Recode cluster ids (n_rows,) to 0 … G − 1; return them with G.

    Raises:
        ValueError: not integers, not one a row, or fewer than two clusters.
    """
    codes = np.asarray(clusters)
    if codes.shape != (n_rows,) or codes.dtype.kind not in "iu":
        raise ValueError(f"clusters must be integers of shape ({n_rows},), got {codes.dtype} {codes.shape}")
    if codes.min() < 0 or codes.max() > 4 * n_rows:  # sparse codes: sort them
        codes = np.unique(codes, return_inverse=True)[1]
    present = np.bincount(codes) > 0
    count = int(present.sum())
    if count < 2:
        raise ValueError("all rows are in one cluster; its spread cannot be seen, two are the least")
    return (np.cumsum(present) - 1)[codes], count


def weighed(weights: npt.ArrayLike, n_rows: int) -> Floats:
    """
    Return row weights (n_rows,) as floats.

    Raises:
        ValueError: not one a row, not finite, negative, or all zero.
    """
    array = _finite("weights", weights)
    if array.shape != (n_rows,):
        raise ValueError(f"weights must have shape ({n_rows},), got {array.shape}")
    if array.min() < 0 or array.max() == 0:
        raise ValueError("weights must be at least 0, and not all 0")
    return array


def binary(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[Floats, Floats]:
    """
    Return labels 0 or 1 and probabilities of class 1, both (n_rows,), as floats.

    Raises:
        ValueError: empty, unequal lengths, not finite, labels other than 0 and 1, or outside [0, 1].
    """
    truth, scores = _finite("y", y), _finite("probabilities", probabilities)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"y and probabilities must be equally long, got {truth.shape} and {scores.shape}")
    _check_labels(truth, (scores,))
    _check_probabilities(truth, (scores,))
    return truth, scores


def _finite(name: str, values: npt.ArrayLike) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers") from None
    if array.size == 0:
        raise ValueError(f"{name} is empty")
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{name} has {bad} missing or infinite values")
    return array


def _check_shapes(metric: Metric, truth: Floats, scores: tuple[Floats, ...]) -> None:
    if truth.ndim != 1:
        raise ValueError(f"y must be one-dimensional, got shape {truth.shape}")
    for model in scores:
        if len(model) != len(truth) or model.shape != scores[0].shape or model.ndim > 2:
            raise ValueError(f"scores must match y: shape {model.shape} against {truth.shape}")
    multiclass = scores[0].ndim == 2
    if multiclass and ("multiclass" not in metric.tasks or scores[0].shape[1] < 2):
        raise ValueError(f"takes one score a row, got shape {scores[0].shape}")
    if not multiclass and metric.tasks == {"multiclass"}:
        raise ValueError("takes one score a class: shape (n_rows, n_classes)")


def _check_labels(truth: Floats, scores: tuple[Floats, ...]) -> None:
    n_classes = scores[0].shape[1] if scores[0].ndim == 2 else 2
    strange = (truth < 0) | (truth >= n_classes) | (truth != np.floor(truth))
    if strange.any():
        raise ValueError(f"y has a class {truth[strange][0]:g}; known are the integers 0 to {n_classes - 1}")


def _check_both_classes(truth: Floats, _scores: tuple[Floats, ...]) -> None:
    if truth.min() == truth.max():
        raise ValueError(f"y has a single class ({truth[0]:g}); at least two are needed")


def _check_probabilities(_truth: Floats, scores: tuple[Floats, ...]) -> None:
    for model in scores:
        if model.min() < 0 or model.max() > 1:
            raise ValueError("scores must be probabilities in [0, 1]")
        if model.ndim == 2 and np.abs(model.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
            raise ValueError("probabilities of a row must sum to 1")


def _check_non_zero(truth: Floats, _scores: tuple[Floats, ...]) -> None:
    if (truth == 0).any():
        raise ValueError(f"{int((truth == 0).sum())} targets are zero; an error relative to zero has no meaning")


def _check_varied(truth: Floats, _scores: tuple[Floats, ...]) -> None:
    if truth.min() == truth.max():
        raise ValueError("all targets are equal; there is no variance to explain")


_AMONG_WEIGHED: frozenset[Need] = frozenset({"both classes", "varied targets"})  # rows without weight show nothing
_CHECKS: Mapping[Need, Callable[[Floats, tuple[Floats, ...]], None]] = {
    "labels": _check_labels,
    "both classes": _check_both_classes,
    "probabilities": _check_probabilities,
    "non-zero targets": _check_non_zero,
    "varied targets": _check_varied,
}
