"""Intervals of what a call gives at another prevalence, which follow from those of sensitivity and specificity.

Where nobody of a class was missed, no resample misses one: its negative predictive value is 1 in all of them, and stays
close to it where one or two were missed. How many more may be missed is what the interval of sensitivity says. A
predictive value moves with the likelihood ratio alone, once the prevalence is given, and accuracy is a weighted mean.

Reference: Deeks & Altman, BMJ 329:168 (2004), for the way from a likelihood ratio to a predictive value.
"""

from __future__ import annotations

import numpy as np

from grandrounds.evaluate.bounds import Bounds, of_mean, of_ratio, of_share
from grandrounds.evaluate.estimates import Estimate


def of_accuracy(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> Bounds:
    """Return the interval of the share that is called rightly."""
    both = sensitivity, specificity
    ends = [_own(one)[1] for one in both]
    resamples = np.stack([one.resamples for one in both])
    return of_mean([one.value for one in both], ends, resamples, weights=(prevalence, 1 - prevalence))


def of_ppv(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> Bounds:
    """Return the interval of the share of the class among those called it.

    >>> from grandrounds.evaluate.carriers import Carried
    >>> surely = Estimate(1.0, np.ones(99), Carried(60, 60))
    >>> [round(end, 3) for end in of_ppv(surely, surely, 0.1)]
    [0.65, 1.0]
    """
    low, high = of_ratio(_own(sensitivity), _rest(specificity))
    return _among(low, prevalence), _among(high, prevalence)


def of_npv(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> Bounds:
    """Return the interval of the share of the others among those not called the class."""
    low, high = of_ratio(_rest(sensitivity), _own(specificity))
    return 1 - _among(high, prevalence), 1 - _among(low, prevalence)


def _own(share: Estimate) -> tuple[float, Bounds]:
    return share.value, of_share(share.value, share.resamples, share.carried.value)


def _rest(share: Estimate) -> tuple[float, Bounds]:
    value, (low, high) = _own(share)
    return 1 - value, (1 - high, 1 - low)


def _among(ratio: float, prevalence: float) -> float:
    """Return the share of the class among those with a result of this likelihood ratio."""
    return 1.0 if np.isinf(ratio) else ratio * prevalence / (ratio * prevalence + 1 - prevalence)
