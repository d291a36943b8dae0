"""Applying a bundle to new images: the same preparation, the mean of its members, one row an image, or an exam.

Where the study compared what a row is about, what the members say is recalibrated and the thresholds that it set are
applied. Where it compared cases or patients and a row is an image, calibrators and thresholds are theirs: of a single
image a probability is as stated. Asked for cases or patients, it makes one answer of the images of each, see `answers`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds import data, families, prepare
from grandrounds.data import Dataset, SourceOptions, measuring
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate.crossfit import applied
from grandrounds.families.exam import series_of
from grandrounds.families.protocol import View
from grandrounds.image import Image
from grandrounds.prepare.orient import Reorient
from grandrounds.serve import bundle as bundles
from grandrounds.serve.answers import unlabelled
from grandrounds.serve.asked import Asked, exams_of, owner_of, samples_of, twice
from grandrounds.serve.envelope import Look
from grandrounds.serve.exams import Found, found_in
from grandrounds.serve.in_order import InOrder
from grandrounds.serve.likeness import Likeness
from grandrounds.serve.looks import as_columns, joined, looks_of
from grandrounds.shapes import Batch, Images, Probs
from grandrounds.tables import IMAGES, PROB, Unit
from grandrounds.wording import many

_TABLES, _NO_COLUMN = (".csv", ".tsv"), "none"
BATCH = 256  # images, or slices of volumes, in memory at a time


class _Shown(NamedTuple):
    """What a model is shown of one image, and in what it lies beyond training."""

    pixels: Batch
    outside: str | None


class _Read(NamedTuple):
    """Images that were read, a row each.

    Args:
        named: Where each lies, and what else names it.
        looks: What each is beside those of training.
        members: (N, K) of each member, as it states them; not a number where an image is refused.
    """

    named: pl.DataFrame
    looks: list[Look]
    members: list[Probs]


class Predictor:
    """A bundle ready to read images.

    Args:
        folder: A bundle.
        masks: Folder of the masks of the new images, for a model that reads masked ones; None for the folder that it
            was trained with.
        progress: Told how many of all images, or exams, are done; None for nobody.
    """

    def __init__(
        self, folder: Path, masks: Path | None = None, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.bundle = bundles.read(folder)
        self.pipeline = self.bundle.pipeline if masks is None else self.bundle.pipeline.with_masks(masks)
        self._likeness = Likeness.load(folder)
        self._reader = InOrder()
        self._progress = progress or (lambda _done, _all: None)
        self._members = [families.load(self.bundle.family, folder / name) for name in self.bundle.members]
        self._of_exams = families.FAMILIES.get(self.bundle.family).reads == "case"
        self._series = series_of(self._members[0]) if self._of_exams else ()

    @property
    def patients(self) -> frozenset[str]:
        """Everybody whose pixels any member saw, as hashes."""
        return frozenset[str]().union(*(member.record.patients for member in self._members))

    @property
    def _reads_volumes(self) -> bool:
        return len(self.bundle.shape) == 4  # (C, D, H, W)

    @property
    def _answers(self) -> bool:
        """Whether a row is about what the study compared."""
        return self.bundle.unit == "sample" or (self._of_exams and self.bundle.unit == "case")

    def suiting(self, colours: Collection[str | None]) -> prepare.Pipeline:
        """Return how images of these colours are prepared."""
        return self.pipeline.for_grey(colours) if self.bundle.shape[0] == 1 else self.pipeline

    def members_on(self, view: View) -> list[Probs]:
        """Return the probabilities of each member as it states them, each (N, K)."""
        return [member.predict(view) for member in self._members]

    def _mean(self, members: Sequence[Probs]) -> Probs:
        """Return the mean of the members, (N, K), recalibrated where a row is about what the study compared."""
        read = np.isfinite(members[0]).all(axis=1)
        stated = [probs[read] for probs in members]
        if read.any() and self._answers and self.bundle.calibrators:
            stated = [applied(own, probs) for own, probs in zip(self.bundle.calibrators, stated, strict=True)]
        mean = np.full(members[0].shape, np.nan)
        if read.any():
            mean[read] = np.mean(stated, axis=0)
        return mean

    def answer(
        self, paths: Sequence[Path], options: SourceOptions | None, by: Unit = "sample"
    ) -> pl.DataFrame:  # fmt: skip
        """Return what is predicted of files and folders as they lie, or of a set: a table, or whatever has options.

        Args:
            paths: Files and folders, or a set.
            options: How the set is read.
            by: What a row is about: an image, or the case or patient that the study compared.

        Raises:
            BadSpec: A set is not named alone, or the study compared something else.
        """
        self._refuse_other(by)
        if options is None and not any(path.suffix.lower() in _TABLES for path in paths):
            return self.predict(paths) if by == "sample" else self._by_unit(self._read(paths))
        if len(paths) != 1:
            raise BadSpec("a table, or a set with options, stands alone", remedy="predict one set at a time")
        options = options or SourceOptions(unit="volume" if self._reads_volumes else "slice")
        if paths[0].suffix.lower() in _TABLES:
            options = options.replaced(label=options.label or _NO_COLUMN)
        opened = data.open_dataset(str(paths[0]), options)
        return self.predict_set(opened) if by == "sample" else self._by_unit(self._read_whole(opened))

    def predict(self, paths: Sequence[Path]) -> pl.DataFrame:
        """Return one row per image, or exam: where it is, the likeliest class, its probabilities, what thresholds call.

        What cannot be read keeps its row, with the reason in `refused` and no probabilities. Where the model reads
        volumes, slices that lie together are one; where it reads exams, a row is about an exam, whose series are known
        by the names of files and folders, or by DICOM headers.

        Raises:
            BadData: There are no images, or nothing at a path.
        """
        read = self._read(paths)
        return self._rows(read.named.drop("case", "patient").hstack(as_columns(read.looks)), self._mean(read.members))

    def _read(self, paths: Sequence[Path]) -> _Read:
        look = partial(found_in, series=self._series, volumes=self._reads_volumes, kinds=self.bundle.kinds)
        found = [(path, one) for path in paths for one in look(path)]
        if not found:
            raise BadData("there are no images to predict", remedy="give image files, or folders that hold some")
        asked = list(exams_of(found) if self._of_exams else (Asked(one.where, (one,)) for _, one in found))
        n_each = max(1, BATCH // self.bundle.shape[1]) if self._reads_volumes else BATCH
        parts = list[_Read]()
        for start in range(0, len(asked), n_each):
            parts.append(self._batch(asked[start : start + n_each]))
            self._progress(min(start + n_each, len(asked)), len(asked))
        members = [np.concatenate(each) for each in zip(*(part.members for part in parts), strict=True)]
        return _Read(pl.concat(part.named for part in parts), [look for part in parts for look in part.looks], members)

    def looks(self, samples: pl.DataFrame) -> list[Look]:
        """Return what each image of a table `samples` is beside those of training."""
        if self.bundle.envelope is None:
            return [Look(None, None)] * samples.height
        return [self.bundle.envelope.look(row) for row in samples.iter_rows(named=True)]

    def unlike(self, pixels: Images) -> list[str | None]:
        """Return of each prepared image what is said where it shows something else than those of training."""
        return [None] * len(pixels) if self._likeness is None else self._likeness.unlike(pixels)

    def predict_set(self, opened: Dataset) -> pl.DataFrame:
        """Return one row per sample of a set, or per case where the model reads exams; labels are not looked at.

        Raises:
            BadData: An image does not suit the model.
        """
        read = self._read_set(opened)
        named = read.named.select("path", "case", *(() if self._of_exams else ("sample",)))
        rows = self._rows(named.hstack(as_columns(read.looks)), self._mean(read.members))
        return pl.concat([rows, opened.bad.select("path", refused="reason")], how="diagonal")

    def _read_whole(self, opened: Dataset) -> _Read:
        """Return what was read of a set of which all can be: without an image a case may be another."""
        if opened.bad.height:
            first = opened.bad.row(0, named=True)
            raise BadData(
                f"{many(opened.bad.height, 'image')} cannot be read, so that a case may lack one; the first: "
                f"{first['reason']}",
                where=first["path"], remedy="mend them, or take their cases out of the table",
            )  # fmt: skip
        if self.bundle.unit == "patient" and not opened.patient_known:
            raise BadData("nothing says whose images these are", where=opened.root, remedy="name a column: --patient")
        return self._read_set(opened)

    def _read_set(self, opened: Dataset) -> _Read:
        with tempfile.TemporaryDirectory() as home:
            pipeline = self.suiting([one for one, _ in opened.colours])
            prepared = prepare.materialise(
                opened.samples, opened.files, pipeline, Path(home), volumes=opened.volumes, progress=self._progress
            )
            self._check(tuple(prepared.pixels.shape[1:]), opened.root)
            pixels = prepared.stored(np.arange(opened.samples.height))
            members = self.members_on(View(pixels, opened.samples, None, self.bundle.task))
            unlike = self.unlike(pixels)
        unit = "case" if self._of_exams else "sample"
        looks = [look.beside(said) for look, said in zip(self.looks(opened.samples), unlike, strict=True)]
        firsts = opened.samples[unit].is_first_distinct()
        where = opened.files.unique("sample", keep="first", maintain_order=True).select("sample", "path")
        named = opened.samples.select("sample", "case", "patient").join(where, on="sample", maintain_order="left")
        first = firsts.to_numpy()
        return _Read(named.filter(firsts), looks_of(opened.samples[unit], looks), [one[first] for one in members])

    def _refuse_other(self, by: Unit) -> None:
        """Refuse to answer of what the study did not compare: no threshold and no calibrator was made for it."""
        if by not in ("sample", self.bundle.unit):
            words = "images" if self.bundle.unit == "sample" else f"{self.bundle.unit}s"
            raise BadSpec(f"the study compared {words}, and not {by}s", remedy="leave out --by")

    def _by_unit(self, read: _Read) -> pl.DataFrame:
        """Return one row per case or patient; one of whose images is refused is refused."""
        unit = self.bundle.unit
        if unit == "patient" and read.named["patient"].null_count():
            raise BadSpec("files do not say whose images they are", remedy="give a table with a column patient")
        rows = read.named.with_columns(pl.coalesce("patient", "case").alias("patient"))
        names, refused = rows[unit], {name for name, look in zip(rows[unit], read.looks, strict=True) if look.refused}
        whole = ~names.is_in(list(refused))
        named = rows.filter(names.is_first_distinct()).select("path", unit)
        probs = np.full((named.height, len(self.bundle.task.classes)), np.nan)
        if whole.any():
            found = unlabelled(self.bundle, rows.filter(whole), [one[whole.to_numpy()] for one in read.members])
            probs = named.join(found, on=unit, how="left", maintain_order="left").drop("path", unit).to_numpy()
        if unit == "case" and named["path"].equals(named["case"]):
            named = named.drop("case")  # files of their own have no other name
        return self._rows(named.hstack(as_columns(looks_of(names, read.looks))), probs, answers=True)

    def _batch(self, asked: Sequence[Asked]) -> _Read:
        pixels: list[list[Batch]] = []
        looks: list[Look] = []
        for one in asked:
            try:
                self._check_known(one)
                shown = [self._shown(image) for image in one.images]
            except BadData as error:
                looks.append(Look(error.in_one_line, None))
            else:
                pixels.append([image.pixels for image in shown])
                looks.append(Look(None, joined([*twice(one), *(image.outside for image in shown)])))
        shape = len(asked), len(self.bundle.task.classes)
        members = [np.full(shape, np.nan) for _ in self._members]
        read = [k for k, look in enumerate(looks) if look.refused is None]
        if read:
            samples = samples_of([asked[k] for k in read])
            view = View(np.stack([one for each in pixels for one in each]), samples, None, self.bundle.task)
            firsts = samples["case"].is_first_distinct().to_numpy()
            for member, probs in zip(members, self.members_on(view), strict=True):
                member[read] = probs[firsts]
        places = pl.DataFrame(
            [(str(one.where.path), one.where.member, one.where.frame, *owner_of(one.where)) for one in asked],
            schema={"path": pl.String(), "member": pl.String(), "frame": pl.Int64(), "case": pl.String(),
                    "patient": pl.String()},
            orient="row",
        )  # fmt: skip
        return _Read(places, looks, members)

    def _check_known(self, asked: Asked) -> None:
        """Refuse what lacks something, and an exam none of whose series the model knows."""
        for one in asked.images:
            if one.lacks is not None:
                raise BadData(one.lacks)
        if self._of_exams and not any((one.kind or IMAGES) in self._series for one in asked.images):
            raise BadData(
                f"nothing here is called like a series that the model reads: {', '.join(self._series)}",
                remedy="name the file or the folder of each series so",
            )

    def _shown(self, found: Found) -> _Shown:
        image = found.read(self._reader)
        if self._reads_volumes and len(image.space) == 2:
            raise BadData("this is one slice, and the model reads volumes: give the folder that its slices lie in")
        if not self._reads_volumes and len(image.space) == 3:
            raise BadData(
                f"this is a volume of {image.space[0]} slices, and the model reads planes: name it in a table with a "
                "column image, and each slice has a row"
            )
        pixels = self.suiting([image.colours])(image)
        self._check(pixels.shape, found.where.path)
        look = self._look(image)
        if look.refused is not None:
            raise BadData(look.refused, where=found.where.path)
        return _Shown(pixels, look.beside(found.told).beside(*self.unlike(pixels[None])).outside)

    def _look(self, image: Image) -> Look:
        if self.bundle.envelope is None:
            return Look(None, None)
        for step in self.bundle.pipeline.whole:
            if isinstance(step, Reorient):
                image = step(image)  # whose axes run as those of training, so that their spacings can be compared
        kind = {"modality": image.modality, "body_part": image.header.get("body_part")}
        return self.bundle.envelope.look(measuring.seen(image) | kind)

    def _check(self, shape: tuple[int, ...], where: Path) -> None:
        if shape != self.bundle.shape:
            raise BadData(
                f"the image has the shape {shape} after preparation, the model reads {self.bundle.shape}",
                where=where,
                remedy="cut the part that the model was trained on out of the image first"
                if shape[0] == self.bundle.shape[0]
                else "save it with as many channels as the images of the study had",
            )

    def _rows(self, told: pl.DataFrame, probs: Probs, *, answers: bool = False) -> pl.DataFrame:
        """Return the rows of an answer: what each is about, the likeliest class, probabilities, what is called.

        Args:
            told: What names each, and what is said of it.
            probs: (N, K).
            answers: Whether rows are what the study compared although the model reads something else.
        """
        classes = self.bundle.task.classes
        refused = told["refused"].is_not_null()
        likeliest = [None if no else classes[int(row.argmax())] for row, no in zip(probs, refused, strict=True)]
        probs = np.where(refused.to_numpy()[:, None], np.nan, probs)
        columns = [pl.Series(PROB + name, probs[:, k]).fill_nan(None) for k, name in enumerate(classes)]
        predicted = pl.Series("predicted", likeliest, dtype=pl.String())
        places = [name for name in told.columns if name not in Look._fields]
        called = self._calls() if answers or self._answers else ()
        return told.select(*places, predicted, *Look._fields, *columns).with_columns(called)

    def _calls(self) -> list[pl.Expr]:
        """Return whether each threshold calls its class."""
        known = self.bundle.thresholds
        return [(pl.col(PROB + one.label) >= one.at).alias(f"{one.label}: {one.rule}") for one in known]
