from __future__ import annotations

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameGrayscaleByteSecondaryCaptureImageStorage

from grandrounds import api
from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.pacs_copy import SeriesFacts, write_series
from grandrounds.data.patches import PatchSpec
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts.copies_volumes import write_nifti
from grandrounds.study.spec import Ask, DataSpec


def write_exams(folders, *, patients=None):
    """Write an exam of two slices into each folder, of patients in turn."""
    for exam, folder in enumerate(folders, start=1):
        patient = f"SIM-{exam:02d}" if patients is None else patients[exam - 1]
        hu = np.random.default_rng(exam).integers(-900, 100, (2, 6, 7))
        write_series(folder, SeriesFacts(patient, exam), hu, seed=exam)


def test_class_folders(tmp_path, picture):
    """Folders are classes, whole numbers sort as numbers, and other files are told."""
    for label in ("10", "2", "0"):
        for index in range(2):
            picture(f"set/{label}/{index}.png")
    (tmp_path / "set/2/readme.txt").write_text("hello")

    dataset = open_dataset(tmp_path / "set")

    assert dataset.task.classes == ("0", "2", "10")
    assert (dataset.task.kind, dataset.official, dataset.patient_known) == ("multiclass", None, False)
    assert dataset.samples["sample"].to_list()[0] == "0/0"
    assert dataset.samples["patient"].to_list() == dataset.samples["sample"].to_list()
    assert "1 files that are no images (.txt)" in dataset.notes[0]
    assert dataset.load("2/1").space == (6, 8)


def test_official_split(tmp_path, picture):
    """`train`, `val` and `test` over class folders become the official split."""
    for part in ("Train", "val", "test"):
        for label in ("benign", "malignant"):
            picture(f"set/{part}/{label}/a.png")

    dataset = open_dataset(tmp_path / "set")

    assert dict(dataset.official.rows())["val/benign/a"] == "valid"
    assert set(dataset.official["role"]) == {"train", "valid", "test"}
    assert dataset.task.positive == "malignant"


def test_class_folders_that_differ_in_case_alone_are_one_class(tmp_path, picture):
    """As where one part of a split was made elsewhere; the positive class may be named either way."""
    for folder in ("train/Benign", "train/Malignant", "test/benign", "test/malignant", "train/Benign/more"):
        picture(f"set/{folder}/a.png")

    dataset = open_dataset(tmp_path / "set", SourceOptions(positive="benign"))

    assert (dataset.task.classes, dataset.task.positive) == (("Benign", "Malignant"), "Benign")
    assert sum("upper and lower case" in note for note in dataset.notes) == 2


SITES = [f"{site}/{label}" for site in ("Bern", "Graz") for label in ("benign", "malignant")]


def test_sites_above_classes_are_not_taken_for_the_classes(tmp_path, picture):
    """Nobody can see which level is meant, so it is asked; the classes that are named settle it, either way."""
    for folder in SITES:
        picture(f"set/{folder}/a.png")

    with pytest.raises(BadSpec, match="Bern, Graz hold folders of the same names: benign, malignant") as caught:
        open_dataset(tmp_path / "set")
    assert "--classes benign,malignant" in caught.value.remedy
    assert "--classes Bern,Graz" in caught.value.remedy
    inner = open_dataset(tmp_path / "set", SourceOptions(classes=("benign", "malignant")))
    outer = open_dataset(tmp_path / "set", SourceOptions(classes=("Bern", "Graz")))

    assert inner.samples["site"].to_list() == ["Bern", "Bern", "Graz", "Graz"]
    assert inner.labels["label"].to_list() == ["benign", "malignant"] * 2
    assert outer.labels["label"].to_list() == ["Bern", "Bern", "Graz", "Graz"]
    assert outer.samples["site"].null_count() == 4


