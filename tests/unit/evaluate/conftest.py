from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.tables import Task


def _predictions(task, strengths, n_patients=40, n_each=3, n_folds=3, n_seeds=1, seed=0, role="test"):
    """Return predictions of families whose scores follow the label by their strength; patients share an effect."""
    rng = np.random.default_rng(seed)
    classes, n = task.classes, n_patients * n_each
    patient = np.repeat(np.arange(n_patients), n_each)
    truth = (np.arange(n_patients) // n_folds % len(classes))[patient]  # every class in every fold
    shared = rng.normal(size=(n_patients, len(classes)))[patient]
    frames = []
    for family, strength in strengths.items():
        for trained in range(n_seeds):
            logits = rng.normal(size=(n, len(classes))) + shared
            logits[np.arange(n), truth] += strength
            probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            columns = {
                "sample": [f"s{i:03d}" for i in range(n)],
                "case": [f"s{i:03d}" for i in range(n)],
                "patient": [f"p{i:03d}" for i in patient],
                "fold": patient % n_folds,
                "label": [classes[i] for i in truth],
            }
            frame = pl.DataFrame(columns | {f"prob_{name}": probs[:, k] for k, name in enumerate(classes)})
            frames.append(
                frame.with_columns(
                    pl.lit(family).alias("family"),
                    pl.lit(trained).alias("seed"),
                    pl.lit(role).alias("role"),
                    pl.lit(task.name).alias("task"),
                    pl.format("{}-{}-{}", pl.lit(family), pl.lit(trained), "fold").alias("trial"),
                )
            )
    return pl.concat(frames)


@pytest.fixture
def predictions():
    """Return the function that simulates predictions."""
    return _predictions


@pytest.fixture
def three():
    """Return a task of three classes."""
    return Task(classes=("normal", "emphysema", "fibrosis"))


@pytest.fixture
def two():
    """Return a binary task."""
    return Task(kind="binary", classes=("benign", "malignant"), positive="malignant")
