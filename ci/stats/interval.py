"""What the statistics hand out: a value with its uncertainty, and the questions one may ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    A metric, or the gain of a challenger over a champion, with how surely it is known.

    value     in the metric's unit; for a gain, + means that the challenger is better
    se        standard error of `value`, same unit
    low, high two-sided interval at `level`
    df        degrees of freedom of the t distribution; infinite for the normal
    n         rows
    clusters  clusters, or None where rows are taken as independent
    method    how `se` was found, for people
    """

    value: float
    se: float
    low: float
    high: float
    level: float
    df: float
    n: int
    clusters: int | None
    method: str

    @classmethod
    def of(
        cls, value: float, se: float, *, n: int, method: str, clusters: int | None = None, level: float = 0.95
    ) -> Estimate:
        """
        Build the interval around `value`: normal, or Student's t with clusters − 1 degrees of freedom.

        Source: Cameron, Gelbach & Miller (2008), section II: t with G − 1 for few clusters.

        Raises:
            ValueError: value or se is not a finite number, or level is outside (0, 1).
        """
        if not (math.isfinite(value) and math.isfinite(se)):
            raise ValueError(f"estimate is not finite: value {value}, standard error {se}")
        df = math.inf if clusters is None else clusters - 1.0
        reach = quantile(0.5 + _share("level", level) / 2, df) * se
        return cls(float(value), float(se), value - reach, value + reach, level, df, n, clusters, method)

    def lower(self, level: float = 0.95) -> float:
        """One-sided lower bound: the true value is above it with confidence `level`."""
        return self.value - quantile(_share("level", level), self.df) * self.se

    def upper(self, level: float = 0.95) -> float:
        """One-sided upper bound: the true value is below it with confidence `level`."""
        return self.value + quantile(_share("level", level), self.df) * self.se

    def p_above(self, bound: float) -> float:
        """One-sided p-value of "the true value is at most `bound`"; small is evidence that it is above."""
        return self._tail(self.value - bound)

    def p_below(self, bound: float) -> float:
        """One-sided p-value of "the true value is at least `bound`"; small is evidence that it is below."""
        return self._tail(bound - self.value)

    def mde(self, alpha: float = 0.05, power: float = 0.8) -> float:
        """Smallest true gain that a one-sided test at `alpha` would find with this `power`; unit of `value`."""
        return minimum_detectable_effect(self.se, df=self.df, alpha=alpha, power=power)

    def _tail(self, distance: float) -> float:
        if math.isnan(distance):
            raise ValueError("the bound is not a number")
        if self.se == 0:
            return 0.0 if distance > 0 else 1.0
        return _cdf(-distance / self.se, self.df)


def minimum_detectable_effect(se: float, *, df: float = math.inf, alpha: float = 0.05, power: float = 0.8) -> float:
    """
    Smallest true effect that a one-sided test at `alpha` finds with probability `power`; unit of `se`.

    Source: Bloom (1995), Evaluation Review 19(5): (t_{1−α} + t_{power}) · SE.

    Raises:
        ValueError: se is negative or not finite, or alpha or power is outside (0, 1).
    """
    if not (math.isfinite(se) and se >= 0):
        raise ValueError(f"standard error must be finite and at least 0, got {se}")
    return (quantile(1 - _share("alpha", alpha), df) + quantile(_share("power", power), df)) * se


def quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom, of the normal where `df` is infinite."""
    from scipy import special

    return float(special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability))


def _cdf(x: float, df: float) -> float:
    from scipy import special

    return float(special.ndtr(x) if math.isinf(df) else special.stdtr(df, x))


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {value}")
    return value
