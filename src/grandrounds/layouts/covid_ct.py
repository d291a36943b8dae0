"""Reads COVID-CT of the University of California San Diego: CT pictures cut out of papers, with lists for each role.

Yang et al., arXiv 2003.13865. The pictures belong to the authors and publishers of the papers; download from
https://github.com/UCSD-AI4H/COVID-CT and unpack `Images-processed/CT_COVID.zip` and `CT_NonCOVID.zip`.

`Data-split/{COVID,NonCOVID}/{train,val,test}CT_*.txt` hold one file name a line. Patients are told for the COVID
pictures alone, in `COVID-CT-MetaInfo.xlsx`, so on the whole they count as unknown; the table tells how many patients
stand on two sides of the official split. Names hold percent signs and other odd letters, and the meta table leaves some
endings out.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from grandrounds.data import joining
from grandrounds.data.draft import Draft, refusals, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData

META = ("COVID-CT-MetaInfo.xlsx", "COVID-CT-MetaInfo.csv")  # as it comes, or saved as text
SPLIT = "Data-split"
_CLASSES = {"NonCOVID": "non-covid", "COVID": "covid"}
_ROLES = {"train": "train", "val": "valid", "test": "test"}
_NAMES = {"file": ("file name", "filename", "image name", "image"), "patient": ("patient id", "patient")}


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of the repository's folder, or of a folder that it lies in.

    Raises:
        BadData: There are no split files, or the pictures were not unpacked.
    """
    del options  # the lists say everything
    root = next((path.parent for path in sorted([*source.glob(SPLIT), *source.glob(f"*/{SPLIT}")])), None)
    if root is None:
        raise BadData(f"there is no folder {SPLIT}", where=source, remedy="give the folder of the repository")
    rows, refused, n_unlisted = [], [], 0
    for theirs, ours in _CLASSES.items():
        pictures = _pictures(root, f"CT_{theirs}")
        listed = dict(_listed(root / SPLIT / theirs, theirs))
        n_unlisted += len(pictures.keys() - listed.keys())
        for name, role in listed.items():
            if name not in pictures:
                refused.append((str(root / name), None, None, f"{SPLIT} lists it, and there is no such file"))
                continue
            sample = f"{ours}/{_stem(name)}"
            rows.append({"sample": sample, "label": ours, "role": role, "path": str(pictures[name])})
    if not rows:
        raise BadData(f"no picture that {SPLIT} lists is there", where=root, remedy="unpack CT_COVID.zip")
    notes = [f"{n_unlisted:,} pictures that {SPLIT} does not list were left out."] if n_unlisted else []
    return Draft(
        name="covid-ct",
        root=source,
        rows=with_columns(pl.DataFrame(rows)).with_columns(modality=pl.lit("CT"), body_part=pl.lit("CHEST")),
        task="covid",
        task_kind="binary",
        classes=tuple(_CLASSES.values()),
        positive="covid",
        condition="COVID-19 in a CT picture out of a paper",
        patient_known=False,
        licence="copyright of the papers' authors and publishers",
        notes=(*notes, _overlap(root, rows)),
        refused=refusals(refused),
    )


def _pictures(root: Path, folder: str) -> Mapping[str, Path]:
    """Return the pictures of a class by name, wherever its folder was unpacked; names in one Unicode form."""
    folders = [path for path in sorted(root.rglob("CT_*")) if path.is_dir() and path.name.casefold() == folder.lower()]
    if not folders:
        where = f"Images-processed/{folder}.zip"
        raise BadData(f"there is no folder {folder}", where=root, remedy=f"unpack {where} beside itself")
    files = (path for one in folders for path in sorted(one.iterdir()) if path.is_file())
    return {_plain(path.name): path for path in files if not path.name.startswith(".")}


def _listed(folder: Path, theirs: str) -> Iterator[tuple[str, str]]:
    """Yield name and role of each picture that the three lists of a class name."""
    seen: dict[str, str] = {}
    for part, role in _ROLES.items():
        path = folder / f"{part}CT_{theirs}.txt"
        if not path.is_file():
            raise BadData("a list of the official split is missing", where=path, remedy="fetch the repository again")
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            name = _plain(line)
            if name and seen.setdefault(name, role) != role:
                what = "a picture stands in two lists of the official split"
                raise BadData(what, where=f"{path}: {name}", remedy="take it out of one of them")
            if name:
                yield name, role


def _overlap(root: Path, rows: list[dict[str, str]]) -> str:
    """Return what the meta table tells about patients in two roles."""
    table = next((root / name for name in META if (root / name).is_file()), None)
    patients = None if table is None else _patients(table)
    if patients is None:
        what = "is missing" if table is None else "cannot be read"
        return f"{META[0]} {what}, so patients in two parts of the official split were not counted."
    roles = defaultdict(set)
    for row in rows:
        if row["label"] == "covid" and (patient := patients.get(_stem(_plain(Path(row["path"]).name)))):
            roles[patient].add(row["role"])
    n = sum(len(one) > 1 for one in roles.values())
    verdict = "LEAKY by its meta table: " if n else ""
    return f"{verdict}{n} of {len(roles)} COVID patients stand in more than one part of the official split."


def _patients(table: Path) -> Mapping[str, str] | None:
    """Return patient by name of the picture without its ending, which some rows leave out; None for a strange table."""
    try:
        sheet = joining.read_table(table)
    except BadData:
        return None
    found = {ours: [name for name in sheet.columns if name.casefold() in names] for ours, names in _NAMES.items()}
    if not all(found.values()):
        return None
    rows = sheet.select(found["file"][0], found["patient"][0]).drop_nulls().iter_rows()
    return {_stem(_plain(name)): patient for name, patient in rows}


def _stem(name: str) -> str:
    # Not pathlib's: names without an ending hold dots as well.
    return name.rpartition(".")[0] if name.lower().endswith((".png", ".jpg", ".jpeg")) else name


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())
