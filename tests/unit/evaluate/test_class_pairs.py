from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known

from grandrounds.evaluate.brier_parts import reliability, resolution, uncertainty
from grandrounds.evaluate.metrics import brier, net_benefit, tally
from grandrounds.evaluate.pairwise import pairwise_auc


@st.composite
def rows(draw):
    """Draw labels, probabilities with many ties, and whole weights of which some are 0."""
    n_classes, n = draw(st.integers(2, 5)), draw(st.integers(15, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)]
    parts = rng.integers(1, draw(st.sampled_from([3, 6, 1000])), size=(n, n_classes)).astype(float)
    weights = rng.integers(0, 4, size=n)
    weights[:n_classes] += 1
    return label, parts / parts.sum(axis=1, keepdims=True), weights


@settings(deadline=None, max_examples=50)
@given(rows())
def test_pairwise_auc_equals_scikit_learn(drawn):
    """Equal to scikit-learn's one-vs-one macro AUC on the rows repeated by weight; of two classes it is the AUC."""
    label, probs, weights = drawn
    label_r, probs_r = np.repeat(label, weights), np.repeat(probs, weights, axis=0)
    ours = pairwise_auc(tally(label, probs, weights))[0]
    if probs.shape[1] == 2:
        assert ours == pytest.approx(known.roc_auc_score(label_r, probs_r[:, 1]), abs=1e-12)
    else:
        theirs = known.roc_auc_score(label_r, probs_r, multi_class="ovo", average="macro")
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_pairwise_auc_is_undefined_where_a_class_is_absent():
    """Two of three classes are not enough, nor does a class without weight count as there."""
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=6)
    label = np.array([0, 1, 0, 1, 2, 2])
    weights = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]])
    assert np.isnan(pairwise_auc(tally(label, probs, weights))).tolist() == [True, False]


def test_pairwise_auc_does_not_change_with_the_mixture():
    """Ten times as many rows of one class leave it as it is."""
    rng = np.random.default_rng(1)
    label, probs = rng.integers(3, size=90), rng.dirichlet(np.ones(3), size=90)
    weights = np.stack([np.ones(90), np.where(label == 0, 10.0, 1.0)])
    one, other = pairwise_auc(tally(label, probs, weights))
    assert one == pytest.approx(other, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(rows())
def test_the_parts_add_up_to_the_brier_score(drawn):
    """Reliability - resolution + uncertainty is the Brier score, whatever the weights."""
    label, probs, weights = drawn
    ours = tally(label, probs, weights)
    assert (reliability(ours) - resolution(ours) + uncertainty(ours))[0] == pytest.approx(brier(ours)[0], abs=1e-12)
    assert reliability(ours)[0] >= 0


def test_the_parts_are_those_of_murphy_where_forecasts_are_few():
    """With one forecast a bin they equal Murphy's formula written out."""
    rng = np.random.default_rng(2)
    forecast = rng.choice([0.1, 0.3, 0.5, 0.9], size=400)
    truth = (rng.uniform(size=400) < forecast**1.3).astype(int)
    ours = tally(truth, np.stack([1 - forecast, forecast], axis=1))
    base, lost, told = truth.mean(), 0.0, 0.0
    for value in np.unique(forecast):
        inside = forecast == value
        lost += inside.mean() * (value - truth[inside].mean()) ** 2
        told += inside.mean() * (truth[inside].mean() - base) ** 2
    # Summed over both classes each part counts twice.
    assert reliability(ours)[0] == pytest.approx(2 * lost, abs=1e-12)
    assert resolution(ours)[0] == pytest.approx(2 * told, abs=1e-12)
    assert uncertainty(ours)[0] == pytest.approx(2 * base * (1 - base), abs=1e-12)


def test_net_benefit_is_hits_less_false_calls():
    """Two hits and one false call of five rows."""
    label, called = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    assert net_benefit(tally(label, np.eye(2)[called]))[1, 0] == pytest.approx(0.2)
