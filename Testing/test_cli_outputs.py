"""What ``bonequality measure`` leaves behind: values, reasons for gaps, flags, and files that are whole or not there."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from BoneQualityLib import cli
from BoneQualityLib.files import writing
from BoneQualityLib.parameters import CaseFacts, Parameters
from BoneQualityLib.phantoms import demo, phantom_spine
from spine_files import (
    CT_GRID,
    T1_GRID,
    VALUES,
    bodies,
    ct,
    cylinder,
    dicom_folder,
    image_file,
    label_map,
    measure,
    process,
    sac,
    segmentation_file,
    spine_files,
    t1,
)  # fmt: skip

#: A division by 0 or a NaN on the way is a fault even where nobody sees its warning.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

L1, L2, L3 = bodies(CT_GRID).values()
NOTHING = np.zeros(CT_GRID.shape, bool)
#: The columns of SPEC 10, in order; more may follow.
LEVEL_COLUMNS = """\
case_id, level, used, ct_exclusion, t1_exclusion, hu_3d, hu_3d_sd, hu_3d_median, hu_3d_volume_mm3, hu_3d_wide, hu_upper,
hu_middle, hu_lower, hu_multislice, hu_upper_area_mm2, hu_middle_area_mm2, hu_lower_area_mm2, t1_signal, t1_area_mm2,
vbq_single_level, height_anterior_mm, height_middle_mm, height_posterior_mm, height_loss_percent, genant_grade, edited, flags"""
CASE_COLUMNS = """\
case_id, hu_3d, hu_3d_including_fractured, hu_3d_wide, hu_multislice, hu_multislice_including_fractured, hu_middle,
hu_middle_l1, ct_levels, vbq, vbq_including_fractured, csf_signal, csf_level, t1_levels, rcsa, rcsa_discs,
fat_infiltration_percent, fat_fraction_percent, t_score, age, sex, bmi, hyperlipidemia, reader, kvp, slice_thickness_mm, kernel,
contrast, field_strength_t, tr_ms, te_ms, ti_ms, manufacturer, model, effective_margin_mm, slice_plane, vbq_slice,
vbq_margin_mm, edited, flags, software_version"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return spine_files(tmp_path_factory.mktemp("spine"))


@pytest.fixture
def done(tmp_path, capfd):
    """A run with these options that did its work."""
    return lambda *options, folder=tmp_path / "out", report=False: measure(capfd, folder, *options, report=report).done()


@pytest.fixture
def measured_masks(tmp_path, files, done):
    """A run on segments of these names on the CT."""
    return lambda masks, *options: done(*files.ct, "--ct-segmentation", segmentation_file(tmp_path / "d.seg.nrrd", masks), *options)


@pytest.fixture
def measured_t1_masks(tmp_path, files, done):
    """The same on the T1 MRI."""
    return lambda masks, *options: done(
        *files.t1, "--t1-segmentation", segmentation_file(tmp_path / "d.seg.nrrd", masks, T1_GRID), *options
    )


# Values, reasons and flags


def test_ct_and_t1_together_give_the_known_values_in_every_column(files, done):
    run = done(*files.of_ct, *files.of_t1, "--age", "70", "--sex", "F", "--t-score", "-2.5", "--reader", "R1")
    assert {level: row["hu_3d"] for level, row in run.levels.items()} == {"L1": "100.00", "L2": "120.00", "L3": "140.00"}
    assert {level: row["vbq_single_level"] for level, row in run.levels.items()} == {"L1": "2.8000", "L2": "3.0000", "L3": "3.3000"}
    of_ct = dict(hu_3d="120.00", hu_multislice="120.00", hu_middle_l1="100.00", ct_levels="L1 L2 L3")
    of_t1 = dict(vbq="3.0000", csf_signal="100.000", csf_level="L3", t1_levels="L1 L2 L3")
    assert run.case == run.case | of_ct | of_t1 | dict(age="70.0", sex="F", t_score="-2.50", reader="R1")
    assert ", ".join(run.levels["L1"]).startswith(" ".join(LEVEL_COLUMNS.split()))
    assert ", ".join(run.case).startswith(" ".join(CASE_COLUMNS.split()))


