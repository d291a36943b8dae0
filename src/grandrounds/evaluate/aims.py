"""What is to be decided with the probabilities: declared with a study, or for a CSV of predictions."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from grandrounds.errors import BadSpec
from grandrounds.specs import Spec
from grandrounds.tables import Task


def _inside(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value:g} is no share between 0 and 1, such as 0.9")
    return value


Share: TypeAlias = Annotated[float, AfterValidator(_inside)]
Cost: TypeAlias = Annotated[float, Field(gt=0)]


class Aims(Spec):
    """What is to be decided; declared before anything is trained.

    Args:
        sensitivity: Sensitivities to set a threshold for.
        specificity: Specificities to set a threshold for.
        miss_costs: How many false alarms a missed case costs; a threshold is set for each.
        prevalence: Of the positive class where the model will be used; None for that of the data.
        coverage: How often a set of classes is to hold the true one.
    """

    sensitivity: tuple[Share, ...] = (0.95,)
    specificity: tuple[Share, ...] = (0.95,)
    miss_costs: tuple[Cost, ...] = ()
    prevalence: Share | None = None
    coverage: Share = 0.9

    def check(self, task: Task) -> None:
        """Refuse what cannot be decided of a task.

        Raises:
            BadSpec: A prevalence is declared, and no class is the positive one.
        """
        if self.prevalence is not None and task.positive is None:
            classes = ", ".join(task.classes)
            raise BadSpec(
                f"a prevalence of {self.prevalence:g} is of the positive class, and none of {classes} is",
                remedy="leave out --prevalence, or make two classes of them in the table",
            )
