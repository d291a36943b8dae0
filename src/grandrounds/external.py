"""A model that was trained here, on data from elsewhere: from both to the external table and its page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from grandrounds import data, prepare, report, tables
from grandrounds.data import Dataset, SourceOptions
from grandrounds.data.draft import Progress
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.catalogue import primary_for
from grandrounds.evaluate.cohort import assemble, checked
from grandrounds.evaluate.external import Side, external
from grandrounds.families.protocol import View
from grandrounds.formats.abreast import Crew
from grandrounds.report import gather
from grandrounds.report.content import ReportContent
from grandrounds.serve.answers import answers, in_words, of_member, with_shipped
from grandrounds.serve.bundle import Bundle
from grandrounds.serve.predictor import Predictor
from grandrounds.shapes import Images
from grandrounds.splits import SplitPlan, ledger
from grandrounds.study import copies, pseudonyms
from grandrounds.study.evidence import VERDICT
from grandrounds.study.spec import DATA, DataSpec
from grandrounds.tables import Role, Task, Unit
from grandrounds.wording import many

MODEL: Final = "model"
HOME: Role = "external"
_NOBODY = (
    "The patients are unknown, so whether they were in the study could not be checked; no image has the pixels of one "
    "of the study."
)
_NONE_MET = "No patient of these data was in the study, and no image has the pixels of one of the study."
_ALONE = "Only the model is at hand, not its run: whether these patients or images were in training cannot be checked."


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What came of it.

    Args:
        folder: Where its tables lie.
        page: The report that shows them.
        found: Table `external`.
        notes: What a reader must know.
    """

    folder: Path
    page: Path
    found: pl.DataFrame
    notes: tuple[str, ...]


def evaluate(
    model: Path, source: str, options: SourceOptions | None, class_map: Mapping[str, str], *, out: Path | None,
    role: Role | None = None, masks: Path | None = None, skip_bad: bool = False, namesakes: bool = False,
    workers: int = 1, progress: Progress | None = None,
) -> Elsewhere:  # fmt: skip
    """Judge a model on data from elsewhere, write the tables and the report.

    Args:
        model: A finished run folder, or the bundle that ships.
        source: The other data.
        options: How they are read.
        class_map: Their class to ours, where names differ; to the empty word, and the cases are left out.
        out: Folder for the tables; None for `external/NAME` in the run folder.
        role: The role in their official split that is judged alone; None for all of them.
        masks: Folder of the images' masks, for a model that reads masked ones; None for where its own were.
        skip_bad: Whether to go on without images that cannot be read.
        namesakes: Whether patients of the same name as in training are known to be other people.
        workers: Processes that read side by side.
        progress: Told how many images of all were read.

    Raises:
        BadData: Images or patients were in the study, a class has no partner, or images do not fit the model.
    """
    run = model if (model / MODEL).is_dir() else None
    predictor = Predictor(model / MODEL if run else model, masks)
    if run is None and out is None:
        raise BadSpec("a model without its run needs a place for the tables", where=model, remedy="name one with -o")
    _refuse_inside(model / MODEL if run else model, out)
    ahead = prepare.Ahead(predictor.pipeline, out or run or model)
    with Crew(workers) as crew:
        opened = data.open_dataset(source, options, progress=progress, crew=crew, also=ahead)
    notes = opened.left_out(skip_bad=skip_bad)
    if role is not None:
        opened = replace(opened.of_role(role), name=f"{opened.name}-{role}")
        notes += (f"Only those whom the official split of these data calls {role} are judged.",)
    folder = out or (run or model) / HOME / opened.name
    labels, said = _in_our_words(opened, predictor.bundle.task, class_map)
    predictor.pipeline.refuse_tested(opened.samples["patient"])
    notes += (*said, *_refuse_seen(run, predictor, opened, namesakes), *_contradicting(opened, labels))
    judged, said = _judged(predictor, opened, labels, skip_bad)
    notes += said
    key = None if opened.simulated else pseudonyms.key_of(folder, opened)
    _remember(folder, DataSpec(source=source, skip_bad=skip_bad, options=options or SourceOptions()))
    notes += _noted(opened, f"{predictor.bundle.family} of {model.name}")
    members, samples, pixels = _predicted(predictor, opened, labels, judged, folder, key, ahead)
    notes += (*_unlike(predictor.unlike(pixels)), *_copied(run, folder, samples["sample"], pixels))
    notes += in_words(predictor.bundle)
    note = pl.when(kind="performance").then(pl.lit(" ".join(notes)))
    found = _table(run, opened.name, predictor.bundle, members, samples).with_columns(note=note)
    if not opened.patient_known:
        found = found.with_columns(n_patients=pl.lit(None, dtype=pl.Int64()))
    meta = {"task": predictor.bundle.task.model_dump(), "notes": list(notes), "fingerprint": opened.fingerprint}
    shown = with_shipped(predictor.bundle, members, recalibrated=predictor.bundle.unit == "sample")
    tables.write(shown, tables.PREDICTIONS, folder / "predictions.parquet", meta)
    judged_model = {gather.MODEL: gather.model_in(run)} if run else {}
    tables.write(found, tables.EXTERNAL, folder / "external.parquet", meta | judged_model)
    return Elsewhere(folder, _page(run, folder, found, predictor.bundle.task, notes), found, notes)


