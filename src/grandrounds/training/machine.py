"""What a fit may use of the machine, and how its random numbers are fixed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

from grandrounds.errors import BadSpec


def require(device: str) -> None:
    """Refuse a device that this machine does not have, or for which this build of torch is not made.

    Raises:
        BadSpec: There is none.
    """
    kind = torch.device(device).type
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise BadSpec(
            f"torch finds no device called {device!r} here",
            remedy='train on the CPU (--device cpu, in a study means.device = "cpu"), or install torch for that device',
        )


@contextlib.contextmanager
def reserved(threads: int, seed: int) -> Iterator[None]:
    """Run the block with that many threads and a seed for torch's own generator; then put both back.

    Initial weights and dropout draw from that generator, which cannot be handed in. On the CPU, the same seed and
    number of threads give the same weights to the last bit; on a GPU that is not promised.
    """
    n_before = torch.get_num_threads()
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(threads)
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(n_before)


def precision(kind: Literal["auto", "single", "mixed"], device: str) -> torch.autocast:
    """Return the context in which a network is applied in training: in bfloat16 where that is asked for or pays.

    bfloat16 has the range of single precision, so that no loss needs to be scaled; what is summed up stays single.
    """
    able = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    mixed = kind == "mixed" or (kind == "auto" and able)
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=mixed)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a device has no memory left; of those without an error of their own only the words tell."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in said or "out of memory" in said
