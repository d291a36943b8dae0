"""The command line: parse, call, print.

Commands are named by path and imported when they are called, so that `grandrounds --help` answers at once.
"""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError, Parameter
from cyclopts.panel import CycloptsPanel

from grandrounds.errors import Refusal

FAILED, INTERRUPTED = 3, 130


def _usage(error: CycloptsError) -> object:
    """Return what was wrong with a command; of a value out of its bounds the option, and not the inside of ours."""
    found = getattr(error.__cause__, "errors", None)  # pydantic's, which is not imported for its name alone
    if not callable(found):
        return CycloptsPanel(error)
    said = [
        f"--{'.'.join(map(str, one['loc'])).replace('_', '-')}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in found()
    ]
    return CycloptsPanel("; ".join(said))


def _default(value: object) -> str | None:
    """Return a default as it is typed; nothing of one that is nothing, whose option says what that means."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value)) or None
    return None if value is None or value is False else str(value)


app = App(
    name="grandrounds",
    help="Every family of image classifier reads the same medical cases under one leak-free protocol.\n\n"
    "Start with: grandrounds demo",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # `main` has more to say
    error_formatter=_usage,
    default_parameter=Parameter(show_default=_default),
)
# The first line stands in the list of commands, the rest in the command's own help.
_COMMANDS = {
    "demo": """Compare seven families on simulated CT patches, in a few minutes.

Twenty-four simulated patients, folds by patient; a second, small study beside it shows what folds by patch would have
claimed. The images are computed and show nobody.

    grandrounds demo
    grandrounds demo -o runs/demo""",
    "inspect": """Show what a set of images holds, before anything is trained.

Every file is read once: patients, classes, sizes, intensities, duplicates, files that cannot be read.

    grandrounds inspect breastmnist.npz
    grandrounds inspect table.csv --label diagnosis --patient subject""",
    "plan": """Write a study.toml with a comment per choice and a price per family.

Nothing is trained. Change in the file what should be otherwise, and give it, or its folder, to `run`.

    grandrounds plan breastmnist.npz --budget 10m --seeds 3
    grandrounds plan images/ --families prior,thumbnail,li2014 --device cuda
    grandrounds plan films.csv --tasks effusion,nodule""",
    "run": """Train, judge and report; go on where an interrupted run stopped.

Ctrl-C loses at most the trials in hand; the same command goes on. A finished study is left alone, but for trials that
failed, which it tries again.

Of several tasks each has a run folder inside the study's, on one split, and one report is on all.

    grandrounds run breastmnist.npz -o runs/breast --seeds 3
    grandrounds run images/ --budget 5m --families prior,lbp-svm,resnet-18
    grandrounds run MRNet-v1.0 --tasks all --families prior,resnet-18,multitask:resnet-18
    grandrounds run runs/breast""",
    "tune": """Compare recipes of one family on train and valid; the test role stays closed.

Prints what each recipe gave on valid, with intervals, and its difference from the family's own recipe, and writes the
best one as a .toml file that `run` takes among its families. The same command goes on where it stopped.

    grandrounds tune breastmnist.npz resnet-18
    grandrounds tune breastmnist.npz resnet-18 --across 5 --one-by-one --set mixup=0.2 --set erase=0.3
    grandrounds tune breastmnist.npz resnet-18 --set learning_rate=1e-3,3e-3 --set mixup=0,0.2 --full
    grandrounds tune breastmnist.npz vit-tiny --random 20 --set learning_rate=1e-4..3e-3""",
    "mask": """Find the lungs in a set of chest CT with a U-Net, and keep the masks for a study.

The U-Net is trained once, on simulated chests that show nobody, and judged on others with dense disease, where
thresholds fail: some minutes. The next call for the same folder, with these or other images, uses it as it is. In a
study, the step "masked" puts the masks on the images. Needs MONAI.

    grandrounds mask simulated-hrct -o masks/demo
    grandrounds mask chests/ --unit volume --hounsfield -o masks/chests --threads 2""",
    "report": """Write the report of a run, or of anybody's predictions in CSVs.

