"""Several processes that train one network together, as `torchrun` starts them; on one's own everything is rank 0."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from grandrounds.training import launched


@contextlib.contextmanager
def joined(device: str) -> Iterator[None]:
    """Let the processes that `torchrun` has started train together in this block, each on a GPU of its own."""
    if not launched.several():
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
        dist.barrier()  # nobody leaves while another still talks to it
    finally:
        dist.destroy_process_group()


def mean_of_all(value: float, device: torch.device) -> float:
    """Return the mean of what each process has; what there is where there is but one."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    total = torch.tensor(value, dtype=torch.float32, device=device)
    dist.all_reduce(total)
    return float(total) / dist.get_world_size()


class Ranks:
    """The processes of one training: which part of a batch is ours, and what all of them agree on."""

    def __init__(self, network: nn.Module) -> None:
        self.n = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        self._rank = dist.get_rank() if self.n > 1 else 0
        self._network = network
        self.wrapped = DistributedDataParallel(network) if self.n > 1 else network

    def part(self, rows: Tensor) -> Tensor:
        """Return our rows of a batch."""
        return rows[self._rank :: self.n]

    def mean(self, value: float) -> float:
        """Return the mean of what each process has."""
        return mean_of_all(value, next(self._network.parameters()).device)

    def alike(self, network: nn.Module) -> None:
        """Give every process the first one's running means of norms, so that all judge the same network."""
        if self.n > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)
