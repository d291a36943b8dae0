"""Labels of a table meet the exams of a DICOM export: joined, agreed on, chosen from, and counted."""

import itertools
import zipfile

import polars as pl
import pytest
from statsmodels.stats.inter_rater import fleiss_kappa

from grandrounds import api, formats
from grandrounds.data import SourceOptions, joining, open_dataset
from grandrounds.data.choosing import choose
from grandrounds.data.consensus import consensus, fleiss
from grandrounds.data.fingerprint_text import lines
from grandrounds.data.joining import join, label_column, read_table
from grandrounds.data.pacs_copy import SeriesFacts, write_export
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.unknown import known


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Twelve exams with a thin and a thick series and a scout each; eleven have a label."""
    return write_export(tmp_path_factory.mktemp("pacs"))


def _opened(export, **options):
    return open_dataset(export, SourceOptions(label="finding", **options))


def _with_table(export, tmp_path, text, name="given.csv"):
    (tmp_path / name).write_text(text)
    return SourceOptions(labels=str(tmp_path / name), label="finding")


def _balances(flow):
    found, rest = flow["n_images"][0], flow["n_images"][1:]
    assert flow["stage"][0] == "found"
    assert found == rest.sum()


def test_the_table_in_an_export_gives_the_labels(export):
    """Slices of the thin series of labelled exams, each exam a case of its own patient, with the table's facts."""
    dataset = _opened(export)

    assert dataset.samples.height == 110
    assert dataset.samples["case"].n_unique() == dataset.samples["patient"].n_unique() == 11
    assert dataset.patient_known
    labels = dict(dataset.samples.join(dataset.labels, on="case").select("patient", "label").unique().iter_rows())
    assert labels == {f"SIM-{at:03d}": "absent" if at % 2 else "present" for at in range(1, 12)}
    assert dataset.samples["finding_year"].unique().sort().to_list() == [2000, 2001, 2002, 2003]
    assert dataset.samples["kernel"].unique().to_list() == ["sharp"]


def test_names_of_samples_tell_nothing(export):
    """No id, path or file name of the export is in the name of a sample."""
    for sample in _opened(export).samples["sample"]:
        assert "SIM" not in sample
        assert len(sample) == 17


def test_the_flow_adds_up(export):
    """What was found is what went out, by reason, and what is analysed, by class."""
    for unit in ("slice", "volume"):
        flow = _opened(export, unit=unit).flow
        _balances(flow)
        told = {(row["stage"], row["reason"]): row["n_images"] for row in flow.iter_rows(named=True)}
        assert told["analysed", "absent"], told["analysed", "present"] == (60, 50)
        assert told["set aside", "a localiser is no part of the volume"] == 12
        assert told["without label", "no row of the table speaks of it"] == 15
        assert sum(n for (stage, _), n in told.items() if stage == "not chosen") == 55


def test_a_volume_is_one_sample_of_several_files(export):
    """With `unit` volume each exam is one sample, loaded in stacking order."""
    dataset = _opened(export, unit="volume")

    assert dataset.samples.height == 11
    assert dataset.samples["depth_px"].unique().to_list() == [10]
    assert dataset.files.height == 110
    image = dataset.load(dataset.samples["sample"][0])
    assert image.space == (10, 16, 16)
    assert image.geometry.spacing_mm == pytest.approx((2.5, 0.7, 0.7))
    assert _opened(export, unit="volume").fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("heading", "value"),
    [
        ("AccessionNumber", lambda facts: facts.accession),
        ("study_uid", lambda facts: facts.study_uid),
        ("SeriesInstanceUID", lambda facts: facts.series_uid),
        ("patient_id", lambda facts: f" {facts.patient.lower()} "),
    ],
)
def test_labels_are_joined_by_any_id(export, tmp_path, heading, value):
    """Accession number, study, series and patient all join, whatever the padding and the case of letters."""
    facts = [SeriesFacts(f"SIM-{exam:03d}", exam, 2) for exam in range(1, 9)]
    rows = [f"{value(one)},{'ab'[one.exam % 2]}" for one in facts]
    options = _with_table(export, tmp_path, "\n".join([f"{heading},finding", *rows]))
    dataset = open_dataset(export, options)

    assert dataset.samples["patient"].n_unique() == 8
    assert dataset.samples.height == 80
    assert any("8 of 8 rows" in note for note in dataset.notes)


