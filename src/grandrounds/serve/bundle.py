"""A bundle: the folder that ships. Weights, preparation, classes and what was learned about them, without the study.

A bundle is JSON and safetensors. Loading one opens no pickle and imports nothing that a file names: the family is
looked up in the registry. Every file's hash stands in the manifest, and a file that does not match is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.evaluate.aggregation import Rule
from grandrounds.evaluate.calibrators import Calibrator
from grandrounds.evaluate.called import Threshold
from grandrounds.prepare import Pipeline
from grandrounds.serve.envelope import Envelope
from grandrounds.serve.likeness import Likeness
from grandrounds.specs import Spec, digest
from grandrounds.tables import Task, Unit

MANIFEST, CARD = "bundle.json", "card.md"
FORMAT = 4
_SEALED = 4  # the first format with a seal
# The first knew neither rules nor calibrators, the second no envelope, the third no seal.
READABLE = (1, 2, 3, 4)
_OF_ITS_VERSION = "use the version of grandrounds that wrote it"
_ANEW = "copy the model anew from where it was made"


class Bundle(Spec):
    """The manifest of a bundle.

    Args:
        format: Version of this layout.
        family: Name in the registry of families.
        task: Classes in the order of the probabilities.
        pipeline: How an image is prepared.
        shape: (C, H, W) of a prepared image.
        members: Folders of fitted models whose mean is the prediction.
        kinds: Parts of series descriptions that told the series of a DICOM export apart; none where planes did.
        unit: What the study compared, and therefore what one answer is about: a sample, a case or a patient.
        rules: How each member makes one answer of the samples of a case or a patient; none where samples were compared.
        calibration: How probabilities are recalibrated, in a word; `"none"` where they are best as stated.
        calibrators: For each member those whose mean recalibrates its answers; none where they are best as stated.
        thresholds: What each rule calls a class from, on the recalibrated answers: means of the members' own.
        envelope: What the images that it learned from were like; None where nobody measured them.
        files: SHA-256 of every other file, by relative path.
        seal: Hash of all the rest of the manifest, so that it is not changed by mistake; None in older ones.
        fingerprint: Of the dataset that it was trained on.
        simulated: Whether it was trained on images that show nobody.
        warning: What it must not be taken for.
    """

    format: int = FORMAT
    family: str
    task: Task
    pipeline: Pipeline
    shape: tuple[int, ...]
    members: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    unit: Unit = "sample"
    rules: tuple[Rule, ...] = ()
    calibration: str = "none"
    calibrators: tuple[tuple[Calibrator, ...], ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    envelope: Envelope | None = None
    files: dict[str, str]
    seal: str | None = None
    fingerprint: str
    simulated: bool = False
    warning: str = "Research software; not a medical device."

    def sealed(self) -> str:
        """Return the hash of the manifest without its seal."""
        return digest(self.model_dump(mode="json", exclude={"seal"}))


def write(
    folder: Path, members: Sequence[Path], *, card: str | None = None, likeness: Likeness | None = None, **facts: object
) -> Bundle:
    """Copy fitted models into a new bundle and return its manifest; an older bundle is replaced.

    Args:
        folder: Where the bundle goes.
        members: Folders that `Fitted.save` wrote.
        card: The model card, in Markdown; None for none.
        likeness: What its images show; None where nobody looked.
        facts: The other fields of `Bundle`.
    """
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    names = [f"member-{k}" for k in range(len(members))]
    for name, member in zip(names, members, strict=True):
        shutil.copytree(member, building / name)
    if card is not None:
        (building / CARD).write_text(card, encoding="utf-8")
    if likeness is not None:
        likeness.save(building)
    hashes = {path.relative_to(building).as_posix(): _sha256(path) for path in _files(building)}
    bundle = Bundle.model_validate(facts | {"members": tuple(names), "files": hashes})
    bundle = bundle.replaced(seal=bundle.sealed())
    (building / MANIFEST).write_text(bundle.model_dump_json(indent=2), encoding="utf-8")
    for path in _files(building):
        tables.sync(path)
    _exchange(building, folder)
    return bundle


def _exchange(new: Path, folder: Path) -> None:
    """Put a folder in the place of another, which is there until the new one can be."""
    former = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(former, ignore_errors=True)
    if folder.exists():
        folder.rename(former)
    new.rename(folder)
    shutil.rmtree(former, ignore_errors=True)


def read(folder: Path) -> Bundle:
    """Return the manifest of a bundle whose files are what it says.

    Raises:
        BadData: There is no bundle, its version is unknown, or a file was changed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        _refuse_other_format(manifest, folder)
        bundle = Bundle.model_validate(manifest)
    except OSError:
        raise BadData(
            "there is no model here", where=folder,
            remedy="give a finished run folder, or its folder `model`; a run of floors alone ships none",
        ) from None  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise BadData(
            f"the model's manifest is not one that this version reads: {'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}",
            where=folder / MANIFEST, remedy=f"{_OF_ITS_VERSION}, or {_ANEW}",
        ) from None  # fmt: skip
    except (ValueError, RecursionError):  # no text, or no JSON
        raise BadData("the model's manifest is damaged", where=folder / MANIFEST, remedy=_ANEW) from None
    if not bundle.members or (bundle.format >= _SEALED and bundle.seal != bundle.sealed()):
        raise BadData(
            "the model's manifest was changed",
            where=folder / MANIFEST,
            remedy=_ANEW,
        )
    present = {path.relative_to(folder).as_posix(): _sha256(path) for path in _files(folder)}
    present.pop(MANIFEST, None)
    if present != bundle.files:
        changed = sorted(name for name in present | bundle.files if present.get(name) != bundle.files.get(name))
        raise BadData(f"a file of the model is not what was saved: {changed[0]}", where=folder, remedy="copy it anew")
    return bundle


def _refuse_other_format(manifest: object, folder: Path) -> None:
    """Refuse what a later version wrote before its fields are looked at, some of which this one does not know."""
    written = manifest.get("format", FORMAT) if isinstance(manifest, dict) else FORMAT
    if written not in READABLE:
        raise BadData(
            f"the model has format {written}, this version reads {READABLE[0]} to {READABLE[-1]}", where=folder,
            remedy=_OF_ITS_VERSION,
        )  # fmt: skip


def _files(folder: Path) -> list[Path]:
    """Return the files of a bundle; what a system hides in every folder that it shows is none of them."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
