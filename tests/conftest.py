"""Small sets of images, built once per test run, and the folder of real ones."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.command import MODULES

from grandrounds import processes
from grandrounds.study.pseudonyms import KEY


def pytest_configure():
    """Give each of several test processes one core, so that studies start one worker and not one for every core.

    What workers import is imported now, once for all of its tests, also where the first study needs none of it.
    """
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if number and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(number) % len(cores)]})
        processes.branching(MODULES)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that want it skip where it is not there."""
    folder = os.environ.get("GRANDROUNDS_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GRANDROUNDS_TEST_DATA names no folder of real images")
    return Path(folder)


def archive_arrays(n_patients=24, per_patient=4, side_px=16, n_classes=2, seed=0):
    """Return grey images of patients whose class shows as a stripe pattern, with a look of each patient's own."""
    rng = np.random.default_rng(seed)
    images, labels, patients = [], [], []
    rows, columns = np.mgrid[:side_px, :side_px]
    for patient in range(n_patients):
        label = patient % n_classes
        look = rng.normal(0, 12)
        for _ in range(per_patient):
            wave = np.sin((rows if label else columns) * (1.2 + 0.5 * label) + rng.uniform(0, 6))
            images.append(np.clip(128 + look + 35 * wave + rng.normal(0, 18, rows.shape), 0, 255).astype(np.uint8))
            labels.append(label)
            patients.append(patient)
    return np.stack(images), np.array(labels)[:, None], np.array(patients)


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """A MedMNIST-style archive: 40 patients with four images each, official parts by patient.

    The key of its pseudonyms, by which all order is made, lies beside it, so that no test passes or fails by chance.
    """
    path = tmp_path_factory.mktemp("archive") / "stripes.npz"
    images, labels, patients = archive_arrays(n_patients=40)
    parts = {"train": patients < 24, "val": (patients >= 24) & (patients < 30), "test": patients >= 30}
    arrays = {}
    for part, rows in parts.items():
        arrays |= {
            f"{part}_images": images[rows], f"{part}_labels": labels[rows], f"{part}_patient": patients[rows],
        }  # fmt: skip
    np.savez_compressed(path, **arrays)
    (path.parent / f".grandrounds-{KEY}").write_bytes(bytes(range(32)))
    return path