def test_leading_zeros_that_a_spreadsheet_lost(tmp_path):
    """Numbers match without their zeros only where that leaves no doubt, and it is said."""
    series = pl.DataFrame(
        {"series": ["1.1", "1.2", "1.3"], "study": None, "accession": ["007", "0042", "042"], "patient": None}
    )
    table = pl.DataFrame({"accession": ["7", "42"], "label": ["a", "b"]})
    joined = join(table, series.cast(pl.String()), "auto", where=tmp_path)

    assert joined.rows[joining.SERIES].to_list() == ["1.1"]
    assert joined.without_images == (2,)
    assert set(joined.without_label) == {"1.2", "1.3"}
    assert joined.notes[:2] == (
        "Labels were joined by accession (column 'accession'): 1 of 2 rows.",
        "1 row of these matched only without leading zeros, as a spreadsheet loses them.",
    )


@pytest.mark.parametrize(
    "name", ["case", "exam", "label", "order", "path", "row", "sample", "series", "sha256", "study"]
)
def test_columns_called_like_ours(export, tmp_path, name):
    """A table may call its columns as it likes; what would hide a column of ours comes along under another name."""
    rows = [f"A{exam:05d},{'ab'[exam % 2]},v{exam}" for exam in range(1, 9)]
    options = _with_table(export, tmp_path, "\n".join([f"accession,finding,{name}", *rows]))

    samples = open_dataset(export, options.replaced(unit="volume")).samples

    given = samples[f"{name}_given" if f"{name}_given" in samples.columns else name]
    assert set(given) == {f"v{exam}" for exam in range(1, 9)}


def test_the_word_of_a_table_goes_before_that_of_a_header(export, tmp_path):
    """Site and patient of the table count; a patient who is told for some exams only is not mixed with the header's."""
    rows = [f"A{exam:05d},{'ab'[exam % 2]},north,P{exam}" for exam in range(1, 9)]
    heading = "accession,finding,site,patient"
    whole = open_dataset(export, _with_table(export, tmp_path, "\n".join([heading, *rows])))
    rows[0] = rows[0].removesuffix("P1")
    part = open_dataset(export, _with_table(export, tmp_path, "\n".join([heading, *rows])))

    assert set(whole.samples["site"]) == {"north"}
    assert set(whole.samples["patient"]) == {f"P{exam}" for exam in range(1, 9)}
    assert set(part.samples["patient"]) == {f"SIM-{exam:03d}" for exam in range(1, 9)}


def test_what_found_no_partner_is_listed_both_ways(export, tmp_path):
    """Rows without images and series without a row are both told."""
    dataset = _opened(export)

    assert "1 row of the table has no images here: 12, counted below the heading." in dataset.notes
    assert "2 series have no row in the table (inspect --names lists them)." in dataset.notes
    assert [formats.read(path).header["patient"] for path in dataset.unmatched] == ["SIM-012"] * 2
    with pytest.raises(BadData, match="no row of the table has images"):
        open_dataset(export, _with_table(export, tmp_path, "accession,finding\nB1,a\nB2,b\n"))
    with pytest.raises(BadSpec, match="no column that joins"):
        open_dataset(export, _with_table(export, tmp_path, "name,finding\nB1,a\nB2,b\n"))


def test_empty_rows_are_no_rows_without_images(export, tmp_path):
    """As a spreadsheet leaves them; those behind keep their number."""
    heading, *rows = (export / "labels.csv").read_text().splitlines()
    empty = "," * heading.count(",")
    given = _with_table(export, tmp_path, "\n".join((heading, empty, *rows, empty, "")))

    notes = open_dataset(export, given).notes

    assert "1 row of the table has no images here: 13, counted below the heading." in notes


def test_many_rows_without_images_are_cut_short(tmp_path):
    """The first twenty are listed by their number, which tells nothing of a patient."""
    series = pl.DataFrame({"series": ["1.1"], "study": None, "accession": ["A"], "patient": None}).cast(pl.String())
    table = pl.DataFrame({"accession": ["A", *(f"B{at}" for at in range(30))], "label": "a"})
    (note,) = (one for one in join(table, series, "auto", where=tmp_path).notes if "no images" in one)

    assert note.startswith("30 rows of the table have no images here: 2, 3, 4,")
    assert note.endswith(" 21 and 10 more, counted below the heading.")


def test_series_without_a_row_are_named_only_where_names_are_asked_for(export, tmp_path, monkeypatch):
    """The terminal lists their files with `--names`, and neither page nor file has them otherwise."""
    monkeypatch.chdir(tmp_path)
    found = {names: api.inspect(export, SourceOptions(label="finding"), names=names) for names in (True, False)}
    listed = {names: [line for line in lines(one) if "no row: " in line] for names, one in found.items()}

    assert sorted(line.rpartition("/")[2][:6] for line in listed[True]) == ["E012S1", "E012S2"]
    assert listed[False] == []
    assert "E012" not in found[False].model_dump_json()


