"""Applying a bundle to new images: the same preparation, the mean of its members, one row an image.

Where the study compared images, what its members say is recalibrated and the thresholds that it set are applied. Where
it compared cases or patients, calibrators and thresholds are theirs: of a single image a probability is as stated, and
`answers.answers` makes cases or patients of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from grandrounds import families, formats
from grandrounds.errors import BadData
from grandrounds.evaluate.crossfit import applied
from grandrounds.families.protocol import View
from grandrounds.formats.listing import Where, images_in
from grandrounds.serve import bundle as bundles
from grandrounds.shapes import Batch, Probs
from grandrounds.tables import PROB

BATCH = 256  # images in memory at a time


class Predictor:
    """A bundle ready to read images.

    Args:
        folder: A bundle.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle = bundles.read(folder)
        self._members = [families.load(self.bundle.family, folder / name) for name in self.bundle.members]

    @property
    def patients(self) -> frozenset[str]:
        """Everybody whose pixels any member saw, as hashes."""
        return frozenset[str]().union(*(member.record.patients for member in self._members))

    def members_on(self, view: View) -> list[Probs]:
        """Return the probabilities of each member as it states them, each (N, K)."""
        return [member.predict(view) for member in self._members]

    def _mean_on(self, view: View) -> Probs:
        """Return the mean of the members, (N, K), recalibrated where the study compared images."""
        stated = self.members_on(view)
        if self.bundle.unit == "sample" and self.bundle.calibrators:
            stated = [applied(own, probs) for own, probs in zip(self.bundle.calibrators, stated, strict=True)]
        mean: Probs = np.mean(stated, axis=0)
        return mean

    def predict(self, paths: Sequence[Path]) -> pl.DataFrame:
        """Return one row per image: where it is, the likeliest class, its probabilities, what thresholds call.

        An image that cannot be read keeps its row, with the reason in `refused` and no probabilities.
        """
        images = [image for path in paths for image in images_in(path)]
        if not images:
            raise BadData("there are no images to predict", remedy="give image files, or folders that hold some")
        parts = [self._batch(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return pl.concat(parts)

    def _batch(self, images: Sequence[Where]) -> pl.DataFrame:
        pixels: list[Batch] = []
        refused: list[str | None] = []
        for image in images:
            try:
                pixels.append(self._prepared(image))
                refused.append(None)
            except BadData as error:
                refused.append(error.what)
        probs = np.full((len(images), len(self.bundle.task.classes)), np.nan)  # (N, K)
        read = [k for k, reason in enumerate(refused) if reason is None]
        if read:
            view = View(np.stack(pixels), _samples(len(read)), None, self.bundle.task)
            probs[read] = self._mean_on(view)
        return self._rows(images, probs, refused)

    def _prepared(self, image: Where) -> Batch:
        pixels = self.bundle.pipeline(formats.read(image.path, member=image.member, frame=image.frame))
        if pixels.shape != self.bundle.shape:
            raise BadData(
                f"the image has the shape {pixels.shape} after preparation, the model reads {self.bundle.shape}",
                where=image.path,
                remedy="cut the part that the model was trained on out of the image first",
            )
        return pixels

    def _rows(self, images: Sequence[Where], probs: np.ndarray, refused: list[str | None]) -> pl.DataFrame:
        classes = self.bundle.task.classes
        likeliest = [None if reason else classes[int(row.argmax())] for row, reason in zip(probs, refused, strict=True)]
        frame = pl.DataFrame(
            {
                "path": [str(image.path) for image in images],
                "member": [image.member for image in images],
                "frame": [image.frame for image in images],
                "predicted": likeliest,
                "refused": refused,
            },
            schema={
                "path": pl.String(), "member": pl.String(), "frame": pl.Int64(),
                "predicted": pl.String(), "refused": pl.String(),
            },
        )  # fmt: skip
        columns = [pl.Series(PROB + name, probs[:, k]).fill_nan(None) for k, name in enumerate(classes)]
        frame = frame.with_columns(columns)
        return frame.with_columns(self._calls())

    def _calls(self) -> list[pl.Expr]:
        """Return whether each threshold calls its class; none where the study did not compare images."""
        known = self.bundle.thresholds if self.bundle.unit == "sample" else ()
        return [(pl.col(PROB + one.label) >= one.at).alias(f"{one.label}: {one.rule}") for one in known]


def _samples(n: int) -> pl.DataFrame:
    names = [str(k) for k in range(n)]
    return pl.DataFrame({"sample": names, "case": names, "patient": names})
