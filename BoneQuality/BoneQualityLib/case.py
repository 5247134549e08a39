"""A case from nodes to one result: which mask is what, every level measured, case values, flags and cut-offs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from . import __version__, hounsfield, vbq
from .anatomy import Segment, check_unique
from .cutoffs import CUTOFFS_FILE, read_cutoffs
from .errors import BoneQualityError, NotMeasured
from .flags import OVERLAP_SHARE, Flag, codes, ct_flags, t1_flags, unknown_tags
from .geometry import Image, Mask, sample
from .parameters import LEVELS, LUMBAR_USED, CaseFacts, Parameters
from .roi import LevelNumbers
from .scene import Segmentation, image_of, segments_of, table_node
from .tables import CASE_COLUMNS, LEVEL_COLUMNS, csv_text, json_text, write_whole
from .vertebra import has_posterior_elements, place_body

CT_MEANS = ("hu_3d", "hu_3d_wide", "hu_multislice", "hu_middle")
CT_MEANS_INCLUDING_FRACTURED = ("hu_3d", "hu_multislice")
FEWEST_VBQ_LEVELS = 2
OUTSIDE_MEAN = "outside L1-L4"
WHOLE_VERTEBRA = "the mask includes posterior elements; give a mask of the vertebral body"
Progress = Callable[[float, str], None]


@dataclass(eq=False)
class Level:
    """One vertebra: what CT and T1 say of it, and why either is left out of the case values ("" where it is in)."""

    name: str
    ct: LevelNumbers = field(default_factory=LevelNumbers)
    t1: LevelNumbers = field(default_factory=LevelNumbers)
    ct_exclusion: str = "no mask"
    t1_exclusion: str = "no mask"

    @property
    def flags(self) -> list[Flag]:
        return [Flag(flag.code, self.name, flag.number) for flag in (*self.ct.flags, *self.t1.flags)]

    @property
    def values(self) -> dict:
        return {**self.ct.values, **self.t1.values}


@dataclass(eq=False)
class CaseResult:
    """A measured case.

    levels: every vertebra found, top to bottom. values: the case row by column name. flags: of the case; ``all_flags`` has those
    of the levels too. csf: CSF by level. cutoffs: published cut-offs beside the values. inputs: geometry and hashes.
    """

    facts: CaseFacts
    parameters: Parameters
    levels: list[Level] = field(default_factory=list)
    values: dict = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    csf: dict[str, vbq.Csf] = field(default_factory=dict)
    cutoffs: list[dict] = field(default_factory=list)
    inputs: dict = field(default_factory=dict)

    @property
    def all_flags(self) -> list[Flag]:
        return [*self.flags, *(flag for level in self.levels for flag in level.flags)]

    @property
    def level_rows(self) -> list[dict]:
        """The rows of CASE_levels.csv."""
        return [
            dict(
                case_id=self.facts.case_id, level=level.name, ct_exclusion=_said(level.ct_exclusion, level.ct),
                used="yes" if not (level.ct_exclusion and level.t1_exclusion) else "no",
                t1_exclusion=_said(level.t1_exclusion, level.t1), flags=codes(level.flags), **level.values,
            )
            for level in self.levels
        ]  # fmt: skip

    @property
    def case_row(self) -> dict:
        """The row of CASE_case.csv."""
        return dict(self.values, flags=codes(self.all_flags))

    def to_table_nodes(self):
        """The level table and the case table as MRML table nodes."""
        name = self.facts.case_id
        return (
            table_node(f"{name} levels", LEVEL_COLUMNS, self.level_rows),
            table_node(f"{name} case", CASE_COLUMNS, [self.case_row]),
        )

    def to_json(self) -> dict:
        """Everything: values, parameters, flags, inputs, and every ROI's place in RAS mm."""
        return dict(
            case_id=self.facts.case_id, software="BoneQuality", software_version=__version__,
            statement="Research use; not a medical device.",
            parameters=asdict(self.parameters), facts=asdict(self.facts), case=self.case_row,
            levels=[
                dict(row, reasons=dict(ct=level.ct.reasons, t1=level.t1.reasons),
                     rois=[roi.place() for roi in (*level.ct.rois, *level.t1.rois)])
                for row, level in zip(self.level_rows, self.levels)
            ],
            csf={
                name: dict(signal=csf.signal, area_mm2=csf.area, dropped_share=csf.dropped, blocked=csf.blocked,
                           roi=csf.roi.place() if csf.roi else None)
                for name, csf in self.csf.items()
            },
            flags=[dict(asdict(flag), severity=flag.severity, sentence=flag.sentence) for flag in self.all_flags],
            reasons=self.reasons, cutoffs=self.cutoffs, inputs=self.inputs,
        )  # fmt: skip

    def write_files(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write CASE_levels.csv, CASE_case.csv and CASE.json (last: it marks the case as done); returns their paths."""
        levels, case, everything = output_paths(folder, self.facts.case_id)
        write_whole(
            {
                levels: csv_text(LEVEL_COLUMNS, self.level_rows),
                case: csv_text(CASE_COLUMNS, [self.case_row]),
                everything: json_text(self.to_json()),
            },
            overwrite,
        )
        return [levels, case, everything]


def output_paths(folder: str | Path, case_id: str) -> list[Path]:
    """The files of a case; the JSON, last, marks it as done."""
    return [Path(folder) / f"{case_id}{ending}" for ending in ("_levels.csv", "_case.csv", ".json")]


def measure_case(
    facts: CaseFacts,
    ct=None,
    ct_segmentation=(),
    t1=None,
    t1_segmentation=(),
    parameters: Parameters = Parameters(),
    cutoffs: str | Path = CUTOFFS_FILE,
    progress: Progress = lambda share, text: None,
) -> CaseResult:
    """Measure one case from MRML nodes.

    facts: the case's id and what is known of it. ct, t1: scalar volume nodes, either may be absent. ct_segmentation,
    t1_segmentation: a segmentation or label map node, a ``Segmentation`` (node and labels), or several of these.
    progress: called with the share done and what comes next; an exception from it cancels.

    Returns a CaseResult; what could not be measured is absent with its reason. Raises BoneQualityError where an input is
    unreadable, ambiguous or contradictory, or nothing at all can be measured.

    Example, in Slicer's console::

        from BoneQualityLib import CaseFacts, measure_case
        result = measure_case(CaseFacts("case-7", fractured=("L2",)), ct=getNode("CT"), ct_segmentation=getNode("Spine"))
        result.write_files("/home/me/results")
    """
    if ct is None and t1 is None:
        raise BoneQualityError("Nothing to measure: give a CT or a T1 MRI.")
    for name, node, segmentation in (("CT", ct, ct_segmentation), ("T1 MRI", t1, t1_segmentation)):
        if (node is None) != (not _several(segmentation)):
            raise BoneQualityError(f"The {name} needs both a volume and a segmentation of it; give the other one too.")
    result, levels = CaseResult(facts, parameters), {}
    published = read_cutoffs(cutoffs)
    if ct is not None:
        _measure_ct(result, levels, image_of(ct), _structures(ct_segmentation), progress)
    if t1 is not None:
        _measure_t1(result, levels, image_of(t1), _structures(t1_segmentation), progress)
    result.levels = [levels[name] for name in LEVELS if name in levels]
    for level in result.levels:
        level.ct_exclusion = level.ct_exclusion if ct is not None else "no CT"
        level.t1_exclusion = level.t1_exclusion if t1 is not None else "no T1 MRI"
    if not any(level.values for level in result.levels):
        reasons = [f"{level.name}: {r}" for level in result.levels for r in dict.fromkeys((*level.ct.reasons, *level.t1.reasons))]
        raise BoneQualityError(f"Nothing can be measured. {'; '.join(reasons)}.")
    _case_values(result)
    _set_cutoffs(result, published)
    return result


def _several(segmentation) -> list[Segmentation]:
    if segmentation is None:
        return []
    several = list(segmentation) if isinstance(segmentation, (list, tuple)) else [segmentation]
    return [item if isinstance(item, Segmentation) else Segmentation(item) for item in several]


def _structures(segmentation) -> list[Segment]:
    found = [segment for item in _several(segmentation) for segment in segments_of(item)]
    check_unique(found)
    if not any(segment.structure.kind == "vertebra" for segment in found):
        names = ", ".join(item.node.GetName() for item in _several(segmentation))
        raise BoneQualityError(
            f"No segment of {names} is named like a vertebra; rename the segments (L1, L2, ...), or map them with a labels file."
        )
    return found


def _measure_ct(result: CaseResult, levels: dict, image: Image, segments: list[Segment], progress: Progress) -> None:
    parameters, facts = result.parameters, result.facts
    _check_modality(image, "CT")
    result.flags += ct_flags(image, facts.contrast)
    vertebrae, others = _load(segments)
    _describe(result, "ct", image, vertebrae)
    for n, (name, (segment, mask)) in enumerate(vertebrae.items()):
        progress(n / len(vertebrae), f"CT {name}")
        level = levels.setdefault(name, Level(name))
        level.ct_exclusion = facts.exclusion(name) or ("" if name in LUMBAR_USED else OUTSIDE_MEAN)
        try:
            covers = _covers(segment, mask, parameters.mask)
            _check_whole(mask, image)
            body = place_body(name, mask, _exclusions(others, name), covers)
            level.ct = hounsfield.measure_level(
                body, image, parameters.cancellous_margin_mm, parameters.avoid_basivertebral
            )
        except NotMeasured as reason:
            level.ct.gap(reason)
    _check_masks(result, {name: mask for name, (_, mask) in vertebrae.items()})
    tags = image.tags
    result.values.update(
        kvp=tags.kvp, slice_thickness_mm=image.slice_thickness, kernel=tags.kernel, contrast=facts.contrast or tags.contrast,
        effective_margin_mm=hounsfield.effective_margin(parameters.cancellous_margin_mm, image), slice_plane=parameters.slice_plane,
    )  # fmt: skip


def _measure_t1(result: CaseResult, levels: dict, image: Image, segments: list[Segment], progress: Progress) -> None:
    parameters, facts = result.parameters, result.facts
    _check_modality(image, "T1 MRI")
    result.flags += t1_flags(image)
    vertebrae, others = _load(segments)
    _describe(result, "t1", image, vertebrae)
    masks = {name: mask for name, (_, mask) in vertebrae.items() if mask.array.any()}
    plane = vbq.common_plane(image, masks) if masks and parameters.vbq_slice == "midsagittal" else None
    for n, (name, (segment, mask)) in enumerate(vertebrae.items()):
        progress(n / len(vertebrae), f"T1 {name}")
        level = levels.setdefault(name, Level(name))
        level.t1_exclusion = facts.exclusion(name) or ("" if name in LUMBAR_USED else OUTSIDE_MEAN)
        try:
            covers = _covers(segment, mask, parameters.mask)
            level.t1 = vbq.measure_level(
                name, mask, _exclusions(others, name), image, plane, parameters.vbq_margin_mm, covers
            )
        except NotMeasured as reason:
            level.t1.gap(reason)
    _check_masks(result, masks)
    progress(1.0, "CSF")
    result.csf = _csf(others, masks, image, facts.csf_blocked)
    tags = image.tags
    result.values.update(
        field_strength_t=tags.field_strength_t, tr_ms=tags.tr_ms, te_ms=tags.te_ms, ti_ms=tags.ti_ms,
        vbq_slice=parameters.vbq_slice, vbq_margin_mm=parameters.vbq_margin_mm,
    )  # fmt: skip


def _load(segments: list[Segment]) -> tuple[dict[str, tuple[Segment, Mask]], list[tuple[Segment, Mask]]]:
    """The vertebrae by level, top to bottom, and every other structure that a measure here needs."""
    vertebrae = {s.structure.level: (s, s.load()) for s in segments if s.structure.kind == "vertebra"}
    others = [(s, s.load()) for s in segments if s.structure.kind in ("csf", "sac", "cord", "exclude")]
    return {name: vertebrae[name] for name in LEVELS if name in vertebrae}, others


def _covers(segment: Segment, mask: Mask, asked: str) -> str:
    """What the mask covers: as asked, else as its name or terminology says, else by its shape."""
    if not mask.array.any():
        raise NotMeasured("the mask is empty")
    covers = asked if asked != "auto" else segment.structure.covers
    if covers == "vertebra" or (not covers and has_posterior_elements(mask)):
        raise NotMeasured(WHOLE_VERTEBRA)
    return covers or "body"


def _exclusions(others: list[tuple[Segment, Mask]], level: str) -> list[Mask]:
    return [m for s, m in others if s.structure.kind == "exclude" and s.structure.level in ("", level) and m.array.any()]


def _csf(others: list[tuple[Segment, Mask]], masks: dict[str, Mask], image: Image, blocked) -> dict[str, vbq.Csf]:
    kinds: dict[str, list[Mask]] = {"csf": [], "sac": [], "cord": []}
    drawn = {}
    extents = vbq.level_extents(masks)
    for segment, mask in others:
        if segment.structure.kind not in kinds or not mask.array.any():
            continue
        level = segment.structure.level
        if segment.structure.kind == "csf" and not level:
            level = vbq.level_of(mask, extents)
        if level and segment.structure.kind == "csf":
            drawn[level] = mask
        else:
            kinds[segment.structure.kind].append(mask)
    sacs = kinds["sac"] + kinds["csf"]
    if len(sacs) > 1:
        raise BoneQualityError(f"{sacs[0].name} and {sacs[1].name} both show the CSF of the whole sac; keep one of them.")
    return vbq.read_csf(drawn, sacs[0] if sacs else None, next(iter(kinds["cord"]), None), extents, image, blocked)


def _check_modality(image: Image, wanted: str) -> None:
    modality = {"CT": "CT", "MR": "T1 MRI"}.get(image.tags.modality or "", image.tags.modality)
    if modality and modality != wanted:
        raise BoneQualityError(f"{image.name} is {modality} by its DICOM tags, but was given as {wanted}; choose the other volume.")
    thinned = image.array[::3, ::3, ::3]
    lowest = float(np.nanmin(thinned)) if np.isfinite(thinned).any() else math.nan
    if math.isnan(lowest):
        raise BoneQualityError(f"{image.name} holds no numbers; export it again.")
    if wanted == "CT" and lowest >= 0 and not _noise_free(thinned):
        raise BoneQualityError(
            f"{image.name} has no value below 0, so it is not in HU: choose the CT, or import it again with its rescaling."
        )
    if wanted == "T1 MRI" and lowest < -200:
        raise BoneQualityError(f"{image.name} has values down to {lowest:.0f}, like a CT in HU; choose the T1 MRI.")


def _noise_free(array: np.ndarray) -> bool:
    """Whether ten values fill four fifths of a signed image: a synthetic CT without air or fat, and no MRI."""
    if array.dtype.kind == "u":
        return False
    _, counts = np.unique(array, return_counts=True)
    return float(np.sort(counts)[-10:].sum()) >= 0.8 * array.size


def _check_whole(mask: Mask, image: Image) -> None:
    """Raise NotMeasured where the mask reaches the image's outermost voxels."""
    ijk = image.grid.ijk(mask.points)
    last = np.array(image.grid.shape)[::-1] - 1
    inside = np.all((ijk > -0.5) & (ijk < last + 0.5), axis=1)
    if not inside.any():
        raise NotMeasured("the mask lies outside the image")
    outermost = ~np.all((ijk > 0.5) & (ijk < last - 0.5), axis=1)
    if outermost.any():
        raise NotMeasured("the mask reaches the edge of the image", "truncated")


def _check_masks(result: CaseResult, masks: dict[str, Mask]) -> None:
    """Flag levels out of order from top to bottom, and masks that overlap."""
    masks = {name: mask for name, mask in masks.items() if mask.array.any()}
    names = list(masks)
    for upper, lower in zip(names, names[1:]):
        if masks[upper].center[2] <= masks[lower].center[2]:
            result.flags.append(Flag("level-order", number=f"{lower} above {upper}"))
    for one, other in combinations(names, 2):
        share = _overlap(masks[one], masks[other])
        if share > OVERLAP_SHARE:
            result.flags.append(Flag("mask-overlap", number=f"{one} and {other}: {100 * share:.1f} %"))


def _overlap(one: Mask, other: Mask) -> float:
    smaller, larger = sorted((one, other), key=lambda mask: mask.volume)
    if larger.grid.slices_around(smaller.grid.corners()) is None:
        return 0.0
    return float((sample(larger.array.view(np.uint8), larger.grid, smaller.points, order=0, outside=0) > 0).mean())


def _describe(result: CaseResult, role: str, image: Image, vertebrae: dict[str, tuple[Segment, Mask]]) -> None:
    """Geometry and content hashes of an input; no names of files, nodes or series, which may hold a patient's."""
    result.inputs[role] = dict(
        shape_kji=image.grid.shape, ijk_to_ras=image.grid.ijk_to_ras, type=str(image.array.dtype),
        sha256=_sha256(image.array), tags=asdict(image.tags), unknown_tags=unknown_tags(image, role),
        masks={
            name: dict(sha256=_sha256(mask.array), shape_kji=mask.grid.shape, ijk_to_ras=mask.grid.ijk_to_ras, volume_mm3=mask.volume)
            for name, (_, mask) in vertebrae.items()
        },
    )  # fmt: skip
    for name, column in (("manufacturer", "manufacturer"), ("model", "model")):
        value = getattr(image.tags, name)
        before = result.values.get(column)
        if value and value != before:
            result.values[column] = f"{before}; {value}" if before else value


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def _said(exclusion: str, numbers: LevelNumbers) -> str:
    return "; ".join(dict.fromkeys(filter(None, (exclusion, *numbers.reasons))))


def _case_values(result: CaseResult) -> None:
    facts, values = result.facts, result.values
    lumbar = [level for level in result.levels if level.name in LUMBAR_USED]
    for level in lumbar:
        if not level.ct_exclusion and "hu_3d" not in level.ct.values:
            level.ct_exclusion = "not measured"
        if not level.t1_exclusion and "t1_signal" not in level.t1.values:
            level.t1_exclusion = "not measured"
    used = [level for level in lumbar if not level.ct_exclusion]
    with_fractured = [level for level in lumbar if level.ct_exclusion in ("", "fractured")]
    for name in CT_MEANS:
        values[name] = _mean(used, name)
    for name in CT_MEANS_INCLUDING_FRACTURED:
        values[f"{name}_including_fractured"] = _mean(with_fractured, name)
    values["hu_middle_l1"] = _mean([level for level in used if level.name == "L1"], "hu_middle")
    values["ct_levels"] = [level.name for level in used]
    if len(used) == 1:
        result.flags.append(Flag("few-levels", number="CT: 1"))
    if "t1" in result.inputs:
        _vbq_values(result, lumbar)
    values.update(case_id=facts.case_id, software_version=__version__)
    for name in ("t_score", "age", "sex", "bmi", "hyperlipidemia", "reader"):
        values[name] = getattr(facts, name)


def _mean(levels: list[Level], name: str) -> float | None:
    found = [level.ct.values[name] for level in levels if name in level.ct.values]
    return float(np.mean(found)) if found else None


def _vbq_values(result: CaseResult, lumbar: list[Level]) -> None:
    values, csf = result.values, vbq.used_csf(result.csf)
    used = [level for level in lumbar if not level.t1_exclusion]
    with_fractured = [level for level in lumbar if level.t1_exclusion in ("", "fractured") and "t1_signal" in level.t1.values]
    values["t1_levels"] = [level.name for level in used]
    if csf is None:
        result.reasons.append("no VBQ: " + "; ".join(f"CSF {name}: {c.blocked}" for name, c in result.csf.items()))
        return
    values.update(csf_signal=csf.signal, csf_level=csf.level)
    if csf.level != "L3":
        result.flags.append(Flag("csf-level", number=csf.level))
    for level in result.levels:
        if "t1_signal" in level.t1.values:
            level.t1.values["vbq_single_level"] = level.t1.values["t1_signal"] / csf.signal
    if len(used) < FEWEST_VBQ_LEVELS:
        result.reasons.append(f"no VBQ: {len(used)} used level of L1-L4; at least {FEWEST_VBQ_LEVELS} are needed")
        result.flags.append(Flag("few-levels", number=f"T1: {len(used)}"))
    for name, levels in (("vbq", used), ("vbq_including_fractured", with_fractured)):
        if len(levels) >= FEWEST_VBQ_LEVELS:
            values[name] = float(np.median([level.t1.values["t1_signal"] for level in levels])) / csf.signal
    marrow = [level.t1.values["t1_signal"] for level in used]
    if marrow and csf.signal >= np.median(marrow):
        result.flags.append(Flag("not-t1", number=f"CSF {csf.signal:.1f} against marrow {np.median(marrow):.1f}"))
    if result.facts.hyperlipidemia == "yes":
        result.flags.append(Flag("hyperlipidemia", number="yes"))


def _set_cutoffs(result: CaseResult, published) -> None:
    by_name = {level.name: level for level in result.levels}
    for cutoff in published:
        value = result.values.get(cutoff.measure)
        if cutoff.level and cutoff.measure not in result.values:
            level = by_name.get(cutoff.level)
            used = level and not (level.t1_exclusion if cutoff.measure.startswith("vbq") else level.ct_exclusion)
            value = level.values.get(cutoff.measure) if used else None
        beside = cutoff.beside(value, _standard_error(result, cutoff.measure))
        if beside:
            result.cutoffs.append(beside)
            if beside["straddles"]:
                result.flags.append(Flag("straddles-cutoff", number=f"{cutoff.measure} {cutoff.cutoff:g} ({cutoff.source})"))


def _standard_error(result: CaseResult, measure: str) -> float:
    """Of a mean HU by the voxels' spread: one for the whole ROI of every level in it."""
    if measure.startswith("vbq"):
        return 0.0
    spread = []
    for level in result.levels:
        if not level.ct_exclusion and "hu_3d_sd" in level.ct.values:
            region = level.ct.rois[0]
            area = level.ct.values.get("hu_middle_area_mm2", 0)
            count = region.weights.sum() if measure.startswith("hu_3d") else area / region.grid.voxel_volume ** (2 / 3)
            spread.append(level.ct.values["hu_3d_sd"] ** 2 / max(count, 1))
    return math.sqrt(sum(spread)) / len(spread) if spread else 0.0
