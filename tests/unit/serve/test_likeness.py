"""Whether a picture shows what those of training show."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from grandrounds import api, families, prepare
from grandrounds.data import SourceOptions
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.prepare import Pipeline
from grandrounds.serve import bundle, likeness
from grandrounds.serve.likeness import STRANGE, Likeness

N, SIDE_PX = 200, 28


def ovals(n, seed, level=0.3, contrast=0.4):
    """A bright oval in the upper half of a dark plane, never twice the same."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    shown = []
    for _ in range(n):
        row, column = rng.uniform(8, 12), rng.uniform(12, 16)
        tall, wide = rng.uniform(3, 6, 2)
        oval = ((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2 < 1
        shown.append(level + contrast * oval + rng.normal(0, 0.03, rows.shape))
    return np.stack(shown)[:, None].astype(np.float32)


def patients(n):
    return np.array([f"P{k // 2:03d}" for k in range(n)])


@pytest.fixture(scope="module")
def learned():
    return Likeness.of(ovals(N, seed=0), patients(N))


def share(learned, pixels):
    """The share of images of which something is said."""
    return np.mean([one is not None for one in learned.unlike(pixels)])


def test_new_images_of_the_same_kind_pass(learned):
    """About one in a hundred is found; five in a hundred would be too many."""
    assert share(learned, ovals(400, seed=1)) <= 0.05


@pytest.mark.parametrize("name", ["photographs", "noise", "its own images, upside down"])
def test_what_is_meant_for_nobody_is_found(learned, name):
    """What is found of it on new images is what was promised when it was learned."""
    strange = STRANGE[name](likeness.planes(ovals(400, seed=2)))[:, None]

    assert share(learned, strange) >= 0.95
    assert abs(share(learned, strange) - learned.found[name]) <= 0.05


def test_brightness_and_contrast_play_no_part(learned):
    """They have a gate of their own; the picture is the same."""
    images = ovals(50, seed=3)

    assert learned.unlike(images) == learned.unlike(100 + 7 * images)


def test_the_sentence_says_how_far(learned):
    said = learned.unlike(STRANGE["noise"](likeness.planes(ovals(1, seed=4)))[:, None])[0]

    assert said.startswith("shows something else than those of training (")
    assert said.endswith(" times as far off as 99 of 100 of them)")


def test_it_is_the_same_after_a_bundle(learned, tmp_path):
    learned.save(tmp_path)
    images = np.concatenate([ovals(20, seed=5), ovals(20, seed=5)[:, :, ::-1]])

    assert Likeness.load(tmp_path).unlike(images) == learned.unlike(images)
    assert Likeness.load(tmp_path / "nothing") is None


@pytest.mark.parametrize(("n", "names"), [(likeness.FEWEST - 1, None), (N, ["A", "B"])])
def test_too_few_images_or_patients_say_nothing(n, names):
    """Nobody can tell from them what is far."""
    whose = patients(n) if names is None else np.resize(names, n)

    assert Likeness.of(ovals(n, seed=0), whose) is None


def test_volumes_and_colours_are_looked_at_as_planes(learned):
    """The mean over channels and slices is what is described."""
    images = ovals(30, seed=6)
    volumes = np.repeat(np.repeat(images[:, :, None], 4, axis=2), 3, axis=1)  # (N, C, D, H, W)

    assert learned.unlike(volumes) == learned.unlike(images)


def test_images_of_one_patient_are_left_out_together():
    """Copies of a picture under one name do not vouch for each other."""
    images = np.repeat(ovals(20, seed=7), 10, axis=0)
    alone = Likeness.of(images, np.arange(200).astype(str))
    together = Likeness.of(images, np.repeat(np.arange(20), 10).astype(str))

    assert (together.limits > alone.limits).all()


@pytest.fixture(scope="module")
def model(learned, tmp_path_factory):
    """A bundle of one small model that knows what its images showed."""
    home = tmp_path_factory.mktemp("model")
    (home / "fitted").mkdir()
    view = noise_view((1, SIDE_PX, SIDE_PX), 24, 2)
    families.build("thumbnail").fit(view, view, Budget(epochs=1), 0, lambda _: None).save(home / "fitted")
    scale = prepare.build_step({"step": "scale", "low": 0, "high": 255})
    bundle.write(
        home / "model", [home / "fitted"], family="thumbnail", task=view.task, pipeline=Pipeline(each=(scale,)),
        shape=(1, SIDE_PX, SIDE_PX), fingerprint="x", likeness=learned,
    )  # fmt: skip
    return home / "model"


@pytest.fixture(scope="module")
def elsewhere(model, tmp_path_factory):
    """A folder of two classes, one of which is upside down."""
    home = tmp_path_factory.mktemp("elsewhere")
    shown = {name: (ovals(20, seed) * 255).clip(0, 255).astype(np.uint8)[:, 0] for seed, name in enumerate("01", 8)}
    for name, pictures in {"0": shown["0"], "1": shown["1"][:, ::-1]}.items():
        (home / name).mkdir()
        for k, picture in enumerate(pictures):
            Pillow.fromarray(picture).save(home / name / f"{k:02d}.png")
    return home


def test_predict_answers_and_says_so(model, elsewhere):
    """Files as they lie and a set get the same words beside their probabilities."""
    frame = api.predict(model, [elsewhere / "0", elsewhere / "1"])
    turned = pl.col("path").str.contains("/1/")
    said = frame["outside"].str.starts_with("shows something else than those of training (").fill_null(value=False)
    as_set = api.predict(model, [elsewhere], options=SourceOptions())

    assert frame["refused"].is_null().all()
    assert said.filter(frame.select(turned).to_series()).mean() >= 0.9
    assert said.filter(frame.select(~turned).to_series()).mean() <= 0.1
    assert as_set.sort("path")["outside"].to_list() == frame.sort("path")["outside"].to_list()


def test_evaluate_counts_them(model, elsewhere, tmp_path):
    class_map = {"0": "class 0", "1": "class 1"}
    came = api.evaluate(model, str(elsewhere), class_map=class_map, out=tmp_path / "out")
    [note] = [one for one in came.notes if "show something else" in one]
    n = int(note.split(" of ")[0])

    assert 18 <= n <= 22
    assert note == (
        f"{n} of 40 images show something else than those of training did; of images like those 1 in 100 does."
    )


def test_names_play_no_part(learned):
    """Pseudonyms differ from one folder of data to the next, and so does their alphabetical order; limits do not."""
    names = np.random.default_rng(0).permutation(patients(N)[::2])

    assert Likeness.of(ovals(N, seed=0), np.repeat(names, 2)).limits == pytest.approx(learned.limits)


def test_few_pictures_in_many_copies_are_known(learned):
    """They vary in fewer ways than are looked for; another picture is still another one."""
    few = Likeness.of(np.repeat(ovals(5, seed=9), 20, axis=0), np.arange(100).astype(str))

    assert share(few, ovals(5, seed=9)) == 0
    assert share(few, STRANGE["noise"](likeness.planes(ovals(20, seed=9)))[:, None]) == 1


def test_of_no_images_nothing_is_said(learned):
    assert learned.unlike(ovals(1, seed=0)[:0]) == []
