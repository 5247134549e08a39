"""The demo case: a synthetic lumbar spine with known answers, measured from its files like any other case."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from ..entry.measure_case import measure_case
from ..files.writing import check_free
from ..image.grid import Grid
from ..image.mask import Mask
from ..outputs.document import output_paths
from ..outputs.summary import flag_sentences
from ..parameters import CaseFacts
from ..scene.nodes import segmentation_node, volume_node
from ..scene.reading import read_segmentation, read_volume, write_node
from . import phantom_muscles, phantom_spine

CASE_ID = "demo"
CT_SPACING_MM, T1_SPACING_MM, AXIAL_SPACING_MM = (0.8, 0.8, 1.25), (0.7, 0.7, 4.4), (0.8, 0.8, 4.0)
CT_NOISE_HU, T1_NOISE, AXIAL_NOISE = 20.0, 6.0, 7.0
#: Distance of the samples that are averaged to voxels. Finer ones take three times as long and change no value by more than 0.04 HU
#: or 0.001 in VBQ.
CT_SAMPLING_MM, T1_SAMPLING_MM = 0.65, 0.45
T_SCORE = -2.6
MUSCLE_FAT = {"psoas major": 0.06, "multifidus": 0.26, "erector spinae": 0.19}
FILES = (
    "demo_ct.nrrd",
    "demo_ct_bodies.seg.nrrd",
    "demo_t1.nrrd",
    "demo_t1_bodies.seg.nrrd",
    "demo_axial.nrrd",
    "demo_axial_muscles.seg.nrrd",
    "demo.png",
)


def demo_spine() -> phantom_spine.PhantomSpine:
    """L1-L5 with low bone density, and marrow and CSF signals that make VBQ 3.2."""
    return phantom_spine.lumbar_spine(
        cancellous_hu={"L1": 88, "L2": 82, "L3": 76, "L4": 80, "L5": 92},
        marrow_t1={"L1": 310, "L2": 316, "L3": 324, "L4": 334, "L5": 345},
        csf_t1=100.0,
    )


def demo_muscles(spine: phantom_spine.PhantomSpine) -> phantom_muscles.MusclePhantom:
    """Muscles along the spine, with the fat that MUSCLE_FAT says."""
    middles = {disc.name: disc.middle for disc in spine.discs}
    axis = np.array(sorted([*(v.center for v in spine.vertebrae), *(center for center, _ in middles.values())], key=lambda p: p[2]))
    return phantom_muscles.paraspinal_muscles(MUSCLE_FAT, axis, middles)


def make_nodes(progress=lambda share, text: None) -> tuple[phantom_spine.PhantomSpine, dict]:
    """The demo's images and segmentations as nodes, named as measure_case takes them; and the spine they show."""
    spine = demo_spine()
    grid = phantom_spine.grid_for(spine, CT_SPACING_MM)
    ct = phantom_spine.render_ct(
        spine, grid, CT_NOISE_HU, seed=1, sampling_mm=CT_SAMPLING_MM, progress=lambda share: progress(0.5 * share, "rendering the CT")
    )
    sagittal = phantom_spine.grid_for(spine, T1_SPACING_MM, orientation="sagittal")
    t1 = phantom_spine.render_t1(
        spine, sagittal, T1_NOISE, seed=2, sampling_mm=T1_SAMPLING_MM,
        progress=lambda share: progress(0.5 + 0.2 * share, "rendering the T1 MRI"),
    )  # fmt: skip
    sac = Mask("thecal sac", phantom_spine.sac_mask(spine, sagittal), sagittal).cropped()
    progress(0.7, "rendering the axial MRI")
    muscles = demo_muscles(spine)
    axial = phantom_muscles.axial_grid(muscles, AXIAL_SPACING_MM)
    t2 = np.rint(phantom_muscles.render(muscles, axial, "t2", AXIAL_NOISE, seed=3)).astype(np.int16)
    return spine, dict(
        ct=volume_node("demo CT", ct, grid),
        ct_segmentation=segmentation_node("demo CT bodies", _bodies(spine, grid)),
        t1=volume_node("demo T1", t1, sagittal),
        t1_segmentation=segmentation_node("demo T1 bodies", [*_bodies(spine, sagittal), sac]),
        axial_mr=volume_node("demo axial", t2, axial),
        axial_mr_segmentation=segmentation_node("demo axial muscles", _muscles(muscles, axial)),
    )


def make_files(folder: Path, progress=lambda share, text: None) -> phantom_spine.PhantomSpine:
    """Write the demo's CT, T1 MRI, axial MRI and their segmentations to ``folder``; returns the spine they show."""
    spine, nodes = make_nodes(progress)
    progress(0.75, "writing the images")
    for node, name in zip(nodes.values(), FILES):
        write_node(node, folder / name)
        node.GetScene().RemoveNode(node)
    return spine


