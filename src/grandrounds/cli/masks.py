"""The command `mask`: its options, and what it says of masks that were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from grandrounds import registry, specs
from grandrounds.cli import options
from grandrounds.data import SourceOptions
from grandrounds.errors import BadSpec
from grandrounds.prepare import artefact
from grandrounds.wording import percent

if TYPE_CHECKING:
    from grandrounds.masking import Made


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Trained:
    """How the U-Net is trained, where the folder has none yet.

    Args:
        patients: Simulated patients to train on.
        sections: Sections of each.
        epochs: Passes over all sections.
        judged: Other simulated patients to judge it on.
        seed: Root of all randomness.
        threads: CPU threads.
    """

    patients: int = 24
    sections: int = 6
    epochs: int = 40
    judged: int = 12
    seed: int = 0
    threads: int = 1


def made(
    source: str, folder: Path, read: SourceOptions | None, wanted: Trained | None, hounsfield: bool, names: bool,  # noqa: FBT001  (passed on)
    watch: Callable[[str, int, int], None],
) -> Made:  # fmt: skip
    """Return the masks of a set, made now.

    Raises:
        BadSpec: The folder has a U-Net already, and the options ask for another one.
    """
    if wanted is not None and any((folder / artefact.MODEL).glob("*.json")):
        raise BadSpec(
            "this folder has a trained U-Net, which is used as it is", where=folder,
            remedy="leave out the options of training, or name another folder with -o",
        )  # fmt: skip
    masking = registry.load("grandrounds.masking:make", requires=("torch", "monai"), wanted_by="grandrounds mask")
    found: Made = masking(
        source, folder, read, _spec(wanted or Trained()), hounsfield=hounsfield, names=names,
        cache=options.RUNS / options.name_of(source) / "data", watch=watch,
    )  # fmt: skip
    return found


def _spec(wanted: Trained) -> Any:  # noqa: ANN401  (the class is imported where torch is)
    content = {
        "judged": {"n_patients": wanted.judged, "n_sections": 4, "dense": True},
        "chests": {"n_patients": wanted.patients, "n_sections": wanted.sections},
        "unet": {"epochs": wanted.epochs}, "seed": wanted.seed, "threads": wanted.threads,
    }  # fmt: skip
    return specs.parse(registry.load("grandrounds.masking:MaskSpec"), content, where="the options")


def told(found: Made) -> dict[str, object]:
    """Return what came of it as plain data."""
    return {
        "folder": str(found.folder),
        "model": found.model.hash,
        "images": found.n_images,
        "share_of_lung": found.share,
        "dice": [one.model_dump() for one in found.model.facts.dice],
    }


def lines(found: Made) -> list[str]:
    """Return what came of it in sentences."""
    dice = found.model.facts.dice
    step = f'  [[prepare.whole]]\n  step = "masked"\n  masks = "{found.folder.absolute()}"'
    return [
        f"Masks of {found.n_images} images; {percent(found.share)} of their pixels are lung.",
        f"Dice on {dice[0].n_patients} other simulated patients, all with dense disease, and its 95 % interval:",
        *(f"  {one.what:<22} {one.mean:6.3f}  ({one.low:.3f} to {one.high:.3f})" for one in dice),
        f"\nLook at some masks before you rely on them: {found.folder / 'look.png'}",
        f"In a study, in front of all other steps of `whole`:\n\n{step}",
    ]
