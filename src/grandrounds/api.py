"""The verbs of grandrounds, for Python and the command line alike: inspect, plan, run, report, audit, predict, demo.

This is the only room in which study, report and serve meet; each verb is a few calls to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from grandrounds import audits, data, registry, report, running, several, tables
from grandrounds.data import SourceOptions
from grandrounds.data.fingerprint import Fingerprint
from grandrounds.errors import BadSpec
from grandrounds.evaluate.columns import Columns
from grandrounds.families import FAMILIES
from grandrounds.formats.abreast import Crew
from grandrounds.report import gather, inspected, inspection
from grandrounds.report.content import ReportContent
from grandrounds.running import MODEL, REPORT, STUDY, Outcome
from grandrounds.splits import SplitSpec
from grandrounds.study import pseudonyms
from grandrounds.study.engine import Listener, Silent
from grandrounds.study.evidence import evidence
from grandrounds.study.spec import DATA, Ask, DataSpec, JudgeSpec, Means, Study
from grandrounds.study.tasks import is_of_several

if TYPE_CHECKING:
    from grandrounds.external import Elsewhere
    from grandrounds.families.description import Description

Told = Callable[[ReportContent], None]
Watch = Callable[[str, int, int], None]  # called with what is being done, how much of it is done and how much there is

# The demonstration: what two cores manage in five minutes, everything included.
DEMO_BUDGET_S, DEMO_FOLDS = 200.0, 4
DEMO_ARM, DEMO_ARM_FAMILIES = "patch-split", ("prior", "thumbnail", "lbp-svm")


def inspect(
    source: str | Path, options: SourceOptions | None = None,
    *, cache: Path | None = None, page: Path | None = None, watch: Watch | None = None, names: bool = False,
    workers: int = 1,
) -> Fingerprint:  # fmt: skip
    """Return what a set of images holds: patients, classes, sizes, intensities, duplicates, shortcuts, bad files.

    Args:
        source: A path, or the name of a set.
        options: What looking does not tell.
        cache: Where fetched and computed sets are kept.
        page: File for the same as a page with pictures; None for none.
        watch: Told what is being done, and how far it is.
        names: Whether images are called by their names, which may tell who somebody is; otherwise by their row.
        workers: Processes that read side by side.
    """
    # Both open pixels and scikit-learn, and judging needs neither.
    from grandrounds.data import inspection as looking  # noqa: PLC0415
    from grandrounds.study import probed  # noqa: PLC0415
    from grandrounds.study import probes as probing  # noqa: PLC0415

    tell = watch or _unwatched
    with Crew(workers) as crew:
        reading, searching = partial(tell, "Reading every image"), partial(tell, "Looking for nearly identical images")
        opened = data.open_dataset(source, options, cache=cache, progress=reading, crew=crew)
        seen = looking.inspect(opened, progress=searching, crew=crew, names=names)
    tell("Probing for shortcuts", 0, 1)
    probes = probing.probe(opened, seen.glances)
    warnings = (*seen.found.warnings, *probed.warnings(probes))
    found = seen.found.model_copy(update={"probes": tuple(probes.to_dicts()), "warnings": warnings})
    if page is not None:
        content = inspected.content_of(
            found.model_dump(), classes=opened.task.classes, counts=seen.counts, totals=seen.totals, spread=seen.spread,
            sheet=seen.sheet, pairs=seen.pairs, probes=probes,
        )  # fmt: skip
        inspection.write(content, page)
    return found


def _unwatched(_what: str, _n_done: int, _n_all: int) -> None:
    pass


def plan(ask: Ask, folder: Path, listener: Listener | None = None, *, cache: Path | None = None) -> Study | Ask:
    """Return a study with its price worked out, and write it to `study.toml` in the folder.

    Of several tasks each has such a file in a folder of its own, and what is returned is what is asked of all.

    Raises:
        BadSpec: The folder holds another study already.
    """
    planned = several.plan if is_of_several(ask) else running.plan
    return planned(ask, folder, listener or Silent(), cache=cache)


def run(
    what: Ask | Study, folder: Path, listener: Listener | None = None,
    *, cache: Path | None = None, links: tuple[tuple[str, str], ...] = (),
) -> Outcome:  # fmt: skip
    """Train, judge, report and bundle a study; go on where an interrupted run stopped; do nothing if it is finished.

    Of several tasks each is trained, judged and shipped in a folder of its own, and the report is on all of them.

    Args:
        what: What is asked for, or a study as planned.
        folder: The run folder.
        listener: Told how it goes.
        cache: Where prepared images and simulated data are kept; None for the run folder.
        links: Label and relative address of other reports, put into this one.
    """
    if isinstance(what, Ask) and is_of_several(what):
        return several.run(what, folder, listener, cache=cache)
    return running.run(what, folder, listener, cache=cache, links=links)


def demo(folder: Path, listener: Listener | None = None) -> Outcome:
    """Compare seven families on simulated patients, and beside it show what folds by patch would have claimed.

    Returns the main study's outcome; the other's report is linked from the first.
    """
    listener = listener or Silent()
    ask = Ask(
        name="simulated-hrct",
        data=DataSpec(source="simulated-hrct"),
        split=SplitSpec(scheme="kfold", folds=DEMO_FOLDS),
        means=Means(budget_s=DEMO_BUDGET_S),
    )
    arm = ask.replaced(
        name=f"simulated-hrct-{DEMO_ARM}",
        families=DEMO_ARM_FAMILIES,
        split=ask.split.replaced(group="sample").model_dump(),
    )
    there, back = f"{DEMO_ARM}/{REPORT}", f"../{REPORT}"
    outcome = run(ask, folder, listener, links=(("What folds by patch would have claimed", there),))
    run(arm, folder / DEMO_ARM, listener, cache=folder, links=(("The honest study, with folds by patient", back),))
    for sentence in _flattered(folder, ask.judge.primary):
        listener.says(sentence)
    return outcome


def _flattered(folder: Path, metric: str) -> Iterator[str]:
    """Say what folds by patch would have claimed beside what folds by patient show."""
    overall = (pl.col("metric") == metric) & pl.col("label").is_null() & (pl.col("slice") == "all")
    honest, leaky = (
        tables.read(tables.SCORES, place / "scores.parquet").frame.filter(overall).select("family", "estimate")
        for place in (folder, folder / DEMO_ARM)
    )
    for family, by_patient, by_patch in honest.join(leaky, on="family", maintain_order="left").iter_rows():
        if by_patch > by_patient:
            yield f"For `{family}` folds by patch would have claimed {by_patch:.3f}; by patient it is {by_patient:.3f}."


def predict(
    model: Path, images: Sequence[Path],
    *, masks: Path | None = None, options: SourceOptions | None = None, by: tables.Unit = "sample",
    watch: Watch | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Return one row per image, or per exam where the model reads exams, with one probability column a class.

    Args:
        model: A finished run folder or a bundle.
        images: Files, or folders that hold some; or one set as for `plan`, where it is a table or has options.
        masks: Folder of the images' masks, for a model that reads masked images; None for where its own were.
        options: How the set is read; None for files and folders as they lie.
        by: What a row is about: an image, or the case or patient that the study compared. Of files each is a case.
        watch: Told what is being done, and how far it is.
    """
    from grandrounds.serve.predictor import Predictor  # noqa: PLC0415  (imports torch; only prediction needs it)

    several.refuse(model, "each of its tasks ships a model of its own")
    progress = None if watch is None else partial(watch, "Predicting")
    return Predictor(model / MODEL if (model / MODEL).is_dir() else model, masks, progress).answer(images, options, by)


