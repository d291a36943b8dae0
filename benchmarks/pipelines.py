"""Training throughput of our loop against the pipelines that people use, with the same network, batch and optimiser.

Result    ours 979 images a second; 1.11 times MONAI, 1.22 a plain DataLoader, 1.27 the official MedMNIST pipeline
Hardware  two threads of an Intel Xeon, load below 1
Versions  torch 2.14.1, timm 1.0.31, MONAI 1.6.1
n         PneumoniaMNIST, medians of 5 interleaved runs

Run with `python benchmarks/pipelines.py [ARCHIVE.npz] [THREADS]`, for example with PneumoniaMNIST; without an archive,
random images of the same size are used. Each pipeline trains the same thin residual network for the same number of
steps; they take turns, so that other work on the machine disturbs all alike.

- medmnist: a dataset of single PIL images, ToTensor and Normalize, `DataLoader`, as the official experiments have it
- dataloader: tensors in a `TensorDataset` behind a `DataLoader`, the loop that timm's examples write
- monai: a `CacheDataset` of transformed images behind MONAI's `DataLoader`; left out where MONAI is not installed
- ours: `grandrounds.training.loop`, shuffling and scheduling included, without augmentation
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from grandrounds.families.architectures import resnet
from grandrounds.families.params import ResNetParams
from grandrounds.training import machine
from grandrounds.training.loop import drive, train
from grandrounds.training.losses import OfLabels
from grandrounds.training.plan import Labelled, Plan

N_IMAGES, SIDE_PX, BATCH, REPETITIONS = 1024, 28, 64, 5
PARAMS = ResNetParams(width=0.25, batch_size=BATCH, shift=0.0, mirror="never", learning_rate=1e-3)


def images_of(archive: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return 8-bit grey images (N, H, W) and their labels (N,)."""
    if archive is None:
        random = np.random.default_rng(0)
        return random.integers(0, 256, (N_IMAGES, SIDE_PX, SIDE_PX), dtype=np.uint8), np.arange(N_IMAGES) % 2
    with np.load(archive, allow_pickle=False) as file:
        return file["train_images"][:N_IMAGES], file["train_labels"][:N_IMAGES].ravel().astype(np.int64)


class PilImages(Dataset):
    """Single images through PIL, as the official pipeline reads them."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self._pixels, self._labels = pixels, labels
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._pixels[at])), int(self._labels[at])


def network() -> nn.Module:
    torch.manual_seed(0)
    return resnet(PARAMS, (1, SIDE_PX, SIDE_PX), 2).module


def usual_loop(batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    """Return images per second of the loop that everybody writes."""
    module = network().train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    began, n_seen = time.perf_counter(), 0
    for images, labels in batches:
        optimiser.zero_grad()
        loss = F.cross_entropy(module(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()
        n_seen += len(labels)
    return n_seen / (time.perf_counter() - began)


def medmnist_like(pixels: np.ndarray, labels: np.ndarray) -> float:
    return usual_loop(iter(DataLoader(PilImages(pixels, labels), batch_size=BATCH, shuffle=True)))


def dataloader(pixels: np.ndarray, labels: np.ndarray) -> float:
    tensors = TensorDataset(torch.from_numpy(as_floats(pixels)), torch.from_numpy(labels))
    return usual_loop(iter(DataLoader(tensors, batch_size=BATCH, shuffle=True)))


def monai_cached(pixels: np.ndarray, labels: np.ndarray) -> float:
    from monai.data import CacheDataset
    from monai.data import DataLoader as MonaiLoader
    from monai.transforms import Compose, EnsureTyped, ScaleIntensityd

    rows = [{"image": one[None], "label": int(label)} for one, label in zip(pixels, labels, strict=True)]
    cached = CacheDataset(rows, Compose([EnsureTyped(["image"]), ScaleIntensityd(["image"])]), progress=False)
    loader = MonaiLoader(cached, batch_size=BATCH, shuffle=True)
    return usual_loop((batch["image"].as_tensor().float(), batch["label"]) for batch in loader)


def ours(pixels: np.ndarray, labels: np.ndarray) -> float:
    epochs = []
    plan = Plan(n_epochs=1, cap_s=None, seed=0, device="cpu", flips=False, loss=OfLabels())
    data = Labelled(as_floats(pixels), labels)
    module = network().to(memory_format=torch.channels_last)
    few = Labelled(data.pixels[:8], labels[:8])
    drive(train(module, data, few, PARAMS, plan, lambda _labels, _probs: 0.0), epochs.append)
    return epochs[0].images_per_s


def as_floats(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, None].astype(np.float32) / 255


def main(archive: str | None, threads: int) -> None:
    pixels, labels = images_of(archive)
    pipelines: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "ours": ours, "dataloader": dataloader, "medmnist": medmnist_like,
    }  # fmt: skip
    if importlib.util.find_spec("monai") is None:
        print("monai is left out: it is not installed")
    else:
        pipelines["monai"] = monai_cached
    with machine.reserved(threads, 0):
        few = slice(0, 4 * BATCH)
        for pipeline in pipelines.values():
            pipeline(pixels[few], labels[few])  # warm-up
        rounds = [{name: one(pixels, labels) for name, one in pipelines.items()} for _ in range(REPETITIONS)]
    print(
        f"{Path(archive).name if archive else 'random images'}: {len(labels)} images, batch {BATCH}, {threads} threads"
    )
    print(f"{'pipeline':12}{'images/s':>10}{'ours ÷ it':>11}")
    for name in pipelines:
        ratio = statistics.median(one["ours"] / one[name] for one in rounds)
        print(f"{name:12}{statistics.median(one[name] for one in rounds):10.0f}{ratio:11.2f}")


if __name__ == "__main__":
    archives = [one for one in sys.argv[1:] if one.endswith(".npz")]
    numbers = [int(one) for one in sys.argv[1:] if one.isdigit()]
    main(archives[0] if archives else None, numbers[0] if numbers else 2)
