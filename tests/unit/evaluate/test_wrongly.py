from __future__ import annotations

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.evaluate.wrongly import SUSPECT, WORST, read_wrongly


@pytest.fixture
def mislabelled(predictions, three):
    """Predictions of three fair families, with the labels of ten samples of ten patients turned to the next class."""
    frame = predictions(three, {"a": 3.0, "b": 3.0, "c": 2.5, "prior": 0.0}, n_patients=60, n_folds=3)
    victims = [f"s{3 * k:03d}" for k in range(0, 60, 6)]
    turned = dict(zip(three.classes, (*three.classes[1:], three.classes[0]), strict=True))
    label = pl.when(pl.col("sample").is_in(victims)).then(pl.col("label").replace(turned)).otherwise(pl.col("label"))
    return frame.with_columns(label=label), set(victims)


def test_planted_label_errors_rank_first(mislabelled, three):
    """Of ten labels that were turned at least eight are suspect, and at least seven of the first ten are among them."""
    frame, victims = mislabelled
    found = read_wrongly(frame, three, floors=("prior",)).filter(kind=SUSPECT)

    assert len(victims & set(found["sample"])) >= 8
    assert len(victims & set(found.sort("rank")["sample"][:10])) >= 7
    assert found["rank"].to_list() == list(range(1, found.height + 1))
    assert found["n_predictions"].unique().to_list() == [3]  # the floor has no say


def test_suspects_are_those_of_confident_learning(predictions, three):
    """With one row a patient: samples off the diagonal of the confident joint, by their normalised margin."""
    frame = predictions(three, {"a": 1.0}, n_patients=300, n_each=1, n_folds=1)
    probs = frame.select(f"prob_{name}" for name in three.classes).to_numpy()
    label = frame["label"].replace_strict(three.classes, range(3)).to_numpy()
    bars = [probs[label == k, k].mean() for k in range(3)]
    expected = {}
    for at, (own, row) in enumerate(zip(label, probs, strict=True)):
        above = [k for k in range(3) if row[k] >= bars[k]]
        if above and max(above, key=lambda k: row[k]) != own:
            expected[f"s{at:03d}"] = row[own] - max(row[k] for k in range(3) if k != own)
    found = read_wrongly(frame, three).filter(kind=SUSPECT).sort("rank")

    assert len(expected) > 10
    assert found["sample"].to_list() == sorted(expected, key=expected.get)


def test_the_bar_is_set_by_patients_and_not_by_images(two):
    """A patient with a thousand hesitant images does not lower the bar for the others."""
    rows = [("p0", "malignant", 0.55)] * 1000 + [(f"p{k}", "malignant", 0.95) for k in range(1, 11)]
    rows += [(f"q{k}", "benign", 0.05) for k in range(10)] + [("r", "benign", 0.80)]
    frame = pl.DataFrame(rows, schema=["patient", "label", "prob_malignant"], orient="row").with_columns(
        sample=pl.Series([f"s{k}" for k in range(len(rows))]),
        family=pl.lit("f"),
        prob_benign=1 - pl.col("prob_malignant"),
    )
    found = read_wrongly(frame, two).filter(kind=SUSPECT)

    assert found.is_empty()  # the bar is 0.91; by image it would be 0.55, and r suspect


def test_worst_errors_are_sorted_and_called_wrong(mislabelled, three):
    """Each family has its own, the least probable stated label first; what was read right is none."""
    frame, _ = mislabelled
    found = read_wrongly(frame, three).filter(kind=WORST, family="a").sort("rank")
    own = frame.filter(family="a")
    probs = own.select(f"prob_{name}" for name in three.classes).to_numpy()
    wrong = own.filter(pl.Series([three.classes[at] for at in probs.argmax(axis=1)]) != own["label"])

    assert set(found["sample"]) == set(wrong["sample"])
    assert found["probability"].is_sorted()
    assert (found["label"] != found["predicted"]).all()
    assert "of 3 images of this patient are read wrongly" in found["note"][0]


def test_several_seeds_are_one_reading(predictions, two):
    """Two seeds are averaged, and counted as two predictions."""
    frame = predictions(two, {"a": 0.5}, n_seeds=2)
    found = read_wrongly(frame, two)
    one = found.row(0, named=True)
    mean = frame.filter(sample=one["sample"])[f"prob_{one['label']}"].mean()

    assert one["n_predictions"] == 2
    assert one["probability"] == pytest.approx(mean)
    assert found.equals(read_wrongly(frame.sample(fraction=1.0, shuffle=True, seed=1), two))


@pytest.mark.parametrize("strength", [0.0, 30.0])
def test_nothing_to_suspect_is_no_trouble(predictions, two, strength):
    """Families that never err have no worst error; floors alone suspect nobody; the schema holds."""
    frame = predictions(two, {"prior": strength})
    found = read_wrongly(frame, two, floors=("prior",))

    assert found.filter(kind=SUSPECT).is_empty()
    assert tables.check(found, tables.SUSPECTS).equals(found)
    if strength:
        assert found.is_empty()


def test_other_roles_are_left_alone(predictions, two):
    """What a model predicted of the patients that chose its epoch accuses nobody."""
    assert read_wrongly(predictions(two, {"a": 0.0}, role="valid"), two).is_empty()
