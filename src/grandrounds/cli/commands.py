"""The commands, one function each: parse, call `grandrounds.api`, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from grandrounds import api
from grandrounds.cli import FAILED, listing, masks, options, show
from grandrounds.cli.masks import Trained
from grandrounds.cli.options import Judged, Wanted
from grandrounds.cli.told import answer, conclude, console, say
from grandrounds.cli.tried import Tried
from grandrounds.cli.tried_table import TriedTable
from grandrounds.cores import processors
from grandrounds.data import SourceOptions
from grandrounds.data.fingerprint import save_fingerprint
from grandrounds.evaluate.columns import Columns
from grandrounds.report import network
from grandrounds.running import STUDY
from grandrounds.study.engine import Silent
from grandrounds.study.pseudonyms import KEY
from grandrounds.study.spec import Ask, Study
from grandrounds.tables import Unit
from grandrounds.training import launched

Out = Annotated[Path | None, Parameter(name=["--out", "-o"])]
Json = Annotated[bool, Parameter(name="--json", negative="")]
Read = Annotated[SourceOptions | None, Parameter(name="*", negative_iterable=())]
Theirs = Annotated[Columns, Parameter(name="*", negative_iterable=())]

Names = Annotated[bool, Parameter(negative="")]


def demo_(out: Out = None, *, json_: Json = False) -> None:
    """Compare seven families on simulated CT patches and write a report, in a few minutes.

    Args:
        out: Folder of the run; runs/demo by default.
        json_: Print the result as JSON.
    """
    with show.Terminal() as listener:
        outcome = api.demo(out or options.RUNS / "demo", listener)
    conclude(outcome, json_)


def inspect_(
    source: str, /, out: Out = None, *, json_: Json = False, names: Names = False, workers: int | None = None,
    read: Read = None,
) -> None:  # fmt: skip
    """Show what a set of images holds: patients, classes, sizes, intensities, duplicates, files that cannot be read.

    Args:
        source: A folder of images or of DICOM files, a CSV or TSV, an NPZ archive, or the name of a dataset.
        out: File for the fingerprint as JSON, with the page beside it; in runs/NAME by default.
        json_: Print the fingerprint as JSON.
        names: Call images by their names; by default by their row, since names may tell who somebody is.
        workers: Processes that read side by side; one per core by default.
        read: How the source is read.
    """
    folder = options.RUNS / options.name_of(source)
    path = options.result_in(out, ".json", [source]) or folder / "fingerprint.json"
    page = folder / "inspection.html" if out is None else out.with_suffix(".html")
    with show.watching() as watch:
        found = api.inspect(
            options.located(source), read, cache=folder / "data", page=page, watch=watch, names=names,
            workers=workers or processors(),
        )  # fmt: skip
    save_fingerprint(found, path)
    if json_:
        console.print_json(found.model_dump_json())
        return
    for line in listing.fingerprint_lines(found):
        say(line)
    say(f"\nPage with pictures: {page}\nFingerprint: {path}")


def plan_(
    source: str, /, out: Out = None, *, wanted: Wanted | None = None, judged: Judged | None = None, read: Read = None
) -> None:
    """Write a study.toml with a comment per choice, and print what each family will cost.

    Args:
        source: A folder of images or of DICOM files, a CSV or TSV, an NPZ archive, or the name of a dataset.
        out: Folder of the run; runs/NAME by default.
        wanted: What is asked for.
        judged: How families are compared.
        read: How the source is read.
    """
    ask = (wanted or Wanted()).ask(source, read, judged)
    folder = out or options.RUNS / ask.name
    with show.Terminal() as listener:
        api.plan(ask, folder, listener)
    say(f"Wrote {folder / STUDY}. Run it with: grandrounds run {folder}")


def run_(
    what: str, /, out: Out = None, *, wanted: Wanted | None = None, judged: Judged | None = None, read: Read = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Train every family on the same cases, judge them, and write the report.

    Args:
        what: Data as for `plan`, a run folder, or a study.toml; the last two bring all options, and --workers
            alone may stand beside a run folder.
        out: Folder of the run; runs/NAME by default.
        wanted: What is asked for.
        judged: How families are compared.
        read: How the source is read.
        json_: Print the result as JSON.
    """
    task: Ask | Study
    planned = api.study_in(Path(what))
    if planned is not None:
        study, home = planned
        task = options.gone_on_with(study, None if out else home, what, wanted, judged, read)
    else:
        task, home = (wanted or Wanted()).ask(what, read, judged), None
    with show.Terminal() as listener:
        outcome = api.run(task, out or home or options.RUNS / task.name, listener if launched.first() else Silent())
    if launched.first():
        conclude(outcome, json_)


