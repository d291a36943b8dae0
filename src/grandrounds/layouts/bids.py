"""Reads BIDS, the Brain Imaging Data Structure: `sub-*/ses-*/anat/*_T1w.nii.gz` with tables of participants.

Gorgolewski et al., Sci Data 2016; 3:160044; https://bids-specification.readthedocs.io. BIDS is a layout: the licence is
that of the set, and its `dataset_description.json` says which and whom to ask.

A case is a session of a participant, or the participant where there are no sessions. T1w images are read unless the
option `series.description` names another suffix or a part of file names. The label stands in `participants.tsv`, or,
where it varies, in a `*_sessions.tsv` or `*_scans.tsv`, which go first. Columns may stand in any order, `n/a` is no
value, `participant_id` may lack its `sub-`, and an age may be `89+`. What lies in `derivatives` is not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from grandrounds.data import joining
from grandrounds.data.draft import Draft, free_name, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData
from grandrounds.layouts.volumes import ENDINGS, UNITS, Chosen, choose, first_of_each, samples_of, stem
from grandrounds.unknown import known

PARTICIPANTS, DESCRIPTION = "participants.tsv", "dataset_description.json"
SUFFIX = "T1w"
_ID, _SESSION, _FILE = "participant_id", "session_id", "filename"
_USUAL = ("label", "diagnosis", "dx", "group", "class", "target")
_OURS = {"age": "age_years", "sex": "sex", "gender": "sex", "site": "site"}
_NO_LABEL = ("age", "sex", "gender", "site", "handedness", "species", "strain", "scanner", "acq_time", "operator")
_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}
_MODALITIES = {"anat": "MR", "func": "MR", "dwi": "MR", "perf": "MR", "fmap": "MR", "pet": "PT", "ct": "CT"}
_SIDECAR = {"site": "InstitutionName", "scanner": "ManufacturersModelName"}
_LARGEST = 1 << 20  # bytes of a JSON file; those of the standard have a few thousand
_Row = dict[str, str | None]


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of a folder with `sub-*` inside.

    Raises:
        BadSpec: It is not clear which images or which column of the tables is meant.
        BadData: A table cannot be read.
    """
    table = Path(options.labels).expanduser().absolute() if options.labels else source / PARTICIPANTS
    people = _people(table) if options.labels or table.is_file() else {}
    volumes = list(_volumes(source))
    of_kind = choose(volumes, options.series.description, (SUFFIX,), source)
    read = of_kind if options.series.pick == "all" else first_of_each(of_kind)
    facts = [_facts(source, volume, people) for volume in read]
    label = _label(facts, options.label, table)
    rows = [
        sample | _header(source, volume) | _said(_columns(one, label))
        for volume, one in zip(read, facts, strict=True)
        for sample in samples_of(volume, options.unit)
    ]
    subjects = {_subject(volume) for volume in volumes}
    absent = sorted(set(people) - subjects)
    return Draft(
        name=source.resolve().name,
        root=source,
        rows=with_columns(pl.DataFrame(rows, infer_schema_length=None)),
        task=label or "label",
        patient_known=True,
        licence=_licence(source),
        notes=(
            *_told(volumes, of_kind, read),
            UNITS[options.unit],
            *([f"The label is the column {label!r}."] if label else ["No table tells a label, so all are unknown."]),
            *(
                [
                    f"{n} participants with images are in no table."
                    for n in [len(subjects - set(people))]
                    if n and people
                ]
            ),
            *([f"{len(absent)} participants of the table have no images."] if absent else []),
        ),
    )


def _volumes(source: Path) -> Iterator[Chosen]:
    """Yield every image of the raw data, by its suffix."""
    for pattern in ("sub-*/*/*", "sub-*/ses-*/*/*"):
        for path in sorted(source.glob(pattern)):
            name = stem(path)
            is_there = path.is_file() or path.is_symlink()
            if is_there and path.name.lower().endswith(ENDINGS) and name.startswith("sub-"):
                case = "/".join(part for part in path.relative_to(source).parts if part.startswith(("sub-", "ses-"))
                                and part != path.name)  # fmt: skip
                yield Chosen(case, path, name.rpartition("_")[2])


def _subject(volume: Chosen) -> str:
    return volume.case.partition("/")[0]


