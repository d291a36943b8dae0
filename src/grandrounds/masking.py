"""Lung masks as an artefact: a U-Net trained on simulated chests, judged on others, and applied to a set of images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import scipy.stats
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from grandrounds import data, prepare, seeds, tables
from grandrounds.data import Dataset, SourceOptions
from grandrounds.data.hrct_chest import Chest, ChestSpec, chests
from grandrounds.errors import BadData
from grandrounds.image import Geometry, Image
from grandrounds.prepare import artefact
from grandrounds.prepare.geometry import require_spacing
from grandrounds.prepare.lungs import lungs_of
from grandrounds.specs import Spec
from grandrounds.training import unet
from grandrounds.training.unet import Pass, Section, UNetSpec

Watch = Callable[[str, int, int], None]  # called with what is being done, how much of it is done and how much there is
Mask = NDArray[np.bool_]
_WEIGHTS, _FACTS = "unet.safetensors", "unet.json"
PICTURE = "look.png"
_TILES, _TILE_PX = 12, 200
_ORANGE = np.array([40, 120, 240])  # blue, green, red


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


class Agreement(Spec):
    """A mean Dice over patients, with its 95 % interval.

    Args:
        what: Of what.
        mean: Over patients, the sections of each taken together.
        low: Lower end.
        high: Upper end.
        n_patients: How many.
    """

    what: str
    mean: float
    low: float
    high: float
    n_patients: int


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


@dataclass(frozen=True, slots=True)
class Made:
    """What came of making masks: where they are, by which model, how many images, how much of them is lung."""

    folder: Path
    model: Model
    n_images: int
    share: float


def make(
    source: str | Path, folder: Path, options: SourceOptions | None = None, spec: MaskSpec | None = None,
    *, hounsfield: bool = False, names: bool = False, cache: Path | None = None, watch: Watch | None = None,
) -> Made:  # fmt: skip
    """Find the lungs in a set of chest CT, with the model in the folder or one that is trained there first.

    Args:
        source: A path, or the name of a set.
        folder: Where masks and model go; masks of other images by the same model stay.
        options: How the source is read.
        spec: How the model is made where there is none yet; None for the defaults.
        hounsfield: Whether pixels are Hounsfield units although the files cannot say so.
        names: Whether samples keep their names in the table, which may tell who somebody is.
        cache: Where sets that grandrounds makes are kept.
        watch: Told how far it is.

    Raises:
        BadData: The images are no CT, or a file is damaged; before anything is trained if the first image shows it.
    """
    tell = watch or (lambda _what, _done, _all: None)
    opened = data.open_dataset(source, options, cache=cache, progress=partial(tell, "Reading every image"))
    _refuse_no_ct(opened, hounsfield=hounsfield)
    home = folder / artefact.MODEL
    model = read(home) if (home / _FACTS).exists() else trained(spec or MaskSpec(), home, tell)
    rows, tiles = list[dict[str, object]](), list[NDArray[np.uint8]]()
    whole = replace(opened, files=opened.files.with_columns(box=pl.lit(None, dtype=opened.files.schema["box"])))
    groups = _images(whole)
    for done, (first, samples) in enumerate(groups, start=1):
        image = _stated(whole.load(first), hounsfield=hounsfield)
        mask = model.lungs(image)
        row = artefact.save(folder, image, mask)
        rows += [{"sample": name, **row} for name in samples]
        if len(tiles) < _TILES and done % max(1, len(groups) // _TILES) == 0:
            tiles.append(_tile(image, mask))
        tell("Finding lungs", done, len(groups))
    frame = pl.DataFrame(rows)
    if not (names or opened.simulated):
        frame = frame.with_columns(sample=pl.format("image-{}", pl.int_range(1, pl.len() + 1)))
    artefact.write(folder, frame, model.hash, frozenset(model.facts.patients))
    cv2.imwrite(str(folder / PICTURE), _sheet(tiles))
    return Made(folder, model, len(groups), float(frame["share"].cast(pl.Float64).mean() or 0.0))  # type: ignore[arg-type]


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


def judged(network: nn.Module, pixel_mm: float, others: Iterator[Chest]) -> tuple[Agreement, ...]:
    """Return the Dice of the network, of thresholds, and by how much the network is better, over patients."""
    both = dict[str, list[tuple[int, int, int, int]]]()
    for one in others:
        spacing_mm = (one.pixel_mm, one.pixel_mm)
        by_unet = unet.lungs_by(network, one.hu[None], spacing_mm, pixel_mm)[0]
        by_threshold = lungs_of(Image(one.hu[None], Geometry(spacing_mm), unit="hu"))
        counts = (*_counts(by_unet, one.lungs), *_counts(by_threshold, one.lungs))
        both.setdefault(one.patient, []).append(counts)
    per_patient = np.array([np.sum(sections, axis=0) for sections in both.values()])  # (patients, 4)
    u_net, thresholds = per_patient[:, 0] / per_patient[:, 1], per_patient[:, 2] / per_patient[:, 3]
    return (
        over_patients("U-Net", u_net),
        over_patients("thresholds", thresholds),
        over_patients("U-Net less thresholds", u_net - thresholds),
    )


def over_patients(what: str, values: NDArray[np.float64]) -> Agreement:
    """Return a mean with its BCa interval over patients.

    Assumes independent patients. Reference: Efron, JASA 1987;82:171, as in `scipy.stats.bootstrap`.
    """
    found = scipy.stats.bootstrap((values,), np.mean, n_resamples=9999, rng=np.random.default_rng(0), method="BCa")
    low, high = found.confidence_interval
    return Agreement(what=what, mean=float(values.mean()), low=float(low), high=float(high), n_patients=len(values))


def dice(one: Mask, other: Mask) -> float:
    """Return twice what two masks share over what they hold together; 1 where both are empty."""
    shared, both = _counts(one, other)
    return shared / both if both else 1.0


def _counts(one: Mask, other: Mask) -> tuple[int, int]:
    return 2 * int((one & other).sum()), int(one.sum()) + int(other.sum())


def _simulated(spec: ChestSpec, what: str, tell: Watch) -> Iterator[Chest]:
    total = spec.n_patients * spec.n_sections
    for done, one in enumerate(chests(spec), start=1):
        tell(what, done, total)
        yield one


def _images(opened: Dataset) -> list[tuple[str, list[str]]]:
    """Return a sample of each image, and all that are cut from it, whose files are then read as a whole."""
    places = pl.struct("path", "member", "frame")
    by_sample = opened.files.group_by("sample", maintain_order=True).agg(places)
    groups = by_sample.group_by("path", maintain_order=True).agg("sample")
    return [(names[0], names) for names in groups["sample"].to_list()]


def _refuse_no_ct(opened: Dataset, *, hounsfield: bool) -> None:
    encodings = set(opened.samples["encoding"].drop_nulls())
    if not hounsfield and encodings != {"hu"}:
        raise BadData(
            f"lungs are found by Hounsfield units, and these images are stored as {', '.join(sorted(encodings))}",
            where=opened.root,
            remedy="state it with --hounsfield if they are CT all the same, as NIfTI and NRRD files cannot say it",
        )


def _stated(image: Image, *, hounsfield: bool) -> Image:
    return prepare.build_step({"step": "hounsfield"})(image) if hounsfield else image


def _tile(image: Image, mask: Mask) -> NDArray[np.uint8]:
    """Return the plane with most lung, the lung in orange, small."""
    planes, masks = (one.reshape(-1, *image.space[-2:]) for one in (image.pixels[0], mask))  # (D, H, W)
    k = int(masks.sum(axis=(1, 2)).argmax())
    grey = np.clip((planes[k].astype(np.float32) + 1000) / 1400, 0, 1)[..., None] * np.full(3, 255.0)  # (H, W, 3)
    grey[masks[k]] = 0.65 * grey[masks[k]] + 0.35 * _ORANGE
    height, width = grey.shape[:2]
    shrink = _TILE_PX / max(height, width)
    small = cv2.resize(
        grey, (max(1, round(width * shrink)), max(1, round(height * shrink))), interpolation=cv2.INTER_AREA
    )
    tile = np.zeros((_TILE_PX, _TILE_PX, 3), dtype=np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small.round()
    return tile


def _sheet(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    across = 4
    blank = [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    rows = [*tiles, *blank]
    return np.vstack([np.hstack(rows[at : at + across]) for at in range(0, len(rows), across)])