def evaluate(
    model: Path, source: str, options: SourceOptions | None = None,
    *, class_map: Mapping[str, str] | None = None, out: Path | None = None, role: tables.Role | None = None,
    masks: Path | None = None, skip_bad: bool = False, namesakes: bool = False, workers: int = 1,
    watch: Watch | None = None,
) -> Elsewhere:  # fmt: skip
    """Judge the model that a run ships on data from elsewhere, and return what came of it; no ranking changes.

    Args:
        model: A finished run folder, or a bundle.
        source: A path, or the name of a set.
        options: What looking does not tell.
        class_map: Their class to ours, to the empty word where cases are left out; None where they have one name.
        out: Folder for the tables; None for `external/NAME` in the run folder.
        role: The role in their official split that is judged alone; None for all of them.
        masks: Folder of the images' masks, for a model that reads masked images; None for where its own were.
        skip_bad: Whether to go on without images that cannot be read.
        namesakes: Whether patients of the same name as in training are known to be other people.
        workers: Processes that read side by side.
        watch: Told what is being done, and how far it is.
    """
    from grandrounds import external  # noqa: PLC0415  (imports torch; only prediction needs it)

    several.refuse(model, "each of its tasks ships a model of its own")
    return external.evaluate(
        model, source, options, class_map or {}, out=out, role=role, masks=masks, skip_bad=skip_bad,
        namesakes=namesakes, workers=workers, progress=partial(watch or _unwatched, "Reading every image"),
    )  # fmt: skip


