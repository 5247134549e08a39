"""Pictures, the report and the page of a batch: what a person sees of a case, and that nothing in it can do harm."""

from __future__ import annotations

import copy
import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import scene_cases
from BoneQualityLib.batch.index_page import done_row, failed_row, index_page
from BoneQualityLib.batch.review import Review, read_review
from BoneQualityLib.batch.run import Pages, run_batch
from BoneQualityLib.columns import CASE_COLUMNS
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.outputs.change import changes, conditions
from BoneQualityLib.outputs.comparison import COMPARE_COLUMNS
from BoneQualityLib.outputs.comparison_page import html as comparison_html
from BoneQualityLib.outputs.cutoff_bars import bar
from BoneQualityLib.outputs.picture_planes import facing, sagittal
from BoneQualityLib.outputs.pictures import Seen, draw
from BoneQualityLib.outputs.remedies import REMEDIES
from BoneQualityLib.outputs.report import doubts, html, ris_text
from BoneQualityLib.states import CATALOG
from conftest import rotation
from spine_files import measure, spine_files

ODD = '<b onload="x">&amp; "\' \u05e9\u05dc\u05d5\u05dd</b>'


@pytest.fixture(scope="module")
def case():
    return scene_cases.result()


@pytest.fixture
def document(case):
    return case.document()


# Which way up


def _grid(axes: np.ndarray, spacing=(2.0, 2.0, 3.0), half=130.0) -> Grid:
    """A lattice around the origin whose i, j and k run along the columns of ``axes`` (RAS)."""
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    shape = tuple(int(2 * half / step) for step in spacing[::-1])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape)[::-1] - 1) / 2)
    return Grid(shape, affine)


GRIDS = {
    "RAS": _grid(np.eye(3)),
    "LPS": _grid(np.diag([-1.0, -1.0, 1.0])),
    "left-handed": _grid(np.diag([-1.0, 1.0, 1.0])),
    "upside down": _grid(np.diag([1.0, -1.0, -1.0])),
    "sagittal": _grid(np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])),
    "coronal": _grid(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])),
    "rotated": _grid(rotation("R", 20) @ rotation("S", 15)),
}
#: The picture's side at which a structure of that side of the patient appears.
AXIAL, SAGITTAL = dict(R="left", A="top"), dict(A="left", S="top")


def _document_with_muscles(document: dict) -> dict:
    slice_ = dict(name="L3-L4", stack=0, center=[0.0, 10.0, 0.0], normal=[0.0, 0.0, 1.0], rois=[], reasons=[])
    return dict(document, muscle_slices=[slice_])


@pytest.mark.parametrize("name", GRIDS)
def test_every_picture_shows_the_patients_right_on_the_left_and_anterior_on_the_left_of_sagittal_ones(document, name):
    grid, document = GRIDS[name], _document_with_muscles(document)
    seen = 0
    for axis, side in enumerate("RAS"):
        for kind, low in (("ct", -1000.0), ("t1", 0.0)):
            middle = (0.0, 10.0 if kind == "ct" else 0.0, 0.0)[axis]
            array = np.where(grid.centers()[..., axis] > middle, 1000.0, low).astype(np.float32)
            image = Image(kind, array, grid)
            for picture in draw(document, Seen({kind: image}, (image,) if kind == "ct" else ())):
                shown = (AXIAL if picture.kind in ("upper", "middle", "lower", "muscles") else SAGITTAL).get(side)
                if shown is None:
                    continue
                gray = np.asarray(picture.pixels.convert("L"), float)[40:-40, 40:-40]
                rows, columns = np.array_split(gray, 2, axis=0), np.array_split(gray, 2, axis=1)
                light = dict(top=rows[0], bottom=rows[1], left=columns[0], right=columns[1])
                other = dict(top="bottom", left="right")[shown]
                assert light[shown].mean() > light[other].mean() + 40, (picture.name, side)
                seen += 1
    assert seen >= 2 * (1 + 9 + 1 + 1)


def test_the_letters_are_those_of_the_sides_that_are_shown():
    axial = facing((0, 0, 0), (0, 0.1, -1), (10, 10), 1.0)
    assert axial.marks == dict(left="R", right="L", top="A", bottom="P")
    assert facing((0, 0, 0), (-1, 0, 0), (10, 10), 1.0).marks == dict(left="A", right="P", top="S", bottom="I")
    assert facing((0, 0, 0), (0, 1, 0.2), (10, 10), 1.0).marks == dict(left="R", right="L", top="S", bottom="I")
    tilted = sagittal((0, 0, 0), rotation("A", 20) @ [0, 0, 1.0], np.array([0, 1.0, 0]), (10, 10), 1.0)
    assert tilted.marks == dict(left="A", right="P", top="S", bottom="I")


