from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from grandrounds.errors import BadData
from grandrounds.families.price import noise_view
from grandrounds.families.selection import choose_by, labels_of, macro_auc, training_labels


def test_macro_auc_equals_scikit_learn():
    """Ties count half, classes count alike."""
    random = np.random.default_rng(0)
    probs = random.dirichlet(np.ones(3), 60).round(1) + 1e-3
    probs /= probs.sum(axis=1, keepdims=True)
    labels = random.integers(0, 3, 60)

    assert macro_auc(labels, probs) == pytest.approx(roc_auc_score(labels, probs, multi_class="ovr"))


def test_missing_class_falls_back_to_log_loss():
    """Where valid lacks a class, AUC is undefined; the note says what is used instead."""
    whole = noise_view((1, 8, 8), 30, 3)
    lacking = dataclasses.replace(whole, labels=whole.labels % 2)
    right, wrong = np.eye(3)[lacking.labels], np.eye(3)[(lacking.labels + 1) % 3]

    assert "macro AUC" in choose_by(whole).note
    assert "log loss" in choose_by(lacking).note
    assert choose_by(lacking).metric(lacking.labels, right) > choose_by(lacking).metric(lacking.labels, wrong)


def test_refusals():
    """Nothing to fit on, and one class only, are said before anything is fitted."""
    view = noise_view((1, 8, 8), 10, 2)

    with pytest.raises(BadData, match="no labelled images"):
        labels_of(dataclasses.replace(view, labels=None))
    with pytest.raises(BadData, match="same class"):
        training_labels(dataclasses.replace(view, labels=np.zeros(10, np.int64)))


def test_what_is_no_number_is_no_score():
    """A network that has lost its numbers must not be scored as chance."""
    assert np.isnan(macro_auc(np.array([0, 1, 0, 1]), np.full((4, 2), np.nan)))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_kappa_wants_an_order(kind):
    """Its weights are squared distances between classes."""
    view = noise_view((1, 8, 8), 12, 2, task_kind=kind)
    with pytest.raises(BadData, match="classes that have an order"):
        choose_by(view, "kappa")
    assert choose_by(noise_view((1, 8, 8), 12, 3), "kappa").note == "chosen by kappa on valid"
