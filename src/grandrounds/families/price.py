"""What fitting a family would cost here, timed on random arrays of the right shape and never on real pixels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import log2, prod
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import psutil

from grandrounds import families, registry, seeds
from grandrounds.families.params_of_others import FusionParams
from grandrounds.families.protocol import Budget, Family, View
from grandrounds.specs import Spec
from grandrounds.tables import SAMPLES, Task, TaskKind, check
from grandrounds.training.epoch import Epoch

_STEPS = 4  # timed steps, of which a pass over random images consists
_MOST_VALUES = 2**26  # of the images that a network is timed on, unless one batch has more
_SLOWLY = 1e-5  # learning rate at which no loss becomes infinite
_ROWS = 200  # rows that a family without epochs is timed on, and half of them
_SLOWER = 1.25  # mixed precision that takes so many times as long as single is spoken of; less may be noise


class Price(Spec):
    """What one trial of a family would cost.

    Args:
        seconds_per_epoch: One pass with its look at `valid`; 0 for families that do not iterate.
        fixed_s: Whatever does not grow with epochs: the whole fit of families that do not iterate.
        peak_mib: Resident memory of a process that does nothing else, images included.
        n_parameters: Learned numbers.
        images_per_s: Training images in a second; 0 for families that do not iterate.
        mixed_by_single: How many times as long all passes take in the mixed precision that was asked for as they would
            in single; 1 where mixed precision was not asked for.
    """

    seconds_per_epoch: float
    fixed_s: float
    peak_mib: float
    n_parameters: int
    images_per_s: float
    mixed_by_single: float = 1.0

    def fit_s(self, epochs: int) -> float:
        """Return the seconds of a fit with that many epochs."""
        return self.fixed_s + epochs * self.seconds_per_epoch

    def notes(self, name: str) -> Iterator[str]:
        """Yield what whoever pays this price for the family of that name should know of it."""
        if self.mixed_by_single >= _SLOWER:
            yield (
                f"{name}: on this machine mixed precision takes {self.mixed_by_single:.1f} times as long as single; "
                'without precision = "mixed" in its recipe it trains in single.'
            )


def time_batch(
    name: str,
    params: Mapping[str, Any],
    shape: tuple[int, int, int],
    n_train: int,
    n_valid: int,
    n_classes: int,
    budget: Budget,
    kinds: tuple[str, ...] = (),
    task_kind: TaskKind | None = None,
) -> Price:
    """Return the price of fitting a family on `n_train` images of that shape (C, H, W), timed in this process.

    Run it in a process of its own: it reads that process's memory. A network is trained for two passes of four
    batches and priced by its second. A family that does not iterate is fitted on 100 and on 200 rows; its time is
    taken to grow as a power of the rows, between 1 and 2, that these two show.

    Args:
        name: Of the family.
        params: Its parameters.
        shape: (C, H, W) or (C, D, H, W) of an image.
        n_train: Images in training.
        n_valid: Images in valid.
        n_classes: How many classes there are.
        budget: What a trial may use; how long is not asked.
        kinds: The series that a case has, each an image; none where a case is one image.
        task_kind: Of the task; None for one that every loss is made for.
    """
    began = time.perf_counter()
    params = _gently(params)
    family = families.build(name, params)  # what it imports is part of the price
    imports_s = time.perf_counter() - began
    size = _Size(
        shape, n_train, n_valid, n_classes, kinds, families.FAMILIES.get(name).learns_several, task_kind
    )  # fmt: skip
    if families.FAMILIES.get(name).iterates:
        spec = families.params_of(name, params)
        run, per_epoch_s, fixed_s = _iterating(family, spec, size, budget)
        teacher_s = _teacher_s(spec, size, budget)
        fixed_s += teacher_s
        mixed_by_single = _mixed_by_single(name, params, teacher_s + _passes(spec) * per_epoch_s, size, budget)
    else:
        half, run = (_run(family, size, min(n_train, rows), budget) for rows in (_ROWS // 2, _ROWS))
        mixed_by_single = 1.0
        power = min(2.0, max(1.0, log2(max(run.fit_s, 1e-6) / max(half.fit_s, 1e-6))))
        per_epoch_s, fixed_s = 0.0, run.fit_s * max(1.0, n_train / _ROWS) ** power
    pixels_mib = 4 * (n_train + n_valid) * int(np.prod(shape)) / 2**20
    # Planes are in memory as prepared and as the family holds them; of volumes a batch is read at a time.
    held_mib = 2 * pixels_mib if len(shape) == 3 else 0.0
    return Price(
        seconds_per_epoch=per_epoch_s,
        fixed_s=max(0.0, fixed_s) + imports_s,
        peak_mib=run.resident_mib + held_mib,
        n_parameters=run.n_parameters,
        images_per_s=run.images_per_s,
        mixed_by_single=mixed_by_single,
    )


def _gently(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that learn slowly: it costs the same, and a rate that is too high is for the trial to tell."""
    slow = {"learning_rate": _SLOWLY} if "learning_rate" in params else {}
    return {name: _gently(one) if isinstance(one, Mapping) else one for name, one in params.items()} | slow


