from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from scipy import ndimage

from grandrounds.data import hrct_parameters as p
from grandrounds.data.hrct_patterns import CODES
from grandrounds.data.hrct_spec import HrctSpec
from grandrounds.data.patches import PatchSpec
from grandrounds.errors import StoreTrouble
from grandrounds.layouts import simulated
from grandrounds.layouts.geneva_files import TEXTS, trailing_number
from grandrounds.layouts.geneva_rois import CLASSES, parse, rasterise

SPEC = HrctSpec(n_slices=2)
TINY = HrctSpec(n_patients=1, n_slices=2, size_px=96, seed=3)
DOCS = Path(__file__).parents[3] / "docs" / "explanation" / "simulated-hrct.md"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def rows(cache):
    """The patches of 24 patients with two sections each, with their attenuation (HU)."""
    rows = simulated.draft(cache, SPEC, PatchSpec(max_patches=12)).rows
    sections = {path: attenuation(path) for path in rows["path"].unique()}
    patches = [sections[path][t:b, x:y] for path, (t, x, b, y) in rows.select("path", "box").iter_rows()]
    return rows.with_columns(hu=pl.Series(patches, dtype=pl.Array(pl.Float32, (32, 32))))


def attenuation(path):
    ds = pydicom.dcmread(path)
    return ds.pixel_array.astype(np.float32) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)


def patches(rows, label):
    return rows.filter(pl.col("label") == label)["hu"].to_numpy()  # (n, 32, 32)


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def test_the_same_spec_gives_the_same_bytes(tmp_path):
    """Every file of a set is the same in another folder; another seed gives other files."""
    one = digest(simulated.write(tmp_path / "one", TINY))
    two = digest(simulated.write(tmp_path / "two", TINY))
    other = digest(simulated.write(tmp_path / "other", TINY.replaced(seed=4)))

    assert one == two != other


def test_every_class_is_in_eight_patients_or_more(rows):
    """No class is so rare that folds by patient would miss it."""
    patients = rows.group_by("label").agg(pl.col("patient").n_unique())

    assert set(CODES) == set(patients["label"])
    assert patients["patient"].min() >= 8


def test_the_draft_says_what_it_is(cache):
    """The draft is marked as simulated, its patients are SIM, and a patch is a case of its own."""
    draft = simulated.draft(cache, SPEC)

    assert (draft.simulated, draft.patient_known, draft.name) == (True, True, "simulated-hrct")
    assert draft.rows["patient"].str.starts_with("SIM-").all()
    assert draft.rows["sample"].is_unique().all()
    assert any("not evidence" in note for note in draft.notes)


def test_the_set_is_written_once(cache, monkeypatch):
    """The second call reads what the first one wrote."""

    def again(*_, **__):
        raise AssertionError("it was written a second time")

    simulated.draft(cache, SPEC)
    monkeypatch.setattr(simulated, "write", again)

    assert simulated.draft(cache, SPEC).rows.height > 0


def test_an_interrupted_set_leaves_nothing(tmp_path):
    """What stops while a set is being written leaves no half-written set."""

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulated.draft(tmp_path, TINY, progress=stop)

    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_refused(tmp_path):
    """A cache folder that is a file is refused with what to do."""
    (tmp_path / "cache").write_text("")

    with pytest.raises(StoreTrouble, match="cache folder"):
        simulated.draft(tmp_path / "cache", TINY)


def test_sections_are_numbered_from_the_top_and_ten_millimetres_apart(cache):
    """Section 1 is nearest to the head; file names, instance numbers and positions agree."""
    simulated.draft(cache, SPEC)
    files = sorted(next(cache.glob("*/ILD_DB")).joinpath(TEXTS, "SIM-0001").glob("*.dcm"))
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in files]

    assert [1, 2] == [ds.InstanceNumber for ds in headers] == [trailing_number(path) for path in files]
    assert -p.SPACING_MM.low == headers[1].ImagePositionPatient[2] - headers[0].ImagePositionPatient[2]
    assert len({ds.SeriesInstanceUID for ds in headers}) == 1
    assert {("SIMULATED^SIM-0001", "SIMULATED")} == {(str(ds.PatientName), ds.Manufacturer) for ds in headers}


def test_regions_in_text_and_mask_agree(cache):
    """Rasterising the text file gives exactly the mask file, inside the lung mask."""
    simulated.draft(cache, SPEC)
    root = next(cache.glob("*/ILD_DB"))
    for patient in ("SIM-0001", "SIM-0002", "SIM-0003"):
        text = next((root / TEXTS / patient).glob("*.txt"))
        masks = sorted((root / "ILD_DB_volumeROIs" / patient).rglob("*.dcm"))
        lungs = sorted((root / "ILD_DB_lungMasks" / patient).rglob("*.dcm"))
        for mask, lung in zip(masks, lungs, strict=True):
            codes = pydicom.dcmread(mask).pixel_array
            drawn = np.zeros_like(codes)
            for roi in parse(text.read_text()):
                if roi.number == trailing_number(mask):
                    drawn[rasterise(roi.points, codes.shape)] = CODES[CLASSES[roi.label]]

            assert np.array_equal(codes, drawn)
            assert (pydicom.dcmread(lung).pixel_array[codes > 0] > 0).mean() > 0.99


