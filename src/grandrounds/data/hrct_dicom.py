"""Writes simulated sections in the layout of the Geneva ILD database: CT and mask DICOM files, and ROI text.

Every file says that it is simulated: patient name, identifiers, institution, manufacturer, comments. UIDs are made by
hashing, so that equal content has equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pydicom.valuerep import DSfloat

INTERCEPT_HU = -1024
_DATE, _TIME = "20000101", "120000"  # a fixed instant: files are the same whenever they are written


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in the header of one patient's files.

    Args:
        patient: Patient's identifier, starting with `SIM`.
        series: Number of the series.
        age_years: Age.
        sex: F or M.
        site: Name of the (simulated) hospital.
        kernel: Convolution kernel.
        pixel_mm: Pixel spacing.
        section_mm: Thickness of a section.
        seed: Root of the set's randomness; part of every UID.
    """

    patient: str
    series: int
    age_years: int
    sex: str
    site: str
    kernel: str
    pixel_mm: float
    section_mm: float
    seed: int

    def uid(self, *parts: object) -> str:
        """Return a UID that depends on the content alone (PS3.5 B.2)."""
        return str(generate_uid(entropy_srcs=["grandrounds", repr(self), *map(str, parts)]))


def write_ct(path: Path, header: Header, hu: NDArray[np.floating], number: int, z_mm: float) -> None:
    """Write one section as a CT image (PS3.3 A.3), 12 bits with an intercept of -1024.

    Args:
        path: File to write.
        header: The patient's part of the header.
        hu: Attenuation, whole Hounsfield units, (H, W).
        number: 1 for the first section.
        z_mm: Height of the section, growing towards the head.
    """
    ds = _shared(header, number, CTImageStorage, "ct")
    half_mm = header.pixel_mm * (hu.shape[0] - 1) / 2
    ds.Modality = "CT"
    ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    ds.SeriesDescription = "SIMULATED HRCT, right lung"
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = header.uid("frame")
    ds.PositionReferenceIndicator = ""
    ds.PixelSpacing = [_number(header.pixel_mm)] * 2
    ds.SliceThickness = _number(header.section_mm)
    ds.ImagePositionPatient = [_number(-half_mm), _number(-half_mm), _number(z_mm)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = _number(z_mm)
    ds.KVP = 120
    ds.ConvolutionKernel = header.kernel
    ds.AcquisitionNumber = 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = INTERCEPT_HU, 1, "HU"  # (0028,1052) … (0028,1054)
    ds.WindowCenter, ds.WindowWidth = -600, 1500
    ds.BurnedInAnnotation = "NO"
    stored = np.clip(hu - INTERCEPT_HU, 0, 4095).astype(np.uint16)
    ds.set_pixel_data(stored, "MONOCHROME2", bits_stored=12, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)


def write_mask(path: Path, header: Header, mask: NDArray[np.uint8], number: int, kind: str) -> None:
    """Write a mask as a secondary capture (PS3.3 A.8.1), one byte a pixel.

    Args:
        path: File to write.
        header: The patient's part of the header.
        mask: Codes, 0 outside, (H, W).
        number: 1 for the first section.
        kind: What the mask shows, in words.
    """
    ds = _shared(header, number, SecondaryCaptureImageStorage, kind)
    ds.Modality = "OT"
    ds.ConversionType = "SYN"
    ds.SeriesDescription = f"SIMULATED, {kind}"
    ds.BurnedInAnnotation = "NO"
    ds.set_pixel_data(mask, "MONOCHROME2", bits_stored=8, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)


def roi_text(
    header: Header, spacing_mm: float, rois: Sequence[tuple[str, int, Sequence[NDArray[np.integer[Any]]]]]
) -> str:
    """Return the text of a ROI file: millimetres, sections counted from 1, one block a label and section.

    Args:
        header: The patient's part of the header.
        spacing_mm: Distance of the sections.
        rois: Label, section number and contours (x, y in pixels) of each region.
    """
    lines = [
        f"Study: {header.uid('study')}",
        f"Series: {header.uid('series', 'ct')}",
        f"SpacingX: {header.pixel_mm:.6f}",
        f"SpacingY: {header.pixel_mm:.6f}",
        f"SpacingZ: {spacing_mm:.6f}",
    ]
    last = None
    for label, number, contours in rois:
        if label != last:  # a label holds until the next one
            lines += [f"label: {label}", "localisation: right lung / simulated"]
            last = label
        lines.append(f"slice_number: {number}")
        for contour in contours:
            lines.append(f"nb_points_on_contour: {len(contour)}")
            lines += [f"{x * header.pixel_mm:.4f} {y * header.pixel_mm:.4f}" for x, y in contour]
    return "\n".join(lines) + "\n"


def _shared(header: Header, number: int, storage: str, kind: str) -> Dataset:
    # Patient, study, series, equipment and image modules, the same for CT and masks.
    values: Mapping[str, object] = {
        "SOPClassUID": storage,
        "SOPInstanceUID": header.uid(kind, number),
        "StudyInstanceUID": header.uid("study"),
        "SeriesInstanceUID": header.uid("series", kind),
        "StudyDate": _DATE,
        "StudyTime": _TIME,
        "ContentDate": _DATE,
        "ContentTime": _TIME,
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "Manufacturer": "SIMULATED",
        "ManufacturerModelName": "grandrounds HRCT",
        "InstitutionName": header.site,
        "PatientName": f"SIMULATED^{header.patient}",
        "PatientID": header.patient,
        "PatientBirthDate": "",
        "PatientSex": header.sex,
        "PatientAge": f"{header.age_years:03d}Y",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "simulated: there is no such person",
        "BodyPartExamined": "CHEST",
        "StudyID": "1",
        "SeriesNumber": header.series,
        "InstanceNumber": number,
        "ImageComments": "Simulated image; shows no person; not for diagnosis",
    }
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.PatientOrientation = ["L", "P"]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def _number(value: float) -> DSfloat:
    return DSfloat(round(value, 6), auto_format=True)  # at most 16 characters (PS3.5 6.2, VR DS)
