"""Minutes to the published quality: our declared schedule against the official MedMNIST protocol, on one machine.

Result    BreastMNIST, mixed precision: whole schedule 0.55 minutes (0.53 to 0.57 of three seeds) against 17.41, 31.6
          times as fast; three official epochs were run, 10.4 s each. Single precision, another day, all hundred
          official epochs: 0.45 minutes (0.43 to 0.60) against 10.49, 23.1 times; until the epoch kept 3.6 times
          PneumoniaMNIST: 1.49 minutes (1.39 to 1.69) against 101.71, 68.4 times; two official epochs, 61.0 s each
Hardware  two threads of an Intel Xeon, load 2, which is the benchmark's own
Versions  torch 2.14.1, torchvision 0.29.1, timm 1.0.31

    python benchmarks/published_quality.py ARCHIVE.npz STUDY.toml [EPOCHS]

for example with BreastMNIST and `studies/breastmnist.toml`. EPOCHS is how many of the official hundred are run; the
seconds of a hundred are worked out from them. The official protocol is a ResNet-18 of full width at 28 pixels, single
PIL images in three channels behind a `DataLoader`, batches of 128, Adam at 0.001, divided by ten after the 50th and the
75th epoch, the epoch chosen by AUC on valid (Yang et al., Scientific Data 2023). Ours is the recipe `resnet-18` of the
study with the epoch chosen on valid as well. Both read train and valid alone and use the same threads; an epoch of
either ends with its prediction of valid. The first epoch of the official protocol is left out of what an epoch takes.
"""

from __future__ import annotations

import statistics
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from pipelines import PilImages
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18

from grandrounds import families
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.training import machine

THREADS, SEEDS, OFFICIAL_EPOCHS, BATCH, SIDE_PX = 2, 3, 100, 128, 28


class InColour(Dataset):
    """The images in three equal channels, as the official experiments read grey ones."""

    def __init__(self, images: PilImages) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        image, label = self._images[at]
        return image.expand(3, -1, -1), label


def official_network() -> nn.Module:
    """Return a ResNet-18 of full width whose stem keeps the resolution of small images."""
    network = resnet18(num_classes=2)
    network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


def official(train: PilImages, valid: PilImages, n_epochs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each epoch, and the AUC on valid after it."""
    torch.manual_seed(0)
    network = official_network()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones=[50, 75], gamma=0.1)
    batches = DataLoader(InColour(train), batch_size=BATCH, shuffle=True)
    seconds, aucs = [], []
    for epoch in range(n_epochs):
        began = time.perf_counter()
        network.train()
        for images, labels in batches:
            optimiser.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimiser.step()
        scheduler.step()
        aucs.append(auc_of(network.eval(), valid))
        seconds.append(time.perf_counter() - began)
        print(f"\rofficial epoch {epoch + 1} of {n_epochs}, {seconds[-1]:.1f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return seconds, aucs


def auc_of(network: nn.Module, valid: PilImages) -> float:
    labels, scores = [], []
    with torch.inference_mode():
        for images, part in DataLoader(InColour(valid), batch_size=BATCH):
            labels.append(part.numpy())
            scores.append(network(images).softmax(1)[:, 1].numpy())
    return float(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))


def view_of(archive, role):
    """Return the images of a role as a family reads them, each of a patient of its own."""
    pixels = archive[f"{role}_images"][:, None].astype(np.float32) / 255
    view = noise_view((1, SIDE_PX, SIDE_PX), len(pixels), 2)
    return replace(view, pixels=pixels, labels=archive[f"{role}_labels"].ravel().astype(np.int64))


def ours(train, valid, recipe, seed):
    """Return the seconds of the whole schedule and until the epoch that is kept, that epoch, and its AUC on valid."""
    epochs = []
    family = families.build(recipe["family"], recipe.get("params"))
    began = time.perf_counter()
    fitted = family.fit(train, valid, Budget(epochs=recipe["epochs"], threads=THREADS), seed, epochs.append)
    whole_s = time.perf_counter() - began
    best = fitted.record.best_epoch
    auc = roc_auc_score(valid.labels, fitted.predict(replace(valid, labels=None))[:, 1])
    return whole_s, epochs[best - 1].time_s, best, float(auc)


def line(who, whole_s, until_s=None, epoch=None, auc=None):
    """Print one line of the table."""
    until, kept, on_valid = ("" if one is None else one for one in (until_s and f"{until_s / 60:.2f}", epoch, auc))
    print(f"{who:20}{whole_s / 60:12.2f}{until:>14}{kept:>14}{on_valid:>14}", flush=True)


def read(path):
    """Return views of train and valid, and the same images for the official protocol."""
    with np.load(path, allow_pickle=False) as archive:
        views = [view_of(archive, role) for role in ("train", "val")]
        pil = [
            PilImages(archive[f"{role}_images"], archive[f"{role}_labels"].ravel().astype(np.int64))
            for role in ("train", "val")
        ]
    return views, pil


def main(path: Path, study: Path, n_epochs: int) -> None:
    recipe = next(one for one in tomllib.loads(study.read_text())["recipes"] if one["family"] == "resnet-18")
    (train, valid), pil = read(path)
    print(f"{path.name}: {len(train.labels)} images of train, {len(valid.labels)} of valid, {THREADS} threads")
    print(f"{'one seed':20}{'minutes':>12}{'until kept':>14}{'epoch kept':>14}{'AUC on valid':>14}")
    rows = [ours(train, valid, recipe, seed) for seed in range(SEEDS)]
    for whole_s, until_s, best, auc in rows:
        line("ours", whole_s, until_s, best, f"{auc:.3f}")
    whole_s, until_s = (statistics.median(row[at] for row in rows) for at in (0, 1))
    with machine.reserved(THREADS, 0):
        seconds, aucs = official(*pil, n_epochs)
    epoch_s = statistics.median(seconds[1:] or seconds)
    ratio = f"whole schedule: ours is {epoch_s * OFFICIAL_EPOCHS / whole_s:.1f} times as fast"
    if n_epochs < OFFICIAL_EPOCHS:
        line("official", epoch_s * OFFICIAL_EPOCHS)
        print(f"{ratio}; {n_epochs} of the {OFFICIAL_EPOCHS} official epochs were run, {epoch_s:.1f} s each")
        return
    best = int(np.argmax(aucs)) + 1
    line("official", epoch_s * OFFICIAL_EPOCHS, best * epoch_s, best, f"{max(aucs):.3f}")
    print(
        f"{ratio}, until the epoch that is kept {best * epoch_s / until_s:.1f} times; an official epoch {epoch_s:.1f} s"
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(print("left out: it needs an archive and a study, see its head"))
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else OFFICIAL_EPOCHS)
