"""Divide cases into roles: once for all families, by patient, with a class on every side."""

from grandrounds.splits.draw import draw
from grandrounds.splits.plan import Fold, SplitPlan
from grandrounds.splits.spec import SplitSpec

__all__ = ["Fold", "SplitPlan", "SplitSpec", "draw"]
