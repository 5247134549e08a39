"""Pictures of a measured case: every ROI over the image it was read from, radiological, the same for export, report, batch and demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..image.grid import ANTERIOR, SUPERIOR
from ..image.image import Image
from ..image.mask import Mask
from ..measures.roi import COLORS, RegionRoi
from .document import RESEARCH
from .drawing import EDITED, WHITE, Canvas, Picture, sheet
from .picture_planes import PicturePlane, facing, sagittal
from .summary import shown

#: A slice of a vertebra: 110 mm in 400 pixels. Sagittal pictures: this wide, and this much beyond the outermost centers, at 0.4 mm.
FIELD_MM, FIELD_PIXELS = 110.0, 400
OVERVIEW_WIDTH_MM, OVERVIEW_RIM_MM, OVERVIEW_STEP_MM = 130.0, 34.0, 0.4
#: Muscles fill their picture up to this rim.
MUSCLE_RIM_MM = 12.0
#: A bone window, HU. MR is shown from 0 to this percentile of the picture.
CT_WINDOW, MR_PERCENTILE = (-250.0, 750.0), 99.0
#: CT values lie below this in air, MR signals never do.
CT_ONLY_HU = -200
#: Distance of a level's name from its ROI, mm.
LABEL_MM = 4.0
#: Where muscles lie on more slices, as without discs, this many evenly spaced ones are shown.
MOST_SLICES = 24
#: Of more levels, as on a CT of the whole spine, slices are shown of the lumbar and the edited ones alone: a report is to be mailed.
MOST_LEVELS = 8
SLICES = ("upper", "middle", "lower")
FRACTURED, HEIGHT_COLOR = "#ff8a8a", "#f72585"
#: ROIs on planes closer than this are one picture, mm.
SAME_PLANE_MM = 0.1
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Seen:
    """What pictures are drawn from beside the document.

    images: by role, "ct" and "t1". stacks: of the muscles, each one's first image. regions: all solid ones. fat: pixels that are fat.
    """

    images: Mapping[str, Image] = field(default_factory=dict)
    stacks: tuple[Image, ...] = ()
    regions: tuple[RegionRoi, ...] = ()
    fat: tuple[Mask, ...] = ()


def solid(rois) -> tuple[RegionRoi, ...]:
    """Those of the ROIs that are solid regions."""
    return tuple(roi for roi in rois if isinstance(roi, RegionRoi))


def draw(document: dict, seen: Seen) -> list[Picture]:
    """Every picture of a case: CT overview, three slices per level, planes of the VBQ, slices of the muscles.

    document: as CASE.json holds it. An image that is absent leaves out its pictures.

    Example::

        for picture in draw(document, Seen({"ct": image})):
            Path(f"{picture.name}.png").write_bytes(picture.png)
    """
    found = []
    if "ct" in seen.images:
        found += _ct_pictures(document, seen)
    if "t1" in seen.images:
        found += _t1_pictures(document, seen)
    return found + _muscle_pictures(document, seen)


def contact_sheet(document: dict, pictures: list[Picture]) -> bytes:
    """The pictures of a case on one PNG."""
    return Picture("sheet", "", sheet(pictures, COLUMNS, f"BoneQuality {document['software_version']}. {RESEARCH}")).png


def _ct_pictures(document: dict, seen: Seen) -> list[Picture]:
    levels = [level for level in document["levels"] if _planar(level, SLICES) or _regions(seen, level, "cancellous")]
    if not levels:
        return []
    sliced = (
        levels if len(levels) <= MOST_LEVELS else [level for level in levels if level["level"].startswith("L") or _is_edited(level)]
    )
    return [_ct_overview(document, levels, seen)] + [
        _ct_slice(document, level, roi, seen) for level in sliced for roi in _planar(level, SLICES)
    ]


def _is_edited(level: dict) -> bool:
    return any(roi["edited"] for roi in _planar(level, SLICES))


def _ct_overview(document: dict, levels: list[dict], seen: Seen) -> Picture:
    """The mid-sagittal plane with regions, heights, and where the slices cross it."""
    plane = _sagittal_plane([_middle(level) for level in levels], _anterior(levels))
    canvas = _canvas(plane, seen.images["ct"], is_ct=True)
    for level in levels:
        for region in _regions(seen, level, "cancellous"):
            _draw_region(canvas, region)
        for roi in _planar(level, SLICES):
            ends = _across(roi, plane)
            canvas.curve(ends, COLORS[roi["kind"]], closed=False)
        for line in (level.get("height_lines") or {}).values():
            canvas.curve(line, HEIGHT_COLOR, closed=False)
        grade = level.get("genant_grade")
        about = f" grade {grade:.0f}?" if grade else ""
        behind = _middle(level) + 30 * plane.right
        canvas.label(behind, f"{level['level']}{about}", FRACTURED if grade else WHITE, "lm")
    edited = any(_is_edited(level) for level in levels)
    pixels = canvas.finished("CT, mid-sagittal", document["case_id"], edited)
    caption = "CT, mid-sagittal plane: cancellous regions, the three slices of every level, and the heights."
    return Picture("ct_overview", caption, pixels, kind="overview")


def _ct_slice(document: dict, level: dict, roi: dict, seen: Seen) -> Picture:
    plane = facing(roi["center"], roi["normal"], (FIELD_PIXELS, FIELD_PIXELS), FIELD_MM / FIELD_PIXELS)
    canvas = _canvas(plane, seen.images["ct"], is_ct=True)
    for region in _regions(seen, level, "cancellous"):
        _draw_region(canvas, region)
    _draw_roi(canvas, roi)
    said = shown(level.get(f"hu_{roi['kind']}"), 0)
    pixels = canvas.finished(f"{level['level']} {roi['kind']}: {said} HU", document["case_id"], roi["edited"])
    return Picture(
        f"ct_{level['level']}_{roi['kind']}", f"{level['level']}, {roi['kind']} slice", pixels, level["level"], roi["kind"]
    )


def _t1_pictures(document: dict, seen: Seen) -> list[Picture]:
    """One picture for every plane that marrow or CSF was read on; marrow read in the volume is shown mid-sagittal."""
    rois = [roi for level in document["levels"] for roi in _planar(level, ("marrow",))]
    rois += [csf["roi"] for csf in document["csf"].values() if csf["roi"] and csf["roi"]["shape"] != "region"]
    found = []
    regions = [region for region in seen.regions if region.kind == "marrow"]
    if regions:
        levels = [level for level in document["levels"] if _regions(seen, level, "marrow")]
        plane = _sagittal_plane([_center_of(region) for region in regions], _anterior(levels))
        canvas = _canvas(plane, seen.images["t1"])
        for region in regions:
            _draw_region(canvas, region)
        found.append(
            Picture("t1_marrow", "T1 MRI: marrow", canvas.finished(_vbq(document), document["case_id"], False), kind="vbq")
        )
    for number, there in enumerate(_by_plane(rois), 1):
        points = np.concatenate([curve for roi in there for curve in curves(roi)])
        plane = _around(points, there[0]["normal"])
        canvas = _canvas(plane, seen.images["t1"])
        for roi in there:
            _draw_roi(canvas, roi)
            canvas.label(*_beside(roi, plane))
        marrow = any(roi["kind"] == "marrow" for roi in there)
        kinds = dict.fromkeys("marrow" if roi["kind"] == "marrow" else f"CSF {roi['level']}" for roi in there)
        pixels = canvas.finished(_vbq(document) if marrow else "T1", document["case_id"], any(roi["edited"] for roi in there))
        found.append(Picture(f"t1_{number}", f"T1 MRI: {', '.join(kinds)}", pixels, kind="vbq"))
    return found


def _beside(roi: dict, plane: PicturePlane) -> tuple[np.ndarray, str, str, str]:
    """Where a level's name stands: in front of its marrow, behind its CSF, so that it hides neither."""
    points = np.concatenate(curves(roi))
    side = 1 if roi["kind"] == "csf" else -1
    reach = (side * (points - roi["center"]) @ plane.right).max() + LABEL_MM
    return np.asarray(roi["center"], float) + side * reach * plane.right, roi["level"], WHITE, "lm" if side > 0 else "rm"


