"""The model behind the masks: a U-Net trained on simulated chests, judged on others, kept in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from grandrounds import seeds, tables
from grandrounds.data.hrct_chest import Chest, ChestSpec, chests
from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.masking.agreement import Agreement, Mask, judged
from grandrounds.prepare.needs import require_spacing
from grandrounds.specs import Spec
from grandrounds.training import unet
from grandrounds.training.unet import Pass, Section, UNetSpec

Watch = Callable[[str, int, int], None]  # called with what is being done, how much of it is done and how much there is
_WEIGHTS, _FACTS = "unet.safetensors", "unet.json"


class MaskSpec(Spec):
    """How the model behind the masks is made.

    Args:
        chests: Simulated patients to train on.
        judged: Other simulated patients, all with dense disease, on whom it is judged afterwards.
        unet: The network and its training.
        seed: Root of all randomness.
        threads: CPU threads.
    """

    chests: ChestSpec = ChestSpec()
    judged: ChestSpec = ChestSpec(n_patients=12, n_sections=4, dense=True)
    unet: UNetSpec = UNetSpec()
    seed: int = 0
    threads: int = 1


class Facts(Spec):
    """What is kept beside the weights.

    Args:
        spec: How the model was made.
        patients: Whom it was trained on, as hashes.
        dice: How well it does on simulated patients with dense disease, beside thresholds.
    """

    spec: MaskSpec
    patients: tuple[str, ...]
    dice: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained U-Net, what is known of it, and its hash."""

    network: nn.Module
    facts: Facts
    hash: str

    def lungs(self, image: Image) -> Mask:
        """Return where it sees lung, in the image's space.

        Raises:
            BadData: The pixels are no Hounsfield units, or the spacing is unknown.
        """
        if image.unit != "hu" or len(image.pixels) != 1:
            raise BadData(
                "lungs are found by Hounsfield units, and nothing says that these pixels are",
                remedy="state it with --hounsfield if they are, as for NIfTI and NRRD files of CT",
            )
        spacing_mm = require_spacing(image, "mask", "add the spacing to the files")
        planes = image.pixels[0].reshape(-1, *image.space[-2:])  # (D, H, W)
        in_plane_mm = spacing_mm[-2], spacing_mm[-1]
        found = unet.lungs_by(self.network, planes, in_plane_mm, self.facts.spec.unet.pixel_mm)
        return found.reshape(image.space)


def is_there(home: Path) -> bool:
    """Return whether a folder holds a model."""
    return (home / _FACTS).exists()


def trained(spec: MaskSpec, home: Path, tell: Watch) -> Model:
    """Return a model trained on simulated chests and judged on others, and keep it in a folder.

    Raises:
        MissingExtra: MONAI is not installed.
    """
    network = unet.built(spec.unet)  # says so at once where MONAI is missing
    shown = list(_simulated(spec.chests.replaced(seed=seeds.derive(spec.seed, "train")), "Simulating chests", tell))
    sections = [Section(one.hu, one.lungs, one.pixel_mm) for one in shown]
    for one in unet.fitted(sections, spec.unet, spec.seed, spec.threads):
        if isinstance(one, Pass):
            tell("Training the U-Net", one.epoch, one.n_epochs)
        else:
            network = one
    others = _simulated(spec.judged.replaced(seed=seeds.derive(spec.seed, "judge")), "Judging it on others", tell)
    patients = tables.patient_hashes(pl.Series([one.patient for one in shown])).unique().sort()
    facts = Facts(spec=spec, patients=tuple(patients), dice=judged(network, spec.unet.pixel_mm, others))
    home.mkdir(parents=True, exist_ok=True)
    with tables.atomic(home / _WEIGHTS) as temporary:
        temporary.write_bytes(save({name: one.contiguous() for name, one in network.state_dict().items()}))
    with tables.atomic(home / _FACTS) as temporary:
        temporary.write_text(facts.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return read(home)


def read(home: Path) -> Model:
    """Return the model in a folder.

    Raises:
        BadData: It is damaged.
        MissingExtra: MONAI is not installed.
    """
    try:
        facts = Facts.model_validate(json.loads((home / _FACTS).read_text(encoding="utf-8")))
        network = unet.built(facts.spec.unet)
        network.load_state_dict(load_file(home / _WEIGHTS))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise BadData(
            f"the model behind the masks cannot be read: {type(error).__name__}", where=home,
            remedy="delete the folder; the next `grandrounds mask` trains it anew",
        ) from None  # fmt: skip
    content = (home / _FACTS).read_bytes() + (home / _WEIGHTS).read_bytes()
    return Model(network.eval(), facts, hashlib.sha256(content).hexdigest()[:16])


def _simulated(spec: ChestSpec, what: str, tell: Watch) -> Iterator[Chest]:
    total = spec.n_patients * spec.n_sections
    for done, one in enumerate(chests(spec), start=1):
        tell(what, done, total)
        yield one
