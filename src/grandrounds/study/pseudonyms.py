"""Pseudonyms: what patients, cases, samples and files are called in everything that a study keeps.

A run folder is copied, mailed and put beside papers, so nothing in it names anybody: names become keyed hashes. The key
lies beside the images, where the names are anyway, with a copy in the study's folder, both readable by their owner
alone; take the copy out before the folder is given away. With the key and the images, `grandrounds names` tells who is
who. Without the key a list of all names of a hospital does not help: that is what a key is for (a plain hash of an id
can be undone by trying every id). All studies of the same images share it, so that the same seed gives the same folds,
draws and names.

Reference: RFC 7693 (BLAKE2, keyed hashing); NEMA PS3.15 Annex E (what identifies a patient).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import polars as pl

from grandrounds import tables
from grandrounds.data import Dataset
from grandrounds.errors import BadData, StoreTrouble
from grandrounds.tables import FILES, SAMPLES

KEY = "pseudonyms.key"
_KEY_BYTES = 32
_DAMAGED = (
    "put a copy in its place, such as the one in an earlier run folder; if there is none remove it: a new key is made, "
    "and patients, folds and draws are other ones from then on"
)
_DIGEST_BYTES = 8  # a million names meet by chance once in 37 million studies
_PREFIXES: Mapping[str, str] = MappingProxyType(
    {"patient": "P-", "case": "C-", "sample": "S-", "series": "R-", "path": "F-", "member": "M-"}
)
_MOSTLY = 0.5  # a column of text with more values than this share of the patients tells people apart
_FEW = 8  # values; so few are the classes of something


def key_of(folder: Path, dataset: Dataset) -> bytes:
    """Return the key of a study: its own, or that of the data, which is made at the first call and then copied.

    Args:
        folder: The run folder.
        dataset: Beside whose images the key lies; in the user's state folder where theirs cannot be written.

    Raises:
        BadData: A file holds no key.
        StoreTrouble: No place can be written.
    """
    own = folder / KEY
    if own.exists():
        return _read(own)
    try:
        return _found_or_made(own, _of_data(dataset))
    except OSError as error:
        raise StoreTrouble(
            f"cannot write the key of the pseudonyms: {error.strerror}",
            where=own,
            remedy="free some space, or choose a folder that you may write with -o",
        ) from None


def _of_data(dataset: Dataset) -> bytes:
    """Return the key that all studies of the same images share."""
    home = dataset.root if dataset.root.is_dir() else dataset.root.parent
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        return _found_or_made(home / f".grandrounds-{KEY}", key)
    except OSError:
        return _found_or_made(state / "grandrounds" / f"{dataset.fingerprint}.{KEY}", key)


def _found_or_made(path: Path, key: bytes) -> bytes:
    """Return the key in a file that appears whole or not at all; of several processes the first writes it."""
    if path.exists():
        return _read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # only its owner may read it
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        _named(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return _read(path)


def _named(temporary: Path, path: Path) -> None:
    """Give a file its name, unless another process was quicker."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links, such as that of many memory sticks
        with contextlib.suppress(FileExistsError), path.open("xb") as file:
            file.write(temporary.read_bytes())
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    found = path.read_bytes()
    if len(found) != _KEY_BYTES:
        raise BadData("this file holds no key", where=path, remedy=_DAMAGED)
    return found


def pseudonym(key: bytes, kind: str, name: str) -> str:
    """Return what a name is called.

    Args:
        key: Of the study.
        kind: `"patient"`, `"case"`, `"sample"`, `"series"`, `"path"` or `"member"`.
        name: The name.

    >>> pseudonym(bytes(32), "patient", "SIM-001")
    'P-j2jvcv3qcc5dg'
    """
    digest = hashlib.blake2b(name.encode(), key=key, person=kind.encode(), digest_size=_DIGEST_BYTES).digest()
    return _PREFIXES[kind] + base64.b32encode(digest).decode().rstrip("=").lower()


def under_pseudonyms(dataset: Dataset, key: bytes) -> Dataset:
    """Return the data set with every name replaced, and without columns that would tell who is who.

    Its fingerprint stays that of the set under its own names. Images can no longer be loaded from it.
    """
    told = identifying(dataset)
    notes = dataset.notes
    if told:
        notes = (*notes, f"Columns of names or ids are left out of everything that is kept: {len(told)}.")
    return replace(
        dataset,
        samples=renamed(dataset.samples.drop(told), dataset=dataset, key=key),
        files=renamed(dataset.files, dataset=dataset, key=key),
        labels=renamed(dataset.labels, dataset=dataset, key=key),
        official=None if dataset.official is None else renamed(dataset.official, dataset=dataset, key=key),
        bad=renamed(dataset.bad, dataset=dataset, key=key),
        notes=notes,
        known_as=dataset.fingerprint,
    )


def renamed(frame: pl.DataFrame, *, dataset: Dataset, key: bytes) -> pl.DataFrame:
    """Return a table about a data set with pseudonyms in every column that names somebody or somebody's files.

    Names of samples and cases that are places in an archive stay.
    """
    kept = {"sample", "case"} if dataset.neutral_names else set()
    if dataset.neutral_names and not dataset.patient_known:
        kept.add("patient")  # each sample stands for a patient of its own, under the sample's name
    for column in _PREFIXES:
        if column in frame.columns and column not in kept:
            frame = frame.with_columns(_masked(frame[column], column, key))
    return frame


def identifying(dataset: Dataset) -> list[str]:
    """Return the clinical columns of text that have a value of its own for most patients: names, ids, dates."""
    n_patients = dataset.samples["patient"].n_unique()
    clinical = [name for name in dataset.samples.columns if name not in SAMPLES.columns and name not in FILES.columns]
    texts = [name for name in clinical if dataset.samples[name].dtype == pl.String()]
    return [name for name in texts if dataset.samples[name].n_unique() > max(_FEW, _MOSTLY * n_patients)]


def who_is_who(dataset: Dataset, key: bytes) -> pl.DataFrame:
    """Return one row a sample: its pseudonyms and what they stand for."""
    named = dataset.samples.select("sample", "case", "patient").join(
        dataset.files.group_by("sample", maintain_order=True).agg(pl.col("path").first()), on="sample", how="left",
        maintain_order="left",
    )  # fmt: skip
    masked = under_pseudonyms(dataset, key).samples.select("sample", "case", "patient")
    return named.rename({name: f"{name}_name" for name in named.columns if name != "path"}).hstack(masked)


def _masked(names: pl.Series, kind: str, key: bytes) -> pl.Series:
    # Two spellings of a patient that the split keeps together keep one pseudonym.
    known = tables.patient_keys(names) if kind == "patient" else names
    told: list[str] = known.drop_nulls().unique().to_list()
    return known.replace_strict(told, [pseudonym(key, kind, name) for name in told], return_dtype=pl.String)