def test_sites_inside_the_parts_of_a_split(tmp_path, picture):
    """A site that has one of the classes, in one of the parts, is found all the same."""
    for folder in ("train/Bern/benign", "train/Bern/malignant", "test/Graz/benign"):
        picture(f"set/{folder}/a.png")

    with pytest.raises(BadSpec, match="of the same names"):
        open_dataset(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set", SourceOptions(classes=("benign", "malignant")))
    assert dict(dataset.official.rows())["test/Graz/benign/a"] == "test"


@pytest.mark.parametrize(
    ("below", "n_notes"),
    [
        ((("p1", "p2"), ("p3", "p4")), 0),
        ((("p1", "p2"), ("p2", "p3", "p4")), 0),
        ((("patient 1", "patient 2"), ("patient 1", "patient 2")), 1),
        ((("axial", "coronal"), ("axial", "coronal")), 0),
        ((("images",), ("images",)), 0),
        ((("Bern", "Graz"), ()), 0),
    ],
    ids=["patients", "one number twice", "numbered anew", "planes", "one folder", "loose images"],
)
def test_what_lies_below_classes_stays_there(tmp_path, picture, below, n_notes):
    """Patients, planes and the like are no classes, and outer folders with images of their own no sites."""
    for label, folders in zip(("benign", "malignant"), below, strict=True):
        for folder in folders or (".",):
            picture(f"set/{label}/{folder}/a.png")
    dataset = open_dataset(tmp_path / "set")

    assert dataset.task.classes == ("benign", "malignant")
    assert sum("same names" in note for note in dataset.notes) == n_notes


def test_images_that_are_in_no_part_are_counted(tmp_path, picture):
    """A folder whose name is misspelt, and images that lie beside the class folders: none is lost without a word."""
    for part in ("train", "test", "vaildation"):
        for label in ("benign", "malignant"):
            picture(f"set/{part}/{label}/a.png")
    for name in ("benign/a", "malignant/a", "stray", "__MACOSX/a"):
        picture(f"loose/{name}.png")
    misspelt, loose = (open_dataset(tmp_path / name).notes for name in ("set", "loose"))

    assert any("2 images were left out, in the folder 'vaildation'" in note for note in misspelt)
    assert [note for note in loose if "left out" in note] == [
        "1 image was left out, beside the class folders: the class, or the part of a split, is unknown."
    ]


def test_links_whose_content_was_not_fetched_are_bad(tmp_path, picture):
    """As git-annex leaves them: each is listed with what to do, also one without an ending, and none is passed over."""
    for name in ("benign/a", "benign/b", "malignant/a", "malignant/b"):
        picture(f"set/{name}.png")
    lost = [tmp_path / "set/benign" / name for name in ("c.png", "d")]
    for link in lost:
        link.symlink_to("../.git/annex/objects/none")

    dataset = open_dataset(tmp_path / "set")

    assert dataset.samples.height == 4
    assert dataset.bad["path"].to_list() == [str(link) for link in lost]
    assert all("leads nowhere" in reason for reason in dataset.bad["reason"])


def test_what_programs_leave_behind_is_no_image(tmp_path, picture):
    """Copies of a notebook, thumbnails and the dustbin of a server, and a link back to the folder itself."""
    for name in ("a", ".ipynb_checkpoints/a-checkpoint", "@eaDir/a", "more/#recycle/a", "more/b"):
        picture(f"set/benign/{name}.png")
        picture(f"set/malignant/{name}.png")
    for name in ("@eaDir", "#recycle"):
        picture(f"set/{name}/a.png")
    (tmp_path / "set/loop").symlink_to(".")

    dataset = open_dataset(tmp_path / "set")

    assert dataset.task.classes == ("benign", "malignant")
    assert dataset.samples["sample"].to_list() == ["benign/a", "benign/more/b", "malignant/a", "malignant/more/b"]
    assert not any("left out" in note for note in dataset.notes)


def test_class_folders_may_be_links(tmp_path, picture):
    """Only what leads back is no class."""
    for name in ("one/a", "one/b", "two/a", "two/b"):
        picture(f"elsewhere/{name}.png")
    (tmp_path / "set").mkdir()
    for name in ("one", "two"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere" / name)

    assert open_dataset(tmp_path / "set").task.classes == ("one", "two")


def test_valid_serves_as_test(tmp_path, picture):
    """Without a test part, the validation part is the test, and a note says so."""
    for part in ("train", "val"):
        for label in ("a", "b"):
            picture(f"set/{part}/{label}/a.png")

    dataset = open_dataset(tmp_path / "set")

    assert set(dataset.official["role"]) == {"train", "test"}
    assert any("serves as test" in note for note in dataset.notes)


def test_refusals(tmp_path, picture):
    """Nothing there, one class, an empty class, loose images, wrong options: each has its own sentence."""
    picture("loose/a.png")
    picture("one/a/a.png")
    picture("empty/a/a.png")
    (tmp_path / "empty/b").mkdir()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "study.toml").touch()
    for name, words in (
        ("absent", "no such file or folder"),
        ("nothing", "no images were found"),
        ("loose", "side by side"),
        ("loose/a.png", "one image is no data set"),
        ("study.toml", "a study or a recipe stands here"),
        ("one", "nothing to tell apart"),
        ("empty", "holds no image"),
    ):
        with pytest.raises(BadData, match=words):
            open_dataset(tmp_path / name)


def test_volumes_in_class_folders(tmp_path):
    """Their slices are samples and the volume is the case; or the volume is the sample. A bad one is listed once."""
    for index in range(4):
        path = tmp_path / "set" / "ab"[index % 2] / f"{index}.nii.gz"
        write_nifti(path, np.full((3, 5, 6), index, np.int16), (3.0, 1.0, 1.0))
    (tmp_path / "set/a/2.nii.gz").write_bytes(path.read_bytes()[:-30])

    slices, volumes = open_dataset(tmp_path / "set"), open_dataset(tmp_path / "set", SourceOptions(unit="volume"))

    assert slices.samples.filter(case="b/1")["sample"].to_list() == ["b/1-0000", "b/1-0001", "b/1-0002"]
    assert slices.load("b/1-0002").space == (5, 6)
    assert dict(slices.labels.select("case", "label").iter_rows()) == {"a/0": "a", "b/1": "b", "b/3": "b"}
    assert volumes.samples["depth_px"].to_list() == [3, 3, 3]
    assert slices.bad["path"].to_list() == volumes.bad["path"].to_list() == [str(tmp_path / "set/a/2.nii.gz")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (SourceOptions(label="x"), "no table of labels, so label does not fit"),
        (SourceOptions(rater="x", consensus="any"), "no table of labels, so rater, consensus does not fit"),
        (SourceOptions(series=SeriesSpec(plane="axial")), r"no series, so series\.plane does not fit"),
        (SourceOptions(patient="x"), "folder does not read the option patient"),
        (
            SourceOptions(patches=PatchSpec(size_px=8, max_patches=20)),
            r"folder does not read the option patches\.size_px",
        ),
    ],
)
def test_options_that_say_nothing_here(tmp_path, picture, options, words):
    """An option that the layout does not read is refused, not passed over in silence."""
    picture("set/a/a.png")
    picture("set/b/b.png")

    with pytest.raises(BadSpec, match=words):
        open_dataset(tmp_path / "set", options)


