"""Minutes to the published quality: our declared schedule against the official MedMNIST protocol, on one machine.

Result    BreastMNIST, mixed precision: whole schedule 0.55 minutes (0.53 to 0.57 of three seeds) against 17.41, 31.6
          times as fast; three official epochs were run, 10.4 s each. Single precision, another day, all hundred
          official epochs: 0.45 minutes (0.43 to 0.60) against 10.49, 23.1 times; until the epoch kept 3.6 times
          PneumoniaMNIST: 1.49 minutes (1.39 to 1.69) against 101.71, 68.4 times; two official epochs, 61.0 s each.
          On an AMD EPYC, all hundred official epochs, 56 of them in this run: 2.48 minutes (2.46 to 5.27) against
          193.61, 78.0 times; until the epoch kept 34.3 times. Other work ran beside one seed of ours and beside many of
          the official epochs, 116.2 s each, 106.6 s the quickest, which flatters ours
Hardware  two threads of an Intel Xeon, load 2, which is the benchmark's own, where no other is named
Versions  torch 2.14.1, torchvision 0.29.1, timm 1.0.31

    python benchmarks/published_quality.py ARCHIVE.npz STUDY.toml [EPOCHS [STATE.pt]]

for example with BreastMNIST and `studies/breastmnist.toml`. EPOCHS is how many of the official hundred are run now; the
seconds of a hundred are worked out from them. A hundred can take hours, so STATE keeps the training after each epoch
and the next call goes on from there: it knows the epoch that is kept from all of them, and what an epoch takes from
those that it ran itself, beside ours. The official protocol is a ResNet-18 of full width at 28 pixels, single
PIL images in three channels behind a `DataLoader`, batches of 128, Adam at 0.001, divided by ten after the 50th and the
75th epoch, the epoch chosen by AUC on valid (Yang et al., Scientific Data 2023). Ours is the recipe `resnet-18` of the
study with the epoch chosen on valid as well. Both read train and valid alone and use the same threads; an epoch of
either ends with its prediction of valid. The first epoch that a call runs is left out of what an epoch takes.
"""

from __future__ import annotations

import statistics
import sys
import time
import tomllib
from dataclasses import dataclass, field, replace
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


@dataclass
class Official:
    """The official training, which can be put down after any epoch and taken up again."""

    network: nn.Module = field(default_factory=official_network)
    aucs: list[float] = field(default_factory=list)  # on valid, after each epoch

    def __post_init__(self) -> None:
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=0.001)
        self._scheduler = torch.optim.lr_scheduler.MultiStepLR(self._optimiser, milestones=[50, 75], gamma=0.1)

    def epoch(self, batches: DataLoader, valid: PilImages) -> None:
        """Train once on every image and look at valid."""
        self.network.train()
        for images, labels in batches:
            self._optimiser.zero_grad()
            F.cross_entropy(self.network(images), labels).backward()
            self._optimiser.step()
        self._scheduler.step()
        self.aucs.append(auc_of(self.network.eval(), valid))

    def put_down(self, path: Path) -> None:
        """Replace the file only when the new one is whole, since hours stand in it."""
        whole = {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scheduler": self._scheduler.state_dict(),
            "draws": torch.get_rng_state(),
            "aucs": self.aucs,
        }
        torch.save(whole, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def take_up(self, path: Path) -> None:
        """Go on from a file that `put_down` wrote."""
        whole = torch.load(path, weights_only=True)
        self.network.load_state_dict(whole["network"])
        self._optimiser.load_state_dict(whole["optimiser"])
        self._scheduler.load_state_dict(whole["scheduler"])
        torch.set_rng_state(whole["draws"])
        self.aucs = whole["aucs"]


def official(train: PilImages, valid: PilImages, n_epochs: int, state: Path | None) -> tuple[list[float], list[float]]:
    """Return the seconds of each epoch that was run now, and the AUC on valid after each one so far."""
    torch.manual_seed(0)
    training = Official()
    if state and state.exists():
        training.take_up(state)
    batches = DataLoader(InColour(train), batch_size=BATCH, shuffle=True)
    seconds: list[float] = []
    while len(seconds) < n_epochs and len(training.aucs) < OFFICIAL_EPOCHS:
        began = time.perf_counter()
        training.epoch(batches, valid)
        seconds.append(time.perf_counter() - began)
        if state:
            training.put_down(state)
        told = f"official epoch {len(training.aucs)} of {OFFICIAL_EPOCHS}, {seconds[-1]:.1f} s"
        print(f"\r{told}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return seconds, training.aucs


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


def main(path: Path, study: Path, n_epochs: int, state: Path | None) -> None:
    recipe = next(one for one in tomllib.loads(study.read_text())["recipes"] if one["family"] == "resnet-18")
    (train, valid), pil = read(path)
    print(f"{path.name}: {len(train.labels)} images of train, {len(valid.labels)} of valid, {THREADS} threads")
    print(f"{'one seed':20}{'minutes':>12}{'until kept':>14}{'epoch kept':>14}{'AUC on valid':>14}")
    rows = [ours(train, valid, recipe, seed) for seed in range(SEEDS)]
    for whole_s, until_s, best, auc in rows:
        line("ours", whole_s, until_s, best, f"{auc:.3f}")
    whole_s, until_s = (statistics.median(row[at] for row in rows) for at in (0, 1))
    with machine.reserved(THREADS, 0):
        seconds, aucs = official(*pil, n_epochs=n_epochs, state=state)
    if not seconds:
        sys.exit(f"{state} holds all {OFFICIAL_EPOCHS} epochs, so that none was left to be timed beside ours")
    epoch_s = statistics.median(seconds[1:] or seconds)
    ratio = f"whole schedule: ours is {epoch_s * OFFICIAL_EPOCHS / whole_s:.1f} times as fast"
    timed = f"{len(seconds)} of the {OFFICIAL_EPOCHS} official epochs were run beside it, {epoch_s:.1f} s each"
    if len(aucs) < OFFICIAL_EPOCHS:
        line("official", epoch_s * OFFICIAL_EPOCHS)
        print(f"{ratio}; {timed}")
        return
    best = int(np.argmax(aucs)) + 1
    line("official", epoch_s * OFFICIAL_EPOCHS, best * epoch_s, best, f"{max(aucs):.3f}")
    print(f"{ratio}, until the epoch that is kept {best * epoch_s / until_s:.1f} times; {timed}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(print("left out: it needs an archive and a study, see its head"))
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]) if len(sys.argv) > 3 else OFFICIAL_EPOCHS,
        Path(sys.argv[4]) if len(sys.argv) > 4 else None,
    )
