"""The answer of a study, as it is kept in `verdict.json`."""

from __future__ import annotations

from typing import Literal

from grandrounds.specs import Spec
from grandrounds.tables import Unit

RuleName = Literal["mean", "noisy-or", "max", "fraction"]


class Reach(Spec):
    """What the set could have shown of the leader and one other family.

    Args:
        family: The other.
        n_tests: Comparisons that are corrected for.
        detectable: The smallest true difference that is shown with a power of 80 %.
        n_patients: How many there were; None where nobody knows.
        n_samples: How many there were.
        needed: Patients, or samples where the patients are unknown, that would show a difference of the margin; None
            where the margin is 0.
    """

    family: str
    n_tests: int
    detectable: float
    n_patients: int | None
    n_samples: int
    needed: int | None


class Selection(Spec):
    """The best of several families, corrected for having been picked.

    Args:
        families: Among whom it was picked.
        estimate: Of the best, as it stands.
        corrected: What the best is expected to score on new patients.
        low: Of the central 95 % of the out-of-sample scores; wide, since each rests on about 37 % of the patients.
        high: Of the same.
        picked: How often each family was the best, as shares in the order of `families`.
        draws: How many resamples gave a score.
    """

    families: tuple[str, ...]
    estimate: float
    corrected: float
    low: float
    high: float
    picked: tuple[float, ...]
    draws: int


class Combination(Spec):
    """The rule by which one trial made one answer of several samples.

    Args:
        family: Whose.
        repeat: Which of the repeated splits.
        fold: Which fold of it.
        seed: Which training seed.
        rule: Its name.
        share: Of a binary *fraction*: the share of positive samples from which on a case is positive; else None.
    """

    family: str
    repeat: int
    fold: int
    seed: int
    rule: RuleName
    share: float | None = None


class Verdict(Spec):
    """The answer of a study.

    Args:
        primary: The metric that was declared.
        margin: Differences within this much count as equal.
        unit: What the families are compared on: `"sample"`, `"case"` or `"patient"`.
        combined: How each trial made one answer of the samples of a case or a patient; empty for samples.
        leader: Best estimate on test; None where the metric is undefined for all.
        better_than: Families that the leader is better than.
        equivalent_to: Families that differ from the leader by less than the margin.
        undecided_with: Families that the data cannot tell from the leader.
        cheapest: Whom the rule that chooses what ships names on test; None where costs are unknown.
        ships: Chosen on valid; None where there are no valid scores.
        recalibration: How the probabilities of the one that ships are recalibrated, `"none"` where they are best as
            stated; None where nothing ships, or nobody looked.
        miscalibrated: Families whose calibration valid shows to be off, recalibrated as they would ship.
        reach: What the set could have shown of the leader and each other family.
        selection: The leader's score corrected for having been picked on the same cases; None where nobody computed it.
        no_better_than_floor: Family and floor, where the family was not shown to be better.
        sentences: All of it in words.
    """

    primary: str
    margin: float
    unit: Unit = "sample"
    combined: tuple[Combination, ...] = ()
    leader: str | None
    better_than: tuple[str, ...] = ()
    equivalent_to: tuple[str, ...] = ()
    undecided_with: tuple[str, ...] = ()
    cheapest: str | None = None
    ships: str | None = None
    recalibration: str | None = None
    miscalibrated: tuple[str, ...] = ()
    reach: tuple[Reach, ...] = ()
    selection: Selection | None = None
    no_better_than_floor: tuple[tuple[str, str], ...] = ()
    sentences: tuple[str, ...] = ()
