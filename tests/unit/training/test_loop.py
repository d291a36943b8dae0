from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from grandrounds.training.loop import Labelled, Plan, drive, learning_rate, predict, train
from grandrounds.training.losses import OfLabels
from grandrounds.training.spec import TrainingSpec

SPEC = TrainingSpec(shift=0, batch_size=8, learning_rate=1e-2)
PLAN = Plan(n_epochs=4, cap_s=None, seed=3, device="cpu", flips=False, loss=OfLabels())


def dark_and_bright(n=40):
    labels = np.arange(n) % 2
    noise = np.random.default_rng(0).normal(0, 0.1, (n, 1, 8, 8))
    return Labelled((noise + labels[:, None, None, None]).astype(np.float32), labels)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def accuracy(labels, probs):
    return float((probs.argmax(axis=1) == labels).mean())


def run(spec=SPEC, plan=PLAN, metric=accuracy, net=None, data=None):
    epochs = []
    data = data or dark_and_bright()
    outcome = drive(train(net or network(), data, data, spec, plan, metric), epochs.append)
    return outcome, epochs


def test_learns_and_reports_each_epoch():
    """One record per pass, and the easy task is learnt."""
    outcome, epochs = run()

    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].valid_metric == 1
    assert epochs[-1].loss < epochs[0].loss
    assert outcome.epochs == 4
    assert not outcome.truncated


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_repeats_to_the_last_bit(optimiser):
    """The same seed gives the same weights."""
    one, two = (run(SPEC.replaced(optimiser=optimiser, shift=0.2, noise=0.1))[0].weights for _ in range(2))

    assert all(torch.equal(one[name], two[name]) for name in one)


def test_keeps_the_epoch_that_valid_prefers():
    """The kept weights are those of the best epoch, not of the last."""
    scores = iter([0.1, 0.9, 0.9, 0.2])
    kept, states = network(), []

    def metric(labels, probs):
        states.append({name: value.clone() for name, value in kept.state_dict().items()})
        return next(scores)

    outcome, _ = run(metric=metric, net=kept)

    assert outcome.best_epoch == 3  # the later one of equals
    assert all(torch.equal(outcome.weights[name], states[2][name]) for name in states[2])


def test_a_loss_that_is_no_number_stops_training():
    """The last finite best epoch is kept, and a note says so."""
    outcome, epochs = run(SPEC.replaced(optimiser="sgd", learning_rate=1e30))

    assert len(epochs) < 4
    assert "no longer a number" in outcome.notes[0]
    assert all(value.isfinite().all() for value in outcome.weights.values())


def test_the_clock_stops_training():
    """A cap in the past leaves one short, evaluated epoch and marks the training truncated."""
    outcome, epochs = run(plan=dataclasses.replace(PLAN, cap_s=0.0))

    assert len(epochs) == 1
    assert outcome.truncated
    assert "clock" in outcome.notes[0]


def test_schedule():
    """The rate rises, reaches its peak and falls to almost nothing."""
    rates = [learning_rate(step, 100, SPEC) for step in range(100)]

    assert max(rates) == pytest.approx(SPEC.learning_rate)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] < rates[5]
    assert rates[-1] < 0.01 * SPEC.learning_rate


def test_class_weights_move_the_decision():
    """A class of greater weight is predicted more often where nothing tells them apart."""
    labels = np.arange(40) % 2
    same = Labelled(np.ones((40, 1, 8, 8), np.float32), labels)
    heavy = dataclasses.replace(PLAN, loss=OfLabels(weights=torch.tensor([5.0, 1.0])))
    net = network()
    run(plan=heavy, net=net, data=same)

    assert predict(net, same.pixels)[0, 0] > 0.6


def test_read_only_images_are_left_alone():
    """Memory-mapped images are only read."""
    data = dark_and_bright(17)
    data.pixels.flags.writeable = False
    before = data.pixels.copy()
    _, epochs = run(data=data)

    assert np.array_equal(data.pixels, before)
    assert math.isfinite(epochs[-1].loss)
