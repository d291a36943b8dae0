"""Parameters of families that are made of another family: networks of slices, committees, sweeps."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from grandrounds.specs import Spec
from grandrounds.training.spec import TrainingSpec


class SlicesParams(TrainingSpec):
    """A network of planes that reads the slices of a volume one by one.

    Args:
        member: The network's family; the family's name sets it.
        of: Parameters of that network, such as its width; how it is trained stands here, not there.
        pooling: What stands for the slices: the greatest or the mean value of each feature, or a mean whose weights are
            learned.
        n_features: Numbers that the network gives for a slice.
    """

    member: str = "resnet-18"
    of: dict[str, Any] = Field(default_factory=dict)
    pooling: Literal["max", "mean", "attention"] = "max"
    n_features: int = Field(default=64, ge=1)
    max_epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=8, ge=2)


class CommitteeParams(Spec):
    """Several trainings of one family, which decide together.

    Args:
        member: The members' family, with its own defaults; the committee's name sets it.
        of: Parameters of the members, where they differ from those defaults.
        n_members: How many; together they have the budget that another family has alone.
    """

    member: str = "li2014"
    of: dict[str, Any] = Field(default_factory=dict)
    n_members: int = Field(default=3, ge=2)

    @property
    def max_epochs(self) -> int:
        """Passes after which more do not help: those of all members."""
        return self.n_members * int(getattr(self._of_member, "max_epochs", 1))

    @property
    def batch_size(self) -> int:
        """Images in a step of a member."""
        return int(getattr(self._of_member, "batch_size", 32))

    @property
    def _of_member(self) -> Spec:
        from grandrounds import families  # noqa: PLC0415  (the registry knows this module, which is why it comes first)

        return families.params_of(self.member, self.of)


class FoldsParams(CommitteeParams):
    """Trainings of one family that each leave out another part of the training patients, and decide together.

    Args:
        member: The members' family, with its own defaults; the committee's name sets it.
        of: Parameters of the members, where they differ from those defaults.
        n_members: Into how many parts the patients are dealt; together the members have the budget that another family
            has alone.
    """

    n_members: int = Field(default=5, ge=2)


class SweepParams(CommitteeParams):
    """A family at several learning rates, of which the one that `valid` prefers is kept.

    Args:
        member: The family, with its own defaults; the sweep's name sets it.
        of: Its parameters, where they differ from those defaults.
        n_members: How many rates; together they have the budget that another family has alone.
        factor: Each rate is so many times the one before; the middle one is the recipe's.
    """

    factor: float = Field(default=3.0, gt=1)
