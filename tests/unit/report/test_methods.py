"""The methods paragraph says what the record bears out and nothing else."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import polars as pl
import pytest

from grandrounds.report import ReportContent
from grandrounds.report.methods import imbalance, sentences
from grandrounds.report.ranked import Ranked

STUDY = """
seeds = 2
[means]
budget_s = 200.0
[judge]
resamples = 10000
[[recipes]]
family = "lbp-svm"
[[recipes]]
family = "resnet-18"
epochs = 12
[[prepare.whole]]
step = "window"
low_hu = -1000.0
"""


@pytest.fixture
def recorded(content: ReportContent) -> ReportContent:
    """A study whose record has everything that the paragraph speaks of."""
    return dataclasses.replace(
        content,
        study_toml=STUDY,
        split_record={"spec": {"scheme": "kfold", "group": "patient", "repeats": 2}, "seed": 7, "identity": "abc"},
        record=MappingProxyType({"python": "3.11.7", "packages": {"numpy": "2.0.0", "torch": None}}),
    )


def told(content: ReportContent) -> str:
    return " ".join(sentences(Ranked.of(content)))


def test_everything_that_is_on_record_is_told(recorded: ReportContent) -> None:
    """Images, division, preparation, training, statistics and software, with their numbers."""
    text = told(recorded)

    assert text.startswith("240 images of 24 patients were read for Lung pattern")
    assert "divided by patient into 3 folds, each of which is test once, 2 times over, from the seed 7." in text
    assert "Each image was prepared alone by: window (low_hu -1000.0)." in text
    assert "lbp-svm and resnet-18 were trained on the same cases within 200 s of training" in text
    assert "with 2 seeds a fold" in text
    assert "Passes over the training images: resnet-18 12." in text
    assert "The primary metric was macro AUC; differences within ±0.02" in text
    assert "10,000 bootstrap draws of patients" in text
    assert text.endswith("Software: Python 3.11.7, numpy 2.0.0.")


def test_nothing_is_told_that_is_not_on_record(content: ReportContent) -> None:
    """Without a split, a study and a record there is no sentence on them."""
    bare = dataclasses.replace(
        content, study_toml="", split_record={}, record={}, comparisons=content.comparisons.clear()
    )
    text = told(bare)

    assert not [word for word in ("divided", "prepared", "seed", "Software", "Holm") if word in text]


def test_unknown_patients_are_not_counted(recorded: ReportContent) -> None:
    """Where patients are unknown, images were drawn and the sentence says so."""
    text = told(dataclasses.replace(recorded, patient_known=False))

    assert "240 images, whose patients are unknown, were read" in text
    assert "bootstrap draws of images, since patients are unknown" in text
    assert "24 patients" not in text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"scheme": "official", "group": "patient"}, "The official division into train, valid and test"),
        ({"scheme": "holdout", "group": "sample"}, "divided by image, so that a patient may stand on two sides once"),
    ],
)
def test_each_scheme_has_its_words(recorded: ReportContent, spec: dict[str, str], words: str) -> None:
    """An official split was not drawn, and a leaking one says what it is."""
    assert words in told(dataclasses.replace(recorded, split_record={"spec": spec, "seed": 7}))


def test_what_families_said_of_imbalance_stands_once(content: ReportContent) -> None:
    """The same note of three trials is one part; other notes are left out."""
    trials = content.trials.with_columns(note=pl.lit("no class weights (1.1 to 1); epoch chosen by AUC on valid"))

    assert imbalance(Ranked.of(dataclasses.replace(content, trials=trials))) == (
        "The families said: no class weights (1.1 to 1)."
    )


def test_of_predictions_that_others_made_only_the_judge_is_known(recorded: ReportContent) -> None:
    """Versions are those of what judged, and nothing is said of training."""
    text = told(dataclasses.replace(recorded, study_toml=""))

    assert "Compared were resnet-18, lbp-svm" in text
    assert "trained" not in text
    assert text.endswith("Judged with: Python 3.11.7, numpy 2.0.0. What made the predictions is not on record.")
