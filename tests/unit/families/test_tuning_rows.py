"""A support vector machine's settings are chosen on a part of the training patients, whole patients each."""

from __future__ import annotations

import numpy as np

from grandrounds import families
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.families.svm import tuning_rows


def test_few_rows_are_all_used():
    """Nothing is left out where there is no need."""
    assert tuning_rows(np.array([0, 1, 1]), ["a", "b", "b"], 50, 0).tolist() == [0, 1, 2]


def test_patients_are_taken_whole_and_every_class_is_there():
    """No patient is cut in two, about the wanted number of rows is used, and a rare class among common ones stays."""
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 20)
    labels = np.where(random.random(1200) < 0.5, 0, patients % 2 + 1)
    labels[(patients == 7) & (np.arange(1200) % 20 == 0)] = 3
    rows = tuning_rows(labels, [f"p{one}" for one in patients], 300, 0)
    taken = set(patients[rows])

    assert len(rows) == 20 * len(taken)
    assert 200 <= len(rows) <= 300
    assert set(labels[rows]) == {0, 1, 2, 3}


def test_a_seed_decides_and_shares_stay():
    """The same seed takes the same rows; of images that show one patient each, classes keep their shares."""
    labels = np.repeat([0, 1], [900, 300])
    names = [str(row) for row in range(1200)]
    one, same, other = (tuning_rows(labels, names, 400, seed) for seed in (0, 0, 1))

    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.bincount(labels[one]).tolist() == [300, 100]


def test_what_ships_is_fitted_on_all_rows():
    """A family that chooses on fifty rows ships the machine of all two hundred, which is another than that of fifty."""
    train, valid = noise_view((1, 16, 16), 200, 2), noise_view((1, 16, 16), 40, 2, seed=1)
    some = np.isin(np.arange(200), tuning_rows(train.labels, train.samples["patient"].to_list(), 50, 0))

    def probs(view, most):
        params = {"kernels": ("linear",), "costs": (1.0,), "max_rows_tuning": most}
        fitted = families.build("lbp-svm", params).fit(view, valid, Budget(), 0, lambda _: None)
        return fitted.predict(valid)

    assert np.array_equal(probs(train, 50), probs(train, 200))
    assert not np.allclose(probs(train.rows(some), 50), probs(train, 50), atol=0.01)
