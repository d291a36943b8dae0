"""A support vector machine's settings are chosen on a part of the training patients, whole patients each."""

from __future__ import annotations

import numpy as np

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
