from __future__ import annotations

import numpy as np
import pytest
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


def test_absent_class_and_temperature():
    """A class without training rows gets nothing, and the temperature keeps the order of classes."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 2, 3], 20)
    features = (random.normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    machine = fit_machine(features, labels, np.ones(4), cost=1.0, gamma=0.1)
    tempered = machine.tempered(features, labels)

    assert (machine.probs(features)[:, 1] == 0).all()
    assert np.allclose(tempered.probs(features).sum(axis=1), 1)
    assert (tempered.probs(features).argmax(axis=1) == machine.probs(features).argmax(axis=1)).all()


def test_round_trip():
    """A machine built from its arrays is the same machine."""
    features = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    machine = fit_machine(features, np.arange(30) % 2, np.ones(2), cost=1.0, gamma=0.3)

    assert np.array_equal(KernelMachine(machine.arrays()).probs(features), machine.probs(features))
