"""The training envelope: what the images that a model learned from were like, so that others are known as such.

A model answers whatever it is shown, and most surely where it has never been. An image on another scale than all of
training, such as 16 bits for a model of 8, gets no answer. One that lies beyond training in a smaller way is answered,
and the answer says in which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import polars as pl

from grandrounds.specs import Spec

_TIMES = 10.0  # 12 bits have 16 times the range of 8; patients and scanners of one kind differ by less
_MOST = (0.01, 0.99)  # a few odd images in training shall not decide what is odd
_SLACK = 1.1  # spacings are rounded in headers
_AXES = ("columns", "rows", "slices")  # from the last axis on


class Span(Spec):
    """From the least to the greatest of something.

    Args:
        low: The least.
        high: The greatest.
    """

    low: float
    high: float

    def holds(self, value: float, times: float = 1.0) -> bool:
        """Whether a value that is never negative lies within, or so many times beyond either end."""
        return self.low / times <= value <= self.high * times

    def __str__(self) -> str:
        """In words."""
        return f"{self.low:,.5g} to {self.high:,.5g}" if self.low != self.high else f"{self.low:,.5g}"


class Look(NamedTuple):
    """What an image is beside those of training.

    Args:
        refused: Why it gets no answer; None where it gets one.
        outside: In what it lies beyond training; None where in nothing that was looked at.
    """

    refused: str | None
    outside: str | None

    def beside(self, unlike: str | None) -> Look:
        """Return it with what is said of what the picture shows, where anything is."""
        said = "; ".join(filter(None, (self.outside, unlike))) or None
        return self if self.refused else self._replace(outside=said)


class Envelope(Spec):
    """What the images that a model learned from were like, before they were prepared.

    Args:
        n_images: How many were looked at.
        grey: Grey values of any pixel.
        mean: Means of an image.
        contrast: From the darkest to the brightest pixel of an image; the first and last of a hundred images left out.
        any_scale: Whether preparation gives the same whatever the scale of grey values is.
        spacing_mm: Between columns, rows and slices; as many as every image has, none where one does not say.
        modalities: Such as `"CT"`; none where one does not say.
        body_parts: Likewise.
    """

    n_images: int
    grey: Span
    mean: Span
    contrast: Span
    any_scale: bool
    spacing_mm: tuple[Span, ...] = ()
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()

    @classmethod
    def around(cls, samples: pl.DataFrame, *, any_scale: bool) -> Self | None:
        """Return the envelope of images, table `samples`; None where nobody has measured them."""
        seen = samples.drop_nulls(["low", "mean", "high"])
        if seen.is_empty():
            return None
        contrast = (seen["high"] - seen["low"]).sort()
        low, high = (_number(contrast.quantile(part, "nearest")) for part in _MOST)
        return cls(
            n_images=seen.height, any_scale=any_scale,
            grey=Span(low=_number(seen["low"].min()), high=_number(seen["high"].max())),
            mean=_span(seen["mean"]), contrast=Span(low=low, high=high),
            spacing_mm=tuple(_spacings(seen["spacing_mm"])),
            modalities=_words(seen["modality"]), body_parts=_words(seen["body_part"]),
        )  # fmt: skip

    def __str__(self) -> str:
        """Return what it holds, in a sentence."""
        known = [
            f"grey values from {self.grey}, means from {self.mean}",
            *(f"{axis} {span} mm apart" for axis, span in zip(_AXES, self.spacing_mm, strict=False)),
            *(", ".join(words) for words in (self.modalities, self.body_parts) if words),
        ]
        return f"Its images had {'; '.join(known)}. It says so where a new one lies beyond that."

    def look(self, facts: Mapping[str, Any]) -> Look:
        """Return what an image is beside those of training.

        Args:
            facts: A row of the table `samples`, by column.
        """
        if facts["low"] is None or facts["high"] is None or facts["mean"] is None:
            return Look(None, None)
        refused = self._refused(facts["low"], facts["high"])
        return Look(refused, None if refused else "; ".join(self._outside(facts)) or None)

    def _refused(self, low: float, high: float) -> str | None:
        if low == high and self.contrast.low > 0:
            return f"the image has one grey value throughout ({low:,.5g})"
        if self.any_scale or self.contrast.holds(high - low, _TIMES):
            return None
        return (
            f"its grey values run from {low:,.5g} to {high:,.5g}, and in training from {self.grey}: "
            "it has another scale; store it as the images of training were"
        )

    def _outside(self, facts: Mapping[str, Any]) -> Iterator[str]:
        if not self.any_scale:
            yield from self._grey(facts["low"], facts["mean"], facts["high"])
        spacings = list(reversed(facts["spacing_mm"] or ()))
        for axis, here, known in zip(_AXES, spacings, self.spacing_mm, strict=False):
            if not known.holds(here, _SLACK):
                yield f"{axis} {here:.3g} mm apart, in training {known}"
        for what, learned in (("modality", self.modalities), ("body_part", self.body_parts)):
            if facts[what] is not None and learned and facts[what] not in learned:
                yield f"{what.replace('_', ' ')} {facts[what]}, in training {', '.join(learned)}"

    def _grey(self, low: float, mean: float, high: float) -> Iterator[str]:
        if mean < self.mean.low:
            yield f"darker than any image of training (mean {mean:,.5g}, in training {self.mean})"
        elif mean > self.mean.high:
            yield f"brighter than any image of training (mean {mean:,.5g}, in training {self.mean})"
        elif low < self.grey.low or high > self.grey.high:
            yield f"grey values from {low:,.5g} to {high:,.5g}, in training {self.grey}"


def _span(values: pl.Series) -> Span:
    return Span(low=_number(values.min()), high=_number(values.max()))


def _spacings(spacing_mm: pl.Series) -> Iterator[Span]:
    """Yield the distances along each axis that every image states, from the last one on."""
    if spacing_mm.null_count():
        return
    for axis in range(min(len(one) for one in spacing_mm)):
        yield _span(spacing_mm.list.get(-1 - axis))


def _words(column: pl.Series) -> tuple[str, ...]:
    return () if column.null_count() else tuple(column.unique().sort().to_list())


def _number(value: object) -> float:
    return float(str(value))
