"""In which order a study trains."""

from __future__ import annotations

from grandrounds import api
from grandrounds.splits import SplitSpec
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means


def test_the_last_round_goes_down_the_ladder(archive, tmp_path):
    """Rounds go up from cheap to dear; the last one down, so that no long trial is left to run by itself."""
    finished = []

    class Listener(api.Silent):
        def trial_finished(self, trial, status):
            finished.append((trial.repeat, trial.recipe.family))

    ask = Ask(
        name="order", data=DataSpec(source=str(archive), names=True), families=("prior", "thumbnail"), seeds=1,
        split=SplitSpec(scheme="holdout", repeats=3), judge=JudgeSpec(resamples=200),
        means=Means(budget_s=5, workers=1),
    )  # fmt: skip
    api.run(ask, tmp_path / "run", Listener())

    assert finished == [(r, family) for r in (0, 1) for family in ("prior", "thumbnail")] + [
        (2, "thumbnail"), (2, "prior"),
    ]  # fmt: skip
