"""Facts from elsewhere beside the images: a table of patients or sites, or of genes and the diseases they belong to.

A table of genes is recognised by its columns, which are those of ILDGDB (BMC Pulm Med 2020, doi
10.1186/s12890-020-01350-0): species, disease, gene, reference, one row for each finding. For each disease it gives the
genes found in people and how many they are. Any other table has one row for each thing that it speaks of.

What follows from the label must not stand beside the images. So the label joins nothing, and a column that repeats it
is refused; the audit A010 says how much the rest tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from grandrounds.data import joining
from grandrounds.data.draft import COLUMNS, Draft, free_name
from grandrounds.errors import BadData, BadSpec
from grandrounds.unknown import known

# What a table may speak of, the closest to the image first, and how it calls it, without blanks and underscores.
_SPOKEN_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sample": ("sample", "sampleid"),
        "case": ("case", "caseid"),
        "patient": tuple(name.replace("_", "") for name in joining.NAMES["patient"]),
        "site": ("site", "hospital", "centre", "center", "institution"),
        "disease": ("disease", "diseasetype", "diseasename", "diagnosis"),
    }
)
_GENE = ("gene", "genesymbol", "symbol", "officialsymbol")
_SPECIES = ("species", "organism")
_REFERENCE = ("reference", "references", "pmid", "pubmedid", "pubmed")
_HUMAN = ("homo sapiens", "human", "h. sapiens")
_SEPARATOR = "; "


class _Key(NamedTuple):
    """The column of the images and the column of the table that say the same."""

    ours: str
    theirs: str


def with_context(draft: Draft, tables: Sequence[str]) -> Draft:
    """Return the draft with the facts of these tables as clinical columns, joined one after another.

    A later table can speak of what an earlier one brought: patients of diseases, say, and diseases of genes.

    Raises:
        BadSpec: Table and images have no column in common, or the table speaks of the label itself.
        BadData: The table cannot be read, contradicts itself, or speaks of nothing that is here.
    """
    for name in tables:
        draft = _joined(draft, Path(name).expanduser().absolute())
    return draft


def _joined(draft: Draft, path: Path) -> Draft:
    table = joining.read_table(path)
    table = table.with_columns(known(pl.all()).name.keep())
    key = _key(draft.rows, table, path)
    facts, notes = _genes(table, key) if _named(table, _GENE) else (_facts(table, key, path), ())
    names = {name: free_name(name) for name in facts.columns if name != key.theirs}
    facts = facts.rename(
        {name: f"{free}_given" if free in draft.rows.columns else free for name, free in names.items()}
    )
    ours, theirs = _plain(pl.col(key.ours)), _plain(pl.col(key.theirs))
    joined = draft.rows.with_columns(ours.alias("_key")).join(
        facts.with_columns(theirs.alias("_key")).drop(key.theirs), on="_key", how="left", maintain_order="left"
    )
    spoken_of = set(facts.select(theirs).to_series())
    n_found = joined["_key"].is_in(list(spoken_of)).sum()
    if not n_found:
        raise BadData(
            f"no row of this table speaks of these images; they were compared by {key.ours}",
            where=path,
            remedy="write names as the images have them",
        )
    _refuse_repeated(joined, [name for name in facts.columns if name != key.theirs], path)
    absent = spoken_of - set(joined["_key"])
    told = f"Facts were joined by {key.ours}: they speak of {n_found:,} of {joined.height:,} samples"
    told += f", and of {len(absent)} others." if absent else "."
    return replace(draft, rows=joined.drop("_key"), notes=(*draft.notes, told, *notes))


def _refuse_repeated(joined: pl.DataFrame, names: Sequence[str], path: Path) -> None:
    """Refuse a column that says the same as the label wherever both are known."""
    label = _plain(pl.col("label"))
    for name in names:
        known = joined.filter(pl.col("label").is_not_null(), pl.col(name).is_not_null())
        if known["label"].n_unique() > 1 and known.select((_plain(pl.col(name)) == label).all()).item():
            raise BadSpec(
                f"the column {name!r} repeats the label", where=path, remedy="take it out: it would give the label away"
            )


def _key(rows: pl.DataFrame, table: pl.DataFrame, path: Path) -> _Key:
    """Return what the table speaks of: the closest to the image that both have, else a clinical column of one name."""
    for ours, names in _SPOKEN_OF.items():
        theirs = _named(table, names)
        known = _named(rows.drop([name for name in rows.columns if rows[name].is_null().all()]), (ours, *names))
        if theirs and known:
            return _Key(known, theirs)
    clinical = [name for name in rows.columns if name not in COLUMNS]
    for name in clinical:
        if (theirs := _named(table, (_bare(name),))) is not None:
            return _Key(name, theirs)
    raise BadSpec(
        "the table and the images have no column in common, and the label joins nothing",
        where=path,
        remedy=f"call a column of the table: {', '.join(('case', 'patient', 'site', *clinical))}",
    )


def _facts(table: pl.DataFrame, key: _Key, path: Path) -> pl.DataFrame:
    """Return a table that has one row for each thing it speaks of."""
    facts = table.filter(pl.col(key.theirs).is_not_null()).unique(maintain_order=True)
    if n := facts.height - facts.select(_plain(pl.col(key.theirs)).n_unique()).item():
        raise BadData(
            f"{n} rows speak of the same {key.ours} as another and say something else",
            where=path,
            remedy=f"keep one row for each {key.ours}",
        )
    return facts


def _genes(table: pl.DataFrame, key: _Key) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return for each disease its genes and how many genes and references there are, and what was left out."""
    gene, species, reference = (_named(table, names) for names in (_GENE, _SPECIES, _REFERENCE))
    rows = table.filter(pl.col(key.theirs).is_not_null(), pl.col(str(gene)).is_not_null())
    is_human = _plain(pl.col(species)).is_in(_HUMAN).fill_null(value=False) if species else pl.lit(value=True)
    ours = rows.filter(is_human)
    genes = pl.col(str(gene)).unique().sort()
    counted = [genes.str.join(_SEPARATOR).alias("genes"), genes.len().cast(pl.Int64).alias("n_genes")]
    if reference:
        counted.append(pl.col(reference).drop_nulls().n_unique().cast(pl.Int64).alias("n_gene_references"))
    found = ours.group_by(_plain(pl.col(key.theirs)).alias(key.theirs), maintain_order=True).agg(counted)
    n_others = rows.height - ours.height
    return found, ((f"{n_others:,} findings in other species than people were left out.",) if n_others else ())


def _named(table: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((one for name in names for one in table.columns if _bare(one) == name), None)


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "")


def _plain(values: pl.Expr) -> pl.Expr:
    return values.cast(pl.String()).str.strip_chars().str.to_lowercase()