def tune_(
    what: str, family: str, /, out: Out = None, *, wanted: Tried | None = None, read: Read = None, json_: Json = False
) -> None:
    """Compare recipes of one family without the test role, and write the best one as a recipe.

    Args:
        what: Data as for `plan`, a run folder, or a study.toml.
        family: Name of a family or of a recipe.
        out: Folder of the trials; runs/NAME/tuning by default.
        wanted: What is tried.
        read: How the source is read.
        json_: Print the table as JSON.
    """
    from grandrounds.study.tuned import tune  # noqa: PLC0415  (brings numba; only judging and tuning need it)

    tried = wanted or Tried()
    planned = api.study_in(Path(what))
    task: Ask | Study = tried.over(planned[0], read) if planned is not None else tried.ask(what, read)
    tuning = tried.tuning(task, family)
    folder = out or (planned and planned[1]) or options.RUNS / task.name
    with show.Terminal() as listener:
        found = tune(task, folder if out else folder / "tuning", tuning, listener)
    if json_:
        console.print_json(json.dumps(found.table.to_dicts()))
        return
    console.print(TriedTable(family, found.table, found.metric, tuning.usual))
    for sentence in found.sentences:
        say(sentence)
    say(f"\nBest recipe: {found.recipe}\nRun it with: grandrounds run DATA --families {family},{found.recipe}")


def mask_(
    source: str, /, out: Out = None, *, hounsfield: Annotated[bool, Parameter(negative="")] = False,
    wanted: Trained | None = None, names: Names = False, json_: Json = False, read: Read = None,
) -> None:  # fmt: skip
    """Find the lungs in a set of chest CT with a U-Net, and keep the masks for a study.

    Args:
        source: Data as for `plan`, best the same as the study will read.
        out: Folder of the masks and the U-Net; masks/NAME by default.
        hounsfield: Pixels are Hounsfield units, although NIfTI and NRRD files cannot say so.
        wanted: How the U-Net is trained, where the folder has none yet.
        names: Keep the names of samples in the table; by default they are numbered.
        json_: Print the result as JSON.
        read: How the source is read.
    """
    folder = out or Path("masks") / options.name_of(source)
    with show.watching() as watch:
        made = masks.made(options.located(source), folder, read, wanted, hounsfield, names, watch)
    if json_:
        console.print_json(json.dumps(masks.told(made)))
        return
    for line in masks.lines(made):
        say(line)


def report_(
    paths: list[Path], /, out: Out = None, *, columns: Theirs | None = None, judged: Judged | None = None
) -> None:
    """Write the report of a run folder, or of anybody's predictions in CSVs.

    Args:
        paths: A finished run folder, several of one task each, or one or more CSVs.
        out: Folder for the report; beside the first run or CSV by default.
        columns: What the columns of the CSVs are called.
        judged: How the families in the CSVs are compared.
    """
    judge = None if judged is None else judged.spec()
    say(f"\nReport: {api.rereport(paths, out, columns=columns, judge=judge, told=answer)}")


def audit_(
    paths: list[Path], /, *, json_: Json = False, columns: Theirs | None = None, judged: Judged | None = None
) -> None:
    """Look for known ways to be misled, in a run or in anybody's predictions.

    Args:
        paths: A run folder, finished or not, or one or more CSVs of predictions.
        json_: Print the findings as JSON.
        columns: What the columns of the CSVs are called.
        judged: How the families in the CSVs are compared.
    """
    findings = api.audit(paths, columns=columns, judge=None if judged is None else judged.spec())
    if json_:
        console.print_json(json.dumps(findings.to_dicts()))
        return
    for line in listing.finding_lines(findings):
        say(line)


def predict_(
    model: Path, images: list[Path], /, out: Out = None, *, by: Literal["image", "case", "patient"] = "image",
    masks: Path | None = None, json_: Json = False, read: Read = None,
) -> None:  # fmt: skip
    """Apply the model that a run ships to images, with one probability column per class.

    Args:
        model: A finished run folder, or its folder `model`.
        images: Image files, folders of them, or NPZ archives; or one set as for `plan`, with its options.
        out: CSV file; the terminal by default.
        by: What a row is about: an image, or the case or patient that the study compared, for which it set thresholds;
            of files each is a case, with all of its slices.
        masks: Folder of the images' masks, for a model that reads masked images; by default where its own were.
        json_: Print as JSON.
        read: How a set is read; without any of these, files and folders are taken as they lie.
    """
    out = options.result_in(out, ".csv", images)
    unit: Unit = "sample" if by == "image" else by
    with show.watching() as watch:
        frame = api.predict(model, images, masks=masks, options=read, by=unit, watch=watch)
    if out is not None:
        api.save_csv(frame, out)
        n_refused, n_outside = frame["refused"].count(), frame["outside"].count()
        say(f"Wrote {frame.height} rows to {out}; {n_refused} were refused, {n_outside} lie outside of training.")
    elif json_:
        console.print_json(json.dumps(frame.to_dicts()))
    else:
        print(frame.write_csv(), end="")  # noqa: T201  (plain CSV, for pipes)
    if frame["refused"].null_count() == 0:
        sys.exit(FAILED)


