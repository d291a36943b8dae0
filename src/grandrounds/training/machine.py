"""What a fit may use of the machine, and how its random numbers are fixed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


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
