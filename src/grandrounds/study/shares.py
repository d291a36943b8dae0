"""Equal budgets: from seconds for a whole study to epochs for each family.

Every contender may use the same share of the training time; floors cost next to nothing and have none. What a cheap
family leaves of its share is not handed on: the study is simply done sooner. The result is written into the study, so
that only planning ever looks at a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Families are timed side by side, as they will run; this leaves room for starting, predicting and saving.
USABLE = 0.85


@dataclass(frozen=True, slots=True)
class Cost:
    """What one trial of a family costs.

    Args:
        epoch_s: Seconds of one pass; 0 for families that do not iterate.
        fixed_s: Seconds besides the passes.
        enough_epochs: More passes than this bring nothing; 0 for families that do not iterate.
    """

    epoch_s: float
    fixed_s: float
    enough_epochs: int

    def seconds(self, epochs: int) -> float:
        """Return the seconds of one trial with so many passes."""
        return self.fixed_s + epochs * self.epoch_s


def share_s(n_contenders: int, *, n_trials: float, budget_s: float, workers: int) -> float:
    """Return the seconds of one worker that one trial of any contender may use.

    Args:
        n_contenders: Families that are no floor.
        n_trials: Trials of one family: folds × repeats × seeds; one on a part of the patients counts as that part.
        budget_s: Wall-clock seconds for all trials of all families.
        workers: Trials side by side.
    """
    return budget_s * workers * USABLE / (n_trials * max(n_contenders, 1))


def whole_trials(n_trials: int, curve: Sequence[float]) -> float:
    """Return how many trials on all patients cost what those of a learning curve cost with them.

    >>> whole_trials(5, (0.1, 0.4))
    7.5
    """
    return n_trials * (1 + sum(curve))


def epochs_for(cost: Cost, seconds: float) -> int:
    """Return how many passes a share buys: at least one, at most enough, 0 for a family that does not iterate."""
    if not cost.enough_epochs:
        return 0
    affordable = int((seconds - cost.fixed_s) / max(cost.epoch_s, 1e-9))
    return min(max(affordable, 1), cost.enough_epochs)
