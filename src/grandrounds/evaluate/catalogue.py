"""The metrics that the judge knows, each with its words, its direction and where it is defined."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Literal

from grandrounds.errors import BadSpec
from grandrounds.registry import Registry
from grandrounds.tables import Task

Kind = Literal["binary", "multiclass", "ordinal"]


@dataclass(frozen=True, slots=True)
class Rate:
    """One side of a ratio: a metric of the same class, or what it leaves of 1."""

    metric: str
    rest: bool = False


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """One metric; listed without importing what computes it.

    Args:
        name: What users type.
        label: In words.
        summary: Its definition in one line, and when it is undefined.
        measure: `"module:function"` from a `Tally` to (R,), or to (K, R) where it is defined by class.
        needs: `"labels"` reads only the most probable class, `"probabilities"` all of them, `"ranking"` their order.
        overall: What the one overall number is: the `"whole"` measure itself, the `"macro"` mean over the classes,
            the `"positive"` class (macro where the task is not binary), or `"none"`.
        per_class: Whether every class is reported too.
        mean_of: The metric whose classes a macro mean is made of, where that has another name.
        undefined: Why it may be undefined; `{label}` is the class.
        infinite: Why it may be infinite.
        better: Which values are better; `"neither"` describes the cases and no family.
        influence: Where the interval comes from a cluster-sandwich error, since fitting anew for every resample would
            take too long: `"module:function"` from a `Tally` under one weighting to (K, units), how much a unit moves
            the value of each class. None: the interval is the bootstrap's.
        carried_by: Whose patients carry the value: everyone's, those of the class, of the others, of both sides, or
            those that are called the class or not. Where its interval is the bootstrap's, it is made on the log odds of
            how far up its scale the value is. None: percentiles are the interval.
        scale: Least and greatest value.
        of_counts: Whether it follows from how often which class is called what, so that what misses that were not seen
            would do to it can be worked out.
        by_chance: Where a value adds up distances from what is right, so that drawing alone lifts it above 0:
            `"module:function"` from a `Tally` to what drawing alone makes of it, (R,). None: it is no such value.
        ratio: Where a value is a ratio of two shares, from whose intervals its own follows: what stands above and below
            the line. None: it is no such value.
        balance: Where a value is a share of all samples less another: `"module:function"` of both from a `Tally` to
            (K, R), from whose intervals its own follows. None: it is no such value.
        kinds: The tasks it is for.
        reference: Paper or page.
    """

    name: str
    label: str
    summary: str
    measure: str
    needs: Literal["labels", "probabilities", "ranking"]
    reference: str
    overall: Literal["whole", "macro", "positive", "none"] = "whole"
    per_class: bool = False
    mean_of: str | None = None
    undefined: str = "there is no sample"
    infinite: str = ""
    better: Literal["higher", "lower", "closer to 0", "closer to 1", "neither"] = "higher"
    influence: str | None = None
    carried_by: Literal["everyone", "class", "others", "both", "called", "uncalled"] | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    of_counts: bool = False
    by_chance: str | None = None
    ratio: tuple[Rate, Rate] | None = None
    balance: tuple[str, str] | None = None
    kinds: tuple[Kind, ...] = ("binary", "multiclass", "ordinal")

    @property
    def by_class(self) -> bool:
        """Whether it is measured class by class."""
        return self.overall != "whole"

    @property
    def of_class(self) -> str | None:
        """The metric whose classes a macro mean is made of; None where nothing measures them one by one."""
        return self.mean_of or (self.name if self.per_class else None)

    @property
    def by_percentiles(self) -> bool:
        """Whether the percentiles of its resamples are its interval."""
        return self.carried_by is None and self.ratio is None and not self.behind

    @property
    def behind(self) -> tuple[str, ...]:
        """Measures that no table shows and its interval rests on."""
        return self.balance or ((self.by_chance,) if self.by_chance else ())


_MODULE = "grandrounds.evaluate.metrics"
_REFIT = "grandrounds.evaluate.recalibration"
_SOKOLOVA = "Sokolova & Lapalme, Information Processing & Management 45:427 (2009)"
_COX = "Cox, Biometrika 45:562 (1958); Van Calster et al., BMC Medicine 17:230 (2019)"
_PARTS = "grandrounds.evaluate.brier_parts"
_MURPHY = "Murphy, J. Applied Meteorology 12:595 (1973); Stephenson et al., Weather and Forecasting 23:752 (2008)"
_DEEKS = "Deeks & Altman, BMJ 329:168 (2004)"
_NO_SAMPLE = "no sample is {label}"

METRICS: Registry[MetricEntry] = Registry(
    "metric",
    (
        MetricEntry(
            "auc", "AUC", "area under the one-vs-rest ROC curve, ties counted half; undefined without both sides",
            f"{_MODULE}:auc", "ranking", "Hanley & McNeil, Radiology 143:29 (1982)", overall="positive",
            per_class=True, undefined="no sample, or every sample, is {label}", carried_by="both",
        ),
        MetricEntry(
            "pairwise_auc", "pairwise AUC",
            "mean AUC over all ordered pairs of classes, one-vs-one; undefined where a class is absent",
            "grandrounds.evaluate.pairwise:pairwise_auc", "ranking", "Hand & Till, Machine Learning 45:171 (2001)",
            undefined="a class is absent", kinds=("multiclass", "ordinal"), carried_by="both",
        ),
        MetricEntry(
            "average_precision", "average precision",
            "precision at each rise of recall, weighted by the rise, not interpolated; undefined without positives",
            f"{_MODULE}:average_precision", "ranking", "Davis & Goadrich, ICML (2006)", overall="positive",
            per_class=True, undefined=_NO_SAMPLE, carried_by="both",
        ),
        MetricEntry(
            "balanced_accuracy", "balanced accuracy", "mean recall over the classes; undefined where a class is absent",
            f"{_MODULE}:recall", "labels", "Brodersen et al., ICPR (2010)", overall="macro", mean_of="recall",
            undefined=_NO_SAMPLE, carried_by="class",
        ),
        MetricEntry(
            "accuracy", "accuracy", "share of samples whose most probable class is right",
            f"{_MODULE}:accuracy", "labels", _SOKOLOVA, carried_by="everyone",
        ),
        MetricEntry(
            "recall", "recall", "share of a class that is called so; sensitivity, where the class is the positive one",
            f"{_MODULE}:recall", "labels", _SOKOLOVA, overall="none", per_class=True, undefined=_NO_SAMPLE,
            carried_by="class",
        ),
        MetricEntry(
            "precision", "precision", "share right among the samples called a class; undefined where none is",
            f"{_MODULE}:precision", "labels", _SOKOLOVA, overall="none", per_class=True,
            undefined="no sample is called {label}", carried_by="called",
        ),
        MetricEntry(
            "specificity", "specificity", "share of the other classes that is not called this one",
            f"{_MODULE}:specificity", "labels", _SOKOLOVA, overall="none", per_class=True,
            undefined="every sample is {label}", carried_by="others",
        ),
        MetricEntry(
            "f1", "F1", "harmonic mean of precision and recall",
            f"{_MODULE}:f1", "labels", _SOKOLOVA, overall="none", per_class=True,
            undefined="no sample is or is called {label}", carried_by="class",
        ),
        MetricEntry(
            "brier", "Brier score", "mean over samples of the squared errors summed over all classes: 0 to 2",
            f"{_MODULE}:brier", "probabilities", "Brier, Monthly Weather Review 78:1 (1950)", better="lower",
            carried_by="everyone", scale=(0.0, 2.0),
        ),
        MetricEntry(
            "brier_reliability", "Brier reliability",
            "part of the Brier score lost to wrong frequencies: squared gaps in 15 bins of each class, summed",
            f"{_PARTS}:reliability", "probabilities", _MURPHY, better="lower",
            by_chance=f"{_PARTS}:reliability_by_chance",
        ),
        MetricEntry(
            "brier_resolution", "Brier resolution",
            "part of the uncertainty that is told apart: uncertainty + reliability - Brier score",
            f"{_PARTS}:resolution", "probabilities", _MURPHY,
            by_chance=f"{_PARTS}:reliability_by_chance",  # which is all that drawing adds to it
        ),
        MetricEntry(
            "brier_uncertainty", "Brier uncertainty",
            "Brier score of always stating the classes' frequencies; the same for every family on the same cases",
            f"{_PARTS}:uncertainty", "labels", _MURPHY, better="neither",
        ),
        MetricEntry(
            "log_loss", "log loss", "mean of -log of the true class's probability, clipped at 2.2e-16; in nats",
            f"{_MODULE}:log_loss", "probabilities", "Good, JRSS B 14:107 (1952)", better="lower",
            carried_by="everyone", scale=(0.0, -math.log(sys.float_info.epsilon)),
        ),
        MetricEntry(
            "ece", "calibration error",
            "expected calibration error of the highest probability, 15 equal-width bins closed below; an interval that "
            "begins at 0 shows no miscalibration",
            f"{_MODULE}:ece", "probabilities", "Guo et al., ICML (2017)", better="lower",
            by_chance=f"{_MODULE}:ece_by_chance",
        ),
        MetricEntry(
            "quadratic_kappa", "quadratic weighted kappa",
            "agreement beyond chance, disagreements weighted by the squared distance of the classes",
            f"{_MODULE}:quadratic_kappa", "labels", "Cohen, Psychological Bulletin 70:213 (1968)",
            undefined="chance alone would agree fully", kinds=("ordinal",), carried_by="everyone", scale=(-1.0, 1.0),
            of_counts=True,
        ),
        MetricEntry(
            "npv", "negative predictive value",
            "share of other classes among the samples not called a class; undefined where all are called so",
            f"{_MODULE}:npv", "labels", _SOKOLOVA, overall="none", per_class=True,
            undefined="every sample is called {label}", carried_by="uncalled",
        ),
        MetricEntry(
            "net_benefit", "net benefit",
            "hits less false calls by the number of samples; a miss costs as much as a false call (other costs: curve)",
            f"{_MODULE}:net_benefit", "labels", "Vickers & Elkin, Medical Decision Making 26:565 (2006)",
            overall="none", per_class=True, balance=(f"{_MODULE}:hits_of_all", f"{_MODULE}:false_calls_of_all"),
        ),
        MetricEntry(
            "lr_positive", "positive likelihood ratio",
            "sensitivity / (1 - specificity): how a call of the class raises its odds; infinite without false calls",
            f"{_MODULE}:lr_positive", "labels", _DEEKS, overall="none", per_class=True,
            undefined="no sample, or every sample, is {label}, or none is called so",
            infinite="no sample of another class is called {label}",
            ratio=(Rate("recall"), Rate("specificity", rest=True)),
        ),
        MetricEntry(
            "lr_negative", "negative likelihood ratio",
            "(1 - sensitivity) / specificity: what is left of a class's odds where it is not called",
            f"{_MODULE}:lr_negative", "labels", _DEEKS, overall="none", per_class=True, better="lower",
            undefined="no sample, or every sample, is {label}, or all are called so",
            infinite="every sample of another class is called {label}",
            ratio=(Rate("recall", rest=True), Rate("specificity")),
        ),
        MetricEntry(
            "mcc", "Matthews correlation",
            "correlation of true and called class, -1 to 1; undefined where either never varies",
            f"{_MODULE}:mcc", "labels", "Gorodkin, Computational Biology and Chemistry 28:367 (2004)",
            undefined="all samples are of one class or called one", carried_by="everyone", scale=(-1.0, 1.0),
            of_counts=True,
        ),
        MetricEntry(
            "kappa", "Cohen's kappa",
            "agreement of true and called class beyond what their frequencies alone would give",
            f"{_MODULE}:kappa", "labels", "Cohen, Educational and Psychological Measurement 20:37 (1960)",
            undefined="chance alone would agree fully", carried_by="everyone", scale=(-1.0, 1.0), of_counts=True,
        ),
        MetricEntry(
            "calibration_slope", "calibration slope",
            "slope of the outcome on the stated log odds, one-vs-rest: below 1 the probabilities are too extreme",
            f"{_REFIT}:slope", "probabilities", _COX, overall="none", per_class=True, better="closer to 1",
            influence=f"{_REFIT}:slope_influence", carried_by="both",
            undefined="no sample, or every sample, is {label}, its probability is constant, or a threshold never errs",
        ),
        MetricEntry(
            "calibration_intercept", "calibration intercept",
            "what must be added to the stated log odds, one-vs-rest: below 0 the probabilities are too high",
            f"{_REFIT}:intercept", "probabilities", _COX, overall="none", per_class=True, better="closer to 0",
            influence=f"{_REFIT}:intercept_influence", carried_by="everyone",
            undefined="no sample, or every sample, is {label}, or its probabilities are all about 0 or 1",
        ),
    ),
    group="grandrounds.metrics",
)  # fmt: skip


def metrics_for(task: Task) -> tuple[MetricEntry, ...]:
    """Return the metrics that apply to a task, in order."""
    return tuple(entry for entry in METRICS if task.kind in entry.kinds)


def primary_for(task: Task, name: str) -> MetricEntry:
    """Return the metric that a study declares as primary.

    Raises:
        BadSpec: It is unknown, not for this kind of task, or has no overall value.
    """
    entry = METRICS.get(name)
    usable = [one.name for one in metrics_for(task) if one.overall != "none" and one.better in ("higher", "lower")]
    if name not in usable:
        raise BadSpec(f"{entry.label} cannot be the primary metric", remedy=f"choose one of: {', '.join(usable)}")
    return entry


LEARNING = "learning"  # the curve of scores against patients in training
ALL_TASKS = "all tasks"  # stands for a task where several are averaged; its classes are the tasks
TREAT_ALL = "treat all"  # stands for a family in the decision curves


def positive_of(task: Task) -> str | None:
    """Return the positive class of a binary task (the last one where none is named), None for other tasks."""
    if task.kind != "binary":
        return None
    return task.positive or task.classes[-1]


def spoken(entry: MetricEntry, task: Task, label: str | None = None) -> str:
    """Return what one value of a metric is called in a sentence.

    >>> spoken(METRICS.get("auc"), Task(kind="multiclass", classes=("a", "b", "c")))
    'macro AUC'
    >>> spoken(METRICS.get("recall"), Task(kind="binary", classes=("a", "b"), positive="b"), "b")
    'sensitivity (recall of b)'
    >>> spoken(METRICS.get("auc"), Task(name=ALL_TASKS, classes=("acl", "meniscus")))
    'mean AUC over 2 tasks'
    """
    if task.name == ALL_TASKS:
        return f"mean {entry.label} over {len(task.classes)} tasks" if label is None else f"{entry.label} of {label}"
    positive = positive_of(task)
    if label is None:
        if entry.overall == "positive":
            return f"{entry.label} of {positive}" if positive else f"macro {entry.label}"
        return entry.label
    if entry.name == "recall" and label == positive:
        return f"sensitivity (recall of {label})"
    return f"{entry.label} of {label}"
