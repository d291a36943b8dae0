"""No name in a file's content ever becomes a path: UIDs, ids, names in a DICOMDIR and in a ZIP lead nowhere."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet

from grandrounds.data.pacs_copy import SeriesFacts, write_series, write_slice

HEADS = (
    "../", "../../", "../../../../", "..\\", "..\\..\\", "/", "//", "\\", "\\\\server\\share\\", "C:\\", "C:/",
    "file:///", "%2e%2e/", "%2e%2e%2f", "..%c0%af", "....//", "./.././", "~/", "\uff0e\uff0e/", "..\0/",
)  # fmt: skip
TAILS = (
    "canary/secret.dcm", "canary", "etc/passwd", "CON", "aux.dcm", "NUL.", "Canary/SECRET.dcm", "x" * 4096, "a\nb",
    "$(touch canary)",
)  # fmt: skip
PAYLOADS = [head + tail for head, tail in itertools.product(HEADS, TAILS)]
TAGS = {
    "SOPInstanceUID": (0x0008, 0x0018, b"UI"), "StudyInstanceUID": (0x0020, 0x000D, b"UI"),
    "SeriesInstanceUID": (0x0020, 0x000E, b"UI"), "PatientID": (0x0010, 0x0020, b"LO"),
}  # fmt: skip
HU = np.random.default_rng(0).integers(-1000, 1000, (8, 8))
# Opens, prepares and inspects an export in a process that notes every file which it opens, makes, moves or removes.
WATCHED = """
import json, os, sys, warnings
from pathlib import Path

import polars as pl
from grandrounds import api, data, prepare
from grandrounds.errors import Refusal
warnings.simplefilter("ignore")

source, out, inside, seen = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], []

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        seen.append((os.fsdecode(arguments[0]), bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))))
    elif event.startswith("os.") and event[3:] in "rename remove mkdir rmdir symlink link chmod truncate".split():
        seen.append((os.fsdecode(arguments[0]), True))

sys.addaudithook(hook)
said = "read"
try:
    found = data.open_dataset(source)
    prepare.materialise(found.samples, found.files, prepare.Pipeline(), out / "prepared")
    api.inspect(source, page=out / "page.html")
except Refusal as refusal:
    said = refusal.what
strange = [path for path, writes in seen if inside in path and (writes or "canary" in path.lower())
           and not path.startswith(str(out))]
print(json.dumps([said, len(seen), strange]))
"""


def _replaced(content, tag, value):
    """Return a file with another value of an element, whatever the standard says of such values."""
    group, number, vr = TAGS[tag]
    at = content.index(struct.pack("<HH2s", group, number, vr))
    (length,) = struct.unpack_from("<H", content, at + 6)
    value = value.encode() + b" " * (len(value.encode()) % 2)
    return content[: at + 6] + struct.pack("<H", len(value)) + value + content[at + 8 + length :]


def _with_values(root, tag):
    write_slice(root / "template", SeriesFacts("SIM-001"), HU, 0, (0, 0, 0))
    content = (root / "template").read_bytes()
    for at, payload in enumerate(PAYLOADS):
        (root / f"{at:03d}").write_bytes(_replaced(content, tag, payload))
    return root


def _dicomdir(root):
    facts = SeriesFacts("SIM-001", extra={"StudyDate": "20000101", "StudyTime": "120000", "StudyID": "1"})
    paths = write_series(root / "in", facts, np.stack([HU] * 2))
    index = FileSet()
    for path in paths:
        index.add(path)
    index.write(root / "disc")
    index._stage["t"].cleanup()
    shutil.rmtree(root / "in")
    told = pydicom.dcmread(root / "disc/DICOMDIR")
    image = next(one for one in told.DirectoryRecordSequence if one.DirectoryRecordType == "IMAGE")
    content = (root / "disc/DICOMDIR").read_bytes()
    for payload in PAYLOADS:
        name = image.ReferencedFileID
        old = "\\".join([name] if isinstance(name, str) else name).encode()
        old += b" " * (len(old) % 2)
        # Of the same length, so that the records' offsets stay right.
        new = payload.replace("/", "\\").encode()[: len(old)].ljust(len(old))
        (root / "disc/DICOMDIR").write_bytes(content.replace(old, new))
        yield root / "disc/DICOMDIR"


def _zip(root):
    write_slice(root / "template", SeriesFacts("SIM-001"), HU, 0, (0, 0, 0))
    with zipfile.ZipFile(root / "all.zip", "w") as archive:
        for at, payload in enumerate(PAYLOADS):
            archive.writestr(zipfile.ZipInfo(payload.replace("\0", "%00")), _replaced(
                (root / "template").read_bytes(), "SOPInstanceUID", f"1.2.{at}"))  # fmt: skip
    (root / "template").unlink()
    return root / "all.zip"


def _hash(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture
def watched(tmp_path):
    """A function that reads a source while it is watched; a file that must not be touched lies beside."""
    canary = tmp_path / "canary"
    write_slice(canary / "secret.dcm", SeriesFacts("SIM-999"), HU, 0, (0, 0, 0))
    (tmp_path / "out").mkdir()

    def read(source):
        before = _hash(canary)
        command = [sys.executable, "-c", WATCHED, str(source), str(tmp_path / "out"), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-800:]
        said, n_seen, strange = json.loads(done.stdout.splitlines()[-1])
        assert n_seen > 50
        assert strange == []
        assert _hash(canary) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["canary", "out", "source"]
        return said

    return read


def test_there_are_two_hundred_payloads():
    """Twenty ways out times ten places to go."""
    assert len(set(PAYLOADS)) == 200


@pytest.mark.parametrize("tag", TAGS)
def test_values_of_a_header_lead_nowhere(watched, tmp_path, tag):
    """Two hundred values like paths in one element of as many files: they are read, and nothing else is touched."""
    (tmp_path / "source").mkdir()

    assert watched(_with_values(tmp_path / "source", tag)) == "read"


def test_names_in_a_zip_lead_nowhere(watched, tmp_path):
    """Two hundred members named like paths are read from memory."""
    (tmp_path / "source").mkdir()

    assert watched(_zip(tmp_path / "source")) == "read"


def test_links_out_of_an_export_are_not_followed(watched, tmp_path):
    """A symbolic link to a file or a folder elsewhere is no part of the export."""
    write_series(tmp_path / "source", SeriesFacts("SIM-001"), np.stack([HU] * 3))
    (tmp_path / "source/link").symlink_to(tmp_path / "canary/secret.dcm")
    (tmp_path / "source/folder").symlink_to(tmp_path / "canary")

    assert watched(tmp_path / "source") == "read"


def test_names_in_a_dicomdir_lead_nowhere(tmp_path):
    """Two hundred names like paths in a DICOMDIR: every one is a missing file, and no file outside is read."""
    from grandrounds.data.dicom_tree import survey

    write_slice(tmp_path / "canary/secret.dcm", SeriesFacts("SIM-999"), HU, 0, (0, 0, 0))
    (tmp_path / "source").mkdir()
    n = 0
    for index in _dicomdir(tmp_path / "source"):
        tree = survey(index)
        assert set(tree.series["patient"]) == {"SIM-001"}
        assert tree.counts["refused"] == 1
        n += 1

    assert n == 200