A CSV has one row per image: sample, label, one `prob_<class>` column per class, and where there are any: patient, case,
family, fold, seed, role. Human readers give a rating or a decision instead. Several CSVs are compared as families.
With a column task there is a row for each task and image, and the page has the mean over the tasks and a part for each.

    grandrounds report runs/breast
    grandrounds report runs/acl runs/meniscus -o runs/knees
    grandrounds report predictions.csv -o reports/ours
    grandrounds report theirs.csv --sample id --label truth --prob malignant=score
    grandrounds report model.csv readers.csv --rating birads --cutoff 4
    grandrounds report predictions.csv --sensitivity 0.9 --prevalence 0.02""",
    "audit": """Look for known ways to be misled, in a run or in anybody's predictions.

What cannot be audited is not applicable, with what is missing. Of several tasks each is audited. Findings leave the
exit code at 0.

    grandrounds audit runs/breast
    grandrounds audit predictions.csv --json""",
    "predict": """Apply the model that a run ships to new images.

One row per image with one probability column per class; an image that cannot be read keeps its row, with the reason.
Where the model reads volumes, slices that lie in one folder are one; where it reads planes, each slice of a volume has
a row, and --by case makes one of them. Where it reads exams, a row is an exam, and its series are known by what files
and folders are called, or by DICOM headers. A table, or whatever has options, is read as for a study.

    grandrounds predict runs/breast new-images/ -o predictions.csv
    grandrounds predict runs/knees new-exams/
    grandrounds predict runs/chests new-scans/ --by case -o cases.csv
    grandrounds predict runs/knees MRNet-v1.0 --task acl --unit volume
    grandrounds predict runs/chests new-chests/ --masks masks/chests""",
    "evaluate": """Judge the model that a run ships on data from elsewhere.

The drop, its interval, the drift of calibration and how the patients differ go into the run's report, in a section of
their own. Images or patients of the study are refused.

    grandrounds evaluate runs/breast other-hospital/
    grandrounds evaluate runs/breast theirs.csv --class-map cancer=malignant --class-map unclear=""",
    "describe": """Draw the network of a family as it is really built: layers, sizes, parameters, multiply-adds.

It is built for images of the size that is given, and one image of that size passes it; nothing is trained.

    grandrounds describe resnet-18 --size 1x28x28
    grandrounds describe slices:resnet-18 --size 1x16x64x64
    grandrounds describe vit-tiny --size 3x224x224 --classes 5 --set patch_px=16 -o vit.svg""",
    "names": """Tell who is who: the pseudonyms of a run folder beside the names they stand for.

Needs the images and the run's key. The table names patients: keep it where the images are.

    grandrounds names runs/breast -o who-is-who.csv
    grandrounds names runs/breast/external/elsewhere""",
    "list": """List families, recipes, datasets, metrics or audits.

What other installed packages add is among them.

    grandrounds list families
    grandrounds list metrics --json""",
}
for _name, _help in _COMMANDS.items():
    app.command(f"grandrounds.cli.commands:{_name}_", name=_name, help=_help)


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    It exits with 0 when done, 1 when refused with a message, 2 on wrong usage, 3 when a trial failed or every image
    that was to be predicted was refused.
    """
    try:
        app(arguments)
    except Refusal as refusal:
        print(_fitting(f"grandrounds: {refusal}"), file=sys.stderr)  # noqa: T201  (the one place that prints an error)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped. Give the same command again to go on; finished trials are kept.", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)


def _fitting(text: str) -> str:
    """Return an error in lines that fit the terminal; as it is where a file or a script gets it."""
    if not sys.stderr.isatty():
        return text
    from rich.console import Console  # noqa: PLC0415  (only who reads it in a terminal waits for it)

    from grandrounds.cli.folding import folded  # noqa: PLC0415

    return folded(text, Console(stderr=True).width)
