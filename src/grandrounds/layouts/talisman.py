"""Reads the ready-made patches of the Geneva ILD database: 32 × 32 TIFF in Hounsfield units, described by their names.

They are the part `ILD_DB_talismanTestSuite` of the database, which `geneva` opens. A file is called
`<class>_patch<N>_patient<ID>_<k>.tif`. The set was made for leaving one patient out; patches of the patient -1 were
meant to be trained on whoever is tested, so they have the role train and the others none.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from grandrounds.data.draft import Draft, refusals, with_columns
from grandrounds.errors import BadData
from grandrounds.layouts.geneva_rois import CLASSES, tissue

GREY_HU = (-1000.0, 400.0)  # from air to dense soft tissue; a TIFF cannot say that its values are Hounsfield units
_NAME = re.compile(r"(?P<label>.+)_patch\d+_patient(?P<patient>-?\d+)_\d+")
_POOL = "-1"


def is_suite(source: Path) -> bool:
    """Return whether a folder holds files that are called as the patches are."""
    return any(_NAME.fullmatch(path.stem) for path in source.glob("*.tif"))


def draft(source: Path) -> Draft:
    """Return the draft of a folder of patches.

    Raises:
        BadData: No file is called as the patches are.
    """
    rows, refused = [], []
    for path in sorted(path for path in source.glob("*.tif") if not path.name.startswith(".")):
        found = _NAME.fullmatch(path.stem)
        if found is None or (label := tissue(found["label"])) is None:
            what = "no patch" if found is None else "none of the five tissues"
            refused.append((str(path), None, None, f"the name of this file tells {what}"))
            continue
        rows.append(
            {
                "sample": path.stem,
                "patient": found["patient"],
                "label": label,
                "role": "train" if found["patient"] == _POOL else None,
                "modality": "CT",
                "body_part": "CHEST",
                "path": str(path),
            }
        )
    if not rows:
        raise BadData("no file is called as the patches are", where=source, remedy="give ILD_DB_talismanTestSuite")
    n_pool = sum(row["role"] is not None for row in rows)
    labels = {row["label"] for row in rows}
    return Draft(
        name="geneva-ild",
        root=source,
        rows=with_columns(pl.DataFrame(rows)),
        task="tissue",
        task_kind="multiclass",
        classes=tuple(name for name in CLASSES.values() if name in labels),
        condition="interstitial lung disease: tissue pattern of an HRCT patch",
        patient_known=True,
        flips=True,
        notes=(
            "A patch is a case of its own; patches of a patient share tissue, dose and kernel.",
            f"{n_pool:,} patches of no patient in particular (-1) are always trained on.",
        ),
        refused=refusals(refused),
        grey_range=GREY_HU,
    )