def test_misspelt_name(tmp_path):
    """A name that is nearly one of ours is recognised."""
    with pytest.raises(BadData, match="breastmnist"):
        open_dataset("brestmnist", cache=tmp_path)


@pytest.mark.parametrize(
    ("folders", "patients"),
    [
        (["SIM-01", "SIM-02", "SIM-03"], None),
        (["SIM-01/st1/se1", "SIM-01/st2/se1", "SIM-02/st1/se1"], ["SIM-01", "SIM-01", "SIM-02"]),
        (["exam1", "exam2", "exam3"], ["SIM-01", "SIM-01", "SIM-02"]),
        (["exam1", "exam2"], ["ANONYMOUS", "ANONYMOUS"]),
        (["DICOM/A", "DICOM/B"], None),
    ],
    ids=["folder per patient", "studies inside", "folder per exam", "one name for all", "all in one folder"],
)
def test_folders_of_patients_are_no_classes(tmp_path, folders, patients):
    """Where no folder shares its patient or its exam with another, it is an export whose labels are still unknown."""
    write_exams([tmp_path / "pacs" / folder for folder in folders], patients=patients)
    (tmp_path / "pacs" / folders[0] / "cut").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "pacs" / "VIEWER").mkdir()
    (tmp_path / "pacs" / "VIEWER" / "readme.txt").write_text("hello")

    dataset = open_dataset(tmp_path / "pacs")

    assert not dataset.is_labelled
    assert dataset.samples.height == 2 * len(folders)
    assert any("No table of labels" in note for note in dataset.notes)


