"""Several fitted models as one: what ships after cross-validation is the mean of the folds' models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grandrounds.errors import BadData
from grandrounds.families.protocol import Fitted, View
from grandrounds.shapes import Probs


def mean_probs(members: Sequence[Fitted], view: View) -> Probs:
    """Return the mean of the members' probabilities, (N, K).

    Args:
        members: Fitted models of one family, one per fold, repeat and seed.
        view: What is predicted.

    Raises:
        BadData: There are no members.
    """
    if not members:
        raise BadData("an ensemble needs at least one fitted model", remedy="train the family first")
    probs: Probs = np.mean([member.predict(view) for member in members], axis=0)
    return probs
