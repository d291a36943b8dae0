"""One door for every source: a path or a name in, a `Dataset` out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grandrounds import registry
from grandrounds.data.catalogue import SOURCES, SourceEntry
from grandrounds.data.context import with_context
from grandrounds.data.dataset import Dataset
from grandrounds.data.draft import Draft, Progress
from grandrounds.data.exports import is_container
from grandrounds.data.grouping import with_patients
from grandrounds.data.manifest import scan, scan_tasks
from grandrounds.data.measuring import Also
from grandrounds.data.options import SourceOptions
from grandrounds.data.spellings import with_one_spelling
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.registry import nearest
from grandrounds.specs import Spec

_ALL = "all"  # the word for every task of a set


def open_dataset(
    source: str | Path,
    options: SourceOptions | None = None,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    crew: Crew = ALONE,
    also: Also | None = None,
) -> Dataset:
    """Return the data set at a path or of a registered name, every image read once.

    Args:
        source: A folder, a CSV or TSV, an NPZ archive, or a name that `grandrounds list datasets` prints.
        options: What looking does not tell; None to find out everything.
        cache: Where fetched and computed sets are kept; None for `~/.cache/grandrounds`.
        progress: Called with the number of images read and of all.
        crew: Who reads side by side where there is enough to read.
        also: What else is done with each image while it is in memory, as `prepare.Ahead`; None for nothing.

    Raises:
        BadData: There is nothing to open, or nothing can be learned from it; the message says what to do.
        BadSpec: An option does not fit the source.
    """
    options = options or SourceOptions()
    dataset = scan(draft_of(source, options, cache=cache, crew=crew), progress=progress, crew=crew, also=also)
    return _mirrored(dataset, options)


def open_tasks(
    source: str | Path,
    options: SourceOptions,
    *,
    cache: Path | None = None,
    crew: Crew = ALONE,
    also: Also | None = None,
) -> dict[str, Dataset]:
    """Return the data set of each task that `options.tasks` names: the same samples, every image read once.

    Args:
        source: As for `open_dataset`.
        options: What looking does not tell, with the tasks by their names, as `tasks_of` gives them.
        cache: Where fetched and computed sets are kept; None for `~/.cache/grandrounds`.
        crew: Who reads side by side where there is enough to read.
        also: What else is done with each image while it is in memory, as `prepare.Ahead`; None for nothing.

    Raises:
        BadData: There is nothing to open, or nothing can be learned from it in a task; the message names the task.
        BadSpec: An option does not fit the source.
    """
    asked = [options.replaced(task=name) for name in options.tasks]
    drafts = [draft_of(source, one, cache=cache, crew=crew) for one in asked]
    found = scan_tasks(drafts, crew=crew, also=also)
    return {one.task.name: _mirrored(one, of_task) for one, of_task in zip(found, asked, strict=True)}


def tasks_of(source: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """Return the tasks that are asked for by their names: `"all"` is those that the source always has.

    Raises:
        BadSpec: The source knows no such task, or it cannot say which there are; or fewer than two are named.
    """
    entry = _known(source)
    known = () if entry is None else entry.tasks
    wanted = (known or options.tasks) if options.tasks == (_ALL,) else options.tasks
    unknown = [name for name in wanted if (known and name not in known) or name == _ALL]
    if unknown:
        raise BadSpec(
            f"there is no task {unknown[0]!r}", where=source,
            remedy=f"name some of: {', '.join(known)}" if known else "name the columns of labels: --tasks FIRST,SECOND",
        )  # fmt: skip
    if len(set(wanted)) < max(len(wanted), 2):
        raise BadSpec(
            "several tasks have to be two or more, each named once", where=source, remedy="name one with --task alone"
        )
    return tuple(wanted)


def unread_tables(source: str | Path) -> tuple[str, ...]:
    """Return those options with parts, such as `hrct`, of which a source reads none."""
    entry = _known(source)
    tables = [name for name, field in SourceOptions.model_fields.items() if isinstance(field.default, Spec)]
    read = set(tables) if entry is None else {name.partition(".")[0] for name in entry.reads}
    return tuple(name for name in tables if name not in read)


def _known(source: str | Path) -> SourceEntry | None:
    """Return what is known of a source by its path or its name; None where there is no such source."""
    path = Path(source).expanduser().absolute()
    return _entry(path) if path.exists() else _of_name(str(source))


def _of_name(name: str) -> SourceEntry | None:
    return next((entry for entry in SOURCES if name in entry.names), None)


def _mirrored(dataset: Dataset, options: SourceOptions) -> Dataset:
    """Return the data set without mirroring where its label names a side and nobody said otherwise."""
    if options.flips is None and dataset.flips and dataset.task.names_side:
        note = "The label names a side, so no image is mirrored at random; --flips says otherwise."
        return replace(dataset, flips=False, notes=(*dataset.notes, note))
    return dataset


def draft_of(source: str | Path, options: SourceOptions, *, cache: Path | None = None, crew: Crew = ALONE) -> Draft:
    """Return what the source says before any image is read."""
    path = Path(source).expanduser().absolute()
    if options.tasks and options.task is None:
        raise BadSpec(
            "several tasks are for a study: this asks for one", where=source, remedy="name one of them with --task"
        )
    if path.exists():
        draft = _from_path(path, options, crew)
    else:
        draft = _from_name(str(source), options, cache or Path.home() / ".cache" / "grandrounds")
    draft = with_one_spelling(_with_options(draft, options))
    if options.patient_pattern is not None:
        draft = with_patients(draft, options.patient_pattern)
    return with_context(draft, options.context)


def _from_path(path: Path, options: SourceOptions, crew: Crew) -> Draft:
    entry = _entry(path)
    if path.suffix == ".toml" and path.is_file():
        raise BadData(
            "a study or a recipe stands here, and no data", where=path,
            remedy=f"train a study with grandrounds run {path}; a recipe is given among --families",
        )  # fmt: skip
    if entry is None or entry.draft is None:
        raise BadData(
            "one image is no data set" if path.is_file() else "this cannot be opened",
            where=path,
            remedy="give a folder of class folders, a CSV or TSV with an image and a label column, or an NPZ archive",
        )
    _refuse_unread(entry, options, path)
    shared = {"crew": crew} if entry.is_shared else {}
    draft: Draft = registry.load(entry.draft)(path, options, **shared)
    return draft


def _refuse_unread(entry: SourceEntry, options: SourceOptions, where: object) -> None:
    """Refuse an option that some sources understand and this one does not: it would be passed over in silence."""
    some = {name for one in SOURCES for name in one.reads}
    if unread := sorted(set(options.given(some)) - set(entry.reads)):
        raise BadSpec(
            f"{entry.name} does not read the option {', '.join(unread)}",
            where=where,
            remedy=f"leave it out; read here: {', '.join(entry.reads) or 'none of its kind'}",
        )


def _entry(path: Path) -> SourceEntry | None:
    """Return the layout of a path: one that is known by its files before one that is known by its ending."""
    ending = "/" if is_container(path) else path.suffix.lower()
    fitting = [entry for entry in SOURCES if ending in entry.suffixes and entry.draft]
    for entry in fitting:
        if any(all(_shows(path, pattern) for pattern in group) for group in entry.telltales):
            return entry
    return next((entry for entry in fitting if not entry.telltales), None)


def _shows(path: Path, pattern: str) -> bool:
    return path.name == pattern or any(path.glob(pattern))


def _from_name(name: str, options: SourceOptions, cache: Path) -> Draft:
    entry = _of_name(name)
    if entry is None or entry.named is None:
        known = [known for entry in SOURCES for known in entry.names]
        hint = nearest(name, known)
        known = [one for one in known if "_" not in one]  # the sizes of a set would fill the screen
        raise BadData(
            "there is no such file or folder, and no data set of that name",
            where=name,
            remedy=hint or f"check the path, or choose one of: {', '.join(known)}",
        )
    _refuse_unread(entry, options, name)
    draft: Draft = registry.load(entry.named)(name, options, cache)
    return draft


def _with_options(draft: Draft, options: SourceOptions) -> Draft:
    """Return the draft with what the user said in place of what the source said."""
    said = {
        "task": options.task,
        "task_kind": None if options.kind == "auto" else options.kind,
        "classes": options.classes,
        "positive": options.positive,
        "condition": options.condition,
        "flips": options.flips,
        "volumes": options.unit == "volume" or None,
    }
    return replace(draft, **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]