def _people(path: Path) -> Mapping[str, _Row]:
    """Return the row of each participant, under the name of its folder."""
    people: dict[str, _Row] = {}
    for row in _table(path, _ID):
        if people.setdefault(_named("sub-", row.pop(_ID)), row) != row:
            raise BadData("a participant stands twice in the table", where=path, remedy="keep one row of each")
    return people


def _facts(source: Path, volume: Chosen, people: Mapping[str, _Row]) -> _Row:
    """Return what the tables say of an image; what is said of its session or file goes before what is said of all."""
    subject, _, session = volume.case.partition("/")
    folder = source / subject
    facts = dict(people.get(subject, {}))
    sessions = folder / f"{subject}_sessions.tsv"
    if session and sessions.is_file():
        for row in _table(sessions, _SESSION):
            if _named("ses-", row.pop(_SESSION)) == session:
                facts |= _said(row)
    scans = source / volume.case / f"{volume.case.replace('/', '_')}_scans.tsv"
    if scans.is_file():
        inside = volume.path.relative_to(scans.parent).as_posix()
        for row in _table(scans, _FILE):
            if row.pop(_FILE) == inside:
                facts |= _said(row)
    return facts


def _table(path: Path, key: str) -> list[_Row]:
    """Return the rows of a table that have a value in the column of that name, with null for every `n/a`."""
    frame = joining.read_table(path)
    names = {name: name.removeprefix("\ufeff") for name in frame.columns}
    frame = frame.rename(names | {name: key for name in frame.columns if names[name].lower() == key})
    if key not in frame.columns:
        joining.label_column(frame, key, "", where=path)  # says which columns there are
    return frame.with_columns(known(pl.all()).name.keep()).filter(pl.col(key).is_not_null()).to_dicts()


def _named(prefix: str, name: str | None) -> str:
    return prefix + (name or "").removeprefix(prefix)


def _said(row: _Row) -> _Row:
    return {name: value for name, value in row.items() if value is not None}


def _label(facts: Sequence[_Row], wanted: str | None, table: Path) -> str | None:
    """Return the column of the label; None where the tables have none that could be."""
    names = list(dict.fromkeys(name for row in facts for name in row))
    could_be = [name for name in names if name.lower() not in _NO_LABEL]
    usual = [name for name in could_be if name.lower() in _USUAL]
    if wanted is None and len(usual) == 1:
        return usual[0]
    if wanted is None and not could_be:
        return None
    return joining.label_column(pl.DataFrame(schema=names if wanted else could_be), wanted, _ID, where=table)


def _columns(facts: _Row, label: str | None) -> _Row:
    """Return what the tables say under the names of our columns."""
    row: _Row = {}
    for name, value in facts.items():
        ours = _OURS.get(name.lower())
        if name == label:
            row["label"] = value
        elif ours == "age_years":
            row[ours] = None if value is None else value.removesuffix("+")  # 89+ protects the oldest
        elif ours == "sex":
            row[ours] = _SEXES.get((value or "").lower())
        elif ours:
            row[ours] = value
        else:
            row[free_name(name)] = value
    return row


def _header(source: Path, volume: Chosen) -> dict[str, Any]:
    """Return what is known of an image without a table: from its folder, and from the JSON beside it or above."""
    path = volume.path
    said = _json(source / f"{volume.kind}.json") | _json(path.with_name(f"{stem(path)}.json"))
    told = {ours: str(said[theirs]) for ours, theirs in _SIDECAR.items() if said.get(theirs)}
    modality = _MODALITIES.get(path.parent.name)
    return {"patient": _subject(volume), "modality": modality} | told


def _json(path: Path) -> dict[str, Any]:
    """Return what a JSON file says; nothing where there is none or it is damaged, since no image depends on it."""
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _licence(source: Path) -> str | None:
    licence = _json(source / DESCRIPTION).get("License")
    return licence if isinstance(licence, str) and licence else None


def _told(volumes: Sequence[Chosen], of_kind: Sequence[Chosen], read: Sequence[Chosen]) -> Iterator[str]:
    kinds = sorted({volume.kind for volume in read})
    yield f"{len(read)} of {len(volumes)} images are read: {', '.join(kinds)}."
    if n := len(of_kind) - len(read):
        yield f"{n} more of the same kind are not: of each session the first by name is read (--series.pick all)."
    without = {volume.case for volume in volumes} - {volume.case for volume in read}
    if without:
        yield f"{len(without)} participants or sessions have no such image."
