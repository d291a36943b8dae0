"""What bad input gets: one clear message that says what, where and what to do, exit 1, nothing half done."""

import numpy as np
import pytest
from PIL import Image as Picture

from grandrounds.cli import main

QUICK = ["--families", "prior", "--resamples", "100", "--workers", "1"]


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 16), dtype=np.uint8)).save(path)


def class_folders(root, n=6):
    for k, label in enumerate(("a", "b")):
        for i in range(n):
            picture(root / label / f"{i}.png", seed=10 * k + i)


def one_class(root):
    for i in range(6):
        picture(root / "set/only" / f"{i}.png", i)
    return ["run", "set"]


def label_without_images(root):
    class_folders(root / "set")
    (root / "set/c").mkdir()
    (root / "set/c/0.png").write_bytes(b"no picture")
    return ["run", "set", "--skip-bad"]


def too_few_patients(root):
    rows = ["image,label,patient"]
    for i in range(8):
        picture(root / f"{i}.png", i)
        rows.append(f"{i}.png,{'rare' if i == 0 else 'common'},p{i}")
    (root / "table.csv").write_text("\n".join(rows) + "\n")
    return ["run", "table.csv"]


def torn_patients(root):
    rows = ["image,label,patient"]
    for i in range(12):
        picture(root / f"{i}.png", i)
        rows.append(f"{i}.png,{'abc'[i % 3]},p{i // 2}")
    (root / "table.csv").write_text("\n".join(rows) + "\n")
    return ["run", "table.csv", "--by", "patient"]


def not_a_number(root):
    class_folders(root / "set")
    pixels = np.zeros((16, 16), np.float32)
    pixels[3, 3] = np.nan
    np.save(root / "set/a/nan.npy", pixels)
    return ["run", "set"]


def truncated(root):
    class_folders(root / "set")
    victim = root / "set/a/0.png"
    victim.write_bytes(victim.read_bytes()[:70])
    return ["run", "set"]


def wrong_type(root):
    class_folders(root / "set")
    (root / "set/b/5.png").write_bytes(b"%PDF-1.7 a letter")
    return ["run", "set"]


def unwritable(root):
    class_folders(root / "set")
    (root / "taken").write_text("a file where the folder should be")
    return ["run", "set", "-o", "taken/run"]


def no_images(root):
    (root / "set").mkdir()
    return ["run", "set"]


def unknown_metric(root):
    class_folders(root / "set")
    return ["run", "set", "--primary", "acc"]


def unknown_slice(root):
    class_folders(root / "set")
    return ["run", "set", "--slice", "scanner"]


CASES = {
    unknown_metric: "no metric called 'acc'",
    unknown_slice: "no column 'scanner' to slice by",
    one_class: "at least two classes",
    label_without_images: "no readable image",
    too_few_patients: "rare",
    torn_patients: "patients have cases of several classes",
    not_a_number: "nan.npy",
    truncated: "0.png",
    wrong_type: "5.png",
    unwritable: "taken",
    no_images: "set",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_is_refused_with_a_message(case, tmp_path, monkeypatch, capsys):
    """The message names the trouble and a remedy, and no report pretends that all was well."""
    monkeypatch.chdir(tmp_path)
    arguments = case(tmp_path)
    with pytest.raises(SystemExit) as end:
        main([*arguments, *QUICK])
    said = capsys.readouterr().err

    assert end.value.code == 1
    assert CASES[case] in said
    assert "what to do" in said
    assert not list(tmp_path.rglob("report.html"))


@pytest.mark.parametrize(("colour", "step", "n_channels"), [(0, "grayscale", 1), (60, "rgb", 3)])
def test_grey_and_colour_pictures_in_one_set_are_planned(colour, step, n_channels, tmp_path, monkeypatch, capsys):
    """All get as many channels, and it is said; a picture whose colours say nothing is grey."""
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "set")
    for path in tmp_path.glob("set/*/[0-2].png"):
        grey = np.asarray(Picture.open(path)) // 2
        Picture.fromarray(np.stack([grey + colour, grey, grey], axis=-1)).save(path)
    with pytest.raises(SystemExit) as end:
        main(["plan", "set", "-o", "run", *QUICK])

    assert end.value.code == 0
    assert f'step = "{step}"' in (tmp_path / "run/study.toml").read_text()
    assert np.load(next(tmp_path.rglob("prepared/*.npy")), mmap_mode="r").shape == (12, n_channels, 16, 16)
    assert "6 images" in capsys.readouterr().err


def test_what_became_of_the_data_is_said_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    """Whoever plans sees what was left out and what was merged, not only whoever inspects or reads the report."""
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "set")
    picture(tmp_path / "set/loose.png", seed=99)
    picture(tmp_path / "set/B/0.png", seed=98)
    with pytest.raises(SystemExit, match="0"):
        main(["plan", "set", *QUICK])
    said = " ".join(capsys.readouterr().err.split())

    assert said.count("1 image was left out, beside the class folders") == 1
    assert said.count("The label 'B' (1) is taken for 'b' (6)") == 1


def test_a_study_of_no_family_is_refused(tmp_path, monkeypatch, capsys):
    """As where a variable of a script was empty."""
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "set")
    with pytest.raises(SystemExit):
        main(["run", "set", "--families", ""])

    assert "--families names none" in capsys.readouterr().err
