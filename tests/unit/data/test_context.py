from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.errors import BadData, BadSpec

GENES = """Species,Disease Type,Gene Symbol,Description,Reference
Homo sapiens,IPF,MUC5B,mucin 5B,100
Homo sapiens,ipf ,TERT,telomerase reverse transcriptase,101
Homo sapiens,IPF,MUC5B,mucin 5B,102
Mus musculus,IPF,Sftpc,surfactant protein C,103
Homo sapiens,Sarcoidosis,ANXA11,annexin A11,104
Homo sapiens,PAP,CSF2RA,colony stimulating factor,105
"""


@pytest.fixture
def lungs(tmp_path):
    """A table of six images of three patients with a diagnosis beside the label."""
    rng, lines = np.random.default_rng(0), ["image,label,patient,diagnosis"]
    for index, diagnosis in enumerate(("IPF", "IPF", "sarcoidosis", "sarcoidosis", "asthma", "asthma")):
        Pillow.fromarray(rng.integers(0, 255, (6, 7), np.uint8)).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{'ab'[index % 2]},P{index // 2},{diagnosis}")
    (tmp_path / "images.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def opened(folder, *tables):
    """Return the images with these tables beside them."""
    names = []
    for index, text in enumerate(tables):
        (folder / f"context{index}.csv").write_text(text, encoding="utf-8")
        names.append(str(folder / f"context{index}.csv"))
    return open_dataset(folder / "images.csv", SourceOptions(context=tuple(names)))


def by_patient(dataset, *columns):
    return dataset.samples.unique("patient", maintain_order=True).select("patient", *columns).rows()


def test_genes_of_a_disease_come_along(lungs):
    """Each gene counts once for a disease however many papers found it; a disease without a row has no genes."""
    dataset = opened(lungs, GENES)

    assert by_patient(dataset, "genes", "n_genes", "n_gene_references") == [
        ("P0", "MUC5B; TERT", 2, 3),
        ("P1", "ANXA11", 1, 1),
        ("P2", None, None, None),
    ]
    assert dataset.samples["n_genes"].dtype == pl.Int64


def test_genes_of_mice_are_left_out(lungs):
    """The images are of people; what was found in other species is counted and left out."""
    dataset = opened(lungs, GENES)

    assert not dataset.samples["genes"].str.contains("Sftpc").any()
    assert "1 findings in other species than people were left out." in dataset.notes


def test_what_has_no_partner_is_counted_both_ways(lungs):
    """A disease that nobody here has, and patients whose disease the table does not know."""
    assert any(
        note == "Facts were joined by diagnosis: they speak of 4 of 6 samples, and of 1 others."
        for note in opened(lungs, GENES).notes
    )


def test_a_table_of_patients(lungs):
    """Any table with one row a patient comes along as it is; numbers become numbers, a name of ours is kept apart."""
    dataset = opened(lungs, "Patient_ID,packyears,site,mean\np0,30,x,1\nP1,n/a,y,2\nP2,5,z,3\n")

    assert by_patient(dataset, "packyears", "site_given", "mean_given") == [
        ("P0", 30.0, "x", 1.0),
        ("P1", None, "y", 2.0),
        ("P2", 5.0, "z", 3.0),
    ]
    assert dataset.samples["site"].null_count() == 6


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_of_another_spreadsheet(lungs, separator):
    """Semicolons and tabs are understood as in tables of images, and so is a mark of the order of bytes."""
    dataset = opened(lungs, "\ufeffpatient,packyears,note\nP1,5,x\n".replace(",", separator))

    assert by_patient(dataset, "packyears", "note") == [("P0", None, None), ("P1", 5.0, "x"), ("P2", None, None)]


def test_one_table_leads_to_the_next(lungs):
    """Patients have a disease in the first table, and the disease has genes in the second."""
    (lungs / "images.csv").write_text((lungs / "images.csv").read_text().replace("diagnosis", "sort of lung"))

    dataset = opened(lungs, "patient,disease\nP0,IPF\nP1,Sarcoidosis\n", GENES)

    assert by_patient(dataset, "disease", "n_genes") == [("P0", "IPF", 2), ("P1", "Sarcoidosis", 1), ("P2", None, None)]


def test_facts_change_the_hash(lungs):
    """A plan that was drawn with other facts does not fit."""
    assert opened(lungs).fingerprint != opened(lungs, GENES).fingerprint


def test_a_column_that_repeats_the_label_is_refused(lungs):
    """It would give the answer away."""
    lines = [f"{index},{'AB'[index % 2]}" for index in range(6)]

    with pytest.raises(BadSpec, match="'truth' repeats the label"):
        opened(lungs, "\n".join(["sample,truth", *lines]))


def test_the_label_joins_nothing(lungs):
    """Genes of a disease that is itself the label would give it away."""
    with pytest.raises(BadSpec, match="the label joins nothing"):
        opened(lungs, "label,genes\na,MUC5B\nb,TERT\n")


def test_two_rows_of_one_patient_are_refused(lungs):
    """Nothing says which is right; a row that is there twice is no contradiction."""
    assert opened(lungs, "patient,smoker\nP0,yes\nP0,yes\nP1,no\n").samples["smoker"].null_count() == 2
    with pytest.raises(BadData, match="1 rows speak of the same patient"):
        opened(lungs, "patient,smoker\nP0,yes\np0 ,no\n")


def test_a_table_of_something_else(lungs):
    """Neither column nor value in common: the message says by what they were compared, and quotes no value."""
    with pytest.raises(BadSpec, match="no column in common"):
        opened(lungs, "colour,height\nred,3\n")
    with pytest.raises(BadData, match="compared by patient") as caught:
        opened(lungs, "patient,smoker\nQ7,yes\n")
    assert "Q7" not in str(caught.value)
