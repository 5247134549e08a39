"""Label maps and segmentations as other programs leave them: scaled values, color tables, segments named by numbers."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from BoneQualityLib.anatomy.schemes import SCHEMES
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.scene.nodes import segmentation_node
from BoneQualityLib.scene.reading import write_node
from spine_files import CT_GRID, bodies, image_file, label_map, measure, segmentation_file, spine_files
from total_segments import total_segments

MEAN_HU = "120.00"
TABLE_HEADER = (
    "LabelValue,Name,Color_R,Color_G,Color_B,Color_A,Category_CodingScheme,Category_CodeValue,Category_CodeMeaning,Type_CodingScheme,"
    "Type_CodeValue,Type_CodeMeaning,TypeModifier_CodingScheme,TypeModifier_CodeValue,TypeModifier_CodeMeaning,Region_CodingScheme,"
    "Region_CodeValue,Region_CodeMeaning,RegionModifier_CodingScheme,RegionModifier_CodeValue,RegionModifier_CodeMeaning"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return spine_files(tmp_path_factory.mktemp("spine"))


@pytest.fixture
def measured(tmp_path, files, capfd):
    """The run with these masks on the CT."""
    return lambda masks, *options: measure(capfd, tmp_path / "out", *files.ct, "--ct-segmentation", masks, *options)


def scaled(path, dtype):
    """The label map as nibabel writes floats as whole numbers: they span the type, and scl_slope scales them back."""
    values = label_map((20, 21, 22)).astype(float)
    span = np.iinfo(dtype)
    slope = np.float32(values.max() / (span.max - span.min))
    inter = -span.min * slope
    stored = np.round((values - inter) / slope).astype(dtype)
    plain = image_file(path.with_name("plain.nii"), stored)
    data = bytearray(plain.read_bytes())
    data[112:120] = struct.pack("<2f", slope, inter)
    path.write_bytes(gzip.compress(bytes(data)))
    assert 0 < np.abs(stored * slope + inter - values).max() < 0.05
    return path


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_labels_that_a_scale_leaves_beside_whole_numbers_are_read_as_these(tmp_path, measured, dtype):
    assert measured(f"{scaled(tmp_path / 'labels.nii.gz', dtype)}@verse").done().case["hu_3d"] == MEAN_HU


@pytest.mark.parametrize("off, is_read", [(0.049, True), (-0.049, True), (0.06, False), (-0.06, False)])
def test_labels_count_as_whole_numbers_up_to_a_twentieth(tmp_path, measured, off, is_read):
    array = label_map().astype(np.float32)
    array[array > 0] += off
    outcome = measured(f"{image_file(tmp_path / 'labels.nrrd', array)}@totalsegmentator")
    assert outcome.done().case["hu_3d"] == MEAN_HU if is_read else "holds fractions" in outcome.refusal()


def color_table(path, rows):
    cells = [[str(value), f'"{name}"', "1", "2", "3", "255", *codes] for value, name, codes in rows]
    path.write_text("\n".join([TABLE_HEADER, *(",".join(row + [""] * (21 - len(row))) for row in cells)]) + "\n", encoding="utf-8")
    return path


def code_of(level_code):
    return ["SCT", "123037004", "Anatomical Structure", "SCT", level_code, "a vertebra"]


def test_a_color_table_of_slicer_says_what_labels_mean_and_other_organs_are_no_fault(tmp_path, files, measured):
    rows = [(n, name, []) for n, (_, name, _) in enumerate(total_segments(), 1)]
    outcome = measured(f"{files.label_map}@{color_table(tmp_path / 'colors.csv', rows)}").done()
    assert outcome.case["hu_3d"] == MEAN_HU and list(outcome.levels) == ["L1", "L2", "L3"]


def test_the_codes_of_a_color_table_count_where_its_names_say_nothing(tmp_path, files, measured):
    rows = [(31, "Struktur A", code_of("66794005")), (30, "Struktur B", code_of("14293000")), (29, "Leber", [])]
    outcome = measured(f"{files.label_map}@{color_table(tmp_path / 'colors.csv', rows)}").done()
    assert list(outcome.levels) == ["L1", "L2"]


def test_a_color_table_whose_codes_contradict_its_names_is_refused(tmp_path, files, measured):
    rows = [(31, "L1", code_of("14293000")), (29, "L3", [])]
    sentence = measured(f"{files.label_map}@{color_table(tmp_path / 'colors.csv', rows)}").refusal()
    assert "L1 vertebra by its name but L2 vertebra by its terminology" in sentence


@pytest.mark.parametrize("named", ["{}", "Segment_{}", "Label_{}", "label {:03}"])
def test_segments_named_by_label_values_are_understood_by_a_scheme_that_is_named(tmp_path, measured, named):
    masks = {named.format(value): mask for value, mask in zip((31, 30, 29), bodies(CT_GRID).values())}
    drawn = segmentation_file(tmp_path / "imported.seg.nrrd", masks)
    assert "is named like a vertebra" in measured(drawn).refusal()
    outcome = measured(f"{drawn}@totalsegmentator").done()
    assert outcome.case["hu_3d"] == MEAN_HU and list(outcome.levels) == ["L1", "L2", "L3"]


def test_a_scheme_for_all_label_maps_leaves_segments_alone_that_are_named_by_numbers(tmp_path, measured):
    masks = {f"Segment_{value}": mask for value, mask in zip((31, 30, 29), bodies(CT_GRID).values())}
    drawn = segmentation_file(tmp_path / "drawn.seg.nrrd", masks)
    assert "is named like a vertebra" in measured(drawn, "--label-scheme", "totalsegmentator").refusal()


@pytest.mark.parametrize("scheme", ["vertebrae_pp", "vertebrae_pp_refined", "verse"])
def test_the_vertebrae_of_totalsegmentators_refined_tasks_have_the_numbers_of_verse(tmp_path, measured, scheme):
    path = image_file(tmp_path / "labels.nii.gz", label_map((20, 21, 22)))
    outcome = measured(f"{path}@{scheme}").done()
    assert list(outcome.levels) == ["L1", "L2", "L3"]


@pytest.mark.parametrize(
    "scheme, values",
    [
        ("musclemap", {5101: "left multifidus", 5112: "right erector spinae", 5121: "left psoas major", 5122: "right psoas major"}),
        ("abdominal_muscles", {15: "right erector spinae", 18: "left multifidus", 19: "right psoas major", 20: "left psoas major"}),
    ],
)
def test_muscle_schemes_number_the_muscles_as_their_tools_do(scheme, values):
    assert {value: SCHEMES[scheme][value] for value in values} == values


def whole_body(path, more=(), terminology=()):
    """The 117 segments of TotalSegmentator as SlicerTotalSegmentator writes them, bodies where they are and one voxel each elsewhere."""
    speck = np.zeros(CT_GRID.shape, bool)
    speck[1, 1, 1] = True
    drawn = {f"vertebrae_{level}": mask for level, mask in bodies(CT_GRID).items()}
    node = segmentation_node("total", [Mask(name, drawn.get(i, speck), CT_GRID).cropped() for i, name, _ in total_segments()])
    for n, (_, name, tag) in enumerate([*total_segments()]):
        node.GetSegmentation().GetNthSegment(n).SetTag("TerminologyEntry", tag)
    for name, tag in more:
        segmentation = segmentation_node("more", [Mask(name, speck, CT_GRID).cropped()]).GetSegmentation()
        segmentation.GetNthSegment(0).SetTag("TerminologyEntry", tag)
        node.GetSegmentation().AddSegment(segmentation.GetNthSegment(0), f"more_{name}")
    write_node(node, path)
    return path


LUMBAR = ("L1", "L2", "L3")


def test_the_whole_body_with_s1_in_it_blocks_no_case(tmp_path, measured):
    outcome = measured(whole_body(tmp_path / "total.seg.nrrd"))
    assert outcome.status == 0, outcome.err
    assert [outcome.levels[level]["hu_3d"] for level in LUMBAR] == ["100.00", "120.00", "140.00"]
    assert "segments-ignored" not in outcome.case["flags"]


def test_segments_that_no_case_measures_are_left_out_and_named_by_structure_alone(tmp_path, measured):
    sacrum = next(tag for identifier, _, tag in total_segments() if identifier == "sacrum")
    liver = next(tag for identifier, _, tag in total_segments() if identifier == "iliopsoas_left")
    more = [("Sacrum", sacrum), ("left autochthon of MUELLER HANS", ""), ("autochthon_left", liver)]
    outcome = measured(whole_body(tmp_path / "total.seg.nrrd", more))
    assert outcome.status == 0, outcome.err
    (flag,) = [flag for flag in outcome.json["flags"] if flag["code"] == "segments-ignored"]
    assert (flag["severity"], flag["value"], flag["about"]) == ("info", 2, "left autochthon or left iliopsoas, sacrum")
    assert not any(b"MUELLER" in content or b"autochthon_left" in content for content in outcome.files.values())


def test_a_conflict_about_a_lumbar_vertebra_still_stops_the_whole_body(tmp_path, measured):
    tag = next(tag for identifier, _, tag in total_segments() if identifier == "vertebrae_L2")
    sentence = measured(whole_body(tmp_path / "total.seg.nrrd", [("Lumbar vertebra 2", tag)])).refusal()
    assert "both show L2 vertebra; rename or remove one" in sentence
