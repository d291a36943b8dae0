"""Which simulated set of knees: the part that can be said without simulating anything."""

from __future__ import annotations

from pydantic import Field

from grandrounds.specs import Spec


class KneeSpec(Spec):
    """Which set of knees to simulate.

    Args:
        n_exams: Number of exams, each of three series; one patient in ten has two.
        seed: Root of all randomness.
        n_slices: Slices of a series.
        size_px: Height and width of a slice.
        missing_share: Share of exams that lack one of their series.
    """

    n_exams: int = Field(default=100, ge=8, le=9999)
    seed: int = 0
    n_slices: int = Field(default=24, ge=4, le=64)
    size_px: int = Field(default=96, ge=16, le=512)
    missing_share: float = Field(default=0.1, ge=0, le=1)