def evaluate_(
    model: Path,
    source: str,
    /,
    out: Out = None,
    *,
    class_map: Annotated[list[str] | None, Parameter(negative="")] = None,
    only: Literal["train", "valid", "test"] | None = None,
    masks: Path | None = None,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    namesakes: Annotated[bool, Parameter(negative="")] = False,
    workers: int | None = None,
    json_: Json = False,
    read: Read = None,
) -> None:
    """Judge the model that a run ships on data from elsewhere; the ranking stays as it is.

    Args:
        model: A finished run folder, or its folder `model`.
        source: The other data, as for `plan`.
        out: Folder for the tables; external/NAME in the run folder by default.
        class_map: Their class and ours, theirs=ours; theirs= leaves its cases out; may be given several times.
        only: Judge only those to whom their official split gives this role.
        masks: Folder of the images' masks, for a model that reads masked images; by default where its own were.
        skip_bad: Go on without images that cannot be read.
        namesakes: Patients of the same name as in training are other people.
        workers: Processes that read side by side; one per core by default.
        json_: Print the table as JSON.
        read: How the source is read.
    """
    with show.watching() as watch:
        found = api.evaluate(
            model, options.located(source), read, class_map=options.class_map(class_map or [], read), out=out,
            role=only, masks=masks, skip_bad=skip_bad, namesakes=namesakes, workers=workers or processors(),
            watch=watch,
        )  # fmt: skip
    if json_:
        console.print_json(json.dumps(found.found.to_dicts()))
        return
    for line in (*listing.external_lines(found.found), *found.notes):
        say(line)
    say(f"\nTables: {found.folder}\nReport: {found.page}")
    if (found.folder / KEY).exists():
        say(f"Whom the names there stand for: grandrounds names {found.folder}")


def describe_(
    family: str,
    /,
    out: Out = None,
    *,
    size: str | None = None,
    classes: int = 2,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    json_: Json = False,
) -> None:
    """Draw the network of a family: each layer with what it gives, its parameters and its multiply-adds.

    Args:
        family: Name of a family that has a network, as `grandrounds list families` prints it.
        out: SVG file for a drawing.
        size: Channels, height and width, by default 1x64x64; of volumes with slices in between, 1x16x64x64.
        classes: How many classes it tells apart.
        set_: A parameter of the family, as in a study: name=value; may be given several times.
        json_: Print as JSON.
    """
    out = options.result_in(out, ".svg", [])
    shape = options.image_shape(size) if size else None
    found = api.describe(family, options.settings(set_ or []), shape, classes)
    if out is not None:
        network.write(f"{family}: {found.note}", found.shape, found.stages, out)
        say(f"Wrote {out}.")
    elif json_:
        console.print_json(
            json.dumps(
                found._asdict()
                | {name: [one._asdict() for one in getattr(found, name)] for name in ("layers", "stages")}
            )
        )
    else:
        console.print(listing.layer_table(family, found))
        for line in listing.recipe_lines(family):
            say(line)


def names_(folder: Path, /, out: Out = None) -> None:
    """Tell who is who in a run folder: its pseudonyms beside the names that they stand for.

    Args:
        folder: A planned or finished run folder, or that of the tables of an external validation.
        out: CSV file; the terminal by default.
    """
    out = options.result_in(out, ".csv", [])
    frame = api.names(folder)
    if out is not None:
        api.save_csv(frame, out, private=True)
        say(f"Wrote {frame.height} rows to {out}. They name patients.")
    else:
        print(frame.write_csv(), end="")  # noqa: T201  (plain CSV, for pipes)


def list_(kind: listing.Kind, /, *, json_: Json = False) -> None:
    """List what grandrounds knows.

    Args:
        kind: What to list.
        json_: Print as JSON.
    """
    rows = listing.rows(kind)
    if json_:
        console.print_json(json.dumps(rows))
    else:
        console.print(listing.table(kind, rows))