def rereport(
    path: Path | Sequence[Path], out: Path | None = None,
    *, columns: Columns | None = None, judge: JudgeSpec | None = None, told: Told | None = None,
) -> Path:  # fmt: skip
    """Write the report of a run folder, of several runs of one task each, or of predictions, and return its file.

    Args:
        path: Finished run folders, or one or more CSVs with `sample, label, prob_<class>…`, a rating or a decision.
        out: Folder for the report; None for the run folder, or a folder named after the first CSV beside it.
        columns: What the columns of CSVs are called.
        judge: How CSVs are compared; a run folder brings its own answer.
        told: Told what the report shows.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    if paths[0].is_dir():
        _check_alone([paths[0], *(one for one in paths if not one.is_dir())], columns, judge)
        gather.check_run(paths[0], "report")
    folder = out or _place_of_report(paths)
    _refuse_study_in(folder, paths)
    if len(paths) == 1 and paths[0].is_dir():
        shown = content(paths[0], folder)
    else:
        from grandrounds import others, together  # noqa: PLC0415  (brings numba; only judging needs it)

        asked = columns or Columns(), judge or JudgeSpec()
        shown = together.runs(paths, folder) if paths[0].is_dir() else others.judged(paths, folder, *asked)
    written = report.write_all(shown, folder)
    if told is not None:
        told(shown)
    return written


def _place_of_report(paths: Sequence[Path]) -> Path:
    """Return the run folder, or the one beside the first of several that bears all their names, or a CSV's."""
    first, *others = paths
    if not first.is_dir():
        return first.with_suffix("")
    if not others:
        return first
    there = [one.resolve() if one.name in ("", "..") else one for one in paths]  # "." has no name
    return there[0].with_name("+".join(one.name for one in there))


