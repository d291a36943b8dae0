"""How the cases of a study are to be divided."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grandrounds.specs import Spec


class SplitSpec(Spec):
    """How the cases are to be divided into roles.

    Args:
        scheme: `"official"` takes the split that came with the data, `"auto"` does so where there is one and falls
            back on `"kfold"`. `"inside"` draws folds over what no official test role holds, which stays closed.
        folds: Folds wanted; fewer are drawn where a class has fewer patients. Only for `"kfold"` and `"inside"`.
        repeats: How often the whole is drawn anew; official splits have one.
        group: What stays together. `"sample"` imitates older papers, leaks, and is watermarked.
        valid_fraction: Share of the cases outside the test role that choose the best epoch.
        test_fraction: Share of the cases that are tested. Only for `"holdout"`.
        calib: Share of the training patients that is set apart to recalibrate probabilities. `"auto"` takes a twentieth
            where that is fifty patients and ten of each class, else none.
    """

    scheme: Literal["auto", "official", "holdout", "kfold", "inside"] = "auto"
    folds: int = Field(default=5, ge=2)
    repeats: int = Field(default=1, ge=1)
    group: Literal["patient", "sample"] = "patient"
    valid_fraction: float = Field(default=0.15, gt=0, le=0.5)
    test_fraction: float = Field(default=0.2, gt=0, le=0.5)
    calib: Literal["auto", "none"] | Annotated[float, Field(gt=0, le=0.5)] = "auto"