def test_unknown_labels_stay_unknown(export, tmp_path):
    """Whatever says that nobody knows is a null label: kept in the tables, counted, in no class."""
    words = ["absent", "present", "?", "", "NA", "unknown", "absent", "present", "-", "nan"]
    rows = [f"A{exam:05d},{word}" for exam, word in enumerate(words, start=1)]
    dataset = open_dataset(export, _with_table(export, tmp_path, "\n".join(["accession,finding", *rows])))

    assert dataset.task.classes == ("absent", "present")
    assert dataset.labels["label"].null_count() == 6
    assert dataset.samples["case"].n_unique() == 10
    _balances(dataset.flow)
    assert "label unknown" in dataset.flow["stage"].to_list()


def test_a_word_for_unknown_among_the_named_classes_is_a_class(export, tmp_path):
    """Who names it means it; "none" is the lowest of many grades, and always a class."""
    words = ["none", "-", "+", "n.a.", "none", "-", "+", "N.A"]
    rows = [f"A{exam:05d},{word}" for exam, word in enumerate(words, start=1)]
    options = _with_table(export, tmp_path, "\n".join(["accession,finding", *rows]))

    assert open_dataset(export, options).task.classes == ("+", "none")
    assert open_dataset(export, options.replaced(classes=("-", "+", "none"))).task.classes == ("-", "+", "none")


def test_contradictions_need_a_rule(export, tmp_path):
    """Two labels for one exam are refused, unless a column says who gave them."""
    rows = [f"A{exam:05d},{'ab'[exam % 2]},r1\nA{exam:05d},{'ab'[(exam // 3) % 2]},r2" for exam in range(1, 9)]
    options = _with_table(export, tmp_path, "\n".join(["accession,finding,reader", *rows]))
    with pytest.raises(BadData, match="contradictory"):
        open_dataset(export, options)
    dataset = open_dataset(export, options.replaced(rater="reader", consensus="unanimous"))

    agreed = [exam for exam in range(1, 9) if exam % 2 == (exam // 3) % 2]
    assert dataset.labels["label"].drop_nulls().len() == len(agreed)
    assert any("2 raters" in note for note in dataset.notes)
    assert any(f"all agreed on {len(agreed)}" in note for note in dataset.notes)


def test_raters_who_spell_a_class_differently_agree(export, tmp_path):
    """Case and blanks alone are no dissent; the positive class may be named in either spelling."""
    rows = [f"A{exam:05d},{'ab'[exam % 2]},r1\nA{exam:05d},{'AB'[exam % 2]} ,r2\n" for exam in range(1, 9)]
    table = _with_table(export, tmp_path, "".join(["accession,finding,reader\n", *rows, "A00009,a,r1\nA00009,b,r2"]))
    ruled = table.replaced(rater="reader", consensus="any", positive="B")
    dataset = open_dataset(export, ruled)

    assert (dataset.task.classes, dataset.task.positive) == (("a", "b"), "b")
    assert dataset.labels["label"].value_counts().sort("label").rows() == [("a", 4), ("b", 5)]
    assert any("all agreed on 8" in note for note in dataset.notes)
    assert sum("upper and lower case" in note for note in dataset.notes) == 2
    with pytest.raises(BadSpec, match="two classes"):
        open_dataset(export, ruled.replaced(classes=("a", "A", "b", "B")))


def test_a_column_of_raters_that_is_not_there(export):
    """The refusal lists the columns that are."""
    with pytest.raises(BadSpec, match="no column 'nobody'"):
        _opened(export, rater="nobody")


READ = ("aab", "abb", "aaa", "bbb", "aab")  # what three raters said of five exams
RATINGS = pl.DataFrame(
    {
        "exam": [f"e{at}" for at, _ in itertools.product(range(5), range(3))],
        "rater": [f"r{rater}" for _, rater in itertools.product(range(5), range(3))],
        "label": list("".join(READ)),
    }
)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("majority", ["a", "b", "a", "b", "a"]),
        ("unanimous", [None, None, "a", "b", None]),
        ("any", ["b", "b", "a", "b", "b"]),
    ],
)
def test_consensus(rule, wanted):
    """Each rule gives the label that its words promise."""
    assert consensus(RATINGS, rule, "b").labels["label"].to_list() == wanted