def test_a_roi_is_drawn_where_it_was_read_and_an_edited_one_says_so(case, document):
    plain = {p.name: np.asarray(p.pixels, int) for p in draw(document, case.seen)}
    edited = copy.deepcopy(document)
    for level in edited["levels"]:
        for roi in level["rois"]:
            if roi["kind"] == "middle" and level["level"] == "L2":
                roi["edited"], roi["center"] = True, list(np.array(roi["center"]) + [5.0, 0, 0])
    moved = {p.name: np.asarray(p.pixels, int) for p in draw(edited, case.seen)}
    changed = {name for name in plain if not np.array_equal(plain[name], moved[name])}
    assert changed == {"ct_overview", "ct_L2_middle"}

    def colored(pixels):
        return np.argwhere(np.abs(pixels[40:-40, 40:-40, 0] - pixels[40:-40, 40:-40, 2]) > 100)

    assert len(colored(plain["ct_L2_middle"])) > 100


def test_pictures_and_report_are_the_same_bytes_each_time(case, document):
    again = draw(document, case.seen)
    assert [p.png for p in case.pictures] == [p.png for p in again]
    assert html(document, case.pictures) == html(document, again)


def test_of_a_whole_spine_the_lumbar_slices_are_shown_and_the_others_named(case, document):
    level = document["levels"][0]
    names = [f"T{n}" for n in range(1, 13)]
    document["levels"] = [*(dict(level, level=name) for name in names), *document["levels"]]
    pictures = draw(document, case.seen)
    assert {picture.level for picture in pictures if picture.kind == "middle"} == {"L1", "L2", "L3"}
    assert f"Slices of {', '.join(names)} are not shown." in html(document, pictures)


# The report