def _vbq(document: dict) -> str:
    value = document["case"].get("vbq")
    return "T1, no VBQ" if value is None else f"T1, VBQ {value:.2f}"


def _muscle_pictures(document: dict, seen: Seen) -> list[Picture]:
    found, slices = [], list(enumerate(document["muscle_slices"] if seen.stacks else (), 1))
    if len(slices) > MOST_SLICES:
        slices = [slices[n] for n in np.linspace(0, len(slices) - 1, MOST_SLICES).round().astype(int)]
    for number, there in slices:
        rois = [roi for roi in there["rois"] if roi["shape"] != "region"]
        points = np.concatenate([curve for roi in rois for curve in curves(roi)] or [np.array([there["center"]])])
        normal, center = np.asarray(there["normal"], float), np.asarray(there["center"], float)
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        field = max(np.ptp(points, axis=0).max() + 2 * MUSCLE_RIM_MM, FIELD_MM)
        place = middle + ((center - middle) @ normal) * normal
        plane = facing(place, normal, (FIELD_PIXELS, FIELD_PIXELS), field / FIELD_PIXELS)
        image = seen.stacks[there["stack"]]
        canvas = _canvas(plane, image, image.tags.modality == "CT" or np.nanmin(image.thinned) < CT_ONLY_HU)
        for pixels in seen.fat:
            if _lies_on(pixels, center, normal):
                canvas.area(plane.covered(pixels), COLORS["fat"])
        for roi in rois:
            _draw_roi(canvas, roi)
        title = there["name"] + _muscle_values(document, there)
        edited = any(roi["edited"] for roi in rois)
        picture = canvas.finished(title, document["case_id"], edited)
        found.append(Picture(f"muscles_{number}", f"Muscles, {there['name']}", picture, kind="muscles"))
    return found


