"""Reads a data set of nnU-Net or of the Medical Segmentation Decathlon: `imagesTr`, `imagesTs` and `dataset.json`.

Isensee et al., Nat Methods 2021; 18:203-211; https://github.com/MIC-DKFZ/nnUNet, `documentation/dataset_format.md`. It
is a layout: the licence is that of the set, which `dataset.json` may tell under `licence`.

The layout was made for segmentation. Labels of cases come from a table: the one that the option `labels` names, or
`labels.csv`, `.tsv` or `.xlsx` in the folder. Without one, the masks in `labelsTr` tell whether a case has any
foreground, or the structure that the option `label` names, in any of its slices.

Files are called `CASE_0000.nii.gz`, with the number of the channel, but not in the Decathlon. A channel is a series of
its case: the first is read unless the option `series.description` names another; with `series.pick = "all"` all are,
each as samples of the case. The layout names no patients, so whose image it is counts as unknown unless a table tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from grandrounds import formats
from grandrounds.data import joining
from grandrounds.data.draft import Draft, refusals, with_columns
from grandrounds.data.exports import table_in
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData, BadSpec, Refusal
from grandrounds.formats.catalogue import FORMATS
from grandrounds.layouts.volumes import UNITS, Chosen, choose, first_of_each, samples_of, stem
from grandrounds.unknown import known
from grandrounds.wording import many

DESCRIPTION = "dataset.json"
PRESENT = ("absent", "present")
_PARTS = {"imagesTr": "train", "imagesTs": "test"}
_CASES = ("case", "case_id", "caseid", "identifier", "id", "image", "name", "scan")
_PATIENTS = joining.NAMES["patient"]
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_MODALITIES = {"ct": "CT", "mr": "MR", "mri": "MR", "pet": "PT"}
_ENDINGS = tuple(suffix for entry in FORMATS for suffix in entry.suffixes)
_LARGEST = 1 << 26  # bytes of `dataset.json`; one of the old form names every file
_Refused = list[tuple[str, str | None, int | None, str]]


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of a folder with `imagesTr` inside.

    Raises:
        BadSpec: There is no such channel, structure or column.
        BadData: `dataset.json` or the table cannot be read.
    """
    told = _description(source)
    channels = _channels(told)
    parts = {volume: part for part in _PARTS for volume in _volumes(source / part, told, channels)}
    every = options.series.pick == "all" and options.series.description is None
    of_kind = list(parts) if every else choose(list(parts), options.series.description, [*channels.values()], source)
    read = of_kind if options.series.pick == "all" else first_of_each(of_kind)
    refused: _Refused = [
        (str(source / name), None, None, f"{DESCRIPTION} names it, and there is no such file")
        for name in _missing(told, {volume.case for volume in parts})
    ]
    table = Path(options.labels).expanduser().absolute() if options.labels else table_in(source)
    facts, words = (
        _from_table(table, {one.case for one in parts}, options)
        if table is not None
        else _from_masks(source, {one.case: parts[one] for one in read}, told, options.label, refused)
    )
    has_test = any(facts.get(one.case, {}).get("label") for one in read if parts[one] == "imagesTs")
    rows = [
        row | facts.get(one.case, {}) | {"role": _PARTS[parts[one]] if has_test else None, "modality": _modality(one)}
        for one in read
        for row in samples_of(one, options.unit)
    ]
    return Draft(
        name=source.resolve().name,
        root=source,
        rows=with_columns(pl.DataFrame(rows, infer_schema_length=None)),
        task="label" if table is not None else options.label or "foreground",
        classes=PRESENT if facts and table is None else None,
        licence=told.get("licence") if isinstance(told.get("licence"), str) else None,
        notes=(*_told(channels, list(parts), read), UNITS[options.unit], *words),
        refused=refusals(refused),
    )


def _description(source: Path) -> Mapping[str, Any]:
    """Return what `dataset.json` says."""
    path = source / DESCRIPTION
    try:
        if path.stat().st_size > _LARGEST:
            raise BadData(f"{DESCRIPTION} is larger than any such file", where=path)
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(
            f"{DESCRIPTION} cannot be read ({type(error).__name__})",
            where=path,
            remedy="it names the channels; take the one that came with the images",
        ) from None
    if not isinstance(said, dict):
        raise BadData(f"{DESCRIPTION} holds no table of facts", where=path)
    return said


