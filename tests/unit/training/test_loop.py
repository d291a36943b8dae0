from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from grandrounds.errors import BadData
from grandrounds.training import parts
from grandrounds.training.loop import drive, train
from grandrounds.training.losses import Mixed, OfLabels
from grandrounds.training.optimiser import learning_rate
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.prediction import predict
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
    scores = iter([0.5, 0.7, math.nan])
    outcome, epochs = run(metric=lambda labels, probs: next(scores))

    assert len(epochs) == 2
    assert outcome.best_epoch == 2
    assert outcome.notes == ("training stopped in epoch 3: the loss was no longer a number; epoch 2 is kept",)


def test_a_loss_that_turns_into_no_number_leaves_the_weights_before_it():
    """From the third pass on the loss itself is none: valid is not asked again, and what the second left is kept."""
    net, calls, left = network(), itertools.count(1), []

    def loss(outputs, images, truth):
        broken = next(calls) > 2 * 5  # 40 images are five steps
        return OfLabels()(outputs, images, truth) * (math.nan if broken else 1)

    def metric(labels, probs):
        left.append({name: value.clone() for name, value in net.state_dict().items()})
        return accuracy(labels, probs)

    outcome, epochs = run(plan=dataclasses.replace(PLAN, loss=loss), metric=metric, net=net)

    assert (len(epochs), len(left), outcome.best_epoch) == (2, 2, 2)
    assert all(torch.equal(outcome.weights[name], left[1][name]) for name in left[1])
    assert not torch.isfinite(net[3].weight).any()  # what was thrown away
    assert outcome.notes == ("training stopped in epoch 3: the loss was no longer a number; epoch 2 is kept",)


def test_nothing_is_kept_of_a_training_that_never_worked():
    """A loss that is no number from the start is refused, rather than an untrained network handed on."""
    with pytest.raises(BadData, match="first epoch"):
        run(SPEC.replaced(optimiser="sgd", learning_rate=1e30))


def test_the_last_epoch_can_be_kept():
    """With `choose = "last"` valid chooses nothing."""
    scores = iter([0.1, 0.9, 0.3, 0.2])
    outcome, _ = run(SPEC.replaced(choose="last"), metric=lambda labels, probs: next(scores))

    assert outcome.best_epoch == 4


def test_patience_ends_a_training_without_gain():
    """Training stops after so many epochs that bring nothing; equally good ones are no gain."""
    scores = iter([0.1, 0.9, 0.9, 0.2])
    outcome, epochs = run(SPEC.replaced(patience=2), plan=dataclasses.replace(PLAN, n_epochs=9),
                          metric=lambda labels, probs: next(scores))  # fmt: skip

    assert len(epochs) == 4
    assert outcome.best_epoch == 3
    assert "no gain" in outcome.notes[0]
    assert not outcome.truncated


def test_clipping_bounds_a_step():
    """No step of plain gradient descent is longer than the rate times the greatest norm."""
    net = network()
    before = [one.detach().clone() for one in net.parameters()]
    spec = SPEC.replaced(
        optimiser="sgd", momentum=0.0, weight_decay=0.0, clip=1e-3, learning_rate=1.0, schedule="flat", warmup=0.0
    )
    run(spec, plan=dataclasses.replace(PLAN, n_epochs=1), net=net)
    moved = (
        sum(float((one.detach() - other).square().sum()) for one, other in zip(net.parameters(), before, strict=True))
        ** 0.5
    )

    assert 0 < moved <= 5 * 1e-3 * 1.01  # 40 images are five steps


def test_the_mean_of_the_last_steps_is_kept():
    """Over all steps, the kept weights are the mean of what each step left."""
    net, left = network(), []
    spec = SPEC.replaced(swa=1.0, batch_size=40, choose="last")
    outcome, _ = run(spec, net=net, metric=lambda labels, probs: left.append(net[3].weight.detach().clone()) or 0.5)

    assert len(left) == 4
    assert torch.allclose(outcome.weights["3.weight"], torch.stack(left).mean(dim=0), atol=1e-6)


