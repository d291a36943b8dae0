"""Single against mixed precision on the CPU: seconds of a core for one training step of each network.

Result    mixed is 2.58 times as fast for resnet-18 (half as wide, 64 pixels), 1.73 at 28 pixels, 1.60 for nin, 1.47 for
          vgg-11, 1.01 for li2014; 0.59 for efficientnet-lite0, 0.55 for vit-tiny
Hardware  one core of an Intel Xeon with AMX, beside other work
Versions  torch 2.14.1

Run with `python benchmarks/precision.py [REPETITIONS]`. A step is forward, backward and update of one batch of random
images in one thread; both precisions take turns on the same network. What counts is the median of the core times, which
other work on the machine hardly disturbs. Whether mixed precision pays depends on the processor: it needs units that
multiply bfloat16 (AMX, AVX512-BF16), and layers that are large enough for them.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)

from grandrounds import families
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.training import machine

N_CLASSES, BATCH = 2, 64
WORK = (
    ("li2014", 32, {}), ("nin", 28, {}), ("vgg-11", 32, {}), ("resnet-18", 28, {}), ("resnet-18", 64, {"width": 0.5}),
    ("vit-tiny", 32, {}), ("efficientnet-lite0", 64, {}),
)  # fmt: skip


def step_of(name, side_px, params):
    """Return a function that trains one step in a precision and returns its seconds of a core."""
    spec = families.params_of(name, params)
    architecture = next(one for one in ARCHITECTURES.values() if isinstance(spec, one.params))
    network = architecture.network(spec, (1, side_px, side_px), N_CLASSES).module
    network = network.to(memory_format=torch.channels_last).train()
    images = torch.rand(BATCH, 1, side_px, side_px).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % N_CLASSES
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step(kind):
        began = time.process_time()
        optimiser.zero_grad()
        with machine.precision(kind, "cpu"):
            loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimiser.step()
        return time.process_time() - began

    return step


def main(repetitions: int) -> None:
    print(f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, one thread, batches of {BATCH}")
    print(f"{'network':20}{'side px':>8}{'single ms':>11}{'mixed ms':>10}{'times as fast':>15}")
    with machine.reserved(1, 0):
        for name, side_px, params in WORK:
            step = step_of(name, side_px, params)
            turns = [[step(kind) for kind in ("single", "mixed")] for _ in range(repetitions + 1)][1:]
            single, mixed = (statistics.median(turn[at] for turn in turns) for at in (0, 1))
            ratio = statistics.median(turn[0] / turn[1] for turn in turns)
            print(f"{name:20}{side_px:8}{single * 1e3:11.0f}{mixed * 1e3:10.0f}{ratio:15.2f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
