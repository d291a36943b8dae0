"""Several tasks of one source: the same samples in each, every image read once."""

from __future__ import annotations

import cv2
import numpy as np
import polars as pl
import pytest

from grandrounds.data import SourceOptions, measuring, open_dataset, open_tasks, tasks_of
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts.copies import COPIES

TASKS = ("effusion", "nodule")


@pytest.fixture
def table(tmp_path):
    """Eight films; one has no label of a nodule, one none of an effusion, one none at all."""
    for at in range(8):
        cv2.imwrite(str(tmp_path / f"{at}.png"), np.full((8, 8), 20 * at, np.uint8))
    rows = {
        "image": [f"{at}.png" for at in range(8)],
        "age": [str(50 + at) for at in range(8)],
        "effusion": ["yes", "no", "yes", "", "no", "yes", "no", ""],
        "nodule": ["no", "no", "yes", "yes", "", "no", "yes", ""],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "films.csv")
    return tmp_path / "films.csv"


def opened(source, *names):
    return open_tasks(source, SourceOptions(tasks=names))


def test_all_tasks_have_the_same_samples(table):
    """A row with a label in any task is a sample of all; whose label is not known in one is null there."""
    found = opened(table, *TASKS)

    assert list(found) == list(TASKS)
    assert found["effusion"].samples.equals(found["nodule"].samples)
    assert found["effusion"].samples.height == 7
    assert found["effusion"].labels.filter(pl.col("label").is_null())["case"].to_list() == ["3"]
    assert found["nodule"].labels.filter(pl.col("label").is_null())["case"].to_list() == ["4"]
    assert found["nodule"].bad["reason"].to_list() == ["the row has no label"]


def test_labels_of_other_tasks_are_no_clinical_columns(table):
    """What is asked in another task would give an answer away; real columns stay."""
    samples = opened(table, *TASKS)["nodule"].samples

    assert "age" in samples.columns
    assert not set(TASKS) & set(samples.columns)


def test_each_image_is_read_once(table, monkeypatch):
    """However many tasks there are."""
    read, real = [], measuring._images
    monkeypatch.setattr(measuring, "_images", lambda *place: read.append(place) or real(*place))
    opened(table, *TASKS)

    assert len(read) == 7


def test_a_task_is_what_it_is_alone(tmp_path):
    """Of MRNet each task has the labels, the classes and the official split that it has by itself."""
    home = COPIES["mrnet"](tmp_path)
    together = opened(home, "abnormal", "acl", "meniscus")

    for name, dataset in together.items():
        alone = open_dataset(home, SourceOptions(task=name))
        assert dataset.fingerprint == alone.fingerprint
        assert dataset.labels.equals(alone.labels)
        assert dataset.official.equals(alone.official)
        assert dataset.task == alone.task


def test_all_is_every_task_of_a_set_that_always_has_the_same(tmp_path, table):
    """Nobody can know which columns of a table are labels, and the message says how to name them."""
    home, everything = COPIES["mrnet"](tmp_path / "knees"), SourceOptions(tasks="all")

    assert tasks_of(home, everything) == ("abnormal", "acl", "meniscus")
    assert tasks_of("simulated-knee", everything) == ("one-series", "two-series", "columns")
    with pytest.raises(BadSpec, match="name the columns of labels"):
        tasks_of(table, everything)
    with pytest.raises(BadSpec, match="no task 'menisci'"):
        tasks_of(home, SourceOptions(tasks=("acl", "menisci")))


@pytest.mark.parametrize("names", [("acl",), ("acl", "acl")])
def test_several_are_two_or_more(names, tmp_path):
    """One task, or one twice, is no study of several."""
    with pytest.raises(BadSpec, match="two or more"):
        tasks_of(COPIES["mrnet"](tmp_path), SourceOptions(tasks=names))


def test_labels_of_an_archive_are_tasks(tmp_path):
    """An archive with several labels an image has a task for each; with one label it has no several tasks."""
    rng, images = np.random.default_rng(0), np.arange(8 * 64, dtype=np.uint8).reshape(8, 8, 8)
    labels = rng.permuted(np.tile([[0, 1, 0], [1, 0, 1]], (4, 1)), axis=0)
    np.savez(tmp_path / "several.npz", train_images=images, train_labels=labels)
    np.savez(tmp_path / "one.npz", train_images=images, train_labels=labels[:, 0])
    found = opened(tmp_path / "several.npz", "0", "2")

    assert found["2"].labels["label"].to_list() == ["2" if one else "no 2" for one in labels[:, 2]]
    with pytest.raises(BadSpec, match="every image has one label"):
        opened(tmp_path / "one.npz", "0", "1")


def test_what_cannot_be_is_refused(table, tmp_path):
    """A column that is not there, a source with one task, a task of one class, and a verb that asks for one task."""
    with pytest.raises(BadSpec, match="no column 'fracture' for the task"):
        opened(table, "effusion", "fracture")
    with pytest.raises(BadSpec, match="glas does not read the option tasks"):
        opened(COPIES["glas"](tmp_path / "glands"), "one", "two")
    with pytest.raises(BadSpec, match="several tasks are for a study"):
        open_dataset(table, SourceOptions(tasks=TASKS))
    rows = pl.read_csv(table).with_columns(nodule=pl.lit("no"))
    rows.write_csv(table)
    with pytest.raises(BadData, match="task nodule: all images have the label 'no'"):
        opened(table, *TASKS)
