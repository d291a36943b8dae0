"""What numbers from one mix of patients mean at another prevalence.

Sensitivity and specificity are carried over as they are; predictive values and probabilities follow by Bayes' theorem.

Assumes: patients with the disease look alike in both places, and so do those without; only their shares differ. Another
spectrum of severity breaks this.

Reference: Altman & Bland, BMJ 309:102 (1994); Saerens, Latinne & Decaestecker, Neural Computation 14:21 (2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def ppv_at(sensitivity: Values, specificity: Values, prevalence: float) -> Values:
    """Return the share of the class among those called it; NaN where nobody is called it.

    >>> round(float(ppv_at(np.array(0.9), np.array(0.9), 0.1)), 3)
    0.5
    """
    hits, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return part(hits, alarms)


def npv_at(sensitivity: Values, specificity: Values, prevalence: float) -> Values:
    """Return the share of the others among those not called the class; NaN where everybody is called it."""
    misses, rest = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    return part(rest, misses)


def moved(stated: Values, there: float, here: float) -> Values:
    """Return probabilities of the class as they are after its prevalence changes.

    Args:
        stated: (N,) right where the prevalence is `there`.
        there: The prevalence that they were learned at.
        here: The prevalence that is declared.

    >>> moved(np.array([0.5, 0.0, 1.0]), there=0.5, here=0.2).tolist()
    [0.2, 0.0, 1.0]
    """
    return part(stated * here * (1 - there), (1 - stated) * (1 - here) * there)


def part(one: Values, other: Values) -> Values:
    """Return one as a share of both together; NaN where there is neither."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    total = one + other
    return np.asarray(np.divide(one, total, out=np.full(total.shape, np.nan), where=total > 0))