def run(folder: Path, overwrite: bool, progress) -> str:
    """Make, measure and draw the demo case; returns the values beside the truth, as text. All of its files are written or none."""
    images, tables = [folder / name for name in FILES], output_paths(folder, CASE_ID, muscles=True, report=True)
    check_free(images + tables, overwrite)
    _make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".demo.", dir=folder) as made:
        spine, result = _make_and_measure(Path(made), progress)
        tables[-1].unlink(missing_ok=True)
        for path in images + tables:
            os.replace(Path(made) / path.name, path)
    progress(1.0, "")
    lines = ["Demo case: measured values beside the truth", "", *beside_truth(result, spine), "", *indicators(result, spine), ""]
    lines += flag_sentences(result.document())
    lines += ["", f"Report, to open in a browser: {tables[-2]}", f"Picture of every ROI: {images[-1]}"]
    lines += [f"Tables and ROIs: {', '.join(path.name for path in (*tables[:-2], tables[-1]))}"]
    return "\n".join(
        [*lines, f"Images and masks for 3D Slicer: {', '.join(FILES[:-1])}", "", "Research use; not a medical device."]
    )


def _make_and_measure(folder: Path, progress):
    from ..outputs.pictures import contact_sheet

    spine = make_files(folder, progress)
    *files, picture = (str(folder / name) for name in FILES)
    nodes = {}
    for role, volume, masks in zip(("ct", "t1", "axial_mr"), files[::2], files[1::2]):
        nodes.update({role: read_volume(volume), f"{role}_segmentation": read_segmentation(masks)})
    progress(0.8, "measuring")
    result = measure_case(CaseFacts(CASE_ID, t_score=T_SCORE), **nodes)
    progress(0.9, "drawing")
    result.write_files(folder)
    Path(picture).write_bytes(contact_sheet(result.document(), result.pictures))
    return spine, result


def beside_truth(result, spine: phantom_spine.PhantomSpine) -> list[str]:
    """Rows of level, measured and true 3D-HU, multi-slice HU and VBQ."""
    lines = [f"{'level':7}{'3D-HU':>9}{'truth':>8}{'multi-slice':>13}{'truth':>8}{'VBQ':>8}{'truth':>8}"]
    ratios = spine.vbq_truth()
    margin = result.values["effective_margin_mm"]
    for level in result.levels:
        vertebra, values = spine.vertebra(level.name), level.values
        truth = (vertebra.cancellous_truth(margin).mean_hu, vertebra.cancellous_hu, ratios[level.name])
        cells = [_cell(values.get(name), digits) for name, digits in (("hu_3d", 1), ("hu_multislice", 1), ("vbq_single_level", 2))]
        lines.append(f"{level.name:7}{cells[0]:>9}{truth[0]:>8.1f}{cells[1]:>13}{truth[1]:>8.1f}{cells[2]:>8}{truth[2]:>8.2f}")
    used = [spine.vertebra(name) for name in result.values["ct_levels"]]
    true_hu = np.mean([vertebra.cancellous_truth(margin).mean_hu for vertebra in used])
    true_vbq = np.median([ratios[name] for name in result.values["t1_levels"]])
    case = [_cell(result.values.get(name), digits) for name, digits in (("hu_3d", 1), ("hu_multislice", 1), ("vbq", 2))]
    slices = np.mean([vertebra.cancellous_hu for vertebra in used])
    lines.append(f"{'L1-L4':7}{case[0]:>9}{true_hu:>8.1f}{case[1]:>13}{slices:>8.1f}{case[2]:>8}{true_vbq:>8.2f}")
    return lines


def indicators(result, spine: phantom_spine.PhantomSpine) -> list[str]:
    """Rows of the five indicators that Zhan 2024 compares, measured and true."""
    muscles, values = demo_muscles(spine), result.values
    hu = np.mean([spine.vertebra(name).cancellous_hu for name in values["ct_levels"]])
    vbq = np.median([spine.vbq_truth()[name] for name in values["t1_levels"]])
    rows = (
        ("T-score, as given", values["t_score"], T_SCORE, 1),
        ("HU, middle slices of L1-L4", values.get("hu_middle"), hu, 1),
        ("VBQ", values.get("vbq"), vbq, 2),
        ("rCSA of the muscles", values.get("rcsa"), np.mean([muscles.rcsa(name) for name in values["rcsa_discs"]]), 2),
        ("fat infiltration, %", values.get("fat_infiltration_percent"), muscles.fat_infiltration(), 1),
    )
    lines = [f"{'the five of Zhan 2024':30}{'measured':>9}{'truth':>8}"]
    return lines + [f"{name:30}{_cell(value, digits):>9}{truth:>8.{digits}f}" for name, value, truth, digits in rows]


def _muscles(muscles: phantom_muscles.MusclePhantom, grid: Grid) -> list[Mask]:
    names = [*(c.name for c in muscles.compartments), *(d.name for d in muscles.discs)]
    return [Mask(name, phantom_muscles.mask_of(muscles, name, grid), grid).cropped() for name in names]


def _bodies(spine: phantom_spine.PhantomSpine, grid: Grid) -> list[Mask]:
    return [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]


def _cell(value, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _make_folder(folder: Path) -> None:
    from ..errors import BoneQualityError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = "The folder {folder} cannot be made ({reason}); choose another one."
        raise BoneQualityError(sentence, folder=folder, reason=error.strerror) from None