def test_published_weights_learn_slower():
    """Parameters of the trunk move by their part of the rate."""
    net = network()
    before = {name: one.detach().clone() for name, one in net.named_parameters()}
    plan = dataclasses.replace(PLAN, trunk=frozenset({"0.weight", "0.bias"}), trunk_rate=1e-6)
    run(plan=plan, net=net)
    moved = {name: float((one.detach() - before[name]).abs().max()) for name, one in net.named_parameters()}

    assert moved["0.weight"] < 1e-5
    assert moved["3.weight"] > 1e-3


def test_mixed_images_have_both_labels():
    """With mixup the loss is asked about two labels of each image, and the task is still learnt."""
    truths = []

    def loss(outputs, images, truth):
        truths.append(truth)
        return OfLabels()(outputs, images, truth)

    _, epochs = run(SPEC.replaced(mixup=0.4), plan=dataclasses.replace(PLAN, loss=loss))

    assert all(isinstance(truth, Mixed) and 0 <= truth.share <= 1 for truth in truths)
    assert len({truth.share for truth in truths}) == len(truths)
    assert epochs[-1].valid_metric == 1


def test_mixed_precision_learns_and_hands_on_single():
    """Multiplications are done in bfloat16; weights, loss and predictions stay in single precision."""
    seen, net = set(), network()
    net[0].register_forward_hook(lambda _module, _given, out: seen.add((net.training, out.dtype)))
    outcome, epochs = run(SPEC.replaced(precision="mixed"), net=net)

    assert seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert epochs[-1].valid_metric == 1
    assert {value.dtype for value in outcome.weights.values()} == {torch.float32}


class OnDevice(torch.Tensor):
    """Numbers on a device that has no double precision, as Apple's has none."""

    def double(self):
        """Refuse."""
        raise TypeError("no float64 here")

    def cpu(self):
        """Return them where there is double precision."""
        return self.as_subclass(torch.Tensor)


def test_prediction_asks_no_device_for_double_precision():
    """Probabilities are made of logits on the CPU, in double precision."""
    data, net = dark_and_bright(), network()
    expected = predict(net, data.pixels)
    net.register_forward_hook(lambda _module, _given, out: out.as_subclass(OnDevice))

    assert np.array_equal(predict(net, data.pixels), expected)
    assert expected.dtype == np.float64


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory", "DefaultCPUAllocator: can't allocate memory",
        "MPS backend out of memory (MPS allocated: 9.05 GB)",
    ],
)  # fmt: skip
def test_a_batch_too_large_for_memory_is_read_in_parts(message):
    """Gradients of smaller parts add up to those of the batch, and a note says so."""

    class Hungry(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, images):
            if self.training and len(images) > 2:
                raise torch.OutOfMemoryError(message) if "CUDA" in message else RuntimeError(message)
            return self.inner(images)

    hungry, fed = run(net=Hungry())[0], run()[0]

    assert "in 4 parts" in hungry.notes[0]
    assert torch.allclose(hungry.weights["inner.3.weight"], fed.weights["3.weight"], atol=1e-4)


def test_large_volumes_are_read_one_by_one(monkeypatch):
    """No more than memory holds; gradients are those of the batch, and a note says so."""
    flat = dark_and_bright()
    data = Labelled(np.repeat(flat.pixels[:, :, None], 3, axis=2), flat.labels)  # (N, 1, 3, 8, 8)
    sizes = []

    class Volumes(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, volumes):
            sizes.append(len(volumes))
            return self.inner(volumes.mean(dim=2))

    at_once = run(net=Volumes(), data=data)[0]
    largest = max(sizes)
    sizes.clear()
    monkeypatch.setattr(parts, "MOST_VALUES", 2 * 3 * 8 * 8)
    in_parts = run(net=Volumes(), data=data)[0]

    assert (largest, max(sizes)) == (40, 2)
    assert "in 4 parts" in in_parts.notes[0]
    assert torch.allclose(in_parts.weights["inner.3.weight"], at_once.weights["inner.3.weight"], atol=1e-4)


