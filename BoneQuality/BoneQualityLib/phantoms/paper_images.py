"""The papers' patients as images: small phantoms whose bone and muscles have the drawn values, measured as any cohort is.

A drawn patient is a row of `papers.patients`. All patients have one spine's shape, so that the masks of its bodies are written once;
what a region or ellipse reads of a known body is worked out from where it lies, before any image is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..batch.run import run_batch
from ..batch.workers import WorkerDied, cores, in_processes, in_turn
from ..columns import CASE_COLUMNS, Column
from ..errors import BoneQualityError
from ..files.csv_tables import csv_text
from ..files.writing import check_free, write_whole
from ..image.grid import Grid
from ..image.image import Image
from ..image.mask import Mask
from ..measures.endosteal import read_endosteum
from ..measures.region import place_cancellous
from ..measures.slices import place_slices
from ..parameters import LUMBAR_USED, Parameters
from ..scene.nodes import segmentation_node, volume_node
from ..scene.reading import remove_nodes, write_node
from ..vertebra.body import place_body
from . import phantom_muscles, phantom_spine

CT_SPACING_MM, T1_SPACING_MM, AXIAL_SPACING_MM = (1.0, 1.0, 1.0), (0.9, 0.9, 4.2), (0.8, 0.8, 4.0)
CT_NOISE_HU, T1_NOISE, AXIAL_NOISE, CSF_T1 = 5.0, 3.0, 7.0, 100.0
#: Room around the bodies, and half of the trunk's width and depth, of which the outer 10 mm are fat.
CROP_MM, TRUNK_MM = 4.0, (40.0, 34.0)
#: Front to back, downward, and across: the T1 MRI shows the canal too, and has a slice in the middle.
T1_SIZE_MM = (76.0, 150.0, 54.0)
#: What images show; the drawn values go on in columns of their own, as the measured ones take their names.
IMAGED = ("hu_3d", "hu_multislice", "hu_middle", "hu_middle_l1", "vbq", "rcsa", "fat_infiltration_percent")
DRAWN = "drawn_"
#: Measured -> drawn column that it is held against.
COMPARED = {name: name for name in IMAGED} | {"hu_3d_wide": "hu_3d"}
MANIFEST, IMAGES, CASES = "manifest.csv", "images", "cases"


@dataclass(frozen=True)
class ImagedPatient:
    """A drawn patient and the bone of its CT: HU midway from front to back, and their slope toward the back, HU a mm."""

    row: dict
    folder: Path
    seed: int
    hu: float = 0.0
    slope: float = 0.0

    @property
    def ct_levels(self) -> tuple[str, ...]:
        """The bodies that the CT shows: L1 alone where that is all that is read of it; none without a CT."""
        if "hu_middle_l1" in self.row:
            return ("L1",)
        return LUMBAR_USED if "hu_3d" in self.row or "hu_middle" in self.row else ()

    @property
    def files(self) -> dict[str, str]:
        """Cells of the manifest: the images that this patient has, and their masks."""
        case_id, cells = self.row["case_id"], {}
        if self.ct_levels:
            cells.update(ct=f"{case_id}_ct.nrrd", ct_segmentation="bodies_ct.seg.nrrd")
        if "vbq" in self.row:
            cells.update(t1=f"{case_id}_t1.nrrd", t1_segmentation="bodies_t1.seg.nrrd")
        if "rcsa" in self.row:
            cells.update(axial_mr=f"{case_id}_axial.nrrd", axial_mr_segmentation=f"{case_id}_muscles.seg.nrrd")
        return cells


def measured(rows: list[dict], folder: Path, overwrite: bool, workers: int | None, progress) -> tuple:
    """Image the drawn patients, measure them, and return the cohort as a DataFrame with lines on how this was done.

    workers: as of `run_batch`. Images, their manifest and the results of all cases are kept in ``folder``. Raises BoneQualityError
    where files are there that may not be replaced, or a patient could not be imaged or measured.
    """
    import pandas

    check_free([folder / IMAGES, folder / MANIFEST], overwrite)
    centers = centers_behind() if "hu_3d" in rows[0] else None
    people = [ImagedPatient(row, folder / IMAGES, n, *bone_of(row, centers)) for n, row in enumerate(rows)]
    _make_images(people, workers, lambda share, text: progress(0.4 * share, text))
    listed = [_manifest_row(person) for person in people]
    columns = tuple(Column(name, name, "", 6 if isinstance(value, float) else None) for name, value in listed[0].items())
    write_whole({folder / MANIFEST: csv_text(columns, listed)}, overwrite)
    batch = run_batch(
        folder / MANIFEST, folder / CASES, workers, overwrite=overwrite, progress=lambda share, text: progress(0.4 + 0.5 * share, text)
    )  # fmt: skip
    for case_id, failure in batch.failures.items():
        sentence = "{case_id} was imaged but not measured ({stage}): {fault}"
        raise BoneQualityError(sentence, case_id=case_id, stage=failure.stage, fault=failure.sentence)
    frame = pandas.read_csv(folder / CASES / "cohort.csv").dropna(axis="columns", how="all")  # facts that a paper does not have
    return frame, [*_assumptions(people), *_differences(frame)]


def bone_of(row: dict, centers: tuple[float, float] | None) -> tuple[float, float]:
    """HU midway from front to back, and their slope (HU a mm toward the back), with which the drawn values of a patient arise.

    centers: of `centers_behind`. On a linear slope the mean over a region is the value at its center.
    """
    if centers is None:
        return row.get("hu_middle", row.get("hu_middle_l1", 0.0)), 0.0
    slope = (row["hu_3d"] - row["hu_multislice"]) / (centers[0] - centers[1])
    return row["hu_3d"] - slope * centers[0], slope


def centers_behind() -> tuple[float, float]:
    """How far (mm) behind the bodies' middles the region of 3D-HU and the three ellipses are centered, in the mean over the levels."""
    spine, grid = _ct_view(LUMBAR_USED)
    image, parameters = Image("CT", np.zeros(grid.shape, np.int16), grid), Parameters()
    found = []
    for vertebra, mask in zip(spine.vertebrae, _bodies(spine, grid)):
        body = place_body(vertebra.level, mask, [], "body")
        endosteum = read_endosteum(body, image, parameters.cancellous_margin_mm)
        region = place_cancellous(body, image, parameters.cancellous_margin_mm, endosteum)
        center = np.average(region.grid.centers().reshape(-1, 3), axis=0, weights=region.weights.ravel())
        ellipses = np.mean([roi.center for roi in place_slices(body, image, parameters, endosteum).rois.values()], axis=0)
        found.append(-(np.stack([center, ellipses]) - vertebra.center) @ vertebra.rotation[:, 1])
    return tuple(np.mean(found, axis=0).tolist())


