"""What is probed for shortcuts, and what an answer means in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

PROBES_TABLE = {
    "probe": pl.String(),
    "what": pl.String(),
    "metric": pl.String(),  # null where nothing was probed
    "estimate": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n_patients": pl.Int64(),
    "verdict": pl.String(),  # "finding", "tip", "passed" or "not applicable"
    "sentence": pl.String(),
}
_SURELY = 0.6  # a lower end above this is a finding, one above chance a tip
_NEARLY_THE_LABEL = 0.9  # the same of clinical columns, which may rightly tell much, as age does
_VAGUE = 0.2  # half width of an interval that says little
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "height_px": "the height", "width_px": "the width", "depth_px": "the number of slices", "encoding": "the type",
        "bits_stored": "the bits stored", "bits_used": "the bits used", "channels": "the number of channels",
        "photometric": "the photometric interpretation", "ending": "the ending of the name", "format": "the format",
        "compression": "the compression", "conversion": "how it was captured", "modality": "the modality",
        "body_part": "the body part", "body_part_in_file": "the body part", "side": "the side",
        "side_in_file": "the side", "spacing_mm": "the pixel spacing", "manufacturer": "the manufacturer",
        "scanner": "the scanner", "scanner_in_file": "the scanner", "station": "the station", "kernel": "the kernel",
        "kernel_in_file": "the kernel", "view": "the view", "kvp": "the tube voltage",
        "thickness_mm": "the slice thickness", "thickness_mm_in_file": "the slice thickness", "site": "the site",
    }
)  # fmt: skip
_EDGE = {"mean": "how bright", "sd": "how uneven", "flat": "how wide an empty margin"}


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that is not the finding.

    Args:
        name: In tables.
        what: In words, as the subject of a sentence.
        columns: What it reads, of the samples table or of the traces; none: the picture itself, or clinical columns.
        unknown: Why it could not be probed where no column is known.
        advice: What to do about it.
        most: What it is called at most; what may be the finding itself is never more than a tip.
        surely: Its interval lies above this where it is a finding.
        of_table: Whether it reads the clinical columns, whatever they are called.
    """

    name: str
    what: str
    columns: tuple[str, ...]
    unknown: str
    advice: str
    most: str = "finding"
    surely: float = _SURELY
    of_table: bool = False

    @property
    def names_column(self) -> bool:
        """Whether it is worth saying which column told most."""
        return self.of_table or len(self.columns) > 1

    @property
    def constant(self) -> str:
        """Why it could not be probed where all images agree."""
        return "it is the same in all images"


PROBES = (
    Probe(
        "size", "image size", ("height_px", "width_px", "depth_px"), "no size is known",
        "bring all images to one size by resampling to one spacing, and look where the sizes come from",
    ),
    Probe(
        "bit depth", "bit depth", ("encoding", "bits_stored", "bits_used", "channels", "photometric"),
        "the files do not tell it", "convert all images in one way, from the originals",
    ),
    Probe(
        "format", "file format", ("ending", "format", "compression", "conversion"), "the files do not tell it",
        "get originals that were stored in one way: compression leaves marks in the pixels that a network can read",
    ),
    Probe(
        "header", "the header",
        ("modality", "body_part", "body_part_in_file", "side", "side_in_file", "spacing_mm", "manufacturer", "scanner",
         "scanner_in_file", "station", "kernel", "kernel_in_file", "view", "kvp", "thickness_mm",
         "thickness_mm_in_file"),
        "no file has a header that tells anything",
        "a network reads the scanner off the noise: compare within one scanner or view, or test on others",
    ),
    Probe(
        "border", "the edge of the image", tuple(f"{what}_{side}" for what in ("mean", "sd", "flat")
                                                for side in ("top", "bottom", "left", "right")),
        "no edge could be looked at", "crop to the body or joint (step otsu_crop), unless the finding reaches the edge",
    ),
    Probe(
        "text", "writing on the image",
        ("text_all", "text_top_left", "text_top_right", "text_bottom_left", "text_bottom_right"),
        "no image is large enough to hold writing", "crop or blacken markers and captions in all images alike",
    ),
    Probe(
        "thumbnail", "an 8×8 thumbnail", (), "there are no pictures",
        "it is a floor of every study: what a family adds to it counts", most="tip",
    ),
    Probe(
        "site", "the site", ("site",), "no site is known",
        "balance the classes within each site, and test on a site that nothing was trained on",
    ),
    Probe(
        "columns", "what else the table says", (), "it has no other column",
        "take out what nobody knows before the diagnosis: `metadata` and every fusion read it",
        surely=_NEARLY_THE_LABEL, of_table=True,
    ),
)  # fmt: skip


def absent(probe: Probe, reason: str) -> dict[str, Any]:
    """Return the row of a probe that could not be asked."""
    return dict.fromkeys(PROBES_TABLE) | {
        "probe": probe.name, "what": probe.what, "verdict": "not applicable",
        "sentence": f"{_capital(probe.what)} was not probed: {reason}.",
    }  # fmt: skip


def judged(
    probe: Probe, estimate: float, low: float, high: float, column: str | None, *, n_patients: int, known: bool
) -> dict[str, Any]:
    """Return the row of a probe that was asked.

    Args:
        probe: What was asked.
        estimate: Area under the ROC curve; `low` and `high` are its interval.
        low: As above.
        high: As above.
        column: What told most; None for the picture.
        n_patients: Who was asked about; cases where patients are unknown.
        known: Whether patients are known.
    """
    verdict = "passed" if low <= 0.5 else "finding" if low > probe.surely and probe.most == "finding" else "tip"
    numbers = f"AUC {estimate:.2f} ({low:.2f} to {high:.2f})"
    what = _capital(probe.what)
    by = "" if column is None or not probe.names_column else f", above all {_called(column, probe)}"
    if verdict == "passed":
        doubt = "; so few patients show only a strong one" if (high - low) / 2 > _VAGUE else ""
        sentence = f"{what} is not shown to tell the label: {numbers}{doubt}."
    else:
        alone = (
            "" if known else " Whose images these are is unknown, so that one patient may have been read off another."
        )
        sentence = f"{what} tells the label: {numbers}{by}. {_capital(probe.advice)}.{alone}"
    return {
        "probe": probe.name, "what": probe.what, "metric": "AUC", "estimate": estimate, "low": low, "high": high,
        "n_patients": n_patients, "verdict": verdict, "sentence": sentence,
    }  # fmt: skip


def warnings(probes: pl.DataFrame) -> tuple[str, ...]:
    """Return what a careful reader should know before anything is trained."""
    found = probes.filter(verdict="finding")
    return tuple(
        f"The label can be told from {what}: AUC {estimate:.2f}, at least {low:.2f}."
        for what, estimate, low in found.select("what", "estimate", "low").iter_rows()
    )


def _called(column: str, probe: Probe) -> str:
    if probe.of_table:
        return f"the column {column!r}"
    kind, _, place = column.partition("_")
    if column in _WORDS:
        return _WORDS[column]
    words = place.replace("_", " ")
    return f"{_EDGE[kind]} the {words} is" if kind in _EDGE else f"how much of the {words} it covers"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
