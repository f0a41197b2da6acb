"""Whether predicted probabilities can be taken at their word: curve, expected error, parts of the Brier score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ci.stats import inputs
from ci.stats.interval import quantile

if TYPE_CHECKING:
    import numpy.typing as npt

    from ci.stats.inputs import Codes, Floats


class CalibrationBin(NamedTuple):
    """
    One point of a calibration curve.

    predicted  mean probability in the bin
    observed   share of positives in the bin
    n          rows in the bin
    low, high  interval of the observed share
    """

    predicted: float
    observed: float
    n: int
    low: float
    high: float


class BrierParts(NamedTuple):
    """
    The Brier score = reliability − resolution + uncertainty + within.

    reliability  squared distance of the bins' means to the observed shares (0 is best)
    resolution   how far the bins' shares lie from the overall share (more is better)
    uncertainty  variance of the truth, no model's doing
    within       what binning hides: variance of predictions in a bin less twice their covariance with the truth
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float


def calibration_curve(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    bins: int = 10,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> tuple[CalibrationBin, ...]:
    """
    Return the bins of equal mass of labels y (n_rows,) and probabilities of class 1 p (n_rows,), lowest first.

    Equal probabilities share a bin, so that there may be fewer than `bins`. Intervals are Wilson's (1927); with
    integer `clusters` (n_rows,) they use the effective number of rows and t with the bin's clusters − 1.
    Source: Korn & Graubard (1998), Survey Methodology 24(2), for effective numbers; Dean & Pagano (2015), Wilson form.

    Raises:
        ValueError: labels other than 0 and 1, probabilities outside [0, 1], not finite, or unequal lengths.
    """
    truth, predicted = inputs.binary(y, p)
    codes = None if clusters is None else inputs.clustered(clusters, len(truth))[0]
    chance = 0.5 + level / 2
    points = []
    for rows in _binned(predicted, bins):
        observed = float(truth[rows].mean())
        trials, reach = _trials(truth[rows], None if codes is None else codes[rows], chance)
        low, high = _wilson(observed, trials, reach)
        points.append(CalibrationBin(float(predicted[rows].mean()), observed, len(rows), low, high))
    return tuple(points)


def expected_calibration_error(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 15) -> float:
    """
    Return the mean over bins of equal mass of |observed share − mean probability|, weighted by rows; 0 to 1.

    It is biased upwards: even a perfect model shows about √(2/π) · √(bins · p(1−p) / n_rows). For a figure near zero
    when all is well use `debiased_calibration_error`. For several classes pass "the top class was right" as y and the
    top probability as p. Source: Naeini, Cooper & Hauskrecht (2015), ECE; Nixon et al. (2019), equal mass.

    Raises:
        ValueError: as `calibration_curve`.
    """
    truth, predicted = inputs.binary(y, p)
    gaps = [abs(float((truth[rows] - predicted[rows]).sum())) for rows in _binned(predicted, bins)]
    return sum(gaps) / len(truth)


def debiased_calibration_error(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 15) -> float:
    """
    Return the root of the mean squared gap per bin of equal mass, less what chance alone puts there; 0 to 1.

    From each squared gap the sampling variance of the observed share, o(1−o)/(n_b−1), is taken away; a negative sum
    is no sign of miscalibration and gives 0. Source: Kumar, Liang & Ma (2019), debiased.

    Raises:
        ValueError: as `calibration_curve`.
    """
    truth, predicted = inputs.binary(y, p)
    total = 0.0
    for rows in _binned(predicted, bins):
        observed = float(truth[rows].mean())
        chance = observed * (1 - observed) / max(len(rows) - 1, 1)
        total += len(rows) * ((observed - float(predicted[rows].mean())) ** 2 - chance)
    return math.sqrt(max(total, 0.0) / len(truth))


def brier_decomposition(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 15) -> BrierParts:
    """
    Split the Brier score of y and p, both (n_rows,), into parts that add up to it exactly; unit: squared probability.

    Source: Murphy (1973); Stephenson, Coelho & Jolliffe (2008) for the part within bins.

    Raises:
        ValueError: as `calibration_curve`.
    """
    truth, predicted = inputs.binary(y, p)
    overall, n = float(truth.mean()), len(truth)
    reliability = resolution = 0.0
    for rows in _binned(predicted, bins):
        observed = float(truth[rows].mean())
        reliability += len(rows) / n * (float(predicted[rows].mean()) - observed) ** 2
        resolution += len(rows) / n * (observed - overall) ** 2
    uncertainty = overall * (1 - overall)
    brier = float(((predicted - truth) ** 2).mean())
    return BrierParts(reliability, resolution, uncertainty, brier - reliability + resolution - uncertainty)


def _binned(predicted: Floats, bins: int) -> list[Codes]:
    """Rows of each bin of equal mass, by rising prediction; a run of equal predictions is never cut."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    order = np.argsort(predicted, kind="stable")
    ordered = predicted[order]
    wanted = np.arange(1, bins) * len(predicted) // bins
    cuts = np.unique(np.searchsorted(ordered, ordered[wanted], side="left"))
    return [rows for rows in np.split(order, cuts) if len(rows)]


def _trials(truth: Floats, codes: Codes | None, chance: float) -> tuple[float, float]:
    """Effective number of independent rows in a bin, and the quantile to go with it."""
    if codes is None:
        return float(len(truth)), quantile(chance, math.inf)
    present, local = np.unique(codes, return_inverse=True)
    if len(present) < 2:
        return 0.0, math.inf
    observed, sums = float(truth.mean()), np.bincount(local, weights=truth - truth.mean())
    variance = len(present) / (len(present) - 1) * float(sums @ sums) / len(truth) ** 2
    effective = observed * (1 - observed) / variance if variance > 0 else len(present)
    return min(effective, float(len(truth))), quantile(chance, len(present) - 1.0)


def _wilson(share: float, trials: float, reach: float) -> tuple[float, float]:
    """Wilson (1927): the shares that are not rejected given `share` of `trials`."""
    if not trials or math.isinf(reach):
        return 0.0, 1.0
    centre = share + reach**2 / (2 * trials)
    spread = reach * math.sqrt(share * (1 - share) / trials + reach**2 / (4 * trials**2))
    scale = 1 + reach**2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
