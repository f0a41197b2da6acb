"""
Confidence bands that hold at all times at once, for the report.

Howard et al. (arXiv 1810.08240) for mixtures; Howard & Ramdas (arXiv 1906.09712) for shares and whole distributions.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betaln, zeta
from scipy.stats import norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TINY = 1e-12


def best_rho(v: float, alpha: float) -> float:
    """Tuning of the two-sided normal mixture that is tightest at intrinsic time `v` (1810.08240, eq. 25)."""
    return v / (2 * math.log(1 / alpha) + math.log(1 + 2 * math.log(1 / alpha)))


def normal_log_mixture(s: float, v: float, rho: float, *, one_sided: bool = False) -> float:
    """Log of the normal mixture supermartingale at sum `s` and intrinsic time `v` (1810.08240, eq. 14 and 16)."""
    found = 0.5 * math.log(rho / (v + rho)) + s * s / (2 * (v + rho))
    return found + math.log(2 * norm.cdf(s / math.sqrt(v + rho))) if one_sided else found


def normal_bound(v: float, rho: float, alpha: float, *, one_sided: bool = False) -> float:
    """Where that mixture reaches 1/α."""
    if not one_sided:
        return math.sqrt((v + rho) * (math.log1p(v / rho) - 2 * math.log(alpha)))
    return _solve(lambda s: normal_log_mixture(s, v, rho, one_sided=True) + math.log(alpha), 0.0, 100 * math.sqrt(v))


def beta_log_mixture(s: float, v: float, g: float, h: float, rho: float) -> float:
    """Log of the two-sided beta-binomial mixture for steps of −g or +h (1810.08240, proposition 7)."""
    r = max(rho - g * h, 1e-3 * g * h)
    low, high = g * (g + h), h * (g + h)
    return float(
        v / (g * h) * math.log(g + h)
        - (v + h * s) / high * math.log(g)
        - (v - g * s) / low * math.log(h)
        + betaln((r + v - g * s) / low, (r + v + h * s) / high)
        - betaln(r / low, r / high)
    )


def beta_bound(v: float, g: float, h: float, rho: float, alpha: float) -> float:
    """Where that mixture reaches 1/α; at most v/g, beyond which no sum can be."""
    at_most = v / g - _TINY
    if beta_log_mixture(at_most, v, g, h, rho) + math.log(alpha) < 0:
        return at_most
    return _solve(lambda s: beta_log_mixture(s, v, g, h, rho) + math.log(alpha), 0.0, at_most)


def share_band(bad: int, n: int, alpha: float, t_opt: float) -> tuple[float, float]:
    """Confidence sequence of a share after `n` requests, tightest about `t_opt` (1906.09712, theorem 3)."""
    if n == 0:
        return 0.0, 1.0
    share = bad / n

    def excess(p: float) -> float:
        v = p * (1 - p)
        return beta_log_mixture((share - p) * n, v * n, p, 1 - p, best_rho(v * t_opt, 0.05)) + math.log(alpha)

    low = _edge(excess, _TINY, share) if bad else 0.0
    return low, _edge(excess, 1 - _TINY, share) if bad < n else 1.0


def _edge(excess: Callable[[float], float], far: float, near: float) -> float:
    near = min(max(near, 1e-9), 1 - 1e-9)
    if excess(far) < 0 or excess(near) > 0:
        return round(far)
    return _solve(excess, *sorted((far, near)))


def _solve(of: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(of, low, high, xtol=1e-13, rtol=1e-13))


def band_of_distribution(t: float, alpha: float, t_min: float, a: float = 0.85) -> float:
    """
    Half-width of a band around an empirical distribution function that holds for all t ≥ t_min at once.

    1906.09712, theorem 2; infinite before `t_min`.
    """
    if t < t_min:
        return math.inf
    return a * math.sqrt((math.log1p(math.log(t / t_min)) + _constant(alpha, a)) / t)


@functools.lru_cache(maxsize=64)
def _constant(alpha: float, a: float) -> float:
    def error(eta: float, c: float) -> float:
        gap = a - math.sqrt(2 * (eta - 1) / c)
        gamma_sq = 2 / eta * gap * gap
        if gap <= 0 or gamma_sq <= 1:
            return math.inf
        return 4 * math.exp(-gamma_sq * c) * (1 + 1 / ((gamma_sq - 1) * math.log(eta)))

    def least(c: float) -> float:
        top = brentq(lambda eta: math.sqrt(eta / 2) + math.sqrt(2 * (eta - 1) / c) - a, 1.0, 2 * a * a)
        options = {"xatol": 1e-10}
        found = minimize_scalar(error, bounds=(1 + 1e-9, top - 1e-9), args=(c,), method="bounded", options=options)
        return float(found.fun)

    return _solve(lambda c: math.log(min(least(c), 1e300) / alpha), 3.0, 500.0)


def quantile_bound(
    p: float, t: float, alpha: float, t_opt: float, *, delta: float = 0.5, s: float = 1.4, eta: float = 2.0
) -> float:
    """Bound on t·(F̂(q) − F(q)) for all quantiles p and times t at once (1906.09712, theorem 5: double stitching)."""
    m = max(t, t_opt)
    logit = math.log(p / (1 - p))
    nearer = 1 / (1 + math.exp(-(logit + 2 * delta * math.sqrt(t_opt * eta / m))))
    r = p if p >= 0.5 else min(0.5, nearer)
    variance = r * (1 - r)
    j = math.sqrt(m / t_opt) * abs(logit) / (2 * delta) + 1
    z = float(zeta(s))
    ell = s * (math.log(math.log(eta * m / t_opt)) + math.log(j))
    ell += math.log(2 * z * (2 * z + 1) / (alpha * math.log(eta) ** s))
    k1, k2 = (eta**0.25 + eta**-0.25) / math.sqrt(2), (math.sqrt(eta) + 1) / 2
    shift = k2 * (1 - 2 * p) / 3 * ell
    return (
        delta * math.sqrt(eta * m * variance / t_opt) + math.sqrt(k1 * k1 * variance * m * ell + shift * shift) + shift
    )


def quantile_band(
    bounds: Sequence[float], counts: Sequence[int], q: float, alpha: float, t_min: float = 100.0
) -> tuple[float, float]:
    """
    Band for a quantile of a histogram, valid at all times: between which bucket bounds it lies.

    `bounds` are the upper bounds of all buckets but the last, shape (k−1,); `counts` has shape (k,).
    """
    below = np.cumsum(counts)
    n = int(below[-1])
    half = band_of_distribution(n, alpha, t_min) if n else math.inf
    if not math.isfinite(half):
        return 0.0, math.inf
    edges, share = [0.0, *bounds, math.inf], below / n
    low = int(np.searchsorted(share + half, q, side="left"))
    high = int(np.searchsorted(share - half, q, side="left"))
    return edges[low], edges[min(high + 1, len(edges) - 1)]


def quantile_p_value(a: Sequence[float], b: Sequence[float], q: float, *, t_opt: float, alpha_opt: float) -> float:
    """
    Anytime-valid p-value of "both samples have the same quantile `q`" (1906.09712, section 5).

    Two beta-binomial mixtures, at the value that suits both best. Where a value is there more than once, whatever share
    of it could lie below is given to the hypothesis. 1 for an empty sample.
    """
    arms = [np.sort(np.asarray(found, dtype=float)) for found in (a, b)]
    if not all(map(len, arms)):
        return 1.0
    rho = best_rho(t_opt * q * (1 - q), alpha_opt)
    values = np.unique(np.concatenate(arms))
    least = sum(_least_log_mixture(found, values, q, rho) for found in arms)
    return float(min(1.0, math.exp(-float(np.min(least)))))


def _least_log_mixture(found: Any, values: Any, q: float, rho: float) -> Any:
    """Return for each value the least evidence against its being the quantile of one sample; shape (n_values,)."""
    n = len(found)
    below, upto = (np.searchsorted(found, values, side=side) for side in ("left", "right"))
    nearest = np.clip(n * q, below, upto) - n * q
    sums, place = np.unique(nearest, return_inverse=True)
    return np.array([beta_log_mixture(float(s), n * q * (1 - q), q, 1 - q, rho) for s in sums])[place]
