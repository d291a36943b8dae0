"""Parameters of families that are made of another family: networks of slices, committees, sweeps, fusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from grandrounds import families
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


class TransMedParams(TrainingSpec):
    """A network of planes that makes a token of each group of slices, and a transformer that weighs the tokens.

    Args:
        member: The network's family; the family's name sets it.
        of: Parameters of that network, such as its width; how it is trained stands here, not there.
        n_series: How many channels, from the first on, are series; those after them say which of these are there. None
            where all are series. `exams:` sets it.
        n_group: Neighbouring slices that become the channels of one picture, of which one token is made.
        n_features: Numbers that the network gives for a picture.
        dim: Length of a token.
        depth: Layers of the transformer.
        heads: Attention heads of a layer; they divide `dim`.
        dropout: Part of the values that is dropped in the transformer.
    """

    member: str = "resnet-18"
    of: dict[str, Any] = Field(default_factory=dict)
    n_series: int | None = Field(default=None, ge=1)
    n_group: int = Field(default=3, ge=1)
    n_features: int = Field(default=64, ge=1)
    dim: int = Field(default=64, ge=8)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    max_epochs: int = Field(default=60, ge=1)
    batch_size: int = Field(default=4, ge=2)


class JointParams(TrainingSpec):
    """A network of planes that reads each series, and a layer that joins them with the clinical columns.

    Args:
        member: The network's family; the family's name sets it.
        of: Parameters of that network, such as its width; how it is trained stands here, not there.
        n_series: How many channels, from the first on, are series; None where all are. `exams:` sets it.
        n_columns: How many channels, the last ones, hold numbers of clinical columns. `exams:` sets it.
        way: How the modalities are joined: one after another into a hidden layer, or by a mean whose weights are
            learned (gated attention).
        n_features: Numbers that the network gives for a series.
        hidden: Units of the hidden layer, or of the attention.
        left_out: How often a modality is left out in training, so that none is relied upon alone.
    """

    member: str = "resnet-18"
    of: dict[str, Any] = Field(default_factory=dict)
    n_series: int | None = Field(default=None, ge=1)
    n_columns: int = Field(default=0, ge=0)
    way: Literal["concatenation", "attention"] = "concatenation"
    n_features: int = Field(default=32, ge=1)
    hidden: int = Field(default=32, ge=1)
    left_out: float = Field(default=0.2, ge=0, lt=1)
    max_epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=8, ge=2)


class MemberParams(Spec):
    """Some other family, of which this one makes use.

    Args:
        member: The family, with its own defaults; the name of this one sets it.
        of: Its parameters, where they differ from those defaults.
    """

    member: str = "li2014"
    of: dict[str, Any] = Field(default_factory=dict)

    @property
    def batch_size(self) -> int:
        """Images in a step of the member."""
        return int(getattr(self.of_member, "batch_size", 32))

    @property
    def of_member(self) -> Spec:
        """Parameters of the family, in full."""
        return families.params_of(self.member, self.of)

    @property
    def _epochs_of_member(self) -> int:
        return int(getattr(self.of_member, "max_epochs", 1))


class CommitteeParams(MemberParams):
    """Several trainings of one family, which decide together.

    Args:
        member: The members' family, with its own defaults; the committee's name sets it.
        of: Parameters of the members, where they differ from those defaults.
        n_members: How many; together they have the budget that another family has alone.
    """

    n_members: int = Field(default=3, ge=2)

    @property
    def max_epochs(self) -> int:
        """Passes after which more do not help: those of all members."""
        return self.n_members * self._epochs_of_member


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


class ModalitiesParams(MemberParams):
    """Some other family that is to read several modalities of an exam: its series and its clinical columns.

    Args:
        member: The family, with its own defaults; the name of this one sets it.
        of: Its parameters, where they differ from those defaults.
        only: The series that are read, and `"columns"` for the clinical columns; None for all there are.
        shuffled: A series, or `"columns"`, that is dealt out anew among the cases of each role: a control that can have
            nothing from it.
        controls: `"beside"` lets the plan of a study add each modality alone, and one beside another that is dealt out
            anew; `"none"` adds nothing; `"self"` is what such a control has.
    """

    only: tuple[str, ...] | None = Field(default=None, min_length=1)
    shuffled: str | None = None
    controls: Literal["beside", "none", "self"] = "beside"

    @property
    def reads_columns(self) -> bool:
        """Whether clinical columns are a modality too."""
        return True


class FusionParams(ModalitiesParams):
    """A model of each series of an exam, one of its clinical columns, and a regression that weighs what they say.

    Args:
        member: The family that reads a series; the fusion's name sets it.
        of: Parameters of that family, over its defaults.
        only: See `ModalitiesParams`.
        shuffled: See `ModalitiesParams`.
        controls: See `ModalitiesParams`.
        n_parts: Into how many parts the training patients are dealt: a member's word on a patient, from which the
            regression learns, is that of a training without this patient's part.
        penalties: Inverse strengths of the regression's L2 penalty to try; the best on `valid` is kept.
    """

    member: str = "slices:resnet-18"
    n_parts: int = Field(default=3, ge=2)
    penalties: tuple[float, ...] = (0.01, 0.1, 1.0)

    @property
    def max_epochs(self) -> int:
        """Passes over all series after which more do not help: a member's own, for it is trained so often."""
        return self.n_parts * self._epochs_of_member

    def members_on(self, kinds: Sequence[str]) -> int:
        """Return how many members divide the images of a pass among them, where exams have these series."""
        wanted = kinds if self.only is None else [one for one in self.only if one in kinds]
        return max(len(wanted), 1)


class ExamsParams(ModalitiesParams):
    """A network that reads the series of an exam as channels of one image, and the clinical columns where it can.

    Args:
        member: The network's family; the name of this one sets it.
        of: Parameters of that network, over its defaults.
        only: See `ModalitiesParams`; columns alone are read by the family `metadata`.
        shuffled: See `ModalitiesParams`.
        controls: See `ModalitiesParams`.
    """

    member: str = "transmed:resnet-18"

    @property
    def reads_columns(self) -> bool:
        """Whether the network has a place for numbers of clinical columns."""
        return hasattr(self.of_member, "n_columns")

    @property
    def max_epochs(self) -> int:
        """Passes over all exams after which more do not help."""
        return self._epochs_of_member


def fusing(params: Spec) -> ModalitiesParams | None:
    """Return the parameters of a fusion: a family's own or those of a committee's members; None where there is none."""
    if isinstance(params, ModalitiesParams):
        return params
    return fusing(params.of_member) if isinstance(params, MemberParams) else None