def _muscle_values(document: dict, there: dict) -> str:
    position = there["center"][2]
    of_all = [
        row
        for row in document["muscles"]
        if row["muscle"] == "all" and abs((row.get("slice_s_mm") or 0) - position) < SAME_PLANE_MM
    ]
    ratio = of_all[0].get("rcsa") if of_all else None
    return "" if ratio is None else f", rCSA {ratio:.2f}"


def _lies_on(pixels: Mask, center: np.ndarray, normal: np.ndarray) -> bool:
    along = pixels.grid.directions[:, 2]
    middle = pixels.grid.ras((np.array(pixels.grid.shape)[::-1] - 1) / 2)
    return abs(along @ normal) > 0.999 and abs((middle - center) @ normal) < SAME_PLANE_MM


def _canvas(plane: PicturePlane, image: Image, is_ct: bool = False) -> Canvas:
    values = plane.values(image)
    if is_ct:
        return Canvas(plane, values, CT_WINDOW)
    inside = values[np.isfinite(values)]
    brightest = float(np.percentile(inside, MR_PERCENTILE)) if len(inside) else 1.0
    return Canvas(plane, values, (0.0, brightest if brightest > 0 else 1.0))


def _draw_roi(canvas: Canvas, roi: dict) -> None:
    for curve in curves(roi):
        canvas.curve(curve, EDITED if roi["edited"] else COLORS.get(roi["kind"], WHITE))


def _draw_region(canvas: Canvas, region: RegionRoi) -> None:
    inside = canvas.plane.share(region.weights, region.grid) > 0.5
    if inside.any():
        canvas.outline(inside, COLORS.get(region.kind, WHITE))