def muscles_of(rcsa: float, fat_percent: float) -> phantom_muscles.MusclePhantom:
    """Muscles with this rCSA and fat infiltration: larger muscles and smaller discs by the same factor, so that they keep apart."""
    share = fat_percent / 100
    scale = (rcsa / phantom_muscles.paraspinal_muscles(share).rcsa("L1-L2")) ** 0.25
    scaled = phantom_muscles.paraspinal_muscles(share, scale=scale)
    discs = tuple(replace(disc, semi_axes=tuple(half / scale for half in disc.semi_axes)) for disc in scaled.discs)
    return replace(scaled, discs=discs)


def make_images(person: ImagedPatient) -> None:
    """Write the images of one patient, and the masks of its muscles: what every worker does."""
    row, files = person.row, person.files
    if "ct" in files:
        spine, grid = _ct_view(person.ct_levels, person)
        _write(volume_node("CT", phantom_spine.render_ct(spine, grid, CT_NOISE_HU, person.seed), grid), person.folder / files["ct"])
    if "t1" in files:
        spine, grid = _t1_view(person)
        _write(volume_node("T1", phantom_spine.render_t1(spine, grid, T1_NOISE, person.seed), grid), person.folder / files["t1"])
    if "axial_mr" in files:
        muscles = muscles_of(row["rcsa"], row["fat_infiltration_percent"])
        grid = phantom_muscles.axial_grid(muscles, AXIAL_SPACING_MM)
        image = np.rint(phantom_muscles.render(muscles, grid, "t2", AXIAL_NOISE, person.seed)).astype(np.int16)
        _write(volume_node("T2", image, grid), person.folder / files["axial_mr"])
        names = [part.name for part in (*muscles.compartments, *muscles.discs)]
        masks = [Mask(name, phantom_muscles.mask_of(muscles, name, grid), grid).cropped() for name in names]
        _write(segmentation_node("muscles", masks), person.folder / files["axial_mr_segmentation"])


def _make_images(people: list[ImagedPatient], workers: int | None, progress: Callable) -> None:
    """The masks that all patients have, then each patient's own images."""
    folder, first = people[0].folder, people[0]
    folder.mkdir(parents=True, exist_ok=True)
    if first.ct_levels:
        spine, grid = _ct_view(first.ct_levels)
        _write(segmentation_node("bodies", _bodies(spine, grid)), folder / first.files["ct_segmentation"])
    if "t1" in first.files:
        spine, grid = _t1_view()
        sac = Mask("thecal sac", phantom_spine.sac_mask(spine, grid), grid).cropped()
        _write(segmentation_node("bodies", [*_bodies(spine, grid), sac]), folder / first.files["t1_segmentation"])
    ways = in_turn(make_images, people) if workers == 0 else in_processes(make_images, people, min(workers or cores(), len(people)))
    with contextlib.closing(ways):
        for number, (person, result) in enumerate(ways, 1):
            if isinstance(result, WorkerDied):
                raise BoneQualityError(
                    "The process that imaged {case} ended: a kill, or no memory left; take fewer workers.", case=person.row["case_id"]
                )
            progress(number / len(people), f"{number} of {len(people)} patients imaged")