def _singly(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that train in single precision where mixed was asked for, of members and teachers as well."""
    single = {"precision": "single"} if params.get("precision") == "mixed" else {}
    return {name: _singly(one) if isinstance(one, Mapping) else one for name, one in params.items()} | single


def _fits_every_loss(n_classes: int) -> TaskKind:
    return "ordinal" if n_classes > 2 else "multiclass"


def _classes(n_classes: int) -> tuple[str, ...]:
    return tuple(f"class {k}" for k in range(n_classes))


def noise_view(
    shape: tuple[int, int, int], n: int, n_classes: int, seed: int = 0, kinds: tuple[str, ...] = (),
    task_kind: TaskKind | None = None,
) -> View:  # fmt: skip
    """Return a view of random images with one random clinical column; a patient has one, or one of each kind."""
    random = seeds.generator(seed, "noise view", n=n)
    each = max(len(kinds), 1)
    names = [f"noise-{row:05d}" for row in range(n)]
    cases = [names[row // each] for row in range(n)]
    samples = pl.DataFrame({"sample": names, "case": cases, "patient": cases, "random": random.normal(size=n)})
    if kinds:
        samples = samples.with_columns(series_kind=pl.Series([kinds[row % each] for row in range(n)]))
    return View(
        pixels=random.random((n, *shape), dtype=np.float32),
        samples=check(samples, SAMPLES),
        labels=np.arange(n) // each % n_classes,
        task=Task(kind=task_kind or _fits_every_loss(n_classes), classes=_classes(n_classes)),
        flips=True,
    )


def _iterating(family: Family, spec: Spec, size: _Size, budget: Budget) -> tuple[_Run, float, float]:
    """Return a timed run, the seconds of a whole pass, and those that do not grow with passes."""
    n_batch = getattr(spec, "batch_size", 32)
    rows = min(size.n_train, _STEPS * n_batch, max(n_batch, _MOST_VALUES // prod(size.shape)))
    run = _run(family, size, rows, budget.replaced(epochs=2, cap_s=None))
    # The first pass also warms up; where the parameters allow one pass only, it has to do.
    epoch_s = float(np.diff([0.0, *run.epoch_ends_s])[-1]) if run.epoch_ends_s else 0.0  # of clinical columns alone
    # Where several members divide the images among them, an epoch of one is not yet a pass over all.
    n_members = spec.members_on(size.kinds) if isinstance(spec, FusionParams) else 1
    return run, n_members * epoch_s * size.n_train / rows, run.fit_s - len(run.epoch_ends_s) * epoch_s


def _passes(spec: Spec) -> int:
    return int(getattr(spec, "max_epochs", 1))


def _mixed_by_single(name: str, params: Mapping[str, Any], mixed_s: float, size: _Size, budget: Budget) -> float:
    """Return how many times as long as in single precision all passes take; 1 where mixed is not asked for.

    Which of them is faster depends on the processor and on the network, so that nothing but a clock can tell. What a
    first fit takes beside its passes, to import and to warm up, is no part of it: the one in single comes second.
    """
    single = _singly(params)
    if single == params:
        return 1.0
    spec = families.params_of(name, single)
    _, per_epoch_s, _ = _iterating(families.build(name, single), spec, size, budget)
    return mixed_s / max(_teacher_s(spec, size, budget) + _passes(spec) * per_epoch_s, 1e-6)


def _teacher_s(spec: Spec, size: _Size, budget: Budget) -> float:
    """Return the seconds that training a network's teacher takes before; 0 for one that has none."""
    teacher = getattr(spec, "teacher", None)
    if teacher is None:
        return 0.0
    family: Family = registry.load("grandrounds.families.network:NetworkFamily")(teacher)
    _, per_epoch_s, fixed_s = _iterating(family, teacher, size, budget)
    return float(fixed_s + teacher.max_epochs * per_epoch_s)


class _Size(NamedTuple):
    shape: tuple[int, int, int]
    n_train: int
    n_valid: int
    n_classes: int
    kinds: tuple[str, ...] = ()
    learns_several: bool = False
    task_kind: TaskKind | None = None


class _Run(NamedTuple):
    fit_s: float
    epoch_ends_s: list[float]
    images_per_s: float
    resident_mib: float
    n_parameters: int


def _run(family: Family, size: _Size, rows: int, budget: Budget) -> _Run:
    # Enough rows for each class, and the share of valid that the real fit will have.
    each = max(len(size.kinds), 1)
    n_train = max(rows, 4 * size.n_classes * each if size.kinds else 2 * size.n_classes)
    n_valid = max(size.n_classes * each, round(n_train * size.n_valid / size.n_train))
    train, valid = (
        noise_view(size.shape, n, size.n_classes, kinds=size.kinds, task_kind=size.task_kind)
        for n in (n_train, n_valid)
    )
    if size.learns_several:
        train = replace(train, others=(train,))
    epochs: list[Epoch] = []
    resident: list[int] = []

    def watch(epoch: Epoch) -> None:
        epochs.append(epoch)
        resident.append(psutil.Process().memory_info().rss)

    began = time.perf_counter()
    fitted = family.fit(train, valid, budget, 0, watch)
    fit_s = time.perf_counter() - began
    resident.append(psutil.Process().memory_info().rss)
    return _Run(
        fit_s,
        [epoch.time_s for epoch in epochs],
        epochs[-1].images_per_s if epochs else 0.0,
        max(resident) / 2**20,
        fitted.record.n_parameters,
    )