def _refuse_inside(bundle: Path, out: Path | None) -> None:
    """Refuse a place for tables inside a model, or where a study has its own.

    Raises:
        BadSpec: It is one.
    """
    if out is not None and bundle.resolve() in (out.resolve(), *out.resolve().parents):
        raise BadSpec("a model stays as it is: nothing is written into its folder", where=out, remedy="name another")
    if out is not None and (out / "study.toml").exists():
        raise BadSpec("this folder holds a study, whose tables would be lost", where=out, remedy="name another")


def _remember(folder: Path, spec: DataSpec) -> None:
    """Keep what was read, so that whoever has the images and the key can be told who is who."""
    with tables.atomic(folder / DATA) as temporary:
        temporary.write_text(spec.model_dump_json(indent=2), encoding="utf-8")


def _in_our_words(opened: Dataset, task: Task, class_map: Mapping[str, str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return case and label in the model's classes, and what was left out."""
    strange = [ours for ours in class_map.values() if ours and ours not in task.classes]
    if strange:
        raise BadSpec(f"the model knows no class {strange[0]!r}", remedy=f"its classes are: {', '.join(task.classes)}")
    known = opened.labels.drop_nulls("label")
    theirs = known["label"].unique().sort().to_list()
    absent = sorted(set(class_map) - set(theirs))
    lacking = [one for one in theirs if one not in class_map and one not in task.classes]
    if absent or lacking:
        raise BadData(
            f"the class {(absent or lacking)[0]!r} "
            + ("is not in the data" if absent else "means nothing to the model"),
            where=opened.root,
            remedy=f"say what each is with --class-map theirs=ours, or theirs= to leave it out; theirs: "
            f"{', '.join(theirs)}; ours: {', '.join(task.classes)}",
        )
    words = known.select("case", label=pl.col("label").replace(dict(class_map)))
    kept = words.filter(pl.col("label") != "")
    if kept.is_empty():
        raise BadData("no case is left", where=opened.root, remedy="leave out fewer classes")
    out = opened.labels.height - kept.height
    left_out = f"{many(out, 'case', 'were')} left out: unlabelled, or of a class that was asked to be."
    return kept, (left_out,) if out else ()


def _refuse_seen(
    run: Path | None,
    predictor: Predictor,
    opened: Dataset,
    namesakes: bool,  # noqa: FBT001  (passed on)
) -> tuple[str, ...]:
    """Return what could not be checked; refuse images and patients of the study.

    Raises:
        BadData: Some of them were in it.
    """
    if run is None:
        return (_ALONE,)
    plan = SplitPlan.load(run / "splits.parquet")
    seen = copies.had_a_part(run)["sha256"].drop_nulls()
    n_same = int(opened.samples["sha256"].is_in(seen.implode()).sum())
    if n_same:
        closed = "; those that stayed closed can be judged with --only test" if plan.spec.scheme == "inside" else ""
        raise BadData(
            f"{n_same} of {opened.samples.height} images have the pixels of images of the study", where=opened.root,
            remedy=f"leave them out: what a model was chosen on says nothing of data from elsewhere{closed}",
        )  # fmt: skip
    if not opened.patient_known:
        return (_NOBODY,)
    patients = opened.samples["patient"]
    key = run / pseudonyms.KEY
    if key.exists():
        renamed = pseudonyms.renamed(opened.samples.select("patient"), dataset=opened, key=key.read_bytes())
        patients = renamed["patient"]
    n_met = len(set(tables.patient_hashes(patients)) & predictor.patients)
    if n_met and namesakes:
        met = many(n_met, "patient", "have")
        return (f"{met} names of patients in training, declared to be other people.",)
    if n_met:
        raise BadData(
            f"{many(n_met, 'patient', 'have')} the names of patients that the model was trained on", where=opened.root,
            remedy="leave them out; or say that they are other people of the same name, with --namesakes",
        )  # fmt: skip
    return (_NONE_MET,)


def _contradicting(opened: Dataset, labels: pl.DataFrame) -> tuple[str, ...]:
    """Return how many images there are of which the very same pixels have two labels; of empty ones it says nothing."""
    shown = opened.samples.filter(tables.shows_something())
    rows = shown.select("case", "sha256").drop_nulls().join(labels, on="case")
    n = rows.group_by("sha256").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1).height
    return (
        (f"{many(n, 'image', 'stand')} there with two labels: one of them is wrong, and both were judged.",)
        if n
        else ()
    )


def _noted(opened: Dataset, whose: str) -> tuple[str, ...]:
    """Note in the ledger that the labels are looked at; return how often they had been, where they had."""
    now = dt.datetime.now(dt.UTC).isoformat()
    n_before = ledger.open_test(opened.root, opened.fingerprint, HOME, whose, now) - 1
    return (f"The ledger beside these data counts {many(n_before, 'opening')} before this one.",) if n_before else ()


def _judged(
    predictor: Predictor,
    opened: Dataset,
    labels: pl.DataFrame,
    skip_bad: bool,  # noqa: FBT001  (passed on)
) -> tuple[pl.Series, tuple[str, ...]]:
    """Return which samples are judged, and how many of them lie beyond training.

    Raises:
        BadData: Images are so unlike those of training that a model cannot answer, and nobody said to go on without.
    """
    labelled = opened.samples["case"].is_in(labels["case"].implode())
    looks = predictor.looks(opened.samples)
    judged = labelled & pl.Series([look.refused is None for look in looks])
    strange = opened.samples["sample"].filter(labelled & ~judged)
    if strange.len() and not (skip_bad and judged.any()):
        first = opened.samples["sample"].index_of(strange[0]) or 0
        raise BadData(
            f"{strange.len()} of {labelled.sum()} images are unlike all of training; of the first, {strange[0]}: "
            f"{looks[first].refused}",
            where=opened.root, remedy="bring them to the form of those of training, or go on without with --skip-bad",
        )  # fmt: skip
    beyond = [look.outside for look, one in zip(looks, judged, strict=True) if one and look.outside]
    notes = []
    if strange.len():
        notes.append(f"{many(strange.len(), 'image', 'were')} left out: unlike all of training.")
    if beyond:
        notes.append(f"{len(beyond)} of {judged.sum()} images lie beyond training; the first: {beyond[0]}.")
    return judged, tuple(notes)


def _predicted(
    predictor: Predictor, opened: Dataset, labels: pl.DataFrame, judged: pl.Series,
    folder: Path, key: bytes | None, ahead: prepare.Ahead,
) -> tuple[pl.DataFrame, pl.DataFrame, Images]:  # fmt: skip
    """Return predictions of each model, the samples, under pseudonyms, and their prepared images."""
    samples = opened.samples.filter(judged)
    pipeline, home = predictor.suiting([one for one, _ in opened.colours]), folder / "prepared"
    prepared = prepare.materialise(samples, opened.files, pipeline, home, volumes=opened.volumes, ahead=ahead)
    if tuple(prepared.pixels.shape[1:]) != predictor.bundle.shape:
        raise BadData(
            f"the images have the shape {tuple(prepared.pixels.shape[1:])} after preparation, the model reads "
            f"{predictor.bundle.shape}", where=opened.root, remedy="cut or read them as those of the study were",
        )  # fmt: skip
    pixels = prepared.stored(np.arange(samples.height))
    members = predictor.members_on(View(pixels, samples, None, predictor.bundle.task))
    told = samples if key is None else pseudonyms.under_pseudonyms(opened, key).samples.filter(judged)
    rows = samples.select("case").join(labels, on="case", how="left", maintain_order="left")
    rows = told.select("sample", "case", "patient").with_columns(rows["label"], unit=pl.lit("sample"),
                                                                 role=pl.lit(HOME), repeat=0, seed=0)  # fmt: skip
    bundle = predictor.bundle
    trials = [of_member(rows, bundle, probs, member) for member, probs in enumerate(members)]
    return tables.check(pl.concat(trials), tables.PREDICTIONS), told, pixels


def _unlike(said: Sequence[str | None]) -> tuple[str, ...]:
    n = sum(one is not None for one in said)
    what = f"{n} of {len(said)} images show something else than those of training did"
    return (f"{what}; of images like those 1 in 100 does.",) if n else ()


def _copied(run: Path | None, folder: Path, names: pl.Series, pixels: Images) -> tuple[str, ...]:
    """Write which images are nearly the same as one of the study, and return what there is to say of it."""
    if run is None:
        return ()
    found = copies.copies(run, names, pixels)
    if found is None:
        (folder / copies.FILE).unlink(missing_ok=True)
    else:
        tables.write(found, tables.COPIES, folder / copies.FILE)
    return (copies.in_words(found, len(names)),)


def _table(run: Path | None, name: str, bundle: Bundle, members: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Return the external table, of what the study compared."""
    task, unit = bundle.task, bundle.unit
    told = with_shipped(bundle, answers(bundle, members), recalibrated=True)
    away = _side(told, task, HOME, unit, samples)
    if run is None:
        return external(name, None, away, primary_for(task, "auc"), thresholds=bundle.thresholds)
    kept = Verdict.model_validate_json((run / VERDICT).read_text(encoding="utf-8"))
    facts = tables.read(tables.SAMPLES, run / "samples.parquet").frame
    own = tables.read(tables.PREDICTIONS, run / "predictions.parquet").frame.filter(family=bundle.family)
    here = levels.lift(checked(own, task, tables.ROLES), task, unit, levels.remembered(kept.combined))
    home = _side(here, task, "test", unit, facts)
    return external(name, home, away, primary_for(task, kept.primary), thresholds=bundle.thresholds)


def _side(rows: pl.DataFrame, task: Task, role: Role, unit: Unit, facts: pl.DataFrame) -> Side:
    """Return the judged rows of one role with what is known of them: of a case or a patient, of its first sample."""
    cohort = assemble(rows, task, role, unit)
    facts = facts.with_columns(tables.patient_keys(facts["patient"])).with_columns(sample=pl.col(unit))
    tested = {one for group in cohort.groups for one in group.sample}
    return Side(cohort, facts.filter(pl.col("sample").is_in(list(tested))).unique("sample", maintain_order=True))


def _page(run: Path | None, folder: Path, found: pl.DataFrame, task: Task, notes: tuple[str, ...]) -> Path:
    if run is not None and folder.parent == run / HOME and (run / "report.html").exists():  # it ends what is done there
        return report.write(gather.gather(run), run / "report.html")
    content = ReportContent(title=f"{found['name'][0]}: external validation", task=task, external=found, notes=notes)
    return report.write(content, folder / "report.html")
