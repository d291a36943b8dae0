from __future__ import annotations

import numpy as np
import pytest

from grandrounds.training.imbalance import class_weights


def test_auto_weighs_from_three_to_one_on():
    """Three to one is left alone, beyond it classes are weighed by inverse frequency."""
    mild, strong = np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [31, 10])

    assert class_weights(mild, 2, "auto").weights.tolist() == [1, 1]
    assert class_weights(strong, 2, "auto").weights == pytest.approx([41 / 62, 41 / 20])
    assert class_weights(strong, 2, "none").weights.tolist() == [1, 1]
    assert "inverse frequency" in class_weights(strong, 2, "auto").note


def test_mean_weight_is_one_and_absent_classes_weigh_nothing():
    """Weights keep the scale of the loss; a class without images has none."""
    labels = np.repeat([0, 2], [5, 20])
    weights = class_weights(labels, 3, "weights").weights

    assert weights[labels].mean() == pytest.approx(1)
    assert weights[1] == 0