def test_every_class_has_its_published_attenuation(rows):
    """Medians and shares of pixels lie inside the ranges that the documentation cites."""
    smooth = {name: ndimage.gaussian_filter(patches(rows, name), (0, 1, 1)) for name in CODES}
    median = {name: float(np.median(hu)) for name, hu in smooth.items()}
    below = {name: float((hu < -950).mean()) for name, hu in smooth.items()}

    assert -900 < median["normal"] < -800
    assert -950 < median["micronodules"] < -700
    assert -700 < median["ground_glass"] < -450
    assert median["emphysema"] < median["normal"]
    assert -850 < median["fibrosis"] < -400
    assert below["emphysema"] > 0.2
    assert below["normal"] < 0.02
    assert below["ground_glass"] < 0.02


def test_patches_of_a_patient_look_alike(rows):
    """Within a class more than a fifth of the variance of the patches' mean lies between patients (ICC 1)."""
    for name in ("normal", "ground_glass"):
        of_class = rows.filter(pl.col("label") == name).select(
            "patient", mean=np.median(patches(rows, name), axis=(1, 2))
        )

        assert correlation(of_class) > 0.2, name


def correlation(frame):
    """Return the one-way intraclass correlation (Shrout, Fleiss, Psychol Bull 1979; 86:420-428)."""
    groups = frame.group_by("patient").agg(pl.col("mean").mean().alias("m"), pl.col("mean").var().alias("v"), pl.len())
    size = groups["len"].mean()
    between, within = size * groups["m"].var(), groups["v"].mean()
    return (between - within) / (between + (size - 1) * within)


def test_without_patient_effect_patients_are_more_alike():
    """With the effect at 0 every patient has the same tissue and dose."""
    spec = HrctSpec(n_patients=4, patient_effect=0)
    drawn = [simulated.draw(spec, i)[1] for i in range(4)]

    assert 1 == len({patient.tissue for patient in drawn}) == len({patient.scanner.dose for patient in drawn})


def test_an_oracle_of_five_rules_finds_the_signal(rows):
    """Rules on four physical statistics, written down before they were tried, tell the classes apart."""
    recall = {name: np.mean([oracle(hu) == name for hu in patches(rows, name)]) for name in CODES}
    print(
        {name: round(float(value), 2) for name, value in recall.items()},
        round(float(np.mean(list(recall.values()))), 3),
    )

    assert np.mean(list(recall.values())) > 0.6
    assert min(recall.values()) > 0.3


def oracle(hu):
    """Return the class of a patch from its attenuation alone; chance is one in five.

    The thresholds in HU are bounds of cited ranges: -950 emphysema, -700 the upper bound of aerated lung, -750 between
    the densest normal lung and the faintest ground glass. Chest wall and large vessels are left out.
    """
    smooth = ndimage.gaussian_filter(hu, 1.0)
    lung = smooth[ndimage.gaussian_filter(hu, 2.5) < -400]
    if lung.size < 200:
        return "fibrosis"
    median, dark, bright = np.median(lung), (lung < -950).mean(), (lung > -700).mean()
    lines = (ndimage.gaussian_filter(hu, 0.7) - ndimage.gaussian_filter(hu, 3.0)).std()
    if median > -750:
        return "fibrosis" if lines > 90 else "ground_glass"
    if bright > 0.3:
        return "fibrosis"
    if dark > 0.1:
        return "emphysema"
    return "micronodules" if bright > 0.1 else "normal"


def test_the_documentation_lists_every_parameter():
    """Every range stands in the documentation with its numbers and its source, every source in full."""
    text = DOCS.read_text(encoding="utf-8")
    ranges = {name: one for name, one in vars(p).items() if isinstance(one, p.Range)}
    lines = {name: next(line for line in text.splitlines() if f"`{name}`" in line) for name in ranges}

    assert [name for name, one in ranges.items() if one.source not in lines[name]] == []
    assert [name for name, one in ranges.items() if f"{one.low:g}" not in lines[name]] == []
    assert [name for name, one in ranges.items() if f"{one.high:g}" not in lines[name]] == []
    assert [citation for citation in p.SOURCES.values() if citation not in text] == []
    assert [
        n for n, one in ranges.items() if not (one.source in p.SOURCES or one.source.startswith("our choice: "))
    ] == []


def test_nothing_is_left_beside_the_set(tmp_path):
    """The cache holds the finished sets and no temporary folder."""
    simulated.draft(tmp_path, TINY, PatchSpec(size_px=8, stride_px=8))

    assert len(list(tmp_path.iterdir())) == 1
    shutil.rmtree(tmp_path)
