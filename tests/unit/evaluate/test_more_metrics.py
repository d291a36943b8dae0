from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known

from grandrounds.evaluate import metrics


@st.composite
def rows(draw):
    """Draw labels, called classes as probabilities, and whole weights of which some are 0."""
    n_classes, n = draw(st.integers(2, 5)), draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = np.r_[np.arange(n_classes), np.arange(n_classes), rng.integers(n_classes, size=n - 2 * n_classes)]
    called = np.r_[
        np.arange(n_classes), np.roll(np.arange(n_classes), 1), rng.integers(n_classes, size=n - 2 * n_classes)
    ]
    weights = rng.integers(0, 4, size=n)
    weights[: 2 * n_classes] += 1  # each class is called rightly and wrongly; the undefined has tests of its own
    return label, called, weights, n_classes


@settings(deadline=None, max_examples=40)
@given(rows())
def test_agreement_equals_scikit_learn(drawn):
    """Matthews correlation and kappa equal scikit-learn's, weights included."""
    label, called, weights, n_classes = drawn
    ours = metrics.tally(label, np.eye(n_classes)[called], weights)
    mcc = known.matthews_corrcoef(label, called, sample_weight=weights)
    assert metrics.mcc(ours)[0] == pytest.approx(mcc, abs=1e-12)
    kappa = known.cohen_kappa_score(label, called, sample_weight=weights)
    assert metrics.kappa(ours)[0] == pytest.approx(kappa, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(rows())
def test_values_by_class_equal_scikit_learn(drawn):
    """Negative predictive value and both likelihood ratios equal scikit-learn's, class against the others."""
    label, called, weights, n_classes = drawn
    ours = metrics.tally(label, np.eye(n_classes)[called], weights)
    for klass in range(n_classes):
        npv = known.precision_score(label != klass, called != klass, sample_weight=weights)
        assert metrics.npv(ours)[klass, 0] == pytest.approx(npv, abs=1e-12)
        ratios = known.class_likelihood_ratios(label == klass, called == klass, sample_weight=weights)
        assert metrics.lr_positive(ours)[klass, 0] == pytest.approx(ratios[0], rel=1e-12)
        assert metrics.lr_negative(ours)[klass, 0] == pytest.approx(ratios[1], abs=1e-12)


def test_undefined_is_nan_and_infinite_is_infinite():
    """0 by 0 is NaN; a likelihood ratio without a false call is infinite, not dropped."""
    perfect = metrics.tally(np.array([0, 1]), np.eye(2))
    assert metrics.lr_positive(perfect)[:, 0].tolist() == [np.inf, np.inf]
    assert metrics.lr_negative(perfect)[:, 0].tolist() == [0, 0]
    one_called = metrics.tally(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert np.isnan(metrics.mcc(one_called)[0])
    assert metrics.kappa(one_called)[0] == 0
    assert np.isnan(metrics.npv(one_called)[0, 0])
    assert metrics.lr_negative(one_called)[:, 0].tolist()[1] == 1
    assert np.isnan(metrics.lr_positive(one_called)[1, 0])
    one_class = metrics.tally(np.array([0, 0]), np.eye(2))
    assert np.isnan(metrics.lr_positive(one_class)).all()
    assert np.isnan(metrics.lr_negative(one_class)).all()