class _Reader(HTMLParser):
    """Text, tags and attributes; void elements apart, what is opened is closed."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.stack, self.seen, self.words = [], [], []
        self.feed(page)
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input", "br"):
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, text):
        self.words.append(text)


def test_the_report_is_one_file_without_scripts_and_requests(case, document):
    page = html(document, case.pictures)
    reader = _Reader(page)
    assert len(page) < 1_500_000 and "script" not in {tag for tag, _ in reader.seen}
    for tag, attributes in reader.seen:
        assert not any(name.startswith("on") for name in attributes)
        assert all(attributes[name].startswith("data:image/jpeg;base64,") for name in ("src", "href") if name in attributes), tag
    assert sum(tag == "img" for tag, _ in reader.seen) == len(case.pictures)
    text = " ".join(" ".join(reader.words).split())
    for row in document["levels"]:
        assert f"{row['level']} " in text
    assert f"{document['case']['hu_3d']:.1f}" in text and f"{document['case']['vbq']:.2f}" in text
    assert text.count("Research use; not a medical device.") >= 2 and "unknown:" in text


def test_what_others_wrote_is_text_and_nothing_else(case, document):
    document["inputs"]["ct"]["tags"]["kernel"] = ODD
    document["inputs"]["ct"]["masks"] = {ODD: next(iter(document["inputs"]["ct"]["masks"].values()))}
    document["reasons"] = [ODD]
    document["levels"][0]["ct_exclusion"] = ODD
    document["cutoffs"][0].update(source=ODD, purpose=ODD)
    reader = _Reader(html(document, case.pictures))
    assert not {"b onload", "onload"} & {name for _, attributes in reader.seen for name in attributes}
    assert "".join(reader.words).count(ODD) >= 5 and ODD in ris_text(document)


def test_doubts_are_told_errors_first_each_once_with_what_to_do(document):
    flag = dict(document["flags"][0], level="")
    document["flags"] = [
        dict(flag, code=code, severity=CATALOG[code][0], sentence=CATALOG[code][1], level=level)
        for code, level in (("truncated", "L5"), ("small-roi", "L2"), ("small-roi", "L3"), ("straddles-cutoff", ""))
    ]
    found = doubts(document)
    assert [d["code"] for d in found] == ["truncated", "small-roi", "straddles-cutoff"]
    assert found[1]["where"] == "L2, L3" and all(d["remedy"] for d in found)


def test_every_flag_has_a_remedy():
    assert set(CATALOG) - set(REMEDIES) == set()


def test_suggested_fractures_come_before_the_values(case, document):
    document["levels"][1].update(genant_grade=2, height_loss_percent=31.0, height_loss=dict(shape="wedge"))
    text = " ".join(_Reader(html(document, case.pictures)).words)
    assert text.index("grade 2, wedge, height loss 31 %") < text.index("Published cut-offs")
    assert "L2 grade 2 wedge" in ris_text(document)


def test_a_bar_has_value_range_and_cutoffs_in_their_order_on_one_scale():
    cutoffs = [
        dict(cutoff=110, comparison="<=", source="A", reached=True), dict(cutoff=160, comparison="<=", source="B", reached=True)
    ]  # fmt: skip
    svg = bar(100.0, 95.0, 105.0, cutoffs)
    ticks = [float(x) for x in re.findall(r'<line x1="([\d.]+)" y1="3"', svg)]
    dot = float(re.search(r'<circle cx="([\d.]+)"', svg)[1])
    left, width = map(float, re.search(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg).groups())
    assert left < dot < left + width < ticks[0] < ticks[1]
    assert dot - left == pytest.approx((ticks[1] - ticks[0]) / 10, abs=0.2)


# Templates


def test_a_persons_own_template_replaces_ours_and_may_extend_it(case, document, tmp_path):
    (tmp_path / "ris.txt").write_text("{{ document.case_id }}: {{ measures[0].value }}", encoding="utf-8")
    (tmp_path / "report.html").write_text(
        '{% extends "bonequality/report.html" %}{% block header %}<h1>Our clinic</h1>{% endblock %}', encoding="utf-8"
    )
    assert ris_text(document, tmp_path).startswith("case: 100.0")
    page = html(document, case.pictures, tmp_path)
    assert "Our clinic" in page and "Published cut-offs" in page and "Bone quality of the lumbar spine</h1>" not in page


@pytest.mark.parametrize(
    "text, words",
    [
        ("ok\n{% if %}", "Line 2 of the template ris.txt"),
        ("{{ nothing.there }}", "cannot be used"),
        ("{{ ''.__class__.__mro__ }}", "cannot be used"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(document, tmp_path, text, words):
    (tmp_path / "ris.txt").write_text(text, encoding="utf-8")
    with pytest.raises(BoneQualityError, match=words):
        ris_text(document, tmp_path)


# The command


@pytest.fixture(scope="module")
def spine(tmp_path_factory):
    return spine_files(tmp_path_factory.mktemp("spine"))


def test_the_command_prints_the_text_for_a_ris_alone_and_leaves_out_the_report(tmp_path, spine, capfd):
    run = measure(capfd, tmp_path / "out", *spine.of_ct, "--text")
    assert run.status == 0 and run.out.startswith("Bone quality of the lumbar spine, case case\n") and "Written" not in run.out
    assert sorted(run.files) == ["case.json", "case_case.csv", "case_levels.csv"]
    again = measure(capfd, tmp_path / "out", *spine.of_ct, "--template", tmp_path, "--overwrite", report=True)
    assert again.status == 2 and "holds no template; put report.html or ris.txt there" in again.err


# A batch's page


def _index(rows, reviews=None) -> tuple[str, list[dict]]:
    page = "".join(index_page(rows, reviews or {}))
    return page, json.loads(re.search(r'id="cases">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_of_a_batch_holds_every_case_and_no_text_can_leave_its_place(case):
    cells = {column.name: column.cell(case.case_row.get(column.name)) for column in CASE_COLUMNS}
    page, rows = _index([done_row(cells, True, True), failed_row("c-2", "read", ODD + "</script><script>alert(1)</script>")])
    assert page.count("<script") == 3 and "alert(1)<" not in page
    assert rows[0]["values"]["hu_3d"] == 100.0 and rows[0]["flags"] and rows[1]["failure"].startswith("read: " + ODD)
    assert not re.search(r"(src|href)=\"?http", page)


def test_marks_come_back_from_the_page_and_wrong_ones_are_refused_by_their_row(tmp_path):
    path = tmp_path / "review.csv"
    path.write_text('case_id,review,review_note\nc-1,accept,\nc-2,look again,"a ""b"", c"\n', encoding="utf-8")
    found = read_review(path, {"c-1", "c-2"})
    assert found == {"c-1": Review("accept", ""), "c-2": Review("look again", 'a "b", c')}
    assert [row["mark"] for row in _index([failed_row("c-1", "read", "x"), failed_row("c-2", "read", "x")], found)[1]] == [
        "accept",
        "look again",
    ]
    for text, words in (
        ("c-3,accept,\n", "Row 2 .* names the case 'c-3', which is not in the manifest"),
        ("c-1,accept,\nc-1,accept,\n", "Row 3 .* names the case c-1 again"),
        ("c-1,fine,\n", "mark 'fine'; use accept or look again"),
    ):
        path.write_text("case_id,review,review_note\n" + text, encoding="utf-8")
        with pytest.raises(BoneQualityError, match=words):
            read_review(path, {"c-1", "c-2"})
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BoneQualityError, match="lacks the columns"):
        read_review(path, {"c-1"})


def test_a_batch_has_reports_thumbnails_and_the_marks_in_its_table(tmp_path, spine):
    manifest = tmp_path / "manifest.csv"
    names = [spine.folder / name for name in ("ct.nii.gz", "ct.seg.nrrd")]
    (tmp_path / "cut.nrrd").write_bytes(names[1].read_bytes()[:300])
    manifest.write_text(f"case_id,ct,ct_segmentation\none,{names[0]},{names[1]}\ntwo,{names[0]},{tmp_path / 'cut.nrrd'}\n")
    batch = run_batch(manifest, tmp_path / "out", workers=0)
    assert batch.done == {"one"} and batch.tables[-1] == "index.html"
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert {"one.html", "thumbnails/one.jpg", "index.html"} <= made and "two.html" not in made
    review = tmp_path / "review.csv"
    review.write_text("case_id,review,review_note\none,look again,'=1+1\n")
    again = run_batch(manifest, tmp_path / "out", workers=0, resume=True, pages=Pages(review=str(review)))
    assert again.kept == 1
    with open(tmp_path / "out" / "cohort.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["review"], row["review_note"]) == ("look again", "'=1+1")
    with pytest.raises(BoneQualityError, match="names the page of all cases"):
        manifest.write_text(manifest.read_text().replace("one,", "Index,"))
        run_batch(manifest, tmp_path / "other", workers=0)


# Two dates


def test_a_change_is_told_with_the_least_that_counts(document):
    later = copy.deepcopy(document)
    case, level = later["case"], later["levels"][0]
    document["case"].update(hu_3d=140.0, hu_3d_low=127.0, hu_3d_high=153.0, vbq=3.0, vbq_low=2.9, vbq_high=3.1)
    case.update(hu_3d=110.0, hu_3d_low=97.0, hu_3d_high=123.0, vbq=3.1, vbq_low=3.0, vbq_high=3.2)
    level.update(hu_middle=level["hu_middle"] - 15)
    found = {(row["level"], row["measure"]): row for row in changes(document, later)}
    row = found["", "hu_3d"]
    assert row["difference"] == -30 and row["beyond"] == "yes"
    assert row["least_significant_change"] == pytest.approx(2.77 * 13 / np.sqrt(3))
    assert found["", "vbq"]["least_significant_change"] == pytest.approx(2.77 * 0.1 / np.sqrt(3)) and found["", "vbq"]["beyond"] == "no"
    assert found["L1", "hu_middle"]["difference"] == -15 and found["L1", "hu_middle"]["beyond"] == "no", "10 to 16 HU between repeated scans"
    assert found["L1", "height_anterior_mm"]["beyond"] == "" or found["L1", "height_anterior_mm"]["least_significant_change"]
    assert not any(name.endswith(("_low", "_high", "age", "kvp")) for _, name in found)


def test_the_page_of_two_dates_says_what_differs_and_is_one_file(document):
    later = copy.deepcopy(document)
    later["case"].update(kvp=100.0, kernel=ODD)
    assert ("Tube voltage", "unknown kV", "100.0 kV") in conditions(document, later)
    rows = [dict(level="L2", new_fracture="yes", reason=ODD)]
    page = comparison_html(document, later, COMPARE_COLUMNS, rows, ("data:image/jpeg;base64,AA==", ""))
    reader = _Reader(page)
    text = " ".join(reader.words)
    assert "New fractures by vertebral heights: L2" in text and "no report beside its JSON" in text
    assert "<b onload=x>" in text and "b" not in {tag for tag, attributes in reader.seen if "onload" in attributes}
    assert "script" not in {tag for tag, _ in reader.seen}