def audit(
    path: Path | Sequence[Path], *, columns: Columns | None = None, judge: JudgeSpec | None = None
) -> pl.DataFrame:
    """Return the table `findings`: what each audit says of a run folder, finished or not, or of predictions in CSVs.

    What cannot be audited is not applicable, and its sentence says what is missing.

    Args:
        path: A run folder, of which each task is audited, or one or more CSVs as for `rereport`.
        columns: What the columns of CSVs are called.
        judge: How CSVs are compared.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    if paths[0].is_dir():
        _check_alone(paths, columns, judge)
        gather.check_run(paths[0], "audit")
        tasks = several.places(paths[0])
        found = [audits.run(evidence(one)).with_columns(task=pl.lit(name)) for name, one in tasks.items()]
        return pl.concat(found) if found else audits.run(evidence(paths[0]))
    from grandrounds import others  # noqa: PLC0415  (brings numba; only judging needs it)

    return others.audited(paths, columns or Columns(), judge or JudgeSpec())


def _refuse_study_in(folder: Path, reported: Sequence[Path]) -> None:
    """Refuse to write over the tables of a study that is not the one that is reported."""
    own = len(reported) == 1 and reported[0].resolve() == folder.resolve()
    if (folder / STUDY).exists() and not own:
        raise BadSpec(
            "a study is kept in this folder, and its tables would be lost", where=folder,
            remedy="name another folder for the report with -o",
        )  # fmt: skip


def _check_alone(paths: Sequence[Path], *options: object) -> None:
    if len(paths) > 1 or any(one is not None for one in options):
        raise BadSpec(
            "a run folder stands alone and brings its own columns and choices", where=paths[0],
            remedy="name one run folder and nothing else, or CSVs of predictions",
        )  # fmt: skip


def describe(family: str, params: Mapping[str, Any], shape: tuple[int, ...] | None, n_classes: int) -> Description:
    """Return the layers of a family's network as it is built for images (C, H, W) or (C, D, H, W) of that shape.

    Args:
        family: Its name.
        params: Its parameters, over the defaults.
        shape: Of the images; None for a usual one that the family reads.
        n_classes: How many classes it tells apart.

    Raises:
        BadSpec: There is no such family or parameter, or the family has no network.
        BadData: The network does not read images of this shape.
    """
    requires = FAMILIES.get(family).requires
    described: Description = registry.load(
        "grandrounds.families.description:describe", requires=requires, wanted_by=family
    )(family, params, shape, n_classes)
    return described


def names(folder: Path) -> pl.DataFrame:
    """Return one row a sample: its pseudonyms in a folder of tables, and the names that they stand for.

    Args:
        folder: A run folder, or that of the tables of an external validation.

    Raises:
        BadSpec: It is neither, or its study keeps the names as they are.
    """
    folder = next(iter(several.places(folder).values()), folder)  # all tasks are of the same samples
    spec = _read_for(folder)
    if spec is None or not (folder / pseudonyms.KEY).exists():
        raise BadSpec(
            "there is no key here", where=folder,
            remedy="name a run folder, or that of an external validation; simulated sets and --names have no key",
        )  # fmt: skip
    opened = data.open_dataset(spec.source, spec.options, cache=folder / "data")
    return pseudonyms.who_is_who(opened, pseudonyms.key_of(folder, opened))


def _read_for(folder: Path) -> DataSpec | None:
    """Return what was read for the tables in a folder; None where it is no run folder and of no external validation."""
    found = study_in(folder)
    if found is not None and found[1] is not None:
        return found[0].data
    if (folder / DATA).exists():
        return DataSpec.model_validate_json((folder / DATA).read_text(encoding="utf-8"))
    return None


def content(folder: Path, out: Path | None = None) -> ReportContent:
    """Return everything that the report of a finished run shows, as tables and words.

    Args:
        folder: The run folder.
        out: Where the tables of a page over several tasks go; None for the run folder.
    """
    return several.content(folder, out=out) if several.places(folder) else gather.gather(folder)


def save_csv(frame: pl.DataFrame, path: Path, *, private: bool = False) -> Path:
    """Write a table as CSV, whole or not at all, and return the file.

    Args:
        frame: The table.
        path: The file.
        private: Whether its owner alone may read it.
    """
    with tables.atomic(path, private=private) as temporary:
        temporary.write_text(frame.write_csv(), encoding="utf-8")
    return path


def study_in(path: Path) -> tuple[Study | Ask, Path | None] | None:
    """Return the study in a run folder or a TOML file, of several tasks what is asked of them; None if it is neither.

    Beside it stands the folder that it runs in, or None where the file lies in no run folder.
    """
    if path.is_dir() and (path / STUDY).exists():
        return running.study_in_file(path / STUDY), path
    if path.suffix == ".toml":
        if not path.exists():
            raise BadSpec("there is no such study", where=path, remedy="write one with: grandrounds plan DATA")
        return running.study_in_file(path), path.parent if path.name == STUDY else None
    return None
