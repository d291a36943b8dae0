"""Every metric of the registry keeps the same promises; a new entry adds no test."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds import registry
from grandrounds.evaluate import METRICS
from grandrounds.evaluate.metrics import tally

ENTRIES = list(METRICS)
MONOTONE = [entry for entry in ENTRIES if entry.better in ("higher", "lower")]
TARGETED = [entry for entry in ENTRIES if entry.better.startswith("closer to")]
SANDWICHED = [entry for entry in ENTRIES if entry.influence]


@pytest.fixture
def rows():
    """Return labels and probabilities of three classes, ties included."""
    rng = np.random.default_rng(5)
    label = np.r_[0, 1, 2, rng.integers(3, size=57)]
    parts = rng.integers(1, 8, size=(60, 3)) + 3.0 * np.eye(3)[label]
    return label, parts / parts.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entry_is_described(entry):
    """Each entry has words, a definition and a reference, and its measure can be loaded."""
    assert entry.label
    assert entry.summary
    assert entry.reference
    assert callable(registry.load(entry.measure))
    assert not (entry.per_class and not entry.by_class)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_shape_and_scale_of_the_weights(entry, rows):
    """One value a weighting, or one a class; doubling all weights changes nothing, nor are inputs mutated."""
    measure, (label, probs) = registry.load(entry.measure), rows
    before = probs.copy()
    weights = np.random.default_rng(0).integers(1, 4, size=(4, len(label)))
    values = measure(tally(label, probs, weights))
    assert values.shape == ((3, 4) if entry.by_class else (4,))
    np.testing.assert_allclose(measure(tally(label, probs, 2.0 * weights)), values, atol=1e-12)
    np.testing.assert_array_equal(probs, before)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_weight_is_a_repetition(entry, rows):
    """A row of weight 2 is the row written twice; of weight 0, the row left out."""
    measure, (label, probs) = registry.load(entry.measure), rows
    times = np.random.default_rng(1).integers(0, 3, size=len(label))
    times[:3] += 1
    weighted = measure(tally(label, probs, times))
    repeated = measure(tally(np.repeat(label, times), np.repeat(probs, times, axis=0)))
    np.testing.assert_allclose(weighted, repeated, atol=1e-12)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_classes_in_reverse_permute_the_values(entry, rows):
    """Turning the class order round turns values by class round and leaves whole ones."""
    measure, (label, probs) = registry.load(entry.measure), rows
    label, probs = label[3:], probs[3:]
    unique = probs.argmax(axis=1) == 2 - probs[:, ::-1].argmax(axis=1)  # of equal classes the first is called
    label, probs = label[unique], probs[unique]
    values, turned = measure(tally(label, probs)), measure(tally(2 - label, probs[:, ::-1]))
    np.testing.assert_allclose(turned[::-1] if entry.by_class else turned, values, atol=1e-12)


@pytest.mark.parametrize("entry", MONOTONE, ids=lambda entry: entry.name)
def test_better_is_the_declared_direction(entry, rows):
    """Perfect certainty is at least as good as the given probabilities, and noise at most."""
    measure, (label, probs) = registry.load(entry.measure), rows
    noise = np.random.default_rng(2).dirichlet(np.full(3, 0.3), size=len(label))
    best, given, worst = (measure(tally(label, one)).mean() for one in (np.eye(3)[label], probs, noise))
    assert best >= given > worst if entry.better == "higher" else best <= given < worst


@pytest.mark.parametrize("entry", TARGETED, ids=lambda entry: entry.name)
def test_true_probabilities_are_nearest_the_target(entry):
    """Labels drawn from the probabilities put the metric nearer its target than distorted probabilities do."""
    rng, measure = np.random.default_rng(3), registry.load(entry.measure)
    probs = rng.dirichlet(np.ones(3), size=4000)
    label = (rng.uniform(size=(4000, 1)) > probs.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    distorted = (probs + 1e-6) ** 2 * [8.0, 1.0, 0.1]
    distorted /= distorted.sum(axis=1, keepdims=True)
    target = float(entry.better.removeprefix("closer to "))
    honest, other = (np.abs(measure(tally(label, one)) - target).mean() for one in (probs, distorted))
    assert honest < 0.1 < other


@pytest.mark.parametrize("entry", SANDWICHED, ids=lambda entry: entry.name)
def test_influences_say_what_leaving_out_a_row_does(entry, rows):
    """They add up to 0, and each is about the change that the row's absence makes, with the sign turned."""
    measure, influence, (label, probs) = registry.load(entry.measure), registry.load(entry.influence), rows
    found = influence(tally(label, probs))
    without = 1 - np.eye(len(label))
    change = measure(tally(label, probs)) - measure(tally(label, probs, without))
    assert found.shape == (3, len(label))
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-9)
    assert all(np.corrcoef(mine, true)[0, 1] > 0.99 for mine, true in zip(found, change, strict=True))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_rows_are_undefined(entry):
    """Without a row there is no value, and no 0 in its place."""
    measure = registry.load(entry.measure)
    assert np.isnan(measure(tally(np.array([0]), np.array([[1.0, 0.0]]), np.zeros((1, 1))))).all()