def curves(roi: dict, points: int = 64) -> list[np.ndarray]:
    """The closed curves of a planar ROI as the document has it, RAS mm, each shape (n, 3)."""
    if roi["shape"] == "ellipse":
        angle = np.linspace(0, 2 * np.pi, points, endpoint=False)[:, None]
        u, v = (np.asarray(roi[name], float) * length for name, length in zip("uv", roi["semi_axes_mm"]))
        return [np.asarray(roi["center"], float) + np.cos(angle) * u + np.sin(angle) * v]
    return [np.asarray(curve, float) for curve in roi["outlines_ras"]]


def _across(roi: dict, plane: PicturePlane) -> np.ndarray:
    """The two ends of a planar ROI along the picture's horizontal, RAS mm."""
    points = np.concatenate(curves(roi))
    along = points @ plane.right
    return points[[along.argmin(), along.argmax()]]


def _planar(level: dict, kinds) -> list[dict]:
    return [roi for roi in level["rois"] if roi["kind"] in kinds and roi["shape"] != "region"]


def _regions(seen: Seen, level: dict, kind: str) -> list[RegionRoi]:
    return [region for region in seen.regions if (region.level, region.kind) == (level["level"], kind)]


def _center_of(region: RegionRoi) -> np.ndarray:
    return region.grid.points(region.weights > 0.5).mean(axis=0)


def _middle(level: dict) -> np.ndarray:
    frame = level.get("frame")
    return np.asarray(frame["center"] if frame else np.mean([roi["center"] for roi in level["rois"]], axis=0), float)


def _anterior(levels: list[dict]) -> np.ndarray:
    found = [level["frame"]["anterior"] for level in levels if level.get("frame")]
    return np.mean(found, axis=0) if found else ANTERIOR


def _sagittal_plane(centers: list[np.ndarray], anterior: np.ndarray) -> PicturePlane:
    """Through the middles of the levels, along the spine."""
    top, bottom = max(centers, key=lambda c: c[2]), min(centers, key=lambda c: c[2])
    up = top - bottom if np.linalg.norm(top - bottom) > 1 else SUPERIOR  # alone, or masks of one place under two names
    height = np.ptp(np.array(centers) @ (up / np.linalg.norm(up))) + 2 * OVERVIEW_RIM_MM
    size = (round(OVERVIEW_WIDTH_MM / OVERVIEW_STEP_MM), round(height / OVERVIEW_STEP_MM))
    return sagittal(np.mean(centers, axis=0), up, anterior, size, OVERVIEW_STEP_MM)


def _around(points: np.ndarray, normal) -> PicturePlane:
    """The plane of flat ROIs, as wide as an overview and as high as they need."""
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    normal = np.asarray(normal, float)
    middle = middle + ((points[0] - middle) @ normal) * normal
    plane = facing(middle, normal, (1, 1), OVERVIEW_STEP_MM)
    height = np.ptp(points @ plane.up) + OVERVIEW_RIM_MM
    width = max(OVERVIEW_WIDTH_MM, np.ptp(points @ plane.right) + OVERVIEW_RIM_MM)
    size = tuple(round(length / OVERVIEW_STEP_MM) for length in (width, height))
    return PicturePlane(plane.center, plane.right, plane.up, size, plane.step)


def _by_plane(rois: list[dict]) -> list[list[dict]]:
    """ROIs by the plane they lie on, that of the first one first; the normal's sign does not matter."""
    groups: list[list[dict]] = []
    for roi in rois:
        center, normal = np.asarray(roi["center"], float), np.asarray(roi["normal"], float)
        for group in groups:
            first = group[0]
            along = abs(normal @ np.asarray(first["normal"], float)) > 0.9999
            if along and abs((center - np.asarray(first["center"], float)) @ normal) < SAME_PLANE_MM:
                group.append(roi)
                break
        else:
            groups.append([roi])
    return groups
