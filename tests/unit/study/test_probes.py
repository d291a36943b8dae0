"""Shortcut probes find what was planted, stay quiet where nothing was, and say what they could not ask."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds.data.dataset import Dataset
from grandrounds.data.glance import EDGE_PX, Glances
from grandrounds.data.traces import TRACES
from grandrounds.study.probed import PROBES, warnings
from grandrounds.study.probes import probe
from grandrounds.tables import FILES, LABELS, SAMPLES, Task, check

KINDS = ("size", "bit depth", "format", "header", "border", "text", "thumbnail", "site", "columns")


def made_up(seed, *, n_patients=60, per_patient=2, classes=("a", "b"), plant=None, known=True):
    """Return a set in which everything varies and nothing goes with the label, but for what is planted."""
    rng = np.random.default_rng(seed)
    n = n_patients * per_patient
    patient = np.repeat(np.arange(n_patients), per_patient)
    label = np.arange(n_patients) % len(classes)
    rng.shuffle(label)
    told = label[patient]  # what a shortcut would have to follow
    of_patient = rng.integers(0, 2, n_patients)[patient]  # facts go by patient, as scanners do

    def fact(kind):
        return told if plant == kind else of_patient

    names = [f"s{k:04d}" for k in range(n)]
    samples = pl.DataFrame({
        "sample": names, "case": names, "patient": [f"p{one}" for one in patient],
        "site": [f"h{k}" for k in fact("site")],
        "height_px": 100 + 20 * fact("size"), "width_px": rng.integers(90, 110, n), "depth_px": [1] * n,
        "encoding": np.where(fact("bit depth") > 0, "uint16", "uint8"), "sha256": names,
        "pain": rng.normal(0, 1, n), "ward": [f"w{k}" for k in fact("columns")],
    })  # fmt: skip
    grey = rng.integers(0, 255, (n, EDGE_PX, EDGE_PX)).astype(np.uint8)
    grey[:, :16, :16] = (grey[:, :16, :16] // 4 + 120 * fact("thumbnail")[:, None, None]).astype(np.uint8)
    traces = pl.DataFrame({"sample": names}).with_columns(
        pl.lit(8).alias("bits_used"),
        pl.Series("compression", np.where(fact("format") > 0, "step 200", "step 900")),
        pl.Series("scanner", np.where(fact("header") > 0, "A", "B")),
        pl.Series("mean_top", rng.normal(0, 1, n) + 3 * fact("border")),
        pl.Series("text_all", 0.01 * fact("text") + rng.uniform(0, 0.005, n)),
    )
    traces = traces.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in TRACES.items() if name not in traces.columns
    )
    labels = pl.DataFrame({"case": names, "task": ["label"] * n, "label": [classes[k] for k in told]})
    dataset = Dataset(
        "made-up", Path("made-up"), Task(kind="binary" if len(classes) == 2 else "multiclass", classes=classes),
        check(samples, SAMPLES), check(pl.DataFrame({"sample": names, "path": [f"{one}.png" for one in names]}), FILES),
        check(labels, LABELS), None, known, pl.DataFrame(), simulated=True,
    )  # fmt: skip
    return dataset, Glances(tuple(names), grey, (None,) * n, traces)


@cache
def planted(kind):
    """Return what the probes say of a set with this shortcut; None: without any."""
    return probe(*made_up(1, plant=kind))


def verdicts(found):
    return dict(found.select("probe", "verdict").iter_rows())


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_shortcut_is_found_and_no_other(kind):
    """What goes with the label is told; the probes beside it pass."""
    found = verdicts(planted(kind))

    assert found.pop(kind) == ("tip" if kind == "thumbnail" else "finding")
    assert set(found.values()) == {"passed"}


def test_a_column_that_gives_the_label_away_is_called_by_its_name():
    """Whoever made the table knows then what to take out; what tells a little, as age does, is a tip."""
    found = planted("columns").filter(probe="columns")
    dataset, seen = made_up(7)
    label = dataset.samples.join(dataset.labels, on="case")["label"] == "b"
    age = pl.Series(50 + 8 * label.cast(pl.Float64()) + np.random.default_rng(0).normal(0, 8, len(label)))
    aged = replace(dataset, samples=dataset.samples.with_columns(age=age))

    assert "above all the column 'ward'" in found["sentence"].item()
    assert verdicts(probe(aged, seen))["columns"] == "tip"


def test_a_planted_shortcut_in_five_classes_is_found():
    """The mean over classes shows it as well, and the interval lies above chance."""
    found = probe(*made_up(2, n_patients=100, classes=tuple("abcde"), plant="size")).filter(probe="size")

    assert found["verdict"].item() == "finding"
    assert 0.6 < found["low"].item() < found["estimate"].item() <= found["high"].item() <= 1


@pytest.mark.parametrize("seed", range(3))
def test_quiet_where_nothing_goes_with_the_label(seed):
    """Facts that go by patient and not by label raise no alarm."""
    assert set(verdicts(probe(*made_up(seed + 10))).values()) == {"passed"}


@pytest.mark.long
def test_false_alarms_are_as_rare_as_the_level_says():
    """Of 100 sets without a shortcut five may alarm; ten or more would be luck in 3 of 100 cases (binomial)."""
    quiet = [set(verdicts(probe(*made_up(seed, n_patients=40))).values()) == {"passed"} for seed in range(100)]
    alarms = quiet.count(False)

    assert alarms <= 9


def test_what_cannot_be_asked_says_why():
    """No site, one size, small images: each has its reason."""
    dataset, seen = made_up(3)
    samples = dataset.samples.drop("pain", "ward").with_columns(
        site=pl.lit(None, dtype=pl.String()), height_px=pl.lit(64), width_px=pl.lit(64)
    )
    seen = seen._replace(traces=seen.traces.with_columns(text_all=pl.lit(None, dtype=pl.Float64())))
    changed = {**dataset.__dict__, "samples": samples}
    changed.pop("fingerprint", None)
    found = probe(Dataset(**changed), seen)
    said = dict(found.filter(verdict="not applicable").select("probe", "sentence").iter_rows())

    assert set(said) == {"site", "size", "text", "columns"}
    assert "no site is known" in said["site"]
    assert "the same in all images" in said["size"]
    assert "large enough" in said["text"]
    assert found.filter(verdict="not applicable")["estimate"].null_count() == 4


def test_too_few_patients_are_not_asked():
    """Nine patients of a class are too few to tell anything; the reason says how many it takes."""
    found = probe(*made_up(4, n_patients=18))

    assert set(found["verdict"]) == {"not applicable"}
    assert "10 patients" in found["sentence"][0]


@pytest.mark.parametrize("n_rare", [1, 2])
def test_a_class_of_one_or_two_images_is_not_learned(n_rare):
    """It is the rest to the others, which are told apart as before; numpy and scikit-learn warn of nothing."""
    dataset, seen = made_up(1, per_patient=1, classes=("a", "b"), plant="thumbnail")
    rare = [f"s{k:04d}" for k in range(n_rare)]
    label = pl.when(pl.col("case").is_in(rare)).then(pl.lit("c")).otherwise("label").alias("label")
    task = Task(kind="multiclass", classes=("a", "b", "c"))
    found = probe(replace(dataset, task=task, labels=dataset.labels.with_columns(label)), seen)

    assert verdicts(found)["thumbnail"] != "passed"


def test_one_patient_is_never_on_both_sides():
    """A fact that only names the patient tells nothing of patients it has not seen."""
    dataset, seen = made_up(5, n_patients=40, per_patient=8)
    of_patient = seen.traces["sample"].str.slice(1).cast(pl.Int64()) // 8
    seen = seen._replace(traces=seen.traces.with_columns(mean_top=of_patient.cast(pl.Float64())))

    assert verdicts(probe(dataset, seen))["border"] == "passed"


def test_findings_are_warned_of():
    """A finding stands among what a reader should know first; a tip does not."""
    found = planted("size")

    assert len(warnings(found)) == 1
    assert "image size" in warnings(found)[0]
    assert warnings(planted("thumbnail")) == ()


def test_the_same_set_gives_the_same_numbers():
    """The seed decides."""
    assert probe(*made_up(1, plant="size")).equals(planted("size"))


def test_every_probe_has_a_row_and_a_sentence():
    """Nothing is passed over in silence."""
    found = planted("site")

    assert found["probe"].to_list() == [one.name for one in PROBES]
    assert found["sentence"].str.ends_with(".").all()
