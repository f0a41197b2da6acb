"""Is this model better, and how surely: metrics with standard errors, paired comparisons, calibration."""

from ci.stats.calibration import (
    BrierParts,
    CalibrationBin,
    brier_decomposition,
    calibration_curve,
    debiased_calibration_error,
    expected_calibration_error,
)
from ci.stats.compare import difference, estimate
from ci.stats.decisions import McNemar, alpha_spending, holm, mcnemar
from ci.stats.interval import Estimate, minimum_detectable_effect
from ci.stats.metrics import METRICS, Metric, lookup
from ci.stats.ranking import delong_se, placements

__all__ = [
    "METRICS",
    "BrierParts",
    "CalibrationBin",
    "Estimate",
    "McNemar",
    "Metric",
    "alpha_spending",
    "brier_decomposition",
    "calibration_curve",
    "debiased_calibration_error",
    "delong_se",
    "difference",
    "estimate",
    "expected_calibration_error",
    "holm",
    "lookup",
    "mcnemar",
    "minimum_detectable_effect",
    "placements",
]
