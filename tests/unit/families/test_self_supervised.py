"""A self-supervised start: part of the budget, on training images alone, said in the record, and repeatable."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch

from grandrounds import families
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.training import simsiam

SMALL = {
    "resnet-18": {"width": 0.125, "batch_size": 8},
    "vit-tiny": {"dim": 24, "depth": 1, "batch_size": 8},
    "li2014": {"batch_size": 8},
}
BUDGET = Budget(epochs=6)


def view(n, seed, patients="train"):
    one = noise_view((1, 16, 16), n, 2, seed)
    names = [f"{patients}-{k // 2}" for k in range(n)]
    return dataclasses.replace(one, samples=one.samples.with_columns(patient=pl.Series(names)))


def fit(name, valid=None, watch=lambda _: None, train=None, **params):
    family = families.build(name, SMALL.get(name, {}) | params)
    return family.fit(train or view(24, 0), valid or view(12, 1, "valid"), BUDGET, 3, watch)


def state(fitted):
    return {name: value.numpy() for name, value in fitted.module.state_dict().items()}


@pytest.mark.parametrize("name", list(SMALL))
def test_its_epochs_are_part_of_the_budget_and_said(name):
    """Half of six epochs is one pass over two views, which counts as two; four are left for labels."""
    epochs = []
    record = fit(name, watch=epochs.append, self_supervised=0.5).record

    assert record.epochs == 6
    assert [(one.epoch, one.n_epochs) for one in epochs] == [(3, 6), (4, 6), (5, 6), (6, 6)]
    assert 3 <= record.best_epoch <= 6
    said = next(note for note in record.notes if "self-supervised" in note)
    assert "24 training images without their labels" in said
    assert "count as 2 of 6 epochs" in said


@pytest.mark.parametrize("name", list(SMALL))
def test_the_same_seed_gives_the_same_model(name):
    """Views, order and weights are drawn from the seed."""
    one, other = state(fit(name, self_supervised=0.5)), state(fit(name, self_supervised=0.5))

    assert all(np.array_equal(one[key], other[key]) for key in one)


@pytest.fixture
def starts(monkeypatch):
    """What each start was given, and the weights that it left."""
    seen = []
    begin = simsiam.begin

    def noting(network, encoder, pixels, spec, plan):
        start = begin(network, encoder, pixels, spec, plan)
        seen.append((np.array(pixels), {name: value.clone() for name, value in network.state_dict().items()}))
        return start

    monkeypatch.setattr(simsiam, "begin", noting)
    return seen


def alike(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_from_images_of_train_alone(starts):
    """What reaches the start are the training images and nothing else, whatever valid holds."""
    train = view(24, 0)
    for seed in (1, 2):
        fit("resnet-18", valid=view(12, seed, "valid"), train=train, self_supervised=0.5)

    np.testing.assert_array_equal(starts[0][0], train.pixels)
    assert alike(starts[0][1], starts[1][1])


def test_labels_have_no_part_in_it(starts):
    """With other labels the start gives the same weights."""
    train = view(24, 0)
    fit("resnet-18", train=train, self_supervised=0.5)
    fit("resnet-18", train=dataclasses.replace(train, labels=1 - train.labels), self_supervised=0.5)

    assert alike(starts[0][1], starts[1][1])


def test_the_record_says_whose_images_were_seen():
    """Patients of train are there as without a start; a shipped model is checked against them."""
    train, valid = view(24, 0), view(12, 1, "valid")

    assert fit("li2014", valid=valid, train=train, self_supervised=0.5).record.patients == (
        train.patients | valid.patients
    )


def test_too_few_epochs_are_said():
    """Where the budget holds no pass over two views, training begins at random and the record says why."""
    record = fit("li2014", self_supervised=0.2).record

    assert record.epochs == 6
    assert any("too few for a pass over two views" in note for note in record.notes)
