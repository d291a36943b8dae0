from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import nn

from grandrounds.training.loop import drive, train
from grandrounds.training.losses import Distilled, OfLabels
from grandrounds.training.machine import precision
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.prediction import predict
from grandrounds.training.spec import TrainingSpec

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]])
LABELS = torch.tensor([0, 2])
IMAGES = torch.zeros(2, 1, 4, 4)


def test_cross_entropy_is_that_of_torch():
    """Weights and smoothing are handed on."""
    weights = torch.tensor([1.0, 2.0, 3.0])
    ours = OfLabels(weights=weights, smoothing=0.1)(LOGITS, IMAGES, LABELS)

    assert ours == F.cross_entropy(LOGITS, LABELS, weight=weights, label_smoothing=0.1)


def test_binary_asks_each_class_against_the_rest():
    """It is the sum over classes of minus the log probability of what is true of each."""
    probs = torch.sigmoid(LOGITS)
    expected = -torch.stack(
        [
            probs[0, 0].log() + (1 - probs[0, 1]).log() + (1 - probs[0, 2]).log(),
            (1 - probs[1, 0]).log() + (1 - probs[1, 1]).log() + probs[1, 2].log(),
        ]
    ).mean()

    assert OfLabels("binary")(LOGITS, IMAGES, LABELS) == pytest.approx(float(expected), rel=1e-6)


def test_ordinal_adds_the_squared_distance_of_cumulated_probabilities():
    """By hand: 0.3 of the cross-entropy and 1.4 of the ranked probability score, which grows with the distance."""
    probs = torch.softmax(LOGITS, dim=1)
    first = (probs[0, 0] - 1) ** 2 + (probs[0, 0] + probs[0, 1] - 1) ** 2  # true class 0
    second = probs[1, 0] ** 2 + (probs[1, 0] + probs[1, 1]) ** 2  # true class 2
    expected = 0.3 * F.cross_entropy(LOGITS, LABELS) + 1.4 * (first + second) / 2

    assert OfLabels("ordinal")(LOGITS, IMAGES, LABELS) == pytest.approx(float(expected), rel=1e-6)


def test_ordinal_makes_a_miss_by_two_classes_worse_than_one_by_one():
    """Cross-entropy alone cannot tell them apart."""
    far, near = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[0.0, 3.0, 0.0]])
    truth = torch.tensor([2])

    assert OfLabels()(far, IMAGES[:1], truth) == OfLabels()(near, IMAGES[:1], truth)
    assert OfLabels("ordinal")(far, IMAGES[:1], truth) > OfLabels("ordinal")(near, IMAGES[:1], truth)


def test_ordinal_weighs_classes_as_the_others_do():
    """A class of weight nothing leaves the loss of the other class alone."""
    weights = torch.tensor([1.0, 1.0, 0.0])
    alone = OfLabels("ordinal")(LOGITS[:1], IMAGES[:1], LABELS[:1])

    assert OfLabels("ordinal", weights)(LOGITS, IMAGES, LABELS) == pytest.approx(float(alone), rel=1e-6)


def test_further_heads_count_a_part():
    """Auxiliary heads are added at 0.3, as in GoogLeNet's paper."""
    one = OfLabels()(LOGITS, IMAGES, LABELS)

    assert OfLabels()((LOGITS, LOGITS, LOGITS), IMAGES, LABELS) == pytest.approx(float(1.6 * one))


def _constant(logits: torch.Tensor) -> nn.Module:
    class Teacher(nn.Module):
        """Says the same of every image."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return logits.expand(len(images), -1)

    return Teacher()


@pytest.mark.parametrize("hard", [True, False])
def test_the_second_head_learns_what_the_teacher_says(hard):
    """The loss of the taught head is least where it agrees with the teacher, whatever the labels say."""
    says = torch.tensor([4.0, -4.0, 0.0])
    loss = Distilled(OfLabels(), _constant(says), hard=hard, temperature=2.0, share=0.5)
    agreeing, opposed = (loss((LOGITS, factor * says.expand(2, -1)), IMAGES, LABELS) for factor in (1, -1))

    assert agreeing < opposed
    assert agreeing == pytest.approx(float(OfLabels()(LOGITS, IMAGES, LABELS)) / 2, abs=0.02)


def test_a_teacher_answers_in_the_precision_it_was_trained_in():
    """Whatever the student is trained in; and what is learnt from the answers stays single."""
    seen = []

    class Teacher(nn.Module):
        """Notes in which precision it multiplies."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            answers = nn.functional.linear(images.flatten(1), torch.ones(3, images[0].numel()))
            seen.append(answers.dtype)
            return answers

    loss = Distilled(OfLabels(), Teacher(), hard=False, temperature=2.0, share=0.5, precision=precision("mixed", "cpu"))

    assert loss((LOGITS, LOGITS), IMAGES, LABELS).dtype == torch.float32
    assert seen == [torch.bfloat16]


class Picky(nn.Module):
    """A network that runs out of memory on more than so many images, as a small graphics card does."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network(images)


DATA = Labelled(np.random.default_rng(0).random((32, 1, 8, 8), dtype=np.float32), np.arange(32) % 2)
PLAN = Plan(n_epochs=2, cap_s=None, seed=1, device="cpu", flips=False, loss=OfLabels())
SPEC = TrainingSpec(batch_size=16, shift=0.0)


def _trained(most: int, spec: TrainingSpec = SPEC):
    torch.manual_seed(0)
    network = Picky(most)
    outcome = drive(train(network, DATA, DATA, spec, PLAN, lambda labels, probs: 0.0), lambda epoch: None)
    return network, outcome


def test_short_memory_means_smaller_parts_and_the_same_result():
    """Gradients of parts add up to those of the batch, and the reader is told."""
    whole, silent = _trained(16)
    parts, said = _trained(4)

    assert torch.allclose(whole.network[1].weight, parts.network[1].weight, atol=1e-6)
    assert silent.notes == ()
    assert "4 parts" in said.notes[0]


def test_memory_for_not_even_two_images_is_an_error():
    """There is nothing left to halve."""
    with pytest.raises(torch.OutOfMemoryError):
        _trained(1)


def test_averaged_weights_are_kept():
    """With averaging, what is kept is the mean of the weights and not the last ones."""
    network, outcome = _trained(16, SPEC.replaced(averaging=0.9))
    last = network.network[1].weight.detach()
    kept = outcome.weights["network.1.weight"]

    assert outcome.weights.keys() == network.state_dict().keys()
    assert not torch.equal(last, kept)
    network.load_state_dict(outcome.weights)
    assert np.isfinite(predict(network, DATA.pixels)).all()


def test_averaging_includes_norms():
    """Running means of batch norms follow too, so that the averaged network works at once."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    spec = SPEC.replaced(averaging=0.5)
    plan = dataclasses.replace(PLAN, n_epochs=8)
    outcome = drive(train(network, DATA, DATA, spec, plan, lambda labels, probs: 0.0), lambda epoch: None)

    assert torch.allclose(outcome.weights["1.running_mean"], network[1].running_mean, atol=0.2)
    assert not torch.equal(outcome.weights["1.running_mean"], torch.zeros(4))
