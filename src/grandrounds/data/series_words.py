"""What the series of an export are called, in words that name nobody.

Descriptions are typed at the scanner, and some hold a name. Of each, the words of a closed list are told, in the list's
own letters; whatever else stands there is never quoted.
"""

from __future__ import annotations

import re
from itertools import groupby

import polars as pl

from grandrounds.wording import many

MOST_CALLED = 12
_HIDDEN = "…"
# Planes, sequences, reconstructions of CT, contrast media, parts of the body, and what stands around them.
_KNOWN = """
    ax axial axiale tra trans transversal transverse sag sagittal sagittale cor coronal coronale kor koronar obl
    t1 t1w t2 t2w t2star pd pdw flair stir tirm dwi dti adc trace swi swan swip gre ge se fse tse ffe tfe haste ssfse
    vibe dixon mprage mpr3d spgr fspgr bravo space cube vista trufi fiesta ciss epi ep2d epi2d tof mra mrcp dce dsc asl
    perfusion perf diffusion mapping in out opp opposed phase water fat sat fs fatsat spair spir irfse ir 2d 3d cine
    ct cta hrct ldct lowdose low dose helical spiral sequence thin thick soft tissue lung bone brain standard sharp
    smooth mediastinum mediastinal window recon mpr mip minip vrt volume
    pre post contrast gd km plain native nativ nonco noncontrast without with art arterial ven venous portal late
    delayed early dynamic dyn sub subtraction
    head neck skull brain orbit spine cspine tspine lspine cervical thoracic lumbar chest thorax lungs heart cardiac
    abdomen abd liver kidney pancreas pelvis prostate breast breasts hip knee ankle foot shoulder elbow wrist hand leg
    arm whole body left right bilateral lt rt
    scout localizer localiser loc survey topogram scanogram surview insp inspiration exp expiration prone supine
    ap pa lat lateral cc mlo us dx cr xr mg pet ac nac
"""
WORDS = frozenset(_KNOWN.split())
_BY_FORM = re.compile(r"b\d{1,4}|\d{1,2}mm")  # diffusion weightings, thicknesses
_WORD = re.compile(r"[^\W_]+")


def called(description: str) -> str:
    """Return the known words of a description in their order, with one sign for what stands between them.

    >>> called("AX T2_FAT SAT"), called("t1 repeated for Dr. Who, AX"), called("Who")
    ('ax t2 fat sat', 't1 … ax', '…')
    """
    words = (word.lower() for word in _WORD.findall(description))
    shown = (word if word in WORDS or _BY_FORM.fullmatch(word) else _HIDDEN for word in words)
    return " ".join(_HIDDEN if word == _HIDDEN else " ".join(run) for word, run in groupby(shown))


def what_they_are_called(series: pl.DataFrame) -> str:
    """Return what series are called and how many patients have each, most patients first; empty where no word is known.

    Args:
        series: One row per series, with `patient` and `description`.

    >>> rows = pl.DataFrame({"patient": ["a", "b", "b"], "description": ["AX T1", "AX T1", "Who T2"]})
    >>> what_they_are_called(rows)
    'ax t1 (2 patients), … t2 (1); … stands for words that are not shown'
    """
    names = pl.col("description").fill_null("").map_elements(called, return_dtype=pl.String)
    of = series.select("patient", name=names).filter(~pl.col("name").is_in(["", _HIDDEN])).group_by("name")
    found = of.agg(pl.col("patient").n_unique().alias("n")).sort(pl.col("n"), "name", descending=[True, False])
    if found.is_empty():
        return ""
    shown = list(found.head(MOST_CALLED).iter_rows())
    told = [f"{name} ({n if at else many(n, 'patient')})" for at, (name, n) in enumerate(shown)]
    if found.height > len(shown):
        told.append(f"and {found.height - len(shown)} more")
    rest = f"; {_HIDDEN} stands for words that are not shown" if any(_HIDDEN in name for name, _ in shown) else ""
    return ", ".join(told) + rest
