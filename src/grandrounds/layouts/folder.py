"""A folder with one folder of images per class, perhaps inside `train`, `val` and `test` folders.

A DICOM export may look the same, with a folder per patient or exam. It is told by the headers: each folder holds files
of one patient that no other folder has, or of one such study, which a class hardly does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from grandrounds.data.draft import Draft, official_role, with_columns
from grandrounds.data.exports import DICOMDIR, table_in
from grandrounds.data.options import SourceOptions
from grandrounds.data.patches import spread
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats import files_below, is_left_behind, leads_nowhere, names_image
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.formats.catalogue import FORMATS
from grandrounds.layouts.class_levels import ClassFolder, levelled
from grandrounds.layouts.volumes import stem, with_slices
from grandrounds.wording import many

_DICOM = ("", *FORMATS.get("dicom").suffixes)
_MOST_HEADERS = 50  # of one folder: two patients in it show themselves well before
_OF_TABLES = ("label", "join", "rater", "consensus")
_OF_EXPORTS = tuple(f"series.{name}" for name in SeriesSpec.model_fields)
_TABLE_REMEDY = "leave it out, or name a table of labels and DICOM files with --labels"
_REMEDY = "put the images into one folder per class, or list them in a CSV with an image and a label column"


def draft(source: Path, options: SourceOptions, crew: Crew = ALONE) -> Draft:
    """Return the draft of a folder of class folders, or of a DICOM export: a folder with a table, a DICOMDIR, a ZIP.

    Whose images they are stays unknown unless DICOM headers say it.

    Args:
        source: What is opened.
        options: What looking does not tell.
        crew: Who reads headers of an export side by side where there are enough.

    Raises:
        BadSpec: An option speaks of tables or series, and there are none.
        BadData: There are no class folders and no DICOM images, or a class folder holds no image.
    """
    from grandrounds.data import dicom_source, dicom_tree  # noqa: PLC0415  (pydicom takes a while, and a CSV needs none)

    has_table = options.labels is not None or table_in(source) is not None
    if not has_table:
        _refuse(options.given(_OF_TABLES), "there is no table of labels", source)
    if has_table or not source.is_dir() or (source / DICOMDIR).exists():
        return dicom_source.draft(source, options, crew)
    is_split = any(official_role(folder.name) is not None and _folders(folder) for folder in _folders(source))
    is_bare = not _folders(source) and dicom_tree.holds_dicom(source)
    if is_bare or (not is_split and _is_export(_folders(source))):
        return dicom_source.draft(source, options, crew)
    _refuse(options.given(_OF_EXPORTS), "class folders have no series", source)
    return _of_class_folders(source, options)


def _refuse(given: Sequence[str], why: str, source: Path) -> None:
    if given:
        raise BadSpec(f"{why}, so {', '.join(given)} does not fit", where=source, remedy=_TABLE_REMEDY)


def _is_export(folders: Sequence[Path]) -> bool:
    """Whether the DICOM files of each folder are of one patient, or one study, that no other has; or all in one."""
    found = [one for folder in folders if (one := _patients_and_studies(folder)) is not None]
    if any(None in studies for _, studies in found):
        return False
    return len(found) == 1 or any(
        all(len(values) == 1 and None not in values for values in column) and len(set().union(*column)) == len(column)
        for column in zip(*found, strict=True)
    )


def _patients_and_studies(folder: Path) -> tuple[set[str | None], set[str | None]] | None:
    """Return the patients and studies, (0010,0020) and (0020,000D), of a folder; None where it holds no image.

    Images that name no series, or that are no DICOM, have no study.
    """
    from grandrounds.data.dicom_headers import facts_of  # noqa: PLC0415  (as above)

    patients, studies = set[str | None](), set[str | None]()
    files = [file for file in files_below(folder) if not leads_nowhere(file)]
    for file in spread(files, _MOST_HEADERS):
        try:
            facts = next(facts_of(file, None))
        except BadData:
            if names_image(file) and file.suffix.lower() not in _DICOM:
                return {None}, {None}
            continue
        patients.add(facts["patient"])
        studies.add(facts["study"] if facts["uid"] else None)
        if len(patients) > 1 and len(studies) > 1:
            break
    if not patients and any(names_image(file) for file in files):
        return {None}, {None}
    return (patients, studies) if patients else None


def _of_class_folders(source: Path, options: SourceOptions) -> Draft:
    found = [(one, _folders(one.folder)) for one in _class_folders(source)]
    classes = levelled(found, options.classes or (), source)
    rows: list[dict[str, str | None]] = []
    others: Counter[str] = Counter()
    for role, label, folder, site in classes.folders:
        files = files_below(folder)
        images = [file for file in files if names_image(file)]
        others.update(file.suffix.lower() or "no ending" for file in files if not names_image(file))
        if not images:
            raise BadData(
                f"the class folder {label!r} holds no image", where=folder, remedy="add images or remove the folder"
            )
        shared = {"label": label, "role": role, "site": site}
        rows += [{"sample": _stem(file, source), "path": str(file), **shared} for file in images]
    notes = list(classes.notes)
    notes += [f"{n:,} files that are no images ({suffix}) were left out." for suffix, n in sorted(others.items())]
    notes += _left_out(source, {Path(str(row["path"])) for row in rows})
    apart, told = with_slices(with_columns(pl.DataFrame(rows)), options.unit)
    return Draft(name=source.resolve().name, root=source, rows=apart, notes=(*notes, *told))


def _left_out(source: Path, taken: set[Path]) -> Iterator[str]:
    """Yield a sentence on images that lie in no class folder: beside them, or where the name of a part is unknown."""
    lost: Counter[str] = Counter()
    for file in files_below(source):
        if file not in taken and names_image(file):
            parts = file.relative_to(source).parts
            lost[parts[0] if len(parts) > 1 else ""] += 1
    for folder, n in sorted(lost.items()):
        where = f"in the folder {folder!r}" if folder else "beside the class folders"
        yield f"{many(n, 'image', 'were')} left out, {where}: the class, or the part of a split, is unknown."


def _class_folders(source: Path) -> Iterator[ClassFolder]:
    folders = _folders(source)
    parts = [(role, folder) for folder in folders if (role := official_role(folder.name)) is not None]
    if parts and any(_folders(folder) for _, folder in parts):
        found = [ClassFolder(role, inner.name, inner) for role, folder in parts for inner in _folders(folder)]
    else:
        found = [ClassFolder(None, folder.name, folder) for folder in folders]
    if not found:
        loose = any(names_image(file) for file in source.iterdir() if not file.is_dir())
        tables = sorted(file.name for file in source.iterdir() if file.suffix.lower() in (".csv", ".tsv"))
        raise BadData(
            "the images lie side by side, and nothing says their classes" if loose else "no images were found",
            where=source,
            remedy=f"open the table instead: {tables[0]}" if tables else _REMEDY,
        )
    yield from found


def _folders(folder: Path) -> list[Path]:
    """Return the folders inside; a link back to what it lies in is none."""
    inner = (one for one in sorted(folder.iterdir()) if one.is_dir() and not is_left_behind(one.name))
    return [one for one in inner if not folder.resolve().is_relative_to(one.resolve())]


def _stem(file: Path, source: Path) -> str:
    return file.with_name(stem(file)).relative_to(source).as_posix()
