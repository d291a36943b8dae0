"""What a user says about a source where looking does not tell."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Annotated, Literal

from pydantic import BeforeValidator

from grandrounds.data.hrct_spec import HrctSpec
from grandrounds.data.knee_spec import KneeSpec
from grandrounds.data.patches import DEMO_PATCHES, PatchSpec
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.specs import Spec, apart


def _apart_if_one(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return names as `apart` does where one word is all there is: nobody asks for one class, and some have commas."""
    if names is None:
        return None
    words = (names,) if isinstance(names, str) else tuple(names)
    return apart(words) if len(words) == 1 else words


class SourceOptions(Spec):
    """What a user says about a source where looking does not tell, or tells wrong.

    Args:
        image: Table column that names the image files. Here and below: by default it is found by its name.
        label: Table column of the label; `"none"` for a table of images to be predicted, which nobody has labelled.
        patient: Table column of the patient; `"none"` to use no column, here and below.
        case: Table column of the case (exam, lesion), where several images share one label.
        site: Table column of the hospital or centre.
        side: Table column of the side imaged.
        role: Table column of the official split.
        task: Name of the task; `"label"` by default.
        tasks: Tasks of a study of several, with commas between them: columns of labels of a table, or what a set is
            asked; `"all"` for all that a set has.
        kind: `"auto"` takes two classes for binary, more for multiclass.
        classes: Class names in order, with commas between them; by default the labels that occur, sorted.
        positive: The class that sensitivity speaks of; by default the last of two.
        condition: What is being diagnosed, in words.
        flips: Whether mirroring left and right keeps label and anatomy plausible; by default what the source says.
        hrct: Which set to simulate, for `simulated-hrct`.
        knee: Which set to simulate, for `simulated-knee`.
        patches: How patches are cut out of regions, for sources that have regions.
        unit: What one sample is in a source of volumes: each slice (its exam is the case), or the whole volume.
        series: Which series of an exam is meant, for sources whose exams have several.
        labels: CSV, TSV or XLSX whose rows are joined to a folder of DICOM files.
        join: What joins them; `"auto"` takes the first of these, in this order, that the table has a column for.
        rater: Column of the labels table that names who gave the label; None where each row is the truth.
        consensus: How the labels of several raters become one; a tie or a broken rule leaves the label unknown.
        patient_pattern: Regular expression on the names of samples (the path in a folder, without its ending) whose one
            group is the patient, for sources that do not say whose images they are.
        context: CSVs of further facts, joined one after another as clinical columns by a column that both have.
    """

    image: str | None = None
    label: str | None = None
    patient: str | None = None
    case: str | None = None
    site: str | None = None
    side: str | None = None
    role: str | None = None
    task: str | None = None
    tasks: Annotated[tuple[str, ...], BeforeValidator(apart)] = ()
    kind: Literal["auto", "binary", "multiclass", "ordinal"] = "auto"
    classes: Annotated[tuple[str, ...] | None, BeforeValidator(_apart_if_one)] = None
    positive: str | None = None
    condition: str | None = None
    flips: bool | None = None
    hrct: HrctSpec = HrctSpec()
    knee: KneeSpec = KneeSpec()
    patches: PatchSpec = DEMO_PATCHES
    unit: Literal["slice", "volume"] = "slice"
    series: SeriesSpec = SeriesSpec()
    labels: str | None = None
    join: Literal["auto", "accession", "series", "study", "patient"] = "auto"
    rater: str | None = None
    consensus: Literal["majority", "unanimous", "any"] = "majority"
    patient_pattern: str | None = None
    context: tuple[str, ...] = ()

    def given(self, names: Iterable[str]) -> list[str]:
        """Return which of these options say something else than they do by default; `series.plane` names a part."""
        default = SourceOptions()
        return [name for name in names if attrgetter(name)(self) != attrgetter(name)(default)]
