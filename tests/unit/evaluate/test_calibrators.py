from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from grandrounds.evaluate.calibrators import CALIBRATORS, Calibrator
from grandrounds.evaluate.cohort import Group
from grandrounds.evaluate.crossfit import Rows, applied, recalibrated


class Odds(ClassifierMixin, BaseEstimator):
    """A classifier whose features are its scores."""

    def __init__(self, n_classes=2):
        self.n_classes = n_classes
        self.classes_ = np.arange(n_classes)
        self.fitted_ = True

    def fit(self, *_):
        """Learn nothing."""
        return self

    def predict(self, scores):
        """Return the likeliest class."""
        return scores.argmax(axis=1)

    def decision_function(self, scores):
        """Return the features."""
        return scores[:, 0] if self.n_classes == 2 else scores


class Stated(Odds):
    """A classifier whose features are its probabilities."""

    decision_function = property()

    def predict_proba(self, probs):
        """Return the features."""
        return probs


def rows(n_classes, n=400, seed=0, sharpness=2.5):
    """Overconfident probabilities and true classes."""
    rng = np.random.default_rng(seed)
    label = rng.integers(n_classes, size=n)
    logits = rng.normal(size=(n, n_classes)) + np.eye(n_classes)[label]
    probs = np.exp(sharpness * logits)
    return probs / probs.sum(axis=1, keepdims=True), label


