"""How fast a DICOM tree becomes a prepared cache, against a plain loop and against MONAI and TorchIO.

    python benchmarks/dicom.py [slices] [turns]

Result    on a machine to itself, from the tree to the cache, of the plain loop: 10,000 slices 1.70 (1.42 to 1.85) where
          each image is decoded once, 1.37 (1.29 to 1.45) in two passes, preparing alone 2.65 (2.39 to 2.74), MONAI 0.28
          and TorchIO 0.18; 4,000 slices, of three seconds in all, 1.41 (1.38 to 1.44), 1.15, 2.18, 0.26 and 0.15: the
          start of the other process takes half a second of either. The target of 1.5 is met for
          10,000 slices and missed by a sixteenth for 4,000. The 10,000 were read on a slower day: a slice took 1.68 ms
          of a core from the tree in one pass (1.42), 2.05 in two (1.78), 1.09 to prepare alone (0.93), the plain loop
          1.67 (1.18), MONAI 9.2 (8.3), TorchIO 14.4 (12.4). Memory 204 MiB for 1,250 and 206 MiB for 10,000 slices.
          Parts of one pass: header 0.13, image 0.47, hash 0.29, preparation 0.30, order 0.01 ms of a core a slice.
          Beside other work (load 10.6) 0.73, 0.65 and 1.12; before processes stayed and all series were ordered at
          once, on a machine to itself, 1.09, 0.86 and 2.09
Tried     walking through plain files without pydicom (kept: a header 0.55 to 0.15 ms), whole Hounsfield units in 16
          bits (kept: halves hashing, 0.5 to 0.3 ms, and the mean in OpenCV 0.14 to 0.01), keeping freed memory (kept:
          1.35 to 0.87 ms for reading and preparing), reading into place (kept), plain rows instead of a frame a file
          (kept), preparing while hashing (kept, where the pipeline is known), the caller's share of the work (kept),
          processes that start with the headers and stay (kept: one start instead of two or three), the order of all
          series at once on columns of numbers (kept: 0.12 to 0.005 ms), elements without pydicom's detours (kept: a
          header with its facts 0.12 to 0.09 ms), windowing block by block (0.18 to 0.32 ms: dropped), fused or in whole
          numbers (0.13 to 0.14: dropped), OpenCV with one thread (no difference: dropped), two threads (0.4 to 0.55 of
          the plain loop: parsing holds Python's lock; dropped)
Left      SHA-256 of the pixels, a fifth of the whole; half a second of a core for the start of a process, most of it
          imports of numpy, polars and pydicom with all its decoders; half of all time is Python's own, call by call
Hardware  two cores of an Intel Xeon, load 1.7 and 1.9, which is the benchmark's own
n         10,000 and 4,000 slices, 3 turns each; of these MONAI and TorchIO read a twentieth
Versions  pydicom 3.0.2, MONAI 1.6.1, TorchIO 1.2.1

Targets: 1.5 times the plain loop of pydicom and OpenCV on two cores, not slower than MONAI's LoadImage with transforms
and TorchIO, memory flat in the number of files. Everybody reads the same simulated 512 × 512 CT slices, windows them to
-1000…400 HU, shrinks them to 64 × 64 and keeps them as float32; the plain loop puts them in the order in which they
lie, and its array is compared with ours, value by value. They take turns, so that other work on the machine disturbs
all alike; what counts is the median over the turns of the ratio of one turn. A peer that is not installed is
named and left out; one that lies in a folder of its own is found with PYTHONPATH.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pydicom

from grandrounds import data, formats, prepare
from grandrounds.data.dicom_headers import FACTS, facts_of
from grandrounds.data.dicom_order import sort_series
from grandrounds.data.pacs_copy import SeriesFacts, write_series
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.image import pixel_hash

SIDE_PX, OUT_PX, LOW_HU, HIGH_HU = 512, 64, -1000, 400
N_SLICES, WORKERS = 40, 2
PEERS_READ = 20  # of so many slices one: peers take thirty times as long, and the others would only take longer
PIPELINE = prepare.Pipeline(
    whole=({"step": "window", "low_hu": LOW_HU, "high_hu": HIGH_HU},),
    each=({"step": "resize", "height_px": OUT_PX, "width_px": OUT_PX},),
)


def write(folder, n):
    """Write exams of 40 slices with their table, until there are n slices."""
    rng, lines = np.random.default_rng(0), ["accession,finding"]
    for exam in range(max(2, n // N_SLICES)):
        facts = SeriesFacts(f"SIM-{exam:04d}", exam)
        tissue = cv2.GaussianBlur(rng.normal(0, 1, (SIDE_PX, SIDE_PX)), (0, 0), 3) * 3000 - 300
        hu = (tissue + rng.normal(0, 20, (N_SLICES, SIDE_PX, SIDE_PX))).clip(-1000, 1500).astype(int)
        write_series(folder / f"D{exam % 5}", facts, hu)
        lines.append(f"{facts.accession},{'ab'[exam % 2]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def in_child(work, *arguments):
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()


def kept(images, folder):
    path = folder / f"{time.monotonic_ns()}.npy"
    np.save(path, np.stack(images))
    return path


def plain(paths, folder):
    """The loop that everybody writes: slices as they lie in their series, as ours are."""
    images, places, first = [], [], {}
    for path in paths:
        one = pydicom.dcmread(path)
        normal = np.cross(one.ImageOrientationPatient[:3], one.ImageOrientationPatient[3:])
        series = first.setdefault(one.SeriesInstanceUID, len(first))
        places.append((series, float(normal @ np.array(one.ImagePositionPatient))))
        hu = one.pixel_array.astype(np.float32) * float(one.RescaleSlope) + float(one.RescaleIntercept)
        scaled = np.clip((hu - LOW_HU) / (HIGH_HU - LOW_HU), 0, 1)
        images.append(cv2.resize(scaled, (OUT_PX, OUT_PX), interpolation=cv2.INTER_AREA)[None])
    return kept([images[at] for at in sorted(range(len(images)), key=places.__getitem__)], folder)


def monai_of():
    from monai.data import PydicomReader
    from monai.transforms import Compose, LoadImage, Resize, ScaleIntensityRange

    steps = Compose([
        LoadImage(reader=PydicomReader(), image_only=True, ensure_channel_first=True),
        ScaleIntensityRange(LOW_HU, HIGH_HU, 0.0, 1.0, clip=True), Resize((OUT_PX, OUT_PX), mode="area"),
    ])  # fmt: skip
    return lambda paths, folder: kept([steps(path).numpy() for path in paths], folder)


def torchio_of():
    import torchio

    steps = torchio.Compose([
        torchio.Clamp(LOW_HU, HIGH_HU), torchio.RescaleIntensity((0, 1), in_min_max=(LOW_HU, HIGH_HU)),
        torchio.Resize((OUT_PX, OUT_PX, 1)),
    ])  # fmt: skip
    return lambda paths, folder: kept([steps(torchio.ScalarImage(path)).data.numpy() for path in paths], folder)


PEERS = {"MONAI": monai_of, "TorchIO": torchio_of}


def ours_of(dataset):
    def work(_paths, folder):
        with Crew(WORKERS) as crew:
            prepare.materialise(dataset.samples, dataset.files, PIPELINE, folder / str(time.monotonic_ns()), crew=crew)

    return work


def whole_of(tree, *, is_early):
    """From a folder that nobody has looked at: series, order, faults, hashes, labels, and the cache.

    Early: each image is prepared while it is in memory to be hashed, as where a study's pipeline is known.
    """

    def work(_paths, folder):
        home = folder / str(time.monotonic_ns())
        ahead = prepare.Ahead(PIPELINE, home) if is_early else None
        with Crew(WORKERS) as crew:
            found = data.open_dataset(tree, data.SourceOptions(label="finding"), crew=crew, also=ahead)
            return prepare.materialise(found.samples, found.files, PIPELINE, home, crew=crew, ahead=ahead).path

    return work


def refuse_other_pixels(one, other):
    """Both write one array: the same slices in the same order with the same values."""
    ours, theirs = np.load(one), np.load(other)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def peers():
    found = {}
    for name, make in PEERS.items():
        if importlib.util.find_spec(name.lower()) is None:
            print(f"{name} is not installed and is left out")
            continue
        try:
            found[name] = make()
        except Exception as error:  # noqa: BLE001  (whatever a peer of another version may raise)
            print(f"{name} cannot be used here and is left out: {type(error).__name__}: {error}")
    return found


def timed(what, work, paths, folder):
    paths = paths[::PEERS_READ] if what in PEERS else paths
    start, start_cpu = time.perf_counter(), cpu_s()
    work(paths, folder)
    return len(paths) / (time.perf_counter() - start), (cpu_s() - start_cpu) / len(paths) * 1e3


def cpu_s():
    """Return what this process and those that it has ended have taken of the cores."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def parts(paths):
    """Print what the parts of a slice take of a core, one after the other in this process."""
    image = formats.read(paths[0])
    works = {
        "header": lambda path: list(facts_of(path, None)), "image": formats.read,
        "hash": lambda _path: pixel_hash(image), "preparation": lambda _path: PIPELINE(image),
    }  # fmt: skip
    for what, work in works.items():
        start = time.process_time()
        for _ in ALONE.abreast(lambda one, work=work: work(*one), paths, n_each=1):
            pass
        print(f"  {what:<14}{(time.process_time() - start) / len(paths) * 1e3:>7.3f} ms of a core a slice")
    facts = pl.DataFrame([one for path in paths for one in facts_of(path, None)], schema=FACTS, orient="row")
    start = time.process_time()
    sort_series(facts)
    print(f"  {'order':<14}{(time.process_time() - start) / len(paths) * 1e3:>7.3f}", flush=True)


