from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

from grandrounds import data
from grandrounds.data.fingerprint_text import lines
from grandrounds.data.glance import plane_of
from grandrounds.data.inspection import Inspection, inspect


def save(path: Path, seed: int, crop: int = 0) -> str:
    """Write an image with structure, or a crop of it."""
    pixels = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (64, 64)), 2) * 400 + 120
    Pillow.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)[crop:, crop:]).save(path)
    return path.name


@pytest.fixture
def inspection(tmp_path: Path) -> Inspection:
    """Twelve patients at two sites, two images each; one image is a crop of another patient's, under another label."""
    rows = [
        (save(tmp_path / f"P{n:02d}_{k}.png", 10 * n + k), "ab"[n % 2], f"P{n:02d}", f"site {n % 3 // 2}",
         "FM"[n // 6], 35 + 5 * n)
        for n in range(12) for k in range(2)
    ]  # fmt: skip
    save(tmp_path / "P03_1.png", 0, crop=3)
    pl.DataFrame(rows, schema=["image", "label", "patient", "site", "sex", "age"], orient="row").write_csv(
        tmp_path / "t.csv"
    )
    return inspect(data.open_dataset(tmp_path / "t.csv"))


def test_a_crop_under_another_patient_is_found_and_warned_of(inspection: Inspection) -> None:
    """The pair is listed with what is wrong with it, and stands among the warnings."""
    pair = inspection.found.near[0]

    assert len(inspection.found.near) == 1
    assert {pair.a, pair.b} == {"image 1", "image 8"}
    assert (pair.labels, pair.patients, pair.roles) == ("different", "different", None)
    assert set(inspection.pairs) == {pair.a, pair.b}
    assert "Nearly identical images stand under different patients: 1 pair." in inspection.found.warnings


def test_cells_add_up_and_patients_count_once(inspection: Inspection) -> None:
    """Images add up to all of them over any table; patients are counted once per value."""
    counts, totals = inspection.counts, inspection.totals

    assert counts["n_samples"].sum() == 24
    assert counts["n_patients"].sum() == 12
    assert (
        totals.group_by("what").agg(pl.col("n_samples").sum())["n_samples"].to_list() == [24] * 4
    )  # in all, and by site, sex and age
    assert totals.filter(what="all").select("label", "n_patients").rows() == [("a", 6), ("b", 6)]
    assert set(totals.filter(what="sex")["value"]) == {"female", "male"}
    assert set(totals.filter(what="age")["value"]) == {"20–39", "40–59", "60–79", "80+"}


def test_images_are_called_by_their_row(inspection: Inspection) -> None:
    """No line and no word of what is found shows a name of a file or an id; the row in the table does."""
    text = "\n".join(lines(inspection.found)) + inspection.found.model_dump_json()
    shown = [one.sample for row in inspection.sheet.values() for one in row]

    assert "P0" not in text
    assert "image 1 ~ image 8" in text
    assert all(name.startswith("image ") for name in (*shown, *inspection.pairs))


def test_names_are_shown_where_they_are_asked_for(tmp_path: Path) -> None:
    """With names, images are called as their files are."""
    for seed, name in enumerate(("a/P1", "b/P2", "a/P3")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(tmp_path / f"{name}.png", seed % 2)
    found = inspect(data.open_dataset(tmp_path), names=True).found

    assert found.named
    assert found.duplicates.groups == (("a/P1", "a/P3"),)


def test_histograms_hold_every_image(inspection: Inspection) -> None:
    """Each histogram counts all images, and what never varies has none."""
    totals = dict(inspection.spread.group_by("what").agg(pl.col("n").sum()).iter_rows())

    assert totals["Mean of an image"] == totals["Height, pixels"] == 24
    assert "Slices" not in totals
    assert "Images of a patient" not in totals


def test_unknown_patients_get_a_proposal_in_the_terminal(picture: Callable[..., Path], tmp_path: Path) -> None:
    """A folder whose names hold patients is proposed a pattern, with the option to use it."""
    for n in range(12):
        picture(f"set/{'ab'[n % 2]}/{n // 2 + 100}_{n}.png", n)
    found = inspect(data.open_dataset(tmp_path / "set")).found

    assert not found.patient_known
    assert any(line.startswith("  patients?") and "--patient-pattern" in line for line in lines(found))


@pytest.mark.parametrize(
    ("direction", "plane"),
    [
        ((1, 0, 0, 0, 1, 0), "axial"),
        ((1, 0, 0, 0, 0, -1), "coronal"),
        ((0, 1, 0, 0, 0, -1), "sagittal"),
        ((0.7, 0.7, 0, 0, 0, -1), "oblique"),
        ((1, 0, 0, 0, 0.98, -0.17, 0, 0.17, 0.98), "axial"),
        (None, None),
    ],
)
def test_plane_is_told_from_the_cosines(direction: tuple[float, ...] | None, plane: str | None) -> None:
    """Rows and columns of a plane or volume say how it lies in the body; slightly tilted is still its plane."""
    assert plane_of(direction) == plane


def test_groups_are_told_to_programs(inspection: Inspection) -> None:
    """The cells of class, site, sex and age stand in the fingerprint itself, and add up."""
    groups = inspection.found.groups

    assert sum(cell["n_samples"] for cell in groups) == 24
    assert set(groups[0]) == {"label", "site", "sex", "age", "n_patients", "n_samples"}


def test_scanner_and_side_are_counted_by_class(tmp_path: Path) -> None:
    """What the table tells of scanner and side is set against the classes."""
    rows = [(save(tmp_path / f"{n}.png", n), "ab"[n % 2], f"P{n}", "XY"[n % 2], ("left", "right")[n // 4])
            for n in range(8)]  # fmt: skip
    pl.DataFrame(rows, schema=["image", "label", "patient", "scanner", "side"], orient="row").write_csv(
        tmp_path / "t.csv"
    )
    totals = inspect(data.open_dataset(tmp_path / "t.csv")).totals

    assert totals.filter(what="scanner").select("value", "label", "n_patients").rows() == [("X", "a", 4), ("Y", "b", 4)]
    assert totals.filter(what="side").height == 4


def test_what_was_not_probed_is_not_called_clean(inspection: Inspection) -> None:
    """No shortcut found is one thing, nobody looked another; a reason that all probes share is told once."""
    few = {"verdict": "not applicable", "sentence": "Image size was not probed: there are too few patients."}
    clean = {"verdict": "passed", "what": "file format", "estimate": 0.51, "low": 0.4, "high": 0.6}
    alike = {"verdict": "not applicable", "sentence": "The site was not probed: no site is known."}

    def told(*probes: dict[str, object]) -> list[str]:
        found = inspection.found.model_copy(update={"probes": probes})
        return [line.strip() for line in lines(found) if "probed" in line or "found" in line or "shown" in line]

    assert told(few, few) == ["shortcuts             nothing was probed: there are too few patients."]
    assert told(few, alike) == ["shortcuts             nothing was probed", few["sentence"], alike["sentence"]]
    assert told(few, clean)[:2] == [
        "shortcuts             none found", "not shown to tell it: file format 0.51 (0.40 to 0.60)",
    ]  # fmt: skip
