"""The simulated HRCT set: lung CT that shows nobody, for demonstrations and software tests.

It is not evidence about patients. What is simulated, from which published ranges, and what is not, stands in
`docs/explanation/simulated-hrct.md`. A set is genuine DICOM in the Geneva layout and is read back through `geneva`, so
that the demonstration walks the road that real data walk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from grandrounds import seeds
from grandrounds.data import hrct_parameters as p
from grandrounds.data.draft import Draft
from grandrounds.data.hrct_dicom import Header, roi_text, write_ct, write_mask
from grandrounds.data.hrct_patterns import CODES
from grandrounds.data.hrct_section import Contour, Patient, draw_patient, simulate
from grandrounds.data.hrct_spec import HrctSpec
from grandrounds.data.patches import DEMO_PATCHES, PatchSpec
from grandrounds.layouts import geneva
from grandrounds.layouts.computed import written_once
from grandrounds.layouts.geneva_files import LUNGS, MASKS, TEXTS
from grandrounds.layouts.geneva_rois import CLASSES, rasterise

Progress = Callable[[int, int], None]
NAME = "simulated-hrct"
VERSION = 1  # part of a set's identity: raise it whenever the same spec gives other pixels
_WORDS = {name: word for word, name in CLASSES.items()}
NOTES = (
    "Simulated: computed images that show nobody, for demonstrations and software tests; not evidence about patients.",
    "A patch is a case of its own; patches of a patient share tissue, dose and kernel.",
)
_DISEASES = ("emphysema", "ground_glass", "fibrosis", "micronodules")


def draft(
    cache: Path, spec: HrctSpec | None = None, patches: PatchSpec = DEMO_PATCHES, progress: Progress | None = None
) -> Draft:
    """Return the set's patches; the files are simulated once and kept in the cache folder.

    Args:
        cache: Folder for simulated sets; each has a folder of its own there.
        spec: Which set; None for the default.
        patches: How regions are cut.
        progress: Called with the number of patients written, and of all.

    Raises:
        StoreTrouble: The cache cannot be written.
    """
    spec = spec or HrctSpec()
    writing = partial(write, spec=spec, progress=progress)
    folder = written_once(cache / f"{NAME}-v{VERSION}-{spec.identity()}", writing, "about 60 MB")
    return replace(geneva.read(folder, patches, name=NAME), simulated=True, licence="CC0-1.0", notes=NOTES)


def write(folder: Path, spec: HrctSpec, progress: Progress | None = None) -> Path:
    """Write the set into a folder, the same bytes for the same spec, and return the folder.

    The CT files stand in `ILD_DB_txtROIs` only; the other two trees hold masks.

    Args:
        folder: Where `ILD_DB` is made.
        spec: Which set.
        progress: Called with the number of patients written, and of all.
    """
    for i in range(spec.n_patients):
        _write_patient(folder / "ILD_DB", *draw(spec, i), spec.n_slices)
        if progress:
            progress(i + 1, spec.n_patients)
    return folder


def draw(spec: HrctSpec, index: int) -> tuple[Header, Patient]:
    """Return one patient of the set: the header of the files, and what is simulated.

    Age, sex, site and kernel are drawn without a look at the tissue: they tell nothing about the label.
    """
    diseases, has_normal = _allot(spec)[index]
    rng = seeds.generator(spec.seed, "clinical", patient=index)
    sharp_first = seeds.generator(spec.seed, "kernels").permutation(spec.n_patients)
    sharp = bool(sharp_first[index] < round(spec.sharp_share * spec.n_patients))
    patient = draw_patient(
        seeds.derive(spec.seed, "patient", patient=index),
        spec.size_px,
        diseases,
        ("normal", *diseases) if has_normal else diseases,
        sharp=sharp,
        effect=spec.patient_effect,
    )
    header = Header(
        patient=f"SIM-{index + 1:04d}",
        series=7001 + index,
        age_years=int(rng.integers(45, 81)),
        sex=str(rng.choice(["F", "M"])),
        site=str(rng.choice(["SIMULATED HOSPITAL A", "SIMULATED HOSPITAL B"])),
        kernel=patient.scanner.kernel,
        pixel_mm=round(patient.grid.pixel_mm, 4),
        section_mm=p.SECTION_MM.low,
        seed=spec.seed,
    )
    return header, patient


def _allot(spec: HrctSpec) -> list[tuple[tuple[str, ...], bool]]:
    # A balanced design in random order: four patients in turn have the four diseases, every other four have a second
    # disease as well, and two of three have a region of normal tissue.
    design = []
    for i in range(spec.n_patients):
        first, block = i % 4, i // 4
        others = (_DISEASES[(first + 1 + block // 2 % 3) % 4],) if block % 2 else ()
        design.append(((_DISEASES[first], *others), i % 3 != 2))
    return [design[i] for i in seeds.generator(spec.seed, "design").permutation(spec.n_patients)]


def _write_patient(root: Path, header: Header, patient: Patient, n_slices: int) -> None:
    ct = root / TEXTS / header.patient
    roi = root / MASKS / header.patient / "roi_mask"
    lung = root / LUNGS / header.patient / "lung_mask"
    for one in (ct, roi, lung):
        one.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[tuple[str, int, list[Contour]]]] = {name: [] for name in CODES}
    for i in range(n_slices):
        number, z_mm = i + 1, p.SPACING_MM.low * (i - (n_slices - 1) / 2)
        image = simulate(patient, z_mm, i)
        write_ct(ct / f"CT-{header.series}-{number:04d}.dcm", header, image.hu, number, -z_mm)
        codes = np.zeros(patient.grid.shape, np.uint8)
        for name, contours in image.rois.items():
            for contour in contours:
                codes[rasterise(contour.astype(np.float64), patient.grid.shape)] = CODES[name]
            if contours:
                found[name].append((_WORDS[name], number, contours))
        write_mask(roi / f"roi_mask_{header.series}_{number}.dcm", header, codes, number, "ROI codes")
        write_mask(
            lung / f"lung_mask_{header.series}_{number}.dcm", header, image.lung.astype(np.uint8), number, "lung mask"
        )
    text = roi_text(header, p.SPACING_MM.low, [one for name in CODES for one in found[name]])
    (ct / f"CT-INSPIRIUM-{header.series}.txt").write_text(text, encoding="utf-8")
