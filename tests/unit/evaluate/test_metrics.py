from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known

from grandrounds.evaluate import metrics
from grandrounds.evaluate.counting import N_BINS


@st.composite
def rows(draw):
    """Draw labels, probabilities with many ties, and sample weights of which some are 0."""
    n_classes, n = draw(st.integers(2, 5)), draw(st.integers(12, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)]
    parts = rng.integers(1, draw(st.sampled_from([3, 6, 1000])), size=(n, n_classes)).astype(float)
    weights = rng.integers(0, 4, size=n) * draw(st.sampled_from([1.0, 0.37]))
    weights[:n_classes] += 1.0  # every class weighs something; the undefined has tests of its own
    return label, parts / parts.sum(axis=1, keepdims=True), weights


@settings(deadline=None, max_examples=60)
@given(rows())
def test_ranking_metrics_equal_scikit_learn(drawn):
    """AUC and average precision equal scikit-learn's, ties and weights included."""
    label, probs, weights = drawn
    ours = metrics.tally(label, probs, weights)
    for klass in range(probs.shape[1]):
        of_class = (label == klass, probs[:, klass])
        assert metrics.auc(ours)[klass, 0] == pytest.approx(
            known.roc_auc_score(*of_class, sample_weight=weights), abs=1e-12
        )
        assert metrics.average_precision(ours)[klass, 0] == pytest.approx(
            known.average_precision_score(*of_class, sample_weight=weights), abs=1e-12
        )


@settings(deadline=None, max_examples=60)
@given(rows())
def test_metrics_of_the_called_class_equal_scikit_learn(drawn):
    """Accuracy, recall, precision, F1, specificity and kappa equal scikit-learn's."""
    label, probs, weights = drawn
    classes, called = np.arange(probs.shape[1]), probs.argmax(axis=1)
    ours = metrics.tally(label, probs, weights)
    assert metrics.accuracy(ours)[0] == pytest.approx(known.accuracy_score(label, called, sample_weight=weights))
    assert metrics.recall(ours).mean() == pytest.approx(
        known.balanced_accuracy_score(label, called, sample_weight=weights), abs=1e-12
    )
    theirs = known.precision_recall_fscore_support(
        label, called, labels=classes, sample_weight=weights, zero_division=np.nan
    )
    for mine, other in zip((metrics.precision, metrics.recall, metrics.f1), theirs[:3], strict=True):
        np.testing.assert_allclose(mine(ours)[:, 0], other, atol=1e-12)
    for klass in classes:
        inverse = known.recall_score(label != klass, called != klass, sample_weight=weights)
        assert metrics.specificity(ours)[klass, 0] == pytest.approx(inverse, abs=1e-12)
    kappa = known.cohen_kappa_score(label, called, weights="quadratic", sample_weight=weights, labels=classes)
    assert metrics.quadratic_kappa(ours)[0] == pytest.approx(kappa, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(rows())
def test_metrics_of_probabilities_equal_their_definitions(drawn):
    """Brier and log loss equal scikit-learn's; the calibration error equals its definition written out."""
    label, probs, weights = drawn
    ours, hot = metrics.tally(label, probs, weights), np.eye(probs.shape[1])[label]
    brier = np.average(((probs - hot) ** 2).sum(axis=1), weights=weights)
    assert metrics.brier(ours)[0] == pytest.approx(brier, abs=1e-12)
    loss = known.log_loss(label, probs, sample_weight=weights, labels=np.arange(probs.shape[1]))
    assert metrics.log_loss(ours)[0] == pytest.approx(loss, abs=1e-12)
    best, right, error = probs.max(axis=1), probs.argmax(axis=1) == label, 0.0
    for at in range(N_BINS):
        inside = np.minimum((best * N_BINS).astype(int), N_BINS - 1) == at
        if weights[inside].sum():
            share = weights[inside].sum() / weights.sum()
            confidence = np.average(best[inside], weights=weights[inside])
            error += share * abs(confidence - np.average(right[inside], weights=weights[inside]))
    assert metrics.ece(ours)[0] == pytest.approx(error, abs=1e-12)


def test_binary_brier_is_twice_the_one_sided_score():
    """Summed over both classes the Brier score is twice scikit-learn's binary one."""
    label, positive = np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.4, 0.1])
    ours = metrics.brier(metrics.tally(label, np.stack([1 - positive, positive], axis=1)))
    assert ours[0] == pytest.approx(2 * known.brier_score_loss(label, positive))


def test_many_weightings_equal_one_at_a_time():
    """R weightings at once give what each gives alone."""
    rng = np.random.default_rng(1)
    label, probs, weights = rng.integers(3, size=50), rng.dirichlet(np.ones(3), 50), rng.integers(0, 3, (7, 50))
    together = metrics.tally(label, probs, weights)
    for at, one in enumerate(weights):
        alone = metrics.tally(label, probs, one)
        np.testing.assert_array_equal(together.auc[:, at], alone.auc[:, 0])
        assert metrics.ece(together)[at] == pytest.approx(metrics.ece(alone)[0], abs=1e-15)


def test_undefined_is_nan_and_never_zero():
    """A class without samples, or never called, leaves its metrics undefined."""
    ours = metrics.tally(np.array([0, 0, 1]), np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0]]))
    assert np.isnan(metrics.recall(ours)[2, 0])
    assert np.isnan(metrics.auc(ours)[2, 0])
    assert np.isnan(metrics.average_precision(ours)[2, 0])
    assert np.isnan(metrics.precision(ours)[1:, 0]).all()
    assert np.isnan(metrics.f1(ours)[2, 0])
    assert np.isnan(metrics.specificity(metrics.tally(np.array([0]), np.array([[1.0, 0.0]])))[0, 0])


def test_zero_weight_everywhere_is_undefined():
    """Where nothing weighs anything no metric has a value."""
    ours = metrics.tally(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]]), np.zeros((1, 2)))
    assert all(np.isnan(one(ours)).all() for one in (metrics.accuracy, metrics.brier, metrics.ece, metrics.auc))