def peak_mib(tree, n):
    """Print the peak of a fresh process that prepares so many slices."""
    dataset = data.open_dataset(tree, data.SourceOptions(label="finding"))
    with tempfile.TemporaryDirectory() as folder:
        prepare.materialise(dataset.samples[:n], dataset.files, PIPELINE, Path(folder))
    print(f"  {n:>6} slices: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB", flush=True)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2400
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    warnings.simplefilter("ignore")  # the peers'
    with tempfile.TemporaryDirectory() as name:
        tree, out = Path(name) / "tree", Path(name) / "out"
        out.mkdir()
        in_child(write, tree, n)  # a process inherits the peak of the one that started it, so this one stays small
        paths = sorted(path for path in tree.rglob("*I*") if path.is_file())
        print("memory of a process that opens the tree and prepares some of it:", flush=True)
        for part in (len(paths) // 8, len(paths)):
            in_child(peak_mib, tree, part)
        dataset = data.open_dataset(tree, data.SourceOptions(label="finding"))
        parts(paths)
        works = {
            "plain loop": plain, "prepare alone": ours_of(dataset), "tree, two passes": whole_of(tree, is_early=False),
            "tree, one pass": whole_of(tree, is_early=True), **peers(),
        }  # fmt: skip
        refuse_other_pixels(plain(paths, out), whole_of(tree, is_early=True)(paths, out))
        for work in works.values():
            work(paths[:N_SLICES], out)  # warm-up
        speeds = [{what: timed(what, work, paths, out) for what, work in works.items()} for _ in range(turns)]
        print(f"{'':<16}{'slices/s':>9}{'of plain':>10}{'least':>8}{'most':>8}{'ms of a core a slice':>22}")
        for what in works:
            ratios = [turn[what][0] / turn["plain loop"][0] for turn in speeds]
            wall, cpu = (statistics.median(turn[what][at] for turn in speeds) for at in (0, 1))
            ratio = f"{statistics.median(ratios):>10.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}"
            print(f"{what:<16}{wall:>9.0f}{ratio}{cpu:>22.2f}")
    print(
        f"n = {len(paths)} slices of {SIDE_PX} x {SIDE_PX}, {turns} turns, {WORKERS} processes, load "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {platform.machine()}, pydicom {pydicom.__version__}"
    )


if __name__ == "__main__":
    main()
