"""A labelled set of medical images: three tables and a way to load one image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from grandrounds import formats
from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.specs import Spec, digest
from grandrounds.tables import SAMPLES, Role, Task
from grandrounds.wording import many


class Published(Spec):
    """A result that others published on this set, shown beside ours.

    Args:
        method: What was trained.
        metric: Our name of the metric.
        value: As printed.
        source: Where it was printed.
    """

    method: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class Dataset:
    """Labelled images as tables.

    Args:
        name: Short name.
        root: The file or folder that was opened.
        task: What is to be told from an image.
        samples: Table `samples`, one row per readable image.
        files: Table `files`.
        labels: Table `labels`.
        official: Columns `case, role`: the split that came with the data; None where none did.
        patient_known: Whether `patient` was given; otherwise every case counts as a patient of its own.
        simulated: Whether the images are computed and show nobody.
        flips: Whether mirroring left and right keeps label and anatomy plausible.
        licence: Licence of the images; None where unknown.
        notes: What a reader of a report should be told about the source.
        published: Results of others on the same set.
        bad: Columns `path, member, frame, reason`: what could not be used.
        grey_range: What is black and what is white in every image: a fact of the source, nothing measured; None where
            the encoding tells.
        neutral_names: Whether names of samples and cases are places in an archive, which say nothing of a person.
        flow: The way from everything that was found to what is analysed, columns of `flow.FLOW`.
        known_as: Fingerprint of the set under its own names, where these are pseudonyms.
        unmatched: A file of each series that no row of a table of labels speaks of.
        volumes: Whether every sample is a volume, be it of one slice.
        lies: The sides of the patient that columns, rows and slices of volumes run to, such as `"LPS"`, and how many
            volumes lie so, most of them first; None where a volume does not say.
        colours: How images are coloured, as `Image.colours` says it, and how many are so, most of them first; None
            for images of several series.
    """

    name: str
    root: Path
    task: Task
    samples: pl.DataFrame
    files: pl.DataFrame
    labels: pl.DataFrame
    official: pl.DataFrame | None
    patient_known: bool
    bad: pl.DataFrame
    simulated: bool = False
    flips: bool = False
    licence: str | None = None
    notes: tuple[str, ...] = ()
    published: tuple[Published, ...] = field(default=())
    grey_range: tuple[float, float] | None = None
    neutral_names: bool = False
    flow: pl.DataFrame | None = None
    known_as: str | None = None
    unmatched: tuple[str, ...] = ()
    volumes: bool = False
    lies: tuple[tuple[str | None, int], ...] = ()
    colours: tuple[tuple[str | None, int], ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Whether anything is known that could be learned."""
        return bool(self.task.classes)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of who is who, which pixels, geometry and clinical facts they have, and of the task; no paths."""
        if self.known_as is not None:
            return self.known_as
        rows = self.samples.select("sample", "case", "patient", "sha256").join(
            self.labels.select("case", "task", "label"), on="case", how="left"
        )
        clinical = [name for name in self.samples.columns if name not in SAMPLES.columns]
        # Sets without one of these keep the fingerprint that they had before there was such a column.
        told = [name for name in ("series_kind", "geometry") if self.samples[name].null_count() < self.samples.height]
        clinical.extend(told)
        facts = self.samples.select("sample", "side", "site", *sorted(clinical)).sort("sample").rows()
        return digest([rows.sort("sample", "task").rows(), facts, self.task.model_dump(), self.flips])

    def of_role(self, role: Role) -> Dataset:
        """Return what the official split gives a role, under the fingerprint of the whole.

        Raises:
            BadData: It gives that role to nobody.
        """
        official = pl.DataFrame(schema=["case", "role"]) if self.official is None else self.official
        roles = official["role"].drop_nulls().unique().sort().to_list()
        if role not in roles:
            has = f"they have: {', '.join(roles)}" if roles else "they came without a split"
            raise BadData(f"the data give nobody the role {role}: {has}", where=self.root, remedy="leave out --only")
        cases = official.filter(pl.col("role") == role)["case"].implode()
        samples = self.samples.filter(pl.col("case").is_in(cases))
        return replace(
            self, samples=samples, labels=self.labels.filter(pl.col("case").is_in(cases)),
            files=self.files.filter(pl.col("sample").is_in(samples["sample"].implode())), known_as=self.fingerprint,
        )  # fmt: skip

    def left_out(self, *, skip_bad: bool) -> tuple[str, ...]:
        """Return what a reader is told of images that cannot be used; nothing where all can.

        Args:
            skip_bad: Whether to go on without them.

        Raises:
            BadData: There are some, and nobody said so.
        """
        if self.bad.is_empty():
            return ()
        first, n_bad = self.bad.row(0, named=True), self.bad.height
        if not skip_bad:
            raise BadData(
                f"{n_bad} of {n_bad + self.samples.height} images cannot be used; the first: {first['reason']}",
                where=first["path"],
                remedy="see them all with `grandrounds inspect`, mend them, or go on without them with --skip-bad",
            )
        return (f"{many(n_bad, 'image')} cannot be used and are left out; {self.samples.height} remain.",)

    def load(self, sample: str) -> Image:
        """Return one image as its file has it, before any preparation; of several series the first.

        Raises:
            BadData: There is no such sample, or its file cannot be read any more.
        """
        rows = self.files.filter(pl.col("sample") == sample)
        if rows.is_empty():
            raise BadData(f"there is no sample called {sample!r}", where=self.name)
        if rows.height > 1:
            rows = rows.sort("order")
            series = pl.col("series").eq_missing(rows["series"][0])
            places = rows.filter(series).select("path", "member", "frame").iter_rows()
            return formats.read_stack([formats.Part(Path(path), member, frame) for path, member, frame in places])
        row = rows.row(0, named=True)
        image = formats.read(Path(row["path"]), member=row["member"], frame=row["frame"], box=row["box"])
        return formats.as_volume(image) if self.volumes else image
