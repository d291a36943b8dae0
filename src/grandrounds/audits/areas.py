"""Areas under the ROC curve of one score under many labellings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.delong import midranks


def areas(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the area for each labelling, (draws,); NaN where a side is empty, ties count half.

    Args:
        score: (N,).
        positive: (draws, N) which rows are positive.
    """
    n_positive = positive.sum(axis=1)
    n_negative = positive.shape[1] - n_positive
    wins: NDArray[np.float64] = positive @ midranks(score[None])[0] - n_positive * (n_positive + 1) / 2
    pairs = (n_positive * n_negative).astype(float)
    areas_of: NDArray[np.float64] = np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return areas_of
