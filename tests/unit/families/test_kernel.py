from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from sklearn.svm import SVC

from grandrounds.families.kernel import KernelMachine, fit_machine


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_margins_equal_scikit_learn(n_classes):
    """The torch module gives scikit-learn's pairwise decision values."""
    random = np.random.default_rng(n_classes)
    labels = np.arange(90) % n_classes
    features = (random.normal(size=(90, 6)) + labels[:, None] * [2, -1, 0, 1, 0, 5]).astype(np.float32)
    weights = np.linspace(1, 2, n_classes)

    ours = fit_machine(features, labels, weights, cost=3.0, gamma=0.2)
    theirs = SVC(C=3.0, gamma=0.2, decision_function_shape="ovo", class_weight=dict(enumerate(weights)))
    scaled = (features - features.mean(axis=0, dtype=float)) / features.std(axis=0, dtype=float)
    theirs.fit(scaled, labels)
    expected = theirs.decision_function(scaled).reshape(90, -1)

    assert np.abs(ours.decisions(torch.tensor(features)).numpy() - expected).max() < 1e-6
    assert (ours.probs(features).argmax(axis=1) == theirs.predict(scaled)).mean() > 0.95


@pytest.mark.parametrize("n_classes", [2, 4])
def test_linear_margins_equal_scikit_learn(n_classes):
    """A linear machine is one vector per pair, with the margins of scikit-learn's."""
    random = np.random.default_rng(n_classes)
    labels = np.arange(80) % n_classes
    features = (random.normal(size=(80, 5)) + labels[:, None]).astype(np.float32)

    ours = fit_machine(features, labels, np.ones(n_classes), cost=2.0, gamma=0.0)
    scaled = (features - features.mean(axis=0, dtype=float)) / features.std(axis=0, dtype=float)
    # Two solutions are alike to within the tolerance of the looser one; ours is stricter than scikit-learn's default.
    theirs = SVC(C=2.0 / 5, kernel="linear", tol=1e-5, decision_function_shape="ovo").fit(scaled, labels)
    expected = theirs.decision_function(scaled).reshape(80, -1)

    assert np.abs(ours.decisions(torch.tensor(features)).numpy() - expected).max() < 1e-6
    assert ours.vectors.shape == (n_classes * (n_classes - 1) // 2, 5)


def test_a_class_without_rows_gets_nothing():
    """Neither training rows nor the rows of the sigmoid have the class: its probability stays 0."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 2, 3], 20)
    features = (random.normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    machine = fit_machine(features, labels, np.ones(4), cost=1.0, gamma=0.1).with_sigmoid(
        features, labels, np.ones(4), 60
    )

    assert (machine.probs(features)[:, 1] == 0).all()
    assert np.allclose(machine.probs(features).sum(axis=1), 1)


def test_a_class_that_valid_lacks_keeps_its_share():
    """The sigmoid learns nothing of a class that its rows lack, which may occur again."""
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = (random.normal(size=(90, 4)) + labels[:, None]).astype(np.float32)
    machine = fit_machine(features, labels, np.ones(3), cost=1.0, gamma=0.1)
    some = labels != 2
    fitted = machine.with_sigmoid(features[some], labels[some], np.ones(3), 60)

    assert fitted.offsets[2] == machine.offsets[2] == 0
    assert (fitted.probs(features)[labels == 2].argmax(axis=1) == 2).mean() > 0.5


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 3.0)])
def test_the_sigmoid_of_two_classes_is_a_logistic_regression_on_the_margin(weights):
    """It equals that of statsmodels on Platt's targets, each row weighed as its class was in the machine."""
    random = np.random.default_rng(4)
    labels = (random.random(300) < 0.3).astype(int)
    features = (random.normal(size=(300, 5)) + labels[:, None]).astype(np.float32)
    machine = fit_machine(features[:200], labels[:200], np.array(weights), cost=1.0, gamma=0.1)
    fitted = machine.with_sigmoid(features[200:], labels[200:], np.array(weights), 10**9)

    margin = machine.margins(torch.tensor(features[200:])).numpy() @ [-1, 1]
    truth = labels[200:]
    n_ill, n_well = truth.sum(), (1 - truth).sum()
    smoothed = np.where(truth == 1, (n_ill + 1) / (n_ill + 2), 1 / (n_well + 2))
    each = np.array(weights)[truth]
    model = sm.GLM(smoothed, sm.add_constant(margin), sm.families.Binomial(), freq_weights=each)
    expected = model.fit().predict(sm.add_constant(margin))

    assert fitted.probs(features[200:])[:, 1] == pytest.approx(expected, abs=1e-4)


def test_few_patients_move_offsets_less():
    """The same rows say the less of how often a class will be met, the fewer patients they come from."""
    random = np.random.default_rng(4)
    labels = (random.random(300) < 0.1).astype(int)
    features = (random.normal(size=(300, 5)) + labels[:, None]).astype(np.float32)
    machine = fit_machine(features[:100], labels[:100], np.array([0.2, 1.8]), cost=1.0, gamma=0.1)
    rows = features[100:], labels[100:], np.ones(2)
    moved = [abs(machine.with_sigmoid(*rows, n_patients).offsets[1]) for n_patients in (3, 30, 200)]

    assert moved == sorted(moved)
    assert moved[0] < moved[2] / 2


def test_probabilities_hold_on_new_rows():
    """Of rare cases, those called 20 to 40 % turn out as often as was said, in several classes too."""
    random = np.random.default_rng(1)
    labels = random.choice(3, size=6000, p=[0.7, 0.2, 0.1])
    features = (random.normal(size=(6000, 3)) + 1.2 * np.eye(3)[labels]).astype(np.float32)
    machine = fit_machine(features[:1000], labels[:1000], np.ones(3), cost=1.0, gamma=0.1)
    probs = machine.with_sigmoid(features[1000:3000], labels[1000:3000], np.ones(3), 2000).probs(features[3000:])

    for k in range(3):
        called = (probs[:, k] > 0.2) & (probs[:, k] < 0.4)
        assert (labels[3000:] == k)[called].mean() == pytest.approx(probs[called, k].mean(), abs=0.06)


def test_round_trip():
    """A machine built from its arrays is the same machine."""
    features = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    machine = fit_machine(features, np.arange(30) % 2, np.ones(2), cost=1.0, gamma=0.3)

    assert np.array_equal(KernelMachine(machine.arrays()).probs(features), machine.probs(features))
