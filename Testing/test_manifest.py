"""A manifest is checked whole before anything is measured, and drafted without a silent guess."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

from BoneQualityLib import CaseFacts, Parameters, cli
from BoneQualityLib.batch.manifest import ManifestFaults, read_manifest
from BoneQualityLib.batch.manifest_draft import draft_manifest
from BoneQualityLib.entry.texts import KNOWN_COLUMNS, case_inputs
from BoneQualityLib.errors import BoneQualityError
from spine_files import ct, dicom_folder, image_file, label_map, measure, spine_files

GOOD = "case_id,ct,ct_segmentation\n7,ct.nii.gz,ct.seg.nrrd\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return spine_files(tmp_path_factory.mktemp("spine")).folder


@pytest.fixture
def study(tmp_path, made):
    """A folder with a CT and a T1 MRI and their masks."""
    shutil.copytree(made, tmp_path / "study")
    (tmp_path / "study" / "labels.csv").write_text("value,name\n31,L1\n")
    return tmp_path / "study"


@pytest.fixture
def written(study):
    """A manifest of this text, in the folder of the images."""

    def write(content: str | bytes):
        (study / "m.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return study / "m.csv"

    return write


def faults(path):
    with pytest.raises(ManifestFaults) as caught:
        read_manifest(path)
    assert all(words and "\n" not in words and not words.endswith(".") for *_, words in caught.value.faults)
    return {(row, column): words for row, column, words in caught.value.faults}


def test_every_fault_of_every_row_is_said_at_once(written):
    found = faults(written(
        "case_id,ct,ct_segmentation,label_scheme,age,fractured,sex,mask,cancellous_margin,outcome\n"
        "a,none.nii.gz,ct.seg.nrrd,,70,L2,F,auto,3,1\n"
        "b,ct.nii.gz,,,old,L2;L9,X,bone,50,1\n"
        "c d,ct.nii.gz,labels.nii.gz@verses,vers,,,,,,\n"
        "a,ct.nii.gz,ct.seg.nrrd;gone.seg.nrrd,,,,,,,\n"
        "A,ct.nii.gz,labels.nii.gz@gone.csv,,,,,,,\n"
        "\n"
        ",,,,,,,,,1\n"
        "short,ct.nii.gz\n"
        "two,ct.nii.gz;ct.nii.gz,ct.seg.nrrd,,,,,,,\n"
    ))  # fmt: skip
    expected = {
        (2, "ct"): "none.nii.gz is not there",
        (3, "ct_segmentation"): "The CT needs a segmentation: give ct_segmentation too, or leave out ct",
        (3, "age"): "'old' is no number",
        (3, "fractured"): "'L9' is no level",
        (3, "sex"): "choose one of F, M",
        (3, "mask"): "choose one of auto, vertebra, body, cancellous",
        (3, "cancellous_margin"): "from 0 to 10 mm",
        (4, "case_id"): "'c d' cannot be used",
        (4, "label_scheme"): "'vers' is no label scheme",
        (4, "ct_segmentation"): "'verses' is no label scheme",
        (5, "case_id"): "a is there already, in row 2",
        (5, "ct_segmentation"): "gone.seg.nrrd is not there",
        (6, "case_id"): "A differs by letter case alone from a in row 2",
        (6, "ct_segmentation"): "gone.csv is not there",
        (8, "case_id"): "is empty",
        (8, "ct"): "Nothing to measure: give ct, t1 or axial_mr",
        (9, ""): "has 2 cells, the header 10",
        (10, "ct"): "ct.nii.gz;ct.nii.gz is not there; check the path, and give one image alone",
    }
    assert found.keys() == expected.keys()
    assert all(words in found[place] for place, words in expected.items())


@pytest.mark.parametrize(
    "header, words",
    [
        ("case_id,ct,ct_segmention", "looks like ct_segmentation"),
        ("case_id,CT,ct_segmentation", "looks like ct;"),
        ("case_id,ct,ct-segmentation", "looks like ct_segmentation"),
        ("case_id,ct,ct_segmentation,excluded", "looks like exclude;"),
        ("case_id,ct,ct_segmentation,cancellous_margin_mm", "looks like cancellous_margin;"),
        ("case_id,ct,ct_segmentation,hu_3d", "is a column that BoneQuality fills"),
        ("case_id,ct,ct_segmentation,age,age", "is there twice"),
        ("case_id,ct,ct_segmentation,", "column 4 has no name"),
        ("case,ct,ct_segmentation", "no column case_id among case, ct, ct_segmentation"),
    ],
)
def test_a_wrong_column_is_named(written, header, words):
    cells = {"case": "7", "case_id": "7", "excluded": "L2"}
    row = ",".join(cells.get(name, "3" if "margin" in name else "x") for name in header.split(","))
    assert any(row == 1 and words in said for (row, _), said in faults(written(f"{header}\n{row}\n")).items())


def test_a_column_of_ones_own_may_resemble_a_known_one_whose_values_it_does_not_hold(written):
    path = written("case_id,ct,ct_segmentation,fracture,stage,group,days,t2\n7,ct.nii.gz,ct.seg.nrrd,1,II,A,12,x\n")
    assert read_manifest(path).carried == ["fracture", "stage", "group", "days", "t2"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_a_byte_order_mark_and_the_line_ends_do_not_matter(written, separator, mark, end):
    lines = ['case_id,ct,ct_segmentation,"note, of; mine"', '7,ct.nii.gz,"ct.seg.nrrd","ä, b; c\td"']
    rows = list(csv.reader(lines))
    text = end.join(separator.join(f'"{cell}"' if set(",;\t") & set(cell) else cell for cell in row) for row in rows) + end
    manifest = read_manifest(written(mark + text.encode()))
    assert manifest.columns[3] == "note, of; mine" and manifest.rows[0].cells["note, of; mine"] == "ä, b; c\td"
    assert manifest.rows[0].case_id == "7"


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "no row below a header"),
        (b"case_id,ct,ct_segmentation\n", "no row below a header"),
        (b"\n\n" + GOOD.encode(), "no row below a header"),
        (GOOD.encode("utf-16"), "not UTF-8"),
        (GOOD.replace("7", "7ö").encode("latin-1"), "line 2 is not UTF-8; save the table as CSV UTF-8"),
        (GOOD.encode() + b'8,"ct', "no CSV table"),
        (b"PK\x03\x04\x00\x00", "no CSV table (line contains NUL); save the table as CSV UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(written, content, words):
    assert words in faults(written(content))[0, ""]


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BoneQualityError, match="none.csv cannot be read .No such file or directory.; check its path"):
        read_manifest(tmp_path / "none.csv")


def test_cells_mean_what_the_options_mean(study, written):
    row = read_manifest(written(
        "case_id,ct,ct_segmentation,fractured,exclude,avoid_basivertebral,vbq_margin,t_score,strict\n"
        "7,ct.nii.gz,ct.seg.nrrd; labels.nii.gz@totalsegmentator ;labels.nii.gz@labels.csv,L2;l3,\"L1, L4\",no,2.5,-2.5,yes\n"
    )).rows[0]  # fmt: skip
    assert row.inputs.facts == CaseFacts("7", fractured=("L2", "L3"), excluded=("L1", "L4"), t_score=-2.5)
    assert row.inputs.parameters == Parameters(avoid_basivertebral=False, vbq_margin_mm=2.5, strict=True)
    masks = (f"{study}/ct.seg.nrrd", f"{study}/labels.nii.gz@totalsegmentator", f"{study}/labels.nii.gz@{study}/labels.csv")
    assert row.inputs.given == {"ct": (f"{study}/ct.nii.gz",), "ct_segmentation": masks}


def test_every_option_of_measure_but_those_of_its_output_is_a_column():
    options = {name.removeprefix("--").replace("-", "_") for name in _options("measure") if not name.startswith("--no-")}
    assert set(KNOWN_COLUMNS) == options - {"help", "output", "overwrite", "cutoffs", "text", "template", "dicom", "dicom_pictures"}


def _options(command):
    actions = cli.parser()._subparsers._group_actions[0].choices[command]._actions
    return [option for action in actions for option in action.option_strings if option.startswith("--")]


def test_texts_of_a_dialog_give_the_values_of_the_command(study, tmp_path, capfd):
    texts = {
        "case_id": "case",
        "ct": "ct.nii.gz",
        "ct_segmentation": "labels.nii.gz",
        "label_scheme": "totalsegmentator",
        "age": "",
        "x": "y",
    }
    inputs = case_inputs(texts, study)
    with inputs.nodes() as nodes:
        result = inputs.measure(nodes)
    options = ["--ct", study / "ct.nii.gz", "--ct-segmentation", study / "labels.nii.gz", "--label-scheme", "totalsegmentator"]
    run = measure(capfd, tmp_path / "out", *options, report=True).done()
    result.write_files(tmp_path / "in")
    assert {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()} == run.files
    with pytest.raises(BoneQualityError, match="age: 'old' is no number; ct: x is not there"):
        case_inputs(texts | {"age": "old", "ct": "x"}, study)


# Drafting


def drafted(folder):
    said = draft_manifest(folder)
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    return said, {row["case_id"]: row for row in rows}


def test_bids_names_are_drafted_without_a_remark(tmp_path, study):
    for subject in ("01", "02"):
        for kind, name, source in (("ct", "ct.nii.gz", "ct.nii.gz"), ("ct", "ct_dseg.seg.nrrd", "ct.seg.nrrd"),
                                   ("anat", "T1w.nrrd", "t1.nrrd"), ("anat", "T1w_mask.seg.nrrd", "t1.seg.nrrd")):  # fmt: skip
            path = tmp_path / "bids" / f"sub-{subject}" / "ses-1" / kind / f"sub-{subject}_ses-1_{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(study / source, path)
    said, rows = drafted(tmp_path / "bids")
    assert said.startswith("2 cases, 0 with a remark")
    assert rows["sub-01_ses-1"] == dict(
        case_id="sub-01_ses-1", ct="sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz",
        ct_segmentation="sub-01/ses-1/ct/sub-01_ses-1_ct_dseg.seg.nrrd", t1="sub-01/ses-1/anat/sub-01_ses-1_T1w.nrrd",
        t1_segmentation="sub-01/ses-1/anat/sub-01_ses-1_T1w_mask.seg.nrrd",
    )  # fmt: skip
    assert len(read_manifest(tmp_path / "bids" / "manifest.csv").rows) == 2


def test_one_folder_a_case_is_drafted_with_a_remark_for_all_that_is_assumed(tmp_path, study):
    cases = tmp_path / "cases"
    dicom_folder(cases / "Müller Greta" / "series", SeriesDescription="spine")
    for level in ("L1", "L2"):
        image_file(cases / "Müller Greta" / "masks" / f"vertebrae_{level}.nii.gz", np.ones((9, 9, 9), np.uint8))
    for case in ("b", "c"):
        (cases / case).mkdir()
        shutil.copy(study / "ct.nii.gz", cases / case / "ct.nii.gz")
    image_file(cases / "b" / "totalseg.nii.gz", label_map())
    image_file(cases / "c" / "labels.nii.gz", label_map())
    image_file(cases / "c" / "ct_old.nii.gz", ct())
    _, rows = drafted(cases)
    dicom = rows["M-ller-Greta"]
    assert (dicom["ct"], dicom["ct_segmentation"]) == ("Müller Greta/series", "Müller Greta/masks")
    assert (
        "patient's name" in dicom["remark"]
        and "masks is taken for the segmentation of the CT, as no other image is known; check that" in dicom["remark"]
    )
    assert rows["b"]["ct_segmentation"] == "b/totalseg.nii.gz@totalsegmentator"
    assert "label scheme totalsegmentator by its name; check that" in rows["b"]["remark"]
    assert "ct" not in rows["c"] and "several for ct, choose one: c/ct.nii.gz, c/ct_old.nii.gz" in rows["c"]["remark"]
    assert "labels.nii.gz: if it is a label map, add @ and its label scheme" in rows["c"]["remark"]


def test_files_side_by_side_are_told_apart_by_what_comes_before_their_kind(tmp_path, study):
    flat = tmp_path / "flat"
    flat.mkdir()
    for case in ("001", "002"):
        shutil.copy(study / "t1.nrrd", flat / f"{case}_T1.nrrd")
        shutil.copy(study / "t1.seg.nrrd", flat / f"{case}_T1.seg.nrrd")
    shutil.copy(study / "t1.nrrd", flat / "003_T2.nrrd")
    _, rows = drafted(flat)
    assert rows["001"] == dict(case_id="001", t1="001_T1.nrrd", t1_segmentation="001_T1.seg.nrrd")
    assert "003_T2.nrrd is not used: its name does not say what it is" in rows["003_T2"]["remark"]


def test_folders_that_are_links_are_cases_too_and_a_loop_of_links_has_an_end(tmp_path, study):
    (tmp_path / "cases" / "a").mkdir(parents=True)
    for name in ("ct.nii.gz", "ct.seg.nrrd"):
        shutil.copy(study / name, tmp_path / "cases" / "a" / name)
    (tmp_path / "cases" / "b").symlink_to(tmp_path / "cases" / "a")
    (tmp_path / "cases" / "c").symlink_to(study)
    (tmp_path / "cases" / "a" / "up").symlink_to(tmp_path / "cases")
    (study / "round").symlink_to(tmp_path / "cases" / "a")
    _, rows = drafted(tmp_path / "cases")
    assert set(rows) == {"a", "b", "c"} and (rows["a"]["ct"], rows["b"]["ct"]) == ("a/ct.nii.gz", "b/ct.nii.gz")


def test_masks_without_their_image_and_paths_that_a_cell_cannot_hold_have_a_remark(tmp_path, study):
    for folder in ("a", "b;c"):
        (tmp_path / "cases" / folder).mkdir(parents=True)
        shutil.copy(study / "ct.seg.nrrd", tmp_path / "cases" / folder / "ct.seg.nrrd")
    shutil.copy(study / "ct.nii.gz", tmp_path / "cases" / "b;c" / "ct.nii.gz")
    _, rows = drafted(tmp_path / "cases")
    assert rows["a"] == dict(case_id="a", ct_segmentation="a/ct.seg.nrrd", remark="no ct")
    assert "ct.seg.nrrd is not used: its path holds a semicolon" in rows["b-c"]["remark"] and "ct_segmentation" not in rows["b-c"]


def test_an_mr_series_without_telling_tags_is_not_guessed(tmp_path):
    for name, tags in (("a", {}), ("b", dict(RepetitionTime=500, EchoTime=10)), ("c", dict(RepetitionTime=3000, EchoTime=90))):
        dicom_folder(tmp_path / "mr" / name / "1", Modality="MR", **tags)
    _, rows = drafted(tmp_path / "mr")
    assert [rows[name].get("t1") for name in "abc"] == [None, "b/1", None]
    assert all(rows[name]["remark"] for name in "abc")


def test_a_draft_replaces_nothing_and_needs_images(tmp_path, study, capfd):
    draft_manifest(study)
    with pytest.raises(BoneQualityError, match="there already"):
        draft_manifest(study)
    (tmp_path / "empty").mkdir()
    assert cli.main(["manifest", str(tmp_path / "empty")]) == 2
    assert "holds no image file and no DICOM folder" in capfd.readouterr().err
    assert cli.main(["manifest", str(study), "--output", str(tmp_path / "m.csv")]) == 0
    assert "study/ct.nii.gz" in (tmp_path / "m.csv").read_text()