def _ct_view(levels: tuple[str, ...], person: ImagedPatient | None = None) -> tuple[phantom_spine.PhantomSpine, Grid]:
    spine = _spine(levels, person)
    return spine, phantom_spine.grid_for(spine, CT_SPACING_MM, margin_mm=CROP_MM)


def _t1_view(person: ImagedPatient | None = None) -> tuple[phantom_spine.PhantomSpine, Grid]:
    spine = _spine(LUMBAR_USED, person)
    return spine, phantom_spine.grid_for(spine, T1_SPACING_MM, orientation="sagittal", size_mm=T1_SIZE_MM)


def _spine(levels: tuple[str, ...], person: ImagedPatient | None = None) -> phantom_spine.PhantomSpine:
    """Upright bodies with nothing behind them but the canal, in a thin trunk, so that a narrow CT has fat in view and is known to be in HU.

    Without a patient, their shape alone matters.
    """
    hu, slope, vbq = (person.hu, person.slope, person.row.get("vbq", 0.0)) if person else (0.0, 0.0, 0.0)
    spine = phantom_spine.lumbar_spine(
        levels, lordosis_deg=0.0, cancellous_hu=hu, marrow_t1=vbq * CSF_T1, csf_t1=CSF_T1, posterior_elements=False,
        changes={level: dict(posterior_hu_per_mm=slope) for level in levels},
    )  # fmt: skip
    return replace(spine, trunk_center=(0.0, 0.0), trunk_semi_axes=TRUNK_MM)


def _bodies(spine: phantom_spine.PhantomSpine, grid: Grid) -> list[Mask]:
    return [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]


def _write(node, path: Path) -> None:
    try:
        write_node(node, path)
    finally:
        remove_nodes([node])


def _manifest_row(person: ImagedPatient) -> dict:
    facts = {f"{DRAWN}{name}" if name in IMAGED else name: value for name, value in person.row.items()}
    return facts | {name: f"{IMAGES}/{file}" for name, file in person.files.items()}


def _assumptions(people: list[ImagedPatient]) -> list[str]:
    """How the images of this paper's patients are made."""
    files, lines = people[0].files, ["All patients have the body shapes of one upright phantom without posterior elements."]
    if "ct" in files:
        bodies = "L1 alone" if people[0].ct_levels == ("L1",) else "L1 to L4, all of them with the patient's HU"
        lines.append(f"CT: {bodies}; voxels of {CT_SPACING_MM[2]:g} mm, noise of {CT_NOISE_HU:g} HU.")
    if "hu_3d" in people[0].row:
        slopes = [person.slope for person in people]
        lines.append(
            "Cancellous bone is denser or less dense toward the back, in a straight line: the ellipses lie farther to the front than the "
            f"whole body does, so that one slope a patient ({min(slopes):.1f} to {max(slopes):.1f} HU a mm, mean {np.mean(slopes):.1f}) gives "
            "both drawn values. It follows from where the regions of the phantom lie, not from measured values."
        )
        lines.append(
            "The paper's 3D-HU is set beside hu_3d: its margin of 3 mm keeps the cortex's partial volume out of voxels of 1 mm, and the "
            "phantom's bone goes on unchanged up to the cortex. hu_3d_wide (2 mm), which the published cut-off stands beside in a case, "
            "reads the same bone with a little cortex in it; the difference is below."
        )
    if "t1" in files:
        lines.append(
            f"T1 MRI: slices of {T1_SPACING_MM[2]:g} mm; marrow of L1 to L4 is VBQ times the CSF's signal of {CSF_T1:g}, noise of {T1_NOISE:g}."
        )
    if "axial_mr" in files:
        lines.append(
            "Axial T2 MRI: the same fat in all muscles, in bands; rCSA by larger muscles and smaller discs. What is exchanged is carried "
            "on as drawn, since images show one fat infiltration only."
        )
    return lines


def _differences(frame) -> list[str]:
    """A line for every measure that images show: measured less drawn."""
    known, lines = {column.name: column for column in CASE_COLUMNS}, []
    for name, drawn in COMPARED.items():
        if f"{DRAWN}{drawn}" in frame:
            difference, column = frame[name] - frame[f"{DRAWN}{drawn}"], known[name]
            worst = difference.abs().idxmax()
            lines.append(
                f"{column.title}, measured less drawn{'' if drawn == name else ' ' + known[drawn].title}: mean {difference.mean():+.3f}, "
                f"worst {difference[worst]:+.3f} {column.unit}".rstrip()
                + f" ({frame['case_id'][worst]})."
            )
    return lines