@pytest.mark.parametrize("pixel", [np.int16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("extension", ["nrrd", "nii.gz", "mha"])
def test_the_pixel_type_of_the_ct_does_not_matter(tmp_path, files, done, pixel, extension):
    path = image_file(tmp_path / f"ct.{extension}", ct().astype(pixel))
    one = segmentation_file(tmp_path / "one.seg.nrrd", {"L1 body": L1})
    assert done("--ct", path, "--ct-segmentation", one).case["hu_3d"] == "100.00"


@pytest.mark.parametrize("pixel", [np.int8, np.uint16, np.int64, np.uint64, np.float32, np.float64])
def test_the_pixel_type_of_a_label_map_does_not_matter(tmp_path, files, done, pixel):
    path = image_file(tmp_path / "l.nrrd", label_map().astype(pixel))
    assert done(*files.ct, "--ct-segmentation", path, "--label-scheme", "totalsegmentator").case["hu_3d"] == "120.00"


def test_a_body_without_data_in_over_1_percent_is_left_out_with_the_reason(tmp_path, files, done):
    array = ct().astype(np.float32)
    array[34:36, 18:22, 18:22] = np.nan
    run = done("--ct", image_file(tmp_path / "nan.nrrd", array), *files.of_ct[2:])
    assert (run.levels["L2"]["hu_3d"], run.case["ct_levels"]) == ("", "L1 L3")
    assert re.fullmatch(r"not measured; \d+ % of the ROI hold no data .*", run.levels["L2"]["ct_exclusion"])


@pytest.mark.parametrize(
    "mask, reason, flag",
    [
        (NOTHING, "not measured; the mask is empty", ""),
        (np.indices(L1.shape).sum(axis=0) == 0, "not measured; the vertebral body reaches the edge of the image", "truncated"),
        (cylinder(CT_GRID, 36, 2), "not measured; less than 1 cm3 of cancellous bone inside the margin", "small-roi"),
        (cylinder(CT_GRID, 64), "not measured; the vertebral body reaches the edge of the image", "truncated"),
    ],
)
def test_a_mask_that_cannot_be_measured_leaves_a_gap_with_its_reason_beside_good_ones(measured_masks, mask, reason, flag):
    run = measured_masks({"L1": mask, "L2": L2})
    assert (run.levels["L1"]["hu_3d"], run.levels["L1"]["used"], run.case["hu_3d"]) == ("", "no", "120.00")
    assert run.levels["L1"]["ct_exclusion"].startswith(reason) and flag in run.levels["L1"]["flags"]


def test_the_arch_of_a_whole_vertebra_enters_no_value(tmp_path, files, done):
    spine = phantom_spine.lumbar_spine(("L2", "L3"), 0)
    grid = phantom_spine.grid_for(spine, (2.0, 2.0, 2.0))
    whole = {level: phantom_spine.vertebra_mask(spine, level, grid) for level in ("L2", "L3")}
    array = np.where(np.any(list(whole.values()), axis=0), 400, 40).astype(np.int16)
    array[:, :3] = -100
    for vertebra in spine.vertebrae:
        body = phantom_spine.body_mask(vertebra, grid)
        array[body] = 400
        array[ndimage.binary_erosion(body)] = 100
    masks = segmentation_file(tmp_path / "d.seg.nrrd", whole, grid)
    rows = done("--ct", image_file(tmp_path / "ct.nrrd", array, grid), "--ct-segmentation", masks).levels
    assert [round(float(rows[level]["hu_3d"])) for level in ("L2", "L3")] == [100, 100]


@pytest.mark.parametrize(
    "options, hu, including_fractured, reason",
    [
        (["--fractured", "l1"], "130.00", "120.00", "fractured"),
        (["--cemented", "L1"], "130.00", "130.00", "cemented"),
        (["--exclude", "L1"], "130.00", "130.00", "excluded"),
        (["--fractured", "L1", "--cemented", "L1"], "130.00", "130.00", "fractured; cemented"),
        (["--fractured", "L1", "--fractured", "L2"], "140.00", "120.00", "fractured"),
    ],
)
def test_a_level_that_the_user_rules_out_leaves_the_means(files, done, options, hu, including_fractured, reason):
    run = done(*files.of_ct, *options)
    assert (run.case["hu_3d"], run.case["hu_3d_including_fractured"]) == (hu, including_fractured)
    assert (run.levels["L1"]["ct_exclusion"], run.levels["L1"]["hu_3d"], run.levels["L1"]["used"]) == (reason, "100.00", "no")
    assert ("few-levels" in run.case["flags"]) == (hu == "140.00")


def test_a_fractured_level_leaves_the_vbq_and_stays_in_the_one_beside(files, done):
    case = done(*files.of_t1, "--fractured", "L1").case
    assert (case["vbq"], case["vbq_including_fractured"], case["t1_levels"]) == ("3.1500", "3.0000", "L2 L3")


def test_csf_that_is_ruled_out_is_read_at_the_next_level(files, done):
    case = done(*files.of_t1, "--csf-blocked", "L3").case
    assert (case["csf_level"], case["vbq"]) == ("L2", "3.0000") and "csf-level" in case["flags"]


def test_t1_without_csf_keeps_the_signals_and_says_why_there_is_no_vbq(measured_t1_masks):
    run = measured_t1_masks({f"{level} body": mask for level, mask in bodies(T1_GRID).items()})
    assert (run.case["vbq"], run.levels["L1"]["t1_signal"]) == ("", "280.000")
    assert "no VBQ: CSF L2: no CSF or sac is segmented" in run.json["reasons"][0]


def test_csf_without_signal_gives_no_vbq_instead_of_an_endless_one(tmp_path, files, done):
    path = image_file(tmp_path / "t1.nrrd", np.where(sac(), 0, t1()), T1_GRID)
    run = done("--t1", path, *files.of_t1[2:])
    assert run.case["vbq"] == "" and "not above 0" in run.json["reasons"][0]


def test_one_level_alone_has_no_vbq(measured_t1_masks):
    run = measured_t1_masks({"L2 body": bodies(T1_GRID)["L2"], "thecal sac": sac()})
    assert (run.case["vbq"], run.levels["L2"]["vbq_single_level"]) == ("", "3.0000") and "few-levels" in run.case["flags"]


def test_levels_in_the_wrong_order_are_flagged(measured_masks):
    assert "level-order" in measured_masks({"L1": L3, "L2": L2, "L3": L1}).case["flags"].split("; ")


def test_masks_that_overlap_are_flagged(measured_masks):
    run = measured_masks({"L1": L1, "L2": cylinder(CT_GRID, 12)})
    assert "mask-overlap" in run.case["flags"].split("; ") and "level-order" not in run.case["flags"]


def test_one_body_under_two_names_is_flagged(measured_masks, measured_t1_masks):
    body = bodies(T1_GRID)["L2"]
    for run in (
        measured_masks({"L2": L2, "L3": L2}),
        measured_t1_masks({"L2 body": body, "L3 body": body, "sac": sac()}, "--overwrite"),
    ):
        assert {"level-order", "mask-overlap"} <= set(run.case["flags"].split("; "))


# Names and paths


def test_the_vertebrae_among_forty_segments_are_found(measured_masks):
    organs = [f"{organ}_{side}_{n}" for organ in ("rib", "lung_lobe", "hip_bone") for side in ("left", "right") for n in range(6)]
    others = {name: np.indices(NOTHING.shape)[2] == n for n, name in enumerate(organs[:35])}
    bones = {"vertebrae_L1": L1, "L2 vertebra": L2, "lumbar vertebra 3": L3, "fourth lumbar vertebra": NOTHING, "L5": NOTHING}
    run = measured_masks(others | bones)
    assert list(run.levels) == ["L1", "L2", "L3", "L4", "L5"] and run.case["hu_3d"] == "120.00"


def test_names_in_other_languages_are_read(measured_masks):
    run = measured_masks({"Wirbelkörper L1": L1, "corps vertébral L2": L2, "L3椎体": L3})
    assert list(run.levels) == ["L1", "L2", "L3"] and run.case["hu_3d"] == "120.00"


def test_names_that_nobody_knows_are_mapped_by_a_labels_file(tmp_path, measured_masks):
    (tmp_path / "labels.csv").write_text("segment,name\nRückenknochen A,L1 body\n第二块,L2 Wirbel\nL3,\n", encoding="utf-8-sig")
    run = measured_masks({"Rückenknochen A": L1, "第二块": L2, "L3": L3}, "--labels", tmp_path / "labels.csv")
    assert list(run.levels) == ["L1", "L2"] and run.case["hu_3d"] == "110.00"


def test_a_name_that_is_no_utf_8_does_not_disturb(tmp_path, files, done):
    content = re.sub(rb"(?m)^(Segment0_Name:=).*", b"\\g<1>L1 K\xf6rper", files.of_ct[3].read_bytes())
    (tmp_path / "d.seg.nrrd").write_bytes(content)
    assert done(*files.ct, "--ct-segmentation", tmp_path / "d.seg.nrrd").case["hu_3d"] == "120.00"


def test_label_map_schemes_and_labels_files_may_be_named_with_the_file_wherever_it_lies(tmp_path, files, done):
    folder = tmp_path / "Größe 椎骨 @home"
    odd = image_file(folder / "a@b.nii.gz", label_map((1, 0, 0)))
    plain = image_file(folder / "c.nii.gz", label_map((0, *VALUES[1:])))
    (folder / "l@b.csv").write_text("value,name\n1,L1 Wirbelkörper\n", encoding="utf-8")
    image = shutil.copy(files.ct[1], folder / "CT é.nii.gz")
    masks = ["--ct-segmentation", f"{odd}@{folder / 'l@b.csv'}", "--ct-segmentation", f"{plain}@totalsegmentator"]
    assert done("--ct", image, *masks, folder=folder / "räsultate @ 1").case["hu_3d"] == "120.00"


def test_a_folder_with_one_file_a_structure_is_a_segmentation(tmp_path, files, done):
    for level, mask in bodies(CT_GRID).items():
        image_file(tmp_path / "masks" / f"vertebrae_{level}.nii.gz", mask.astype(np.uint8))
    image_file(tmp_path / "masks" / "liver.nii.gz", L1.astype(np.uint8))
    assert done(*files.ct, "--ct-segmentation", tmp_path / "masks").case["hu_3d"] == "120.00"


# Files


def _refused(run):
    assert run.status == 2 and run.out == "" and re.fullmatch(r"bonequality: [^\n]+\.\n", run.err), run
    return run.err


@pytest.mark.parametrize("there", ["case.json", "case.html", "case_case.csv", "case_levels.csv"])
def test_an_existing_result_is_neither_replaced_nor_touched(tmp_path, files, capfd, there):
    (tmp_path / there).write_text("mine")
    run = measure(capfd, tmp_path, *files.of_t1, report=True)
    refused = _refused(run)
    assert f"{there} is there already" in refused and refused.endswith("(--overwrite).\n") and run.files == {there: b"mine"}


def test_overwrite_replaces_what_is_there(tmp_path, files, done):
    first = done(*files.of_t1, folder=tmp_path / "out").files
    second = done(*files.of_t1, "--fractured", "L1", "--overwrite", folder=tmp_path / "out").files
    assert all(first[name] != second[name] for name in first)


def test_a_report_of_an_earlier_run_does_not_stay_beside_newer_values(tmp_path, done, files):
    assert "case.html" in done(*files.of_t1, report=True).files
    assert "case.html" not in done(*files.of_t1, "--overwrite").files


def test_a_folder_in_the_place_of_a_result_is_named_and_nothing_else_written(tmp_path, files, capfd):
    (tmp_path / "out" / "case.json").mkdir(parents=True)
    assert "cannot be written" in _refused(measure(capfd, tmp_path / "out", *files.of_t1, "--overwrite"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case.json"]


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path, files, capfd):
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file' / 'out'} cannot be written" in measure(capfd, tmp_path / "file" / "out", *files.of_t1).refusal()
    assert "File name too long" in measure(capfd, tmp_path / ("x" * 300), *files.of_t1).err


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("before", [{}, {"case.json": b"old", "case_case.csv": b"old", "case_levels.csv": b"old"}])
def test_a_full_disk_leaves_what_was_there_before(tmp_path, files, capfd, monkeypatch, at, before):
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    calls = iter(range(1, 9))

    def fsync(file):
        if next(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", fsync)
    run = measure(capfd, tmp_path, *files.of_t1, "--overwrite")
    assert "No space left on device" in _refused(run) and "make room" in run.err and run.files == before


def test_a_limit_on_file_size_leaves_nothing(tmp_path, files):
    pytest.importorskip("resource", reason="no limit on file sizes on this system: writing beyond one is NOT tested")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    code = f"{limit}; from BoneQualityLib.cli import main; sys.exit(main())"
    assert "cannot be written (File too large)" in process(tmp_path / "out", *files.of_t1, code=code).refusal()


@pytest.mark.parametrize("call, at, rerun", [("fsync", 1, []), ("link", 2, ["--overwrite"])])
def test_a_killed_run_leaves_no_json_and_can_be_run_again(tmp_path, files, done, call, at, rerun):
    kill = f"os.kill(os.getpid(), {int(getattr(signal, 'SIGKILL', signal.SIGTERM))}) if next(calls) == {at} else real(*a, **k)"
    at_call = f"calls, real = iter(range(1, 99)), os.{call}; os.{call} = lambda *a, **k: {kill}"
    code = f"{at_call}; from BoneQualityLib.cli import main; main()"
    killed = process(tmp_path / "out", *files.of_t1, code=code)
    assert killed.status not in (0, 2) and "case.json" not in killed.files
    for part in (tmp_path / "out").glob(".*.part"):  # what was half-written has a random name, and is in nobody's way
        part.unlink()
    assert done(*files.of_t1, *rerun).case["vbq"] == "3.0000"


@pytest.mark.parametrize(
    "fault, words",
    [
        (KeyboardInterrupt(), "Stopped"),
        (MemoryError(), "Not enough memory; close"),
        (PermissionError(13, "Permission denied", "x.nrrd"), r"x.nrrd cannot be used \(Permission denied\); check"),
        (ZeroDivisionError("division by zero"), r"Unexpected ZeroDivisionError in .*\(division by zero\); please report it"),
    ],
)
def test_a_fault_on_the_way_ends_in_one_line(tmp_path, files, capfd, monkeypatch, fault, words):
    def measure_case(*_, **__):
        raise fault

    monkeypatch.setattr("BoneQualityLib.entry.measure_case.measure_case", measure_case)
    run = measure(capfd, tmp_path / "out", *files.of_ct)
    assert re.search(words, _refused(run)) and run.files == {}


def test_the_same_images_give_the_same_bytes_from_any_place_and_under_any_name(tmp_path, files, done):
    elsewhere = [shutil.copy(path, tmp_path / f"other {Path(path).name}") for path in (*files.of_ct[1::2], *files.of_t1[1::2])]
    options = [part for pair in zip((*files.of_ct[::2], *files.of_t1[::2]), elsewhere) for part in pair]
    first, second = done(*files.of_ct, *files.of_t1, folder=tmp_path / "a"), done(*options, folder=tmp_path / "b c")
    assert first.files == second.files


@pytest.fixture(scope="module")
def decimal_comma(tmp_path_factory):
    """An environment whose locale writes 1,5."""
    folder = tmp_path_factory.mktemp("locales")
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], capture_output=True
    )
    if not (folder / "de_DE.UTF-8").is_dir():
        pytest.skip(f"no German locale can be made here ({made}): the decimal comma is NOT tested")
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8"}


def test_a_locale_with_a_decimal_comma_changes_nothing(tmp_path, files, done, decimal_comma):
    code = (
        "import locale; locale.setlocale(locale.LC_ALL, ''); assert locale.localeconv()['decimal_point'] == ','; "
        "from BoneQualityLib.cli import main; sys.exit(main())"
    )
    run = process(tmp_path / "de", *files.of_ct, *files.of_t1, code=code, env=decimal_comma).done()
    assert run.files == done(*files.of_ct, *files.of_t1, report=True).files


def test_the_command_as_a_process_says_its_results_on_a_terminal_of_any_letters(tmp_path, files):
    code = "import runpy; runpy.run_module('BoneQualityLib.cli', run_name='__main__')"
    run = process(tmp_path / "Größe", *files.of_ct, *files.of_t1, code=code, env={"PYTHONIOENCODING": "ascii"}).done()
    assert "3D-HU 120.0  multi-slice HU 120.0  mid-slice HU of L1 100.0  VBQ 3.00" in run.out
    assert r"Gr\xf6\xdfe" in run.out and "not a medical device" in run.out


def test_a_reader_of_the_output_that_went_away_is_no_fault(tmp_path, files):
    code = "r, w = os.pipe(); os.close(r); os.dup2(w, 1); from BoneQualityLib.cli import main; sys.exit(main())"
    run = process(tmp_path / "out", *files.of_t1, code=code)
    assert (run.status, run.err) == (0, "") and run.case["vbq"] == "3.0000"


def test_no_patient_and_no_formula_gets_from_dicom_into_a_file(tmp_path, files, done):
    secret = dict(
        PatientName="Geheim^Greta", PatientID="ID4711", PatientBirthDate="19501231", StudyDescription="Geheimstudie",
        SeriesDescription="Geheimserie", InstitutionName="Geheimklinik", AccessionNumber="4711", StudyDate="20200229",
        Manufacturer='=HYPERLINK("x")', ManufacturerModelName="@a,b\tc", ConvolutionKernel=["Br40", "'3\""], KVP=100,
    )  # fmt: skip
    run = done("--ct", dicom_folder(tmp_path / "Geheim^Greta", **secret), *files.of_ct[2:], report=True)
    assert not re.search(b"geheim|greta|4711|1950|2020", b"".join(run.files.values()), re.IGNORECASE)
    assert (run.case["kvp"], run.case["manufacturer"], run.case["model"]) == ("100.0", "", "")
    assert "kvp" in run.case["flags"].split("; ")
    for table in ("levels", "case"):
        text = run.files[f"case_{table}.csv"].decode("utf-8")
        assert not re.search('["\t\r\\\\]', text) and text.endswith("\n")
        assert len({line.count(",") for line in text.splitlines()}) == 1


def test_the_json_holds_everything_but_paths(tmp_path, files, done):
    run = done(*files.of_ct, *files.of_t1)
    content = json.loads(run.files["case.json"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["parameters"] == vars(Parameters()) and content["facts"].keys() == vars(CaseFacts("x")).keys()
    kinds = {roi["kind"] for level in content["levels"] for roi in level["rois"]}
    assert kinds >= {"cancellous", "upper", "middle", "lower", "marrow"} and set(content["csf"]) == {"L2", "L3", "L4"}
    assert len(content["inputs"]["ct"]["sha256"]) == 64 and content["case"]["hu_3d"] == pytest.approx(120)
    assert not re.search(r"[/\\]|nii|nrrd|pytest", run.files["case.json"].decode().replace("kg/m2", ""))


# The demo


@pytest.fixture
def small_demo(monkeypatch):
    """The demo with two levels on coarse voxels, and without its picture."""
    spine = phantom_spine.lumbar_spine(("L2", "L3"), 0, posterior_elements=False)
    monkeypatch.setattr(demo, "demo_spine", lambda: spine)
    monkeypatch.setattr(demo, "CT_SPACING_MM", (2.5, 2.5, 2.5))
    monkeypatch.setattr(demo, "T1_SPACING_MM", (1.5, 1.5, 4.4))
    monkeypatch.setattr(demo, "AXIAL_SPACING_MM", (1.5, 1.5, 5.0))
    monkeypatch.setattr("BoneQualityLib.outputs.pictures.contact_sheet", lambda document, pictures: b"picture")


def test_the_demo_writes_its_files_once(tmp_path, small_demo, capfd):
    arguments = ["demo", "--output", str(tmp_path / "new" / "demo")]
    assert cli.main(arguments) == 0
    out, err = capfd.readouterr()
    assert "truth" in out and err == ""
    written = {path.name: path.read_bytes() for path in (tmp_path / "new" / "demo").iterdir()}
    assert set(written) == {*demo.FILES, "demo_levels.csv", "demo_case.csv", "demo_muscles.csv", "demo.html", "demo.json"}
    assert cli.main(arguments) == 2
    out, err = capfd.readouterr()
    assert "demo_ct.nrrd is there already" in err and err.count("\n") == 1 and out == ""
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "demo").iterdir()} == written


def test_a_demo_that_fails_leaves_nothing(tmp_path, small_demo, capfd, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("BoneQualityLib.outputs.pictures.contact_sheet", full)
    (tmp_path / "file").touch()
    for folder, words in ((tmp_path / "out", "No space left"), (tmp_path / "file" / "out", "cannot be made (Not a directory)")):
        assert cli.main(["demo", "--output", str(folder)]) == 2
        out, err = capfd.readouterr()
        assert words in err and err.count("\n") == 1 and out == ""
    assert os.listdir(tmp_path / "out") == []