def log_odds(probs):
    """Of each class against the others."""
    return np.log(probs / (1 - probs))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_platt_is_scikit_learns_sigmoid(n_classes):
    """On the log odds of each class, and divided by the sum, Platt's curves are those of scikit-learn."""
    probs, label = rows(n_classes)
    fresh, _ = rows(n_classes, seed=1)
    scores, unseen = (log_odds(one)[:, 1:] if n_classes == 2 else log_odds(one) for one in (probs, fresh))
    theirs = CalibratedClassifierCV(FrozenEstimator(Odds(n_classes)), method="sigmoid").fit(scores, label)

    np.testing.assert_allclose(CALIBRATORS["Platt"](probs, label)(fresh), theirs.predict_proba(unseen), atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_isotonic_is_scikit_learns(n_classes):
    """Class by class, and divided by the sum, isotonic curves are those of scikit-learn."""
    probs, label = rows(n_classes)
    fresh, _ = rows(n_classes, seed=1)
    theirs = CalibratedClassifierCV(FrozenEstimator(Stated(n_classes)), method="isotonic").fit(probs, label)

    np.testing.assert_allclose(CALIBRATORS["isotonic"](probs, label)(fresh), theirs.predict_proba(fresh), atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_temperature_is_scikit_learns(n_classes):
    """One number for all classes, the one that scikit-learn finds."""
    probs, label = rows(n_classes)
    fresh, _ = rows(n_classes, seed=1)
    theirs = CalibratedClassifierCV(FrozenEstimator(Stated(n_classes)), method="temperature").fit(probs, label)

    np.testing.assert_allclose(CALIBRATORS["temperature"](probs, label)(fresh), theirs.predict_proba(fresh), atol=1e-5)


def test_beta_is_a_logistic_regression_on_two_logarithms():
    """Where both slopes rise, scikit-learn's regression on ln p and -ln(1 - p) with Platt's targets is the same."""
    probs, label = rows(2, n=2000)
    p, n_true = probs[:, 1], label.sum()
    target = np.where(label == 1, (n_true + 1) / (n_true + 2), 1 / (len(label) - n_true + 2))
    design = np.stack([np.log(p), -np.log(1 - p)], axis=1)
    outcomes = np.r_[np.ones(len(p)), np.zeros(len(p))]
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000)
    theirs.fit(np.tile(design, (2, 1)), outcomes, sample_weight=np.r_[target, 1 - target])

    assert (theirs.coef_ > 0).all()
    ours = CALIBRATORS["beta"](probs, label)(probs)[:, 1]
    np.testing.assert_allclose(ours, theirs.predict_proba(design)[:, 1], atol=1e-4)


@pytest.mark.parametrize("method", CALIBRATORS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_overconfidence_is_mended_and_rows_stay_probabilities(method, n_classes):
    """On new rows the log loss falls; every row sums to 1; the inputs are untouched."""
    probs, label = rows(n_classes, n=3000)
    fresh, truth = rows(n_classes, n=3000, seed=1)
    before = fresh.copy()
    after = CALIBRATORS[method](probs, label)(fresh)

    np.testing.assert_allclose(after.sum(axis=1), 1)
    assert np.array_equal(before, fresh)
    at = np.arange(len(truth))
    assert -np.log(np.clip(after[at, truth], 1e-3, 1)).mean() < -np.log(fresh[at, truth]).mean()


@pytest.mark.parametrize("method", CALIBRATORS)
@pytest.mark.parametrize("certain", [True, False])
def test_nothing_breaks_on_extreme_rows(method, certain):
    """Probabilities of 0 and 1, rows without an error, and a class that is absent give finite probabilities."""
    label = np.array([0, 0, 1, 1, 1, 0])
    probs = np.eye(3)[label] if certain else np.full((6, 3), 1 / 3)
    after = CALIBRATORS[method](probs, label)(np.vstack([np.eye(3), np.full((1, 3), 1 / 3)]))

    assert np.isfinite(after).all()
    np.testing.assert_allclose(after.sum(axis=1), 1)


def trial(n_patients, seed=0, n_each=3):
    """One trial whose rules are set where calibrators are fitted, and its judged rows."""
    groups = []
    for at in (seed, seed + 1):
        probs, label = rows(2, n=n_patients * n_each, seed=at)
        patient = np.repeat(np.arange(n_patients), n_each)
        groups.append(Group("f", 0, 0, 0, label, probs, patient, tuple(map(str, range(len(label))))))
    return Rows(groups[0], *groups)


@pytest.mark.parametrize("method", CALIBRATORS)
def test_no_patient_takes_part_in_recalibrating_himself(method):
    """Turning a patient's labels changes what others get, and not what this patient gets."""
    tried = trial(20)
    own = tried.setting.patient == 7
    setting = tried.setting
    turned = Group("f", 0, 0, 0, np.where(own, 1 - setting.label, setting.label), setting.probs, setting.patient,
                   setting.sample)  # fmt: skip
    one = recalibrated(method, tried, 0, whole=False)
    other = recalibrated(method, tried._replace(fitting=turned, setting=turned), 0, whole=False)

    assert np.array_equal(one.setting[own], other.setting[own])
    assert not np.array_equal(one.setting[~own], other.setting[~own])


def test_with_patients_to_spare_one_calibrator_is_fitted_on_all():
    """The judged rows get the calibrator of all setting rows; otherwise the mean of five."""
    tried = trial(60)
    whole = recalibrated("Platt", tried, 0, whole=True)
    crossed = recalibrated("Platt", tried, 0, whole=False)
    alone = CALIBRATORS["Platt"](tried.setting.probs, tried.setting.label)(tried.judged.probs)

    assert np.array_equal(whole.judged, alone)
    assert not np.array_equal(crossed.judged, alone)
    assert np.array_equal(whole.setting, crossed.setting)


def test_too_few_patients_are_not_recalibrated():
    """Nine patients are a guess, however many images they have."""
    assert recalibrated("temperature", trial(9, n_each=50), 0, whole=False) is None
    assert recalibrated("none", trial(9), 0, whole=False) is not None


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("method", CALIBRATORS)
def test_what_recalibrates_is_plain_numbers(method, whole):
    """A calibrator that went through JSON gives the very probabilities that the judged rows got."""
    tried = trial(60)
    told = recalibrated(method, tried, 0, whole=whole)
    kept = tuple(Calibrator.model_validate_json(one.model_dump_json()) for one in told.calibrators)

    assert len(kept) == (1 if whole else 5)
    np.testing.assert_array_equal(applied(kept, tried.judged.probs), told.judged)


def test_rules_of_another_role_are_set_on_what_the_calibrator_of_all_gives():
    """With calib beside valid, valid gets one calibrator that has seen none of its patients."""
    tried, other = trial(60), trial(40, seed=5)
    told = recalibrated("beta", Rows(tried.fitting, other.setting, tried.judged), 0, whole=True)
    alone = CALIBRATORS["beta"](tried.fitting.probs, tried.fitting.label)

    np.testing.assert_array_equal(told.setting, alone(other.setting.probs))
    np.testing.assert_array_equal(told.judged, alone(tried.judged.probs))
