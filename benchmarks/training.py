"""Training throughput of our loop against a bare loop over the same network, with the batch already in memory.

Result:    li2014 0.86, resnet-18 0.99, vit-tiny 0.94 of the bare loop (target 0.85), at 0.08, 0.39 and 0.09 of the
           peak; before 0.88, 0.98 and 0.98
Hardware:  two threads of an Intel Xeon whose convolutions peak at 393 GFLOP/s
Versions:  torch 2.14.1, timm 1.0.31
n:         medians of 7 interleaved pairs

Run with `python benchmarks/training.py [THREADS]`; it takes about a minute. Both loops use the same network, optimiser,
batch and threads and take turns, so that other work on the machine disturbs both alike. Ours also shuffles, augments,
schedules the learning rate and checks its loss.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time

import timm
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch.utils.flop_counter import FlopCounterMode

from grandrounds import families
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.families.price import noise_view
from grandrounds.training import machine
from grandrounds.training.loop import drive, train
from grandrounds.training.losses import OfLabels
from grandrounds.training.plan import Labelled, Plan

REPETITIONS, SHAPE, N_CLASSES = 7, (1, 32, 32), 5
N_STEPS = {"li2014": 200, "resnet-18": 5, "vit-tiny": 20}


def network_of(name):
    params = families.params_of(name)
    architecture = next(one for one in ARCHITECTURES.values() if isinstance(params, one.params))
    return params, architecture.network(params, SHAPE, N_CLASSES).module.to(memory_format=torch.channels_last)


def bare_loop(name):
    """Images per second of nothing but forward, backward and step on one batch."""
    params, network = network_of(name)
    view = noise_view(SHAPE, params.batch_size, N_CLASSES)
    images = torch.tensor(view.pixels).contiguous(memory_format=torch.channels_last)
    labels = torch.tensor(view.labels)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    network.train()
    start = time.perf_counter()
    for _ in range(N_STEPS[name]):
        loss = F.cross_entropy(network(images), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return N_STEPS[name] * len(images) / (time.perf_counter() - start)


def our_loop(name):
    """Images per second of an epoch of ours, without the look at valid."""
    params, network = network_of(name)
    view = noise_view(SHAPE, N_STEPS[name] * params.batch_size, N_CLASSES)
    images, epochs = Labelled(view.pixels, view.labels), []
    plan = Plan(n_epochs=1, cap_s=None, seed=0, device="cpu", flips=True, loss=OfLabels())
    few = Labelled(view.pixels[:8], view.labels[:8])
    drive(train(network, images, few, params, plan, lambda _labels, _probs: 0.0), epochs.append)
    return epochs[0].images_per_s


def flops_per_image(name):
    """Multiplications and additions of a forward and a backward pass."""
    params, network = network_of(name)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(params.batch_size, *SHAPE)).sum().backward()
    return counter.get_total_flops() / params.batch_size


def convolution_peak():
    """Best floating-point rate of a convolution that suits the machine, in operations per second."""
    images = torch.randn(64, 128, 14, 14).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(128, 128, 3, 3).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        F.conv2d(images, kernel, padding=1)
        times.append(time.perf_counter() - start)
    return 2 * 64 * 14 * 14 * 128 * 128 * 9 / min(times)


def main(threads):
    with machine.reserved(threads, 0):
        print(f"torch {torch.__version__}, timm {timm.__version__}, {platform.processor() or platform.machine()}")
        peaks = [convolution_peak()]
        print(f"{'network':10}{'ours img/s':>12}{'bare img/s':>12}{'ratio':>8}{'MFLOP/img':>11}{'of peak':>9}")
        for name in N_STEPS:
            bare_loop(name), our_loop(name)  # warm-up
            pairs = [(our_loop(name), bare_loop(name)) for _ in range(REPETITIONS)]
            peaks.append(convolution_peak())
            ours, bare = (statistics.median(one) for one in zip(*pairs, strict=True))
            ratio, flops = statistics.median(a / b for a, b in pairs), flops_per_image(name)
            share = ours * flops / max(peaks)
            print(f"{name:10}{ours:12.0f}{bare:12.0f}{ratio:8.3f}{flops / 1e6:11.1f}{share:9.2f}", flush=True)
        print(f"{threads} threads, {REPETITIONS} interleaved repetitions, peak {max(peaks) / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