def test_a_tie_leaves_the_label_unknown():
    """Two against two is no majority, whatever the order of rows."""
    rows = pl.DataFrame({"exam": ["e"] * 4, "rater": list("1234"), "label": list("aabb")})
    for order in itertools.permutations(range(4)):
        assert consensus(rows[list(order)], "majority").labels["label"].to_list() == [None]


def test_agreement_is_that_of_statsmodels():
    """Fleiss' kappa agrees with somebody else's code."""
    counts = RATINGS.pivot("label", index="exam", values="rater", aggregate_function="len").drop("exam").fill_null(0)

    assert fleiss(RATINGS) == pytest.approx(fleiss_kappa(counts.to_numpy()))


SERIES = pl.DataFrame(
    {
        "series": ["s1", "s2", "s3", "s4"],
        "exam": ["e1", "e1", "e1", "e2"],
        "plane": ["axial", "axial", "coronal", "axial"],
        "thickness_mm": [5.0, 1.25, 1.0, None],
        "kernel": ["B30f", "B70f", "B30f", "B30f"],
        "contrast": [False, False, True, True],
        "description": ["Thorax", "Lung HR", "Lung cor", "Thorax KM"],
        "n_slices": [40, 200, 90, 60],
        "kind": ["volume"] * 4,
    }
)


@pytest.mark.parametrize(
    ("spec", "chosen"),
    [
        (SeriesSpec(), ["s3", "s4"]),
        (SeriesSpec(plane="axial"), ["s2", "s4"]),
        (SeriesSpec(plane="axial", kernel="b30"), ["s1", "s4"]),
        (SeriesSpec(thickest_mm=2), ["s3"]),
        (SeriesSpec(contrast=True), ["s3", "s4"]),
        (SeriesSpec(description="lung", pick="all"), ["s2", "s3"]),
    ],
)
def test_the_choice_of_series_is_explained(spec, chosen):
    """What fits is chosen, the thinnest first; every other series has a reason."""
    found = choose(SERIES, spec)

    assert found.filter("chosen")["series"].to_list() == chosen
    assert found["reason"].null_count() == 0


def test_a_spreadsheet_reads_like_a_csv(export, tmp_path):
    """An XLSX gives the same labels as a CSV."""
    table = read_table(export / "labels.csv")
    path = tmp_path / "labels.xlsx"
    _write_xlsx(table, path)

    assert read_table(path).equals(table)
    assert (
        open_dataset(export, SourceOptions(labels=str(path), label="finding")).fingerprint
        == _opened(export).fingerprint
    )


def _write_xlsx(table, path):
    """Write the least that a spreadsheet program calls XLSX (ECMA-376), all cells as text."""
    rows = [table.columns, *table.rows()]
    cells = "".join(
        f'<row r="{r}">' + "".join(
            f'<c r="{chr(65 + c)}{r}" t="inlineStr"><is><t>{value}</t></is></c>' for c, value in enumerate(row)
        ) + "</row>" for r, row in enumerate(rows, start=1)
    )  # fmt: skip
    ns, rel = "http://schemas.openxmlformats.org", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = f"{ns}/spreadsheetml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{ns}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{ns}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
        '<sheet name="labels" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{ns}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


def test_an_export_without_labels_can_be_looked_at(export, tmp_path):
    """A ZIP of an export without a table opens with every label unknown."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in export.rglob("E*"):
            archive.write(path, path.name)
    dataset = open_dataset(tmp_path / "all.zip")

    assert not dataset.is_labelled
    assert dataset.labels["label"].null_count() == 12
    assert dataset.load(dataset.samples["sample"][0]).space == (16, 16)
    _balances(dataset.flow)


def test_the_column_of_the_label(tmp_path):
    """It is the one that was named, one with a usual name, or the only one left; else the message lists them."""
    table = pl.DataFrame({"id": ["1"], "grade": ["2"], "age": ["3"]})

    assert label_column(table, "age", "id", where=tmp_path) == "age"
    assert label_column(table.drop("age"), None, "id", where=tmp_path) == "grade"
    with pytest.raises(BadSpec, match="grade, age"):
        label_column(table, None, "id", where=tmp_path)
    with pytest.raises(BadSpec, match="no column 'x'"):
        label_column(table, "x", "id", where=tmp_path)
    assert pl.DataFrame({"l": ["a", "N/A", " ?"]}).select(known(pl.col("l").str.strip_chars()))["l"].to_list() == [
        "a",
        None,
        None,
    ]
