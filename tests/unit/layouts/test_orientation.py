"""The same scene comes out of DICOM, NIfTI and NRRD with its landmarks at the same millimetres of the patient.

NIfTI and NRRD are written here byte by byte, so that no library stands on both sides.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.pacs_copy import AXIAL, CORONAL, SAGITTAL, SeriesFacts, write_slice

SPACING_MM = (3.0, 0.7, 0.7)  # slice, row, column
ORIGIN_MM = np.array([-20.0, 11.0, 7.0])
LANDMARKS = {(0, 1, 2): 100, (3, 5, 0): 200, (2, 0, 4): 300}  # no mirror or turn of the scene looks like it
SCENE = np.zeros((4, 6, 5), np.int16)
for place, value in LANDMARKS.items():
    SCENE[place] = value
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
PLANES = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL, "oblique": OBLIQUE}
TO_RAS = np.array([-1, -1, 1])  # from DICOM's left, posterior, superior


def axes_of(direction):
    """Return the unit vectors of slice, row and column index, (3, 3) by rows."""
    along_row, along_column = np.array(direction[:3]), np.array(direction[3:])
    return np.stack([np.cross(along_row, along_column), along_column, along_row])


def at_mm(index, axes, spacing_mm, origin_mm):
    """Return where a pixel lies, PS3.3 C.7.6.2.1.1."""
    return np.array(origin_mm) + (np.array(index) * np.array(spacing_mm)) @ axes


def write_dicom(root, axes, scene):
    for exam, patient in enumerate(("SIM-1", "SIM-2"), start=1):
        facts = SeriesFacts(
            patient, exam, direction=(*axes[2], *axes[1]), pixel_mm=SPACING_MM[1], slice_mm=SPACING_MM[0]
        )
        for at, plane in enumerate(scene + (exam - 1)):
            position = at_mm((at, 0, 0), axes, SPACING_MM, ORIGIN_MM).round(6).tolist()
            write_slice(root / f"{exam}{(3 * at + 1) % 4}.dcm", facts, plane, at, position)  # names tell no order
    (root / "labels.csv").write_text("patient,label\nSIM-1,a\nSIM-2,b\n")


def write_nifti(root, axes, scene, *, qform):
    """Write two participants in BIDS; orientation is told by an affine, or by a quaternion (NIfTI-1, method 2)."""
    ras = axes * TO_RAS
    steps = np.array(SPACING_MM)[:, None] * ras
    origin = ORIGIN_MM * TO_RAS
    turn = ras[::-1].T.copy()  # columns: the axes of column, row, slice index
    sign = np.sign(np.linalg.det(turn))
    turn[:, 2] *= sign
    b, c, d, a = Rotation.from_matrix(turn).as_quat()
    quaternion = np.array([b, c, d]) * (1 if a >= 0 else -1)
    for number in (1, 2):
        pixels = scene + (number - 1)
        head = bytearray(352)
        struct.pack_into("<i", head, 0, 348)
        struct.pack_into("<8h", head, 40, 3, *pixels.shape[::-1], 1, 1, 1, 1)
        struct.pack_into("<2h", head, 70, 4, 16)  # 16-bit integers
        struct.pack_into("<4f", head, 76, sign, *SPACING_MM[::-1])
        struct.pack_into("<3f", head, 108, 352, 1, 0)
        head[123] = 2  # millimetres
        struct.pack_into("<2h", head, 252, qform, not qform)
        struct.pack_into("<6f", head, 256, *(quaternion if qform else (0, 0, 0)), *(origin if qform else (0, 0, 0)))
        if not qform:
            struct.pack_into("<12f", head, 280, *np.column_stack([*steps[::-1], origin]).ravel())
        head[344:348] = b"n+1\0"
        path = root / f"sub-0{number}" / "anat" / f"sub-0{number}_T1w.nii"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(head) + pixels.tobytes())
    (root / "participants.tsv").write_text("participant_id\tgroup\nsub-01\ta\nsub-02\tb\n")


def write_nrrd(root, axes, scene, *, space):
    """Write two cases of nnU-Net, in the space of DICOM or in that of NIfTI."""
    turned = TO_RAS if space == "right-anterior-superior" else np.ones(3)
    steps, origin = np.array(SPACING_MM)[:, None] * axes * turned, ORIGIN_MM * turned
    vectors = [f"({','.join(map(repr, map(float, vector)))})" for vector in (*steps[::-1], origin)]
    for number in (1, 2):
        pixels = scene + (number - 1)
        head = (
            f"NRRD0004\ntype: int16\ndimension: 3\nspace: {space}\nsizes: {' '.join(map(str, pixels.shape[::-1]))}\n"
            f"space directions: {' '.join(vectors[:3])}\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
            f"space origin: {vectors[3]}\n\n"
        )
        path = root / "imagesTr" / f"case{number}_0000.nrrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head.encode() + pixels.tobytes())
    (root / "labels.csv").write_text("case,label\ncase1,a\ncase2,b\n")
    (root / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}, "file_ending": ".nrrd"}))


WRITERS = {
    "DICOM": write_dicom,
    "NIfTI by affine": lambda *parts: write_nifti(*parts, qform=False),
    "NIfTI by quaternion": lambda *parts: write_nifti(*parts, qform=True),
    "NRRD left-posterior-superior": lambda *parts: write_nrrd(*parts, space="left-posterior-superior"),
    "NRRD right-anterior-superior": lambda *parts: write_nrrd(*parts, space="right-anterior-superior"),
}


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("form", WRITERS)
def test_landmarks_lie_at_the_same_millimetres(tmp_path, form, plane):
    """Left is left and up is up, in whatever format and plane the exam comes."""
    root, axes = tmp_path / "set", axes_of(PLANES[plane])
    root.mkdir()
    WRITERS[form](root, axes, SCENE)

    dataset = open_dataset(root, SourceOptions(unit="volume"))
    first = dataset.labels.filter(label="a")["case"][0]
    image = dataset.load(dataset.samples.filter(case=first)["sample"][0])

    cosines = np.array(image.geometry.direction).reshape(3, 3)[[2, 1, 0]]  # slice, row, column index
    for index, value in LANDMARKS.items():
        (found,) = np.argwhere(image.pixels[0] == value)
        told = at_mm(found, cosines, image.geometry.spacing_mm, image.geometry.origin_mm)
        np.testing.assert_allclose(told, at_mm(index, axes, SPACING_MM, ORIGIN_MM), atol=1e-3)


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "DICOM"])
def test_slices_from_head_to_foot_are_no_mirror(tmp_path, form):
    """A volume stored from the head down is the same patient: left-handed, with every pixel where it was."""
    root, axes = tmp_path / "set", axes_of(AXIAL)
    root.mkdir()
    axes[0] *= -1
    WRITERS[form](root, axes, SCENE)

    dataset = open_dataset(root, SourceOptions(unit="volume"))
    image = dataset.load(dataset.samples["sample"][0])

    assert image.geometry.direction == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, -1), abs=1e-6)
    np.testing.assert_array_equal(image.pixels[0], SCENE)
