"""Sixty words stand where patients' files have names and remarks; none comes out of a run or of forty errors.

What the user types is the user's own: the path of an export, the names of classes and columns. The institution is what
`site` shows, by the allow-list. All other words of headers and names must stay where they are.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import polars as pl
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from tests.command import grandrounds

from grandrounds.data.pacs_copy import SeriesFacts, write_slice

WORDS = [f"QZKX{number:02d}WVJ" for number in range(62)]
IN_HEADER = (
    "PatientName", "PatientID", "OtherPatientIDs", "PatientAddress", "PatientComments", "PatientMotherBirthName",
    "PatientBirthName", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
    "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "StudyDescription", "SeriesDescription",
    "ProtocolName", "AccessionNumber", "StudyID", "RequestingPhysician", "AdmissionID", "IssuerOfPatientID",
    "DeviceSerialNumber", "ImageComments", "AdditionalPatientHistory", "MedicalAlerts", "Allergies", "Occupation",
    "EthnicGroup", "MilitaryRank", "CountryOfResidence", "PatientReligiousPreference", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy", "StationAETitle", "TextValue", "RetrieveURL", "LongCodeValue",
)  # fmt: skip
DAMAGED = ("PatientBirthDate", "StudyTime", "PatientAge", "PatientWeight", "StudyInstanceUID", "SeriesNumber")
SUFFIXES = ("dcm", "nii", "nii.gz", "nrrd", "mha", "png", "jpg", "tif")
N_HEADER = len(IN_HEADER) + len(DAMAGED) + 6  # words of headers; the rest stands in names of files and folders
HU = np.random.default_rng(0).integers(-1000, 1000, (16, 16))
# Gives many commands in one process, with every logger at its most talkative.
TALKATIVE = """
import json, logging, sys
from grandrounds.cli import main
logging.basicConfig(level=logging.DEBUG)
for arguments in json.loads(sys.stdin.read()):
    try:
        main(arguments)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:
        code = f"ESCAPED {type(error).__name__}"
    print(f"##{code}", flush=True)
"""


def _dicom(path, seed, patient):
    """Write a slice whose header holds a word in every place; the patient's own follows the word."""
    words = iter(WORDS)
    extra = {}
    with warnings.catch_warnings(action="ignore"):
        for keyword in IN_HEADER:
            extra[keyword] = next(words) + (f" {patient}" if keyword in ("PatientName", "PatientID") else "")
        inner = Dataset()
        inner.CodeMeaning, inner.TextValue = next(words), next(words)
        outer = Dataset()
        outer.CodeMeaning, outer.PurposeOfReferenceCodeSequence = next(words), [inner]
        extra["ProcedureCodeSequence"] = [outer]
        write_slice(path, SeriesFacts("SIM", patient, extra=extra), np.roll(HU, seed, 1), seed, (0, 0, float(seed)))
        one = pydicom.dcmread(path)
        block = one.private_block(0x0011, next(words), create=True)
        block.add_new(1, "LO", next(words))
        block.add_new(2, "UN", next(words).encode())
        for keyword in DAMAGED:
            tag = pydicom.tag.Tag(keyword)
            vr, value = pydicom.datadict.dictionary_VR(tag), f"{next(words)}{patient}".encode()
            value += b" " * (len(value) % 2)
            one[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)
        one.save_as(path)


def _volume(path, seed):
    volume = sitk.GetImageFromArray(np.roll(HU, seed, 1).astype(np.int16)[None].repeat(3, 0))
    for key, word in zip(("descrip", "db_name", "aux_file", "intent_name", "Comment", "content"), WORDS, strict=False):
        volume.SetMetaData(key, word)
    sitk.WriteImage(volume, str(path))


def _picture(path, seed):
    picture = Pillow.fromarray((np.roll(HU, seed, 1) % 256).astype(np.uint8))
    if path.suffix == ".png":
        told = PngInfo()
        told.add_text("Author", WORDS[0])
        told.add_text("Comment", WORDS[1], zip=True)
        told.add_itxt("Title", WORDS[2])
        picture.save(path, pnginfo=told)
    elif path.suffix == ".jpg":
        exif = Pillow.Exif()
        exif[0x010E] = WORDS[3]
        picture.save(path, comment=WORDS[4].encode(), exif=exif)
    else:
        picture.save(path, description=WORDS[5])


