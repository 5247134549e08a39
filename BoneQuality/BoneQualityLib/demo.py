"""The demo case: a synthetic lumbar spine with known answers, measured from its files like any other case."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from . import phantom
from .case import measure_case
from .document import flag_sentences, output_paths
from .geometry import Grid, Mask
from .parameters import CaseFacts
from .scene import image_of, read_segmentation, read_volume, segmentation_node, volume_node, write_node
from .tables import check_free

CASE_ID = "demo"
CT_SPACING_MM, T1_SPACING_MM = (0.8, 0.8, 1.25), (0.7, 0.7, 4.4)
CT_NOISE_HU, T1_NOISE = 20.0, 6.0
FILES = ("demo_ct.nrrd", "demo_ct_bodies.seg.nrrd", "demo_t1.nrrd", "demo_t1_bodies.seg.nrrd", "demo.png")


def demo_spine() -> phantom.PhantomSpine:
    """L1-L5 with low bone density, and marrow and CSF signals that make VBQ 3.2."""
    return phantom.lumbar_spine(
        cancellous_hu={"L1": 88, "L2": 82, "L3": 76, "L4": 80, "L5": 92},
        marrow_t1={"L1": 310, "L2": 316, "L3": 324, "L4": 334, "L5": 345},
        csf_t1=100.0,
    )


def make_nodes(progress=lambda share, text: None) -> tuple[phantom.PhantomSpine, dict]:
    """The demo's images and segmentations as nodes, named as measure_case takes them; and the spine they show."""
    spine = demo_spine()
    grid = phantom.grid_for(spine, CT_SPACING_MM)
    ct = phantom.render_ct(spine, grid, CT_NOISE_HU, seed=1, progress=lambda share: progress(0.5 * share, "rendering the CT"))
    sagittal = phantom.grid_for(spine, T1_SPACING_MM, orientation="sagittal")
    t1 = phantom.render_t1(spine, sagittal, T1_NOISE, seed=2, progress=lambda share: progress(0.5 + 0.2 * share, "rendering the T1 MRI"))
    sac = Mask("thecal sac", phantom.sac_mask(spine, sagittal), sagittal).cropped()
    return spine, dict(
        ct=volume_node("demo CT", ct, grid),
        ct_segmentation=segmentation_node("demo CT bodies", _bodies(spine, grid)),
        t1=volume_node("demo T1", t1, sagittal),
        t1_segmentation=segmentation_node("demo T1 bodies", [*_bodies(spine, sagittal), sac]),
    )


def make_files(folder: Path, progress=lambda share, text: None) -> phantom.PhantomSpine:
    """Write the demo's CT, T1 MRI and their segmentations to ``folder``; returns the spine they show."""
    spine, nodes = make_nodes(progress)
    progress(0.7, "writing the images")
    for node, name in zip(nodes.values(), FILES):
        write_node(node, folder / name)
        node.GetScene().RemoveNode(node)
    return spine


def run(folder: Path, overwrite: bool, progress) -> str:
    """Make, measure and draw the demo case; returns the values beside the truth, as text. All of its files are written or none."""
    images, tables = [folder / name for name in FILES], output_paths(folder, CASE_ID)
    check_free(images + tables, overwrite)
    _make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".demo.", dir=folder) as made:
        spine, result = _make_and_measure(Path(made), progress)
        tables[-1].unlink(missing_ok=True)
        for path in images + tables:
            os.replace(Path(made) / path.name, path)
    progress(1.0, "")
    lines = ["Demo case: measured values beside the truth", "", *beside_truth(result, spine), ""]
    lines += flag_sentences(result.document())
    lines += ["", f"Picture of every ROI: {images[-1]}", f"Tables and ROIs: {', '.join(path.name for path in tables)}"]
    return "\n".join([*lines, f"Images and masks for 3D Slicer: {', '.join(FILES[:4])}", "", "Research use; not a medical device."])


def _make_and_measure(folder: Path, progress):
    from .figure import draw_case

    spine = make_files(folder, progress)
    ct, ct_bodies, t1, t1_bodies, picture = (str(folder / name) for name in FILES)
    nodes = dict(ct=read_volume(ct), ct_segmentation=read_segmentation(ct_bodies))
    nodes.update(t1=read_volume(t1), t1_segmentation=read_segmentation(t1_bodies))
    progress(0.8, "measuring")
    result = measure_case(CaseFacts(CASE_ID), **nodes)
    result.write_files(folder)
    progress(0.9, "drawing")
    draw_case(result, dict(ct=image_of(nodes["ct"]), t1=image_of(nodes["t1"])), picture)
    return spine, result


def beside_truth(result, spine: phantom.PhantomSpine) -> list[str]:
    """Rows of level, measured and true 3D-HU, multi-slice HU and VBQ."""
    lines = [f"{'level':7}{'3D-HU':>9}{'truth':>8}{'multi-slice':>13}{'truth':>8}{'VBQ':>8}{'truth':>8}"]
    ratios = spine.vbq_truth()
    margin = result.values["effective_margin_mm"]
    for level in result.levels:
        vertebra, values = spine.vertebra(level.name), level.values
        truth = (vertebra.cancellous_truth(margin).mean_hu, vertebra.cancellous_hu, ratios[level.name])
        cells = [_cell(values.get(name), digits) for name, digits in (("hu_3d", 1), ("hu_multislice", 1), ("vbq_single_level", 2))]
        lines.append(
            f"{level.name:7}{cells[0]:>9}{truth[0]:>8.1f}{cells[1]:>13}{truth[1]:>8.1f}{cells[2]:>8}{truth[2]:>8.2f}"
        )
    used = [spine.vertebra(name) for name in result.values["ct_levels"]]
    true_hu = np.mean([vertebra.cancellous_truth(margin).mean_hu for vertebra in used])
    true_vbq = np.median([ratios[name] for name in result.values["t1_levels"]])
    case = [_cell(result.values.get(name), digits) for name, digits in (("hu_3d", 1), ("hu_multislice", 1), ("vbq", 2))]
    slices = np.mean([vertebra.cancellous_hu for vertebra in used])
    lines.append(f"{'L1-L4':7}{case[0]:>9}{true_hu:>8.1f}{case[1]:>13}{slices:>8.1f}{case[2]:>8}{true_vbq:>8.2f}")
    return lines


def _bodies(spine: phantom.PhantomSpine, grid: Grid) -> list[Mask]:
    return [Mask(f"{v.level} body", phantom.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]


def _cell(value, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _make_folder(folder: Path) -> None:
    from .errors import BoneQualityError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BoneQualityError(f"The folder {folder} cannot be made ({error.strerror}); choose another one.") from None