@pytest.mark.parametrize("kind", ["cross-entropy", "binary", "ordinal"])
def test_classes_keep_their_weights_where_a_batch_is_read_in_parts(monkeypatch, kind):
    """A mean over one volume alone would forget the weight of its class."""
    flat = dark_and_bright()
    data = Labelled(np.repeat(flat.pixels[:, :, None], 3, axis=2), flat.labels)
    heavy = dataclasses.replace(PLAN, loss=OfLabels(kind, weights=torch.tensor([5.0, 1.0])))

    class Volumes(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, volumes):
            return self.inner(volumes.mean(dim=2))

    at_once = run(net=Volumes(), data=data, plan=heavy)[0]
    monkeypatch.setattr(parts, "MOST_VALUES", 3 * 8 * 8)
    one_by_one = run(net=Volumes(), data=data, plan=heavy)[0]

    assert "in 8 parts" in one_by_one.notes[0]
    assert torch.allclose(one_by_one.weights["inner.3.weight"], at_once.weights["inner.3.weight"], atol=1e-4)


def test_exams_take_the_memory_of_all_their_series(monkeypatch):
    """Of exams whose two series are read side by side, half as many are read at once as of single volumes."""
    flat = dark_and_bright()
    data = Labelled(np.repeat(np.repeat(flat.pixels[:, :, None], 3, axis=2), 2, axis=1), flat.labels)
    sizes = []

    class Exams(nn.Module):
        n_series = 2

        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, exams):
            sizes.append(len(exams))
            return self.inner(exams.mean(dim=(1, 2))[:, None])

    monkeypatch.setattr(parts, "MOST_VALUES", 8 * 3 * 8 * 8)
    read = run(net=nn.Sequential(Exams()), data=data)[0]

    assert max(sizes) == 4  # in training and in prediction, where 40 fit without the limit
    assert "in 2 parts" in read.notes[0]


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


def test_other_schedules():
    """By steps the rate falls to a tenth twice; flat it stays."""
    steps, flat = (SPEC.replaced(schedule=schedule, warmup=0.0) for schedule in ("steps", "flat"))

    assert [learning_rate(step, 100, steps) for step in (0, 49, 50, 74, 75, 99)] == pytest.approx(
        [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4]
    )
    assert {learning_rate(step, 100, flat) for step in range(100)} == {1e-2}


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


def test_weights_averaged_at_the_end_are_kept_however_good_a_single_epoch_was():
    """The best of those epochs at whose end there was a mean; its weights are the mean of their steps."""
    scores = iter([0.9, 0.8, 0.3, 0.2])
    outcome, _ = run(SPEC.replaced(swa=0.5), metric=lambda _labels, _probs: next(scores))

    assert outcome.best_epoch == 3
    assert not outcome.notes
    single = run(SPEC.replaced(choose="last"), dataclasses.replace(PLAN, n_epochs=3))[0].weights
    assert not any(torch.equal(outcome.weights[name], single[name]) for name in single)


def test_a_training_that_does_not_get_to_its_mean_says_so():
    """It keeps the best single epoch, rather than nothing."""
    outcome, _ = run(SPEC.replaced(swa=0.2, patience=1), metric=lambda _labels, _probs: 0.5)

    assert outcome.epochs == 2
    assert outcome.best_epoch
    assert "training ended before weights were averaged: those of a single epoch are kept" in outcome.notes


class Hungry(nn.Module):
    """A network for which memory holds few images at once."""

    def __init__(self, most):
        super().__init__()
        self.most, self.seen = most, []

    def forward(self, images):
        """Return logits (B, 2)."""
        if len(images) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 838860800 bytes")
        self.seen.append(len(images))
        return torch.stack([images.mean(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))], dim=1)


def test_prediction_halves_what_memory_does_not_hold():
    """Every image is read once, in its order; one alone that does not fit is an error."""
    pixels = np.random.default_rng(0).random((301, 1, 4, 4), dtype=np.float32)
    hungry = Hungry(most=40)

    assert np.array_equal(predict(hungry, pixels), predict(Hungry(most=1000), pixels))
    assert sum(hungry.seen) == 301
    with pytest.raises(RuntimeError, match="allocate"):
        predict(Hungry(most=0), pixels)


@pytest.mark.parametrize(("n", "batch", "sizes"), [(3, 2, [3]), (5, 2, [3, 2]), (1, 2, [1])])
def test_no_batch_is_of_one_image_unless_there_is_but_one(n, batch, sizes):
    """A norm over one image has no deviation."""
    seen = []
    net = network()
    net.register_forward_hook(lambda net, given, _o: seen.append(len(given[0])) if net.training else None)
    run(SPEC.replaced(batch_size=batch), dataclasses.replace(PLAN, n_epochs=1), net=net, data=dark_and_bright(n))

    assert seen == sizes