def _channels(told: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the name of each channel by its four digits: `channel_names` of version 2, `modality` of version 1."""
    names = told.get("channel_names", told.get("modality", {"0": "image"}))
    if not isinstance(names, dict) or not all(str(number).isdigit() for number in names):
        raise BadData(f"the channels in {DESCRIPTION} are no table of numbers and names")
    ordered = sorted((int(number), str(name)) for number, name in names.items())
    taken = [name for _, name in ordered]
    return {f"{number:04d}": name if taken.count(name) == 1 else f"{name} {number}" for number, name in ordered}


def _volumes(folder: Path, told: Mapping[str, Any], channels: Mapping[str, str]) -> Iterator[Chosen]:
    """Yield the images of a folder; names end in a channel only if all of them do, in one that is known."""
    ending = str(told.get("file_ending") or "")
    paths = [path for path in sorted(folder.glob("*")) if path.name.endswith(ending) and formats.names_image(path)]
    parts = [_CHANNEL.fullmatch(stem(path)) for path in paths]
    has_channels = all(part is not None and part[2] in channels for part in parts)
    for path, part in zip(paths, parts, strict=True):
        if has_channels and part is not None:
            yield Chosen(part[1], path, channels[part[2]])
        else:
            yield Chosen(stem(path), path, next(iter(channels.values())))


def _missing(told: Mapping[str, Any], cases: set[str]) -> Iterator[str]:
    """Yield the images that a description of version 1 lists and that are not there, under any channel."""
    listed = told.get("training")
    for entry in listed if isinstance(listed, list) else ():
        name = entry.get("image") if isinstance(entry, dict) else None
        if isinstance(name, str) and stem(Path(name)) not in cases:
            yield Path("imagesTr", Path(name).name).as_posix()


def _from_table(
    path: Path, cases: set[str], options: SourceOptions
) -> tuple[Mapping[str, dict[str, Any]], tuple[str, ...]]:
    """Return what a table says of each case, and what to tell the reader."""
    table = joining.read_table(path)
    key = next((name for wanted in _CASES for name in table.columns if name.lower() == wanted), None)
    if key is None:
        raise BadSpec("the table of labels has no column of the case", where=path, remedy="call it case")
    patient = next((name for name in table.columns if name.lower() in _PATIENTS), None)
    rest = table.drop([patient] if patient else [])
    label = joining.label_column(rest, options.label, key, where=path)
    found: dict[str, dict[str, Any]] = {}
    for row in table.with_columns(known(pl.all()).name.keep()).iter_rows(named=True):
        case = _case(row[key] or "", cases)
        if case in found and found[case]["label"] != row[label]:
            raise BadData("a case has two labels in the table", where=path, remedy="keep one row for each case")
        found[case] = {"label": row[label]} | ({"patient": row[patient]} if patient else {})
    counts = {"cases have no row in the table": cases - set(found), "rows have no images": set(found) - cases}
    unmatched = (f"{len(names)} {what}." for what, names in counts.items() if names)
    return found, (f"The label is the column {label!r} of the table.", *unmatched)


def _case(cell: str, cases: set[str]) -> str:
    """Return the case that a cell means, which may be written as the name of a file, with a channel or without.

    >>> _case("imagesTr/knee_0007_0000.nii.gz", {"knee_0007"}), _case("knee_0007.nii.gz", {"knee_0007"})
    ('knee_0007', 'knee_0007')
    """
    if cell in cases or not cell.lower().endswith(_ENDINGS):
        return cell
    bare = stem(Path(cell))
    part = _CHANNEL.fullmatch(bare)
    return part[1] if part is not None and bare not in cases else bare


def _from_masks(
    source: Path, cases: Mapping[str, str], told: Mapping[str, Any], wanted: str | None, refused: _Refused
) -> tuple[Mapping[str, dict[str, Any]], tuple[str, ...]]:
    """Return whether each case's mask has the structure; a case without a mask has no label."""
    is_there = _structure(told, wanted, source)
    found: dict[str, dict[str, Any]] = {}
    masks = {part: _masks(source / part.replace("images", "labels")) for part in _PARTS}
    for case, part in sorted(cases.items()):
        path = masks[part].get(case)
        if path is None:
            continue
        try:
            found[case] = {"label": PRESENT[is_there(formats.read(path).pixels)]}
        except Refusal as error:
            refused.append((str(path), None, None, f"the mask: {getattr(error, 'what', type(error).__name__)}"))
    what = "any structure" if wanted is None else repr(wanted)
    if found and len({facts["label"] for facts in found.values()}) == 1:
        return {}, (f"The masks tell no classes: {what} is in all cases or in none. Name a table with --labels.",)
    note = f"No table gives labels, so the masks do: {what} is present or absent, in any slice of the case."
    return found, (note, *([f"{many(n, 'case', 'have')} no mask." for n in [len(cases) - len(found)] if n]))


def _masks(folder: Path) -> Mapping[str, Path]:
    return {stem(path): path for path in sorted(folder.glob("*")) if formats.names_image(path)}


def _structure(told: Mapping[str, Any], wanted: str | None, source: Path) -> Callable[[np.ndarray], bool]:
    """Return what tells whether a mask has the structure of that name, or any but background and what is ignored."""
    labels = told.get("labels", {})
    labels = labels if isinstance(labels, dict) else {}
    if any(str(key).isdigit() and isinstance(value, str) for key, value in labels.items()):
        labels = {value: int(key) for key, value in labels.items()}  # version 1 writes them the other way round
    if wanted is None:
        none = [0, *_values(labels.get("ignore", []))]
        return lambda mask: bool((~np.isin(mask, none)).any())
    if wanted not in labels:
        raise BadSpec(
            f"no structure is called {wanted!r}", where=source / DESCRIPTION, remedy=f"it has: {', '.join(labels)}"
        )
    return partial(_holds, values=_values(labels[wanted]))


def _holds(mask: np.ndarray, values: Sequence[int]) -> bool:
    return bool(np.isin(mask, values).any())


def _values(value: object) -> list[int]:
    """Return the numbers of a structure; a region of version 2 has several."""
    numbers: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(number, int) for number in numbers):
        raise BadData(f"a structure in {DESCRIPTION} is neither a number nor a list of numbers")
    return numbers


def _modality(volume: Chosen) -> str | None:
    return _MODALITIES.get(volume.kind.lower())


def _told(channels: Mapping[str, str], there: Sequence[Chosen], read: Sequence[Chosen]) -> Iterator[str]:
    kinds = sorted({one.kind for one in read})
    yield f"{len(read)} of {len(there)} images are read, the channel {', '.join(kinds)} of {len(channels)}."
    if len(kinds) > 1:
        yield "Each channel gives samples of its own; what is said of a case is made of all of them."
