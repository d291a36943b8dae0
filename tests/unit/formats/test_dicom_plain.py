"""Walking through a plain file says what pydicom says of it, or leaves it to pydicom: whole, damaged, or hostile."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from grandrounds import formats
from grandrounds.data import dicom_headers
from grandrounds.errors import BadData
from grandrounds.formats import dicom
from grandrounds.formats.dicom_plain import plain_header

STORED = np.random.default_rng(0).integers(0, 3000, (12, 10)).astype(np.uint16)
FOLDER = Path(pydicom.__file__).parent / "data"
ITEM, ENDS, ENDS_ALL = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def said(path):
    """Return all that both readers say of a file, or that and why they refuse it."""
    try:
        facts = list(dicom_headers.facts_of(path, None))
    except BadData as refused:
        facts = refused.what
    try:
        image = formats.read(path)
    except BadData as refused:
        return facts, refused.what
    told = image.pixels.dtype, image.pixels.shape, image.pixels.tobytes(), image.geometry, image.unit, image.modality
    return facts, (*told, dict(image.header))


@pytest.fixture
def both(monkeypatch):
    """A function that returns what is said of a file, and what is said where everything is left to pydicom."""

    def ask(path):
        ours = said(path)
        with monkeypatch.context() as patch:
            patch.setattr(dicom, "plain_image", lambda *_: None)
            patch.setattr(dicom_headers, "plain_header", lambda *_: None)
            return ours, said(path)

    return ask


def is_plain(path):
    with path.open("rb") as file:
        return plain_header(file, dicom._WANTED) is not None


def test_every_file_that_pydicom_ships_is_the_same_to_both(both):
    """Of well over a hundred odd files, those that are plain read as pydicom has them; the rest are pydicom's."""
    files = [path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.suffix == ".dcm"]
    n_plain = 0
    for path in files:
        ours, theirs = both(path)
        assert ours == theirs, path.name
        n_plain += is_plain(path)

    assert len(files) > 100
    assert n_plain >= 20


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_damaged_file_is_the_same_to_both(both, write_dicom, tmp_path, syntax):
    """A bit, a length, a kind, a cut: what pydicom makes of it is what comes out."""
    one = pydicom.dcmread(write_dicom(STORED, RescaleSlope="1", RescaleIntercept="-1024", KVP="120"))
    one.ReferencedImageSequence = [pydicom.Dataset()]
    one.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    one.ReferencedImageSequence.is_undefined_length = True
    one.file_meta.TransferSyntaxUID = syntax
    one.save_as(tmp_path / "whole.dcm")
    content, rng = (tmp_path / "whole.dcm").read_bytes(), np.random.default_rng(1)
    assert is_plain(tmp_path / "whole.dcm")
    n_head = len(content) - STORED.nbytes
    path = tmp_path / "mutant.dcm"
    for turn in range(400):
        mutant, at = bytearray(content), int(rng.integers(128, n_head))
        if turn % 4 == 0:
            mutant[at] ^= 1 << rng.integers(8)
        elif turn % 4 == 1:
            mutant[at : at + 2] = rng.choice([b"SQ", b"UN", b"OB", b"US", b"PN", b"\xff\xff", b"\0\0", b"\x02\0"])
        elif turn % 4 == 2:
            del mutant[at : at + 2 * int(rng.integers(1, 20))]
        else:
            mutant[at:at] = content[at - 2 * int(rng.integers(1, 30)) : at]
        path.write_bytes(mutant)
        ours, theirs = both(path)
        assert ours == theirs, (turn, at)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("rescale", [None, ("1", "-1024"), ("0.5", "3"), ("-2", "0"), ("30", "-32768")])
def test_values_are_the_same_to_both(both, write_dicom, bits, is_signed, rescale):
    """Bits, sign and rescale come out alike, and whole Hounsfield units that fit into 16 bits stay whole."""
    dtype = np.dtype(f"{'i' if is_signed else 'u'}{2 if bits > 8 else 1}")
    stored = np.random.default_rng(bits).integers(0, 2 ** (bits - is_signed), (7, 5)).astype(dtype)
    extra = {} if rescale is None else {"RescaleSlope": rescale[0], "RescaleIntercept": rescale[1]}
    path = write_dicom(stored, BitsStored=bits, HighBit=bits - 1, PixelPaddingValue=0, **extra)
    ours, theirs = both(path)

    assert is_plain(path)
    assert ours == theirs
    values = stored * 1.0 if rescale is None else stored * float(rescale[0]) + float(rescale[1])
    is_whole = rescale is not None and rescale[0] != "0.5" and np.abs(values).max() < 2**15
    assert (formats.read(path).pixels.dtype == np.int16) == (is_whole or (rescale is None and dtype == np.int16))


def test_a_sequence_of_unknown_length_is_walked_through(both, write_dicom):
    """Nested sequences without lengths, which scanners write, leave a file plain; if too deep, pydicom is asked."""
    path = write_dicom(STORED)
    content = path.read_bytes()
    at = content.index(struct.pack("<HH2s", 0x0010, 0x0020, b"LO"))
    for depth, expected in ((1, True), (5, True), (30, False)):
        inner = b""
        for _ in range(depth):
            items = ITEM + b"\xff\xff\xff\xff" + inner + ENDS
            inner = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + items + ENDS_ALL
        path.write_bytes(content[:at] + inner + content[at:])
        ours, theirs = both(path)
        assert ours == theirs
        assert is_plain(path) == expected


def test_a_long_header_is_plain_too(both, write_dicom):
    """What scanners keep for themselves may be longer than the first part that is read of a file."""
    path = write_dicom(STORED, TextValue="x" * 100_000)
    ours, theirs = both(path)

    assert is_plain(path)
    assert ours == theirs


def test_words_of_other_scripts_are_left_to_pydicom(both, write_dicom):
    """A name of a kernel in another character set is what that set says."""
    path = write_dicom(
        STORED, SpecificCharacterSet="ISO_IR 192", ConvolutionKernel="weich", SeriesDescription="Schädel"
    )
    ours, theirs = both(path)

    assert ours == theirs
    assert ours[0][0]["description"] == "Schädel"
