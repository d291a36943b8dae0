"""Writes small simulated exports of an image archive: genuine DICOM of exams that nobody had, for tests and examples.

Every file says that it is simulated. UIDs are made by hashing, so that equal content has equal bytes. File names say
nothing of the order of slices, as in a real export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
INTERCEPT_HU = -1024


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What the headers of one simulated series say.

    Args:
        patient: Identifier, starting with `SIM`.
        exam: Number of the exam; study UID and accession number come from it.
        number: Number of the series within the exam.
        direction: Six cosines, along a row and along a column.
        pixel_mm: Pixel spacing.
        slice_mm: Thickness and distance of slices.
        extra: Further elements by keyword.
    """

    patient: str
    exam: int = 1
    number: int = 1
    direction: tuple[float, ...] = AXIAL
    pixel_mm: float = 0.7
    slice_mm: float = 5.0
    description: str = "chest"
    kernel: str = "soft"
    extra: Mapping[str, Any] | None = None

    @property
    def accession(self) -> str:
        """The accession number of the exam."""
        return f"A{self.exam:05d}"

    def uid(self, *parts: object) -> UID:
        """Return a UID that depends on its parts alone (PS3.5 B.2)."""
        return UID(generate_uid(entropy_srcs=["grandrounds export", *map(str, parts)]))

    @property
    def study_uid(self) -> str:
        """The UID of the exam."""
        return self.uid("study", self.patient, self.exam)

    @property
    def series_uid(self) -> str:
        """The UID of the series."""
        return self.uid("series", self.patient, self.exam, self.number)


def write_series(folder: Path, facts: SeriesFacts, hu: NDArray[np.integer], *, seed: int = 0) -> list[Path]:
    """Write a volume (D, H, W) in Hounsfield units, a file a slice under names that tell nothing; return them in order.

    Args:
        folder: Where; made if absent.
        facts: What the headers say.
        hu: The volume.
        seed: Of the names.
    """
    names = np.random.default_rng([seed, facts.exam, facts.number]).permutation(10_000)[: len(hu)]
    normal = np.cross(facts.direction[:3], facts.direction[3:])
    paths = []
    for at, (plane, name) in enumerate(zip(hu, names, strict=True)):
        path = folder / f"E{facts.exam:03d}S{facts.number}I{name:04d}"
        write_slice(path, facts, plane, at, (normal * at * facts.slice_mm).round(6).tolist())
        paths.append(path)
    return paths


def write_slice(
    path: Path, facts: SeriesFacts, hu: NDArray[np.integer], number: int, position_mm: Sequence[float]
) -> None:
    """Write one slice as a CT image (PS3.3 A.3).

    Args:
        path: File to write.
        facts: What the header says.
        hu: (H, W), whole Hounsfield units.
        number: Place in the series; part of the instance's UID.
        position_mm: Of the first pixel, (0020,0032).
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = facts.uid(facts.patient, facts.exam, facts.number, "instance", number)
    one = Dataset()
    one.file_meta = meta
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    one.StudyInstanceUID, one.SeriesInstanceUID = facts.study_uid, facts.series_uid
    one.FrameOfReferenceUID = facts.uid("frame", facts.patient, facts.exam)
    one.AccessionNumber, one.PatientID, one.PatientName = facts.accession, facts.patient, "SIMULATED^NOBODY"
    one.PatientSex, one.PatientAge, one.InstitutionName = "O", "050Y", "Simulated hospital"
    one.Manufacturer = one.ManufacturerModelName = "grandrounds simulation"
    one.Modality, one.ImageType = "CT", ["DERIVED", "SECONDARY", "AXIAL"]
    one.SeriesDescription, one.ConvolutionKernel = facts.description, facts.kernel
    one.SeriesNumber, one.InstanceNumber = facts.number, 1000 - number  # against the stacking order
    one.ImageOrientationPatient, one.ImagePositionPatient = list(facts.direction), list(position_mm)
    one.PixelSpacing, one.SliceThickness = [facts.pixel_mm, facts.pixel_mm], facts.slice_mm
    one.Rows, one.Columns = hu.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, INTERCEPT_HU, "HU"
    for keyword, value in (facts.extra or {}).items():
        setattr(one, keyword, value)
    one.PixelData = (hu.astype(np.int32) - INTERCEPT_HU).clip(0, 2**16 - 1).astype("<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    one.save_as(path, enforce_file_format=True)


def write_export(folder: Path, n_patients: int = 12, *, size_px: int = 16, n_slices: int = 5, seed: int = 0) -> Path:
    """Write an export with a table of labels, and return its folder.

    Each patient has one exam with a thin and a thick axial series and a scout; every second one has a bright round
    spot. `labels.csv` names exams by accession number; one of its rows has no images, and one exam has no row.

    Args:
        folder: Where; a folder `export` is made in it.
        n_patients: How many.
        size_px: Height and width of a slice.
        n_slices: Of the thick series; the thin one has twice as many.
        seed: Of the noise.
    """
    rng, root = np.random.default_rng(seed), folder / "export"
    lines = ["accession,finding,finding_year"]
    rows, columns = np.mgrid[:size_px, :size_px]
    for exam in range(1, n_patients + 1):
        patient, is_positive = f"SIM-{exam:03d}", exam % 2 == 0
        spot = 400 * (np.hypot(rows - size_px / 2, columns - size_px / 2) < size_px / 5) * is_positive
        for number, (slice_mm, n) in enumerate(((5.0, n_slices), (2.5, 2 * n_slices)), start=1):
            hu = (rng.normal(-500, 60, (n, size_px, size_px)) + spot).astype(int)
            facts = SeriesFacts(patient, exam, number, slice_mm=slice_mm, kernel="sharp" if number == 2 else "soft")
            write_series(root / f"DIR{exam % 3}", facts, hu, seed=seed)
        scout = SeriesFacts(patient, exam, 3, CORONAL, extra={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
        write_series(root / "DIR0", scout, rng.normal(-500, 60, (1, size_px, size_px)).astype(int), seed=seed)
        if exam < n_patients:
            lines.append(f"{scout.accession},{'present' if is_positive else 'absent'},{2000 + exam % 4}")
    lines.append("A99999,present,2001")
    (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