def _write(path, seed, patient):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".dcm":
        _dicom(path, seed, patient)
    elif path.suffix in (".png", ".jpg", ".tif"):
        _picture(path, seed)
    else:
        _volume(path, seed)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Exports with words in every header, in the names of files, folders and members, and in columns of a table."""
    root = tmp_path_factory.mktemp("files")
    export, ward = root / "export", iter(WORDS[N_HEADER:])
    lines = ["study,finding,referrer,remark"]
    for patient in range(16):
        folder = export / f"{next(ward) if patient < 8 else WORDS[-4]} {patient}"
        for turn in range(2):
            _dicom(folder / f"{WORDS[-1]}-{patient}-{turn}", 2 * patient + turn, patient)
        study = f"{WORDS[N_HEADER - len(DAMAGED) + DAMAGED.index('StudyInstanceUID')]}{patient}"
        lines.append(f"{study},{'ab'[patient % 2]},{WORDS[-2]}{patient},{WORDS[-3]} of {patient}")
    (root / "labels.csv").write_text("\n".join(lines))
    with zipfile.ZipFile(root / "all.zip", "w") as packed:
        for path in _kept(export):
            packed.write(path, path.relative_to(export))
    return root, export, root / "labels.csv", root / "all.zip"


def _spoilt(root):
    """Yield commands that meet a file which is cut, bent, or not what its name says."""
    for suffix in SUFFIXES:
        for kind in ("cut", "short", "bent", "text", "empty", "other"):
            folder = root / f"{kind}-{suffix}"
            for turn, label in enumerate("ab"):
                _write(folder / label / f"{WORDS[-1]}{turn}.{suffix}", turn, turn)
            victim = folder / "b" / f"{WORDS[-1]}1.{suffix}"
            content = victim.read_bytes()
            victim.write_bytes({
                "cut": content[: len(content) // 3], "short": content[:-100], "empty": b"", "text": WORDS[0].encode(),
                "bent": content[: len(content) // 2] + WORDS[1].encode() * 9, "other": b"%PDF" + content,
            }[kind])  # fmt: skip
            yield ["plan", str(folder), "--families", "prior", "-o", str(root / "out" / folder.name)]


def _misled(root, ward, table, archive):
    """Yield commands that ask what these files do not have."""
    out = ["--families", "prior", "-o", str(root / "out/misled")]
    for labels in (table, root / "absent.csv", archive):
        for more in (["--label", "nothing"], ["--positive", "c"], ["--series.plane", "coronal"], ["--rater", "nobody"]):
            yield ["plan", str(ward), "--labels", str(labels), *more, *out]
    yield ["plan", str(ward), *out]
    yield ["plan", str(root / "absent"), *out]


def _hits(content, words):
    """Return the words in some bytes: as they stand, in two bytes a letter, unpacked, or as base64."""
    seen = [content]
    if content[:2] == b"\x1f\x8b":
        seen.append(gzip.decompress(content))
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            seen += [packed.read(name) for name in packed.namelist()]
    if content[:4] == b"PAR1":
        seen.append(pl.read_parquet(io.BytesIO(content)).write_json().encode())
    for run in re.findall(rb"[A-Za-z0-9+/]{40,}", content):
        seen.append(base64.b64decode(run[: len(run) // 4 * 4]))
    low = b"\0".join(seen).lower()
    return {word for word in words if word.lower().encode() in low or word.lower().encode("utf-16-le") in low}


def _kept(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_words_are_there_to_be_found(files):
    """Sixty words lie in the files, their names and the table: to find none in what comes out means something."""
    root, ward, table, archive = files
    there = set.union(*(_hits(path.read_bytes(), WORDS[:N_HEADER]) for path in _kept(ward)))
    for suffix in SUFFIXES[1:]:
        _write(root / "one" / f"one.{suffix}", 0, 0)
        assert _hits((root / "one" / f"one.{suffix}").read_bytes(), WORDS) or suffix in ("nrrd", "mha", "nii", "nii.gz")

    assert there == set(WORDS[:N_HEADER])
    names = (
        " ".join(str(path) for path in _kept(root)) + table.read_text() + " ".join(zipfile.ZipFile(archive).namelist())
    )
    assert len(there | {word for word in WORDS if word in names}) >= 60


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_that_a_run_keeps_or_says_has_one(files, tmp_path, packed):
    """Inspect, run and report an export, as a folder and as a ZIP: no file, no name of a file, no line has a word."""
    _, ward, table, archive = files
    source, asked = (archive if packed else ward), ["--labels", table, "--join", "study", "--label", "finding"]
    said = grandrounds("inspect", source, *asked, cwd=tmp_path)
    run = ["run", source, *asked, "--families", "prior,thumbnail", "--resamples", "100", "--budget", "10s"]
    said += grandrounds(*run, "-o", "run", cwd=tmp_path)
    said += grandrounds("report", "run", cwd=tmp_path)
    kept = _kept(tmp_path)

    assert len(kept) > 20
    assert {str(path.name): found for path in kept if (found := _hits(path.read_bytes(), WORDS))} == {}
    assert [path for path in kept if _hits(str(path.relative_to(tmp_path)).encode(), WORDS)] == []
    assert _hits(said.encode(), WORDS) == set()


def test_no_error_quotes_a_header(files, tmp_path):
    """Fifty refusals and more, with every logger talking: a file may be named in the terminal, its content never is."""
    commands = [*_spoilt(tmp_path), *_misled(tmp_path, *files[1:])]
    done = subprocess.run(
        [sys.executable, "-c", TALKATIVE], input=json.dumps(commands), capture_output=True, text=True, check=False,
        timeout=500, cwd=tmp_path,
    )  # fmt: skip
    codes = re.findall(r"^##(.*)$", done.stdout, re.MULTILINE)

    assert len(codes) == len(commands)
    assert set(codes) <= {"0", "1", "2"}
    assert sum(code != "0" for code in codes) >= 40
    assert _hits((done.stdout + done.stderr).encode(), WORDS[:N_HEADER]) == set()
    kept = _kept(tmp_path / "out") if (tmp_path / "out").exists() else []
    assert [path.name for path in kept if _hits(path.read_bytes(), WORDS)] == []