def test_an_export_without_labels_is_not_learned_from(tmp_path):
    """Planning is refused, and the message says how to give labels."""
    write_exams([tmp_path / "pacs" / patient for patient in ("SIM-01", "SIM-02", "SIM-03")])

    with pytest.raises(BadData, match="--labels"):
        api.plan(Ask(name="x", data=DataSpec(source=str(tmp_path / "pacs"))), tmp_path / "run")


def test_dicom_in_class_folders(tmp_path):
    """Folders with several patients each are classes, even where all headers carry one name."""
    folders = [tmp_path / "set" / label / f"{index}" for label in ("a", "b") for index in range(3)]
    write_exams(folders, patients=["ANONYMOUS"] * 6)

    dataset = open_dataset(tmp_path / "set")

    assert dataset.task.classes == ("a", "b")
    assert not dataset.patient_known


def test_pictures_beside_dicom_are_classes(tmp_path, picture):
    """A folder of pictures beside one of DICOM files is a class."""
    write_exams([tmp_path / "set" / "a"])
    picture("set/b/0.png")

    assert open_dataset(tmp_path / "set").task.classes == ("a", "b")


def _frames_of_dicom(path, frames):
    one = pydicom.Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID, one.Modality = (
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        "1.2.3",
        "OT",
    )
    one.set_pixel_data(frames, "MONOCHROME2", 8, generate_instance_uid=False)
    one.save_as(path, enforce_file_format=True)


def _pages_of_tiff(path, frames):
    first, *rest = map(Pillow.fromarray, frames)
    first.save(path, save_all=True, append_images=rest)


@pytest.mark.parametrize(("suffix", "write"), [(".dcm", _frames_of_dicom), (".tif", _pages_of_tiff), (".npy", np.save)])
def test_frames_pages_and_planes_are_samples(tmp_path, suffix, write):
    """A file of several images is the case of them; or all of them are one sample, and it is said which."""
    frames = np.random.default_rng(0).integers(0, 255, (5, 12, 10), dtype=np.uint8)
    for turn, label in enumerate("ab"):
        (tmp_path / "set" / label).mkdir(parents=True)
        write(tmp_path / f"set/{label}/{turn}{suffix}", frames + turn)
    (tmp_path / f"set/a/cut{suffix}").write_bytes((tmp_path / f"set/a/0{suffix}").read_bytes()[:-200])
    slices, volumes = open_dataset(tmp_path / "set"), open_dataset(tmp_path / "set", SourceOptions(unit="volume"))

    assert slices.samples["case"].to_list() == ["a/0"] * 5 + ["b/1"] * 5
    np.testing.assert_array_equal(slices.load("b/1-0003").pixels[0], frames[3] + 1)
    assert any("slice or frame" in note for note in slices.notes)
    assert volumes.samples["depth_px"].to_list() == [5, 5]
    assert set(slices.bad["path"]) == set(volumes.bad["path"]) == {str(tmp_path / f"set/a/cut{suffix}")}
