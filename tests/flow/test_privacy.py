"""Nothing that a run keeps names a patient or a patient's file, unless names were asked for."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow
from tests.command import grandrounds
from tests.conftest import archive_arrays

WORD = "zyzzyva"  # stands in every name that must not come out
ASKED = ["--families", "prior,thumbnail", "--resamples", "100", "--budget", "10s"]


@pytest.fixture
def named(tmp_path) -> Path:
    """A table of images whose files, patients, cases and one column carry the word."""
    images, labels, patients = archive_arrays(n_patients=24, per_patient=2)
    folder = tmp_path / "in" / f"ward-{WORD}"
    folder.mkdir(parents=True)
    images[1] = images[0]  # a duplicate, so that inspect has names to tell
    lines = ["image,label,patient,case,referrer,sex"]
    for index, (pixels, label, patient) in enumerate(zip(images, labels[:, 0], patients, strict=True)):
        name = f"{WORD}-{index}.png"
        Pillow.fromarray(pixels).save(folder / name)
        place, sex = f"ward-{WORD}/{name}", "FM"[patient % 2]
        lines.append(f"{place},{'ab'[label]},{WORD}{patient},visit {WORD} {index},Dr {WORD} {index},{sex}")
    (tmp_path / "in" / "table.csv").write_text("\n".join(lines))
    return tmp_path / "in" / "table.csv"


def _texts(folder: Path) -> dict[str, str]:
    """Return what every file below a folder says, tables decoded."""
    texts = {}
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            meta = path.read_bytes().decode("latin-1")
            texts[str(path)] = meta + pl.read_parquet(path).write_json()
        elif path.is_file():
            texts[str(path)] = path.read_bytes().decode("latin-1")
        texts[f"name of {path}"] = path.name
    return texts


def test_a_run_names_nobody(named, tmp_path):
    """No file of the run folder and no word in the terminal carries a name; clinical columns stay."""
    said = grandrounds("run", named, *ASKED, "-o", tmp_path / "run", cwd=tmp_path)

    assert [place for place, text in _texts(tmp_path / "run").items() if WORD in text] == []
    assert WORD not in said
    samples = pl.read_parquet(tmp_path / "run/samples.parquet")
    assert samples["patient"].n_unique() == 24
    assert samples["sex"].to_list()[:4] == ["F", "F", "M", "M"]
    assert "referrer" not in samples.columns


def test_inspect_names_nobody_in_what_it_keeps(named, tmp_path):
    """The files that inspect writes carry no name either."""
    said = grandrounds("inspect", named, cwd=tmp_path)

    assert [place for place, text in _texts(tmp_path / "runs").items() if WORD in text] == []
    assert WORD not in said


def test_who_is_who_can_be_told_with_the_key(named, tmp_path):
    """With the key, and only for its owner, each pseudonym leads back to its name."""
    grandrounds("run", named, *ASKED, "-o", tmp_path / "run", cwd=tmp_path)
    grandrounds("names", tmp_path / "run", "-o", "who.csv", cwd=tmp_path)
    who = pl.read_csv(tmp_path / "who.csv")
    samples = pl.read_parquet(tmp_path / "run/samples.parquet")

    assert set(who["patient"]) == set(samples["patient"])
    assert who["patient_name"].str.starts_with(WORD).all()
    assert who["path"].str.contains(WORD).all()
    key = tmp_path / "run/pseudonyms.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() == (named.parent / ".grandrounds-pseudonyms.key").read_bytes()


def test_pseudonyms_do_not_change_the_result(named, tmp_path):
    """With names and under pseudonyms the same folds are drawn and the same probabilities come out."""
    grandrounds("run", named, *ASKED, "-o", "masked", cwd=tmp_path)
    grandrounds("run", named, *ASKED, "--names", "-o", "named", cwd=tmp_path)
    masked, plain = (pl.read_parquet(tmp_path / name / "predictions.parquet") for name in ("masked", "named"))
    grandrounds("names", "masked", "-o", "who.csv", cwd=tmp_path)
    who = pl.read_csv(tmp_path / "who.csv").select("sample", "sample_name")
    key = ["family", "fold", "seed", "role", "sample"]
    back = masked.join(who, on="sample").with_columns(sample=pl.col("sample_name")).sort(key)

    assert plain["patient"].str.contains(WORD).all()
    probabilities = [name for name in plain.columns if name.startswith("prob_")]
    assert np.array_equal(back.select(probabilities).to_numpy(), plain.sort(key).select(probabilities).to_numpy())
