"""What was read of muscles: compartments, slices, and all of them, with the table rows and case values made from them (Zhan 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import numpy as np

from ..anatomy.vocabulary import JOINED, MUSCLES, SIDES, kind_of
from ..errors import NotMeasured, Sentence
from ..image.mask import Mask
from ..parameters import CASE_DISCS
from ..states import Flag, Reason, codes
from .muscle_fat import FatThreshold
from .muscle_slices import SlicePlane
from .roi import PlanarRoi


def _listed(muscles: Iterable[str]) -> Sentence:
    return Sentence.joined(muscles, ", ")


@dataclass(eq=False)
class Compartment:
    """One muscle of one side on one slice.

    is_whole: not cut by the edge of the field of view, so that its area counts. is_elsewhere: drawn, but not on this slice. pixels:
    those that lie in it, fat_pixels: those of them that count as fat, one slice thick, on the slice's own pixels.
    """

    muscle: str
    side: str
    roi: PlanarRoi | None = None
    is_whole: bool = True
    is_elsewhere: bool = False
    fat_infiltration: float | None = None
    fat_fraction: float | None = None
    pixels: Mask | None = None
    fat_pixels: Mask | None = None
    reasons: list[Reason] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For example "left psoas major"."""
        return kind_of(self.muscle, self.side)

    @property
    def area(self) -> float | None:
        """mm2"""
        return self.roi.area if self.roi is not None and self.is_whole else None

    @property
    def is_measured(self) -> bool:
        """Whether anything was."""
        return any(value is not None for value in (self.area, self.fat_infiltration, self.fat_fraction))

    @property
    def flags(self) -> list[Flag]:
        return [] if self.is_whole else [Flag("muscle-cut")]


@dataclass(eq=False)
class MuscleSlice:
    """What was read on one slice. is_disc_whole: likewise. thresholds: by side. stack: which of the axial images it is a slice of.

    drawn_at: S in mm of the nearest slice on which the muscles were drawn, where none of them is on this one.
    """

    plane: SlicePlane
    stack: int = 0
    drawn_at: float | None = None
    disc_roi: PlanarRoi | None = None
    is_disc_whole: bool = True
    compartments: list[Compartment] = field(default_factory=list)
    thresholds: dict[str, FatThreshold] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def disc(self) -> str:
        return self.plane.disc

    @property
    def disc_area(self) -> float | None:
        """mm2"""
        return self.disc_roi.area if self.disc_roi is not None and self.is_disc_whole else None

    @property
    def rois(self) -> list[PlanarRoi]:
        """Those of the compartments, then that of the disc."""
        return [roi for roi in (*(c.roi for c in self.compartments), self.disc_roi) if roi is not None]

    def find(self, muscle: str, side: str) -> Compartment | None:
        """The compartment, if it was segmented."""
        return next((c for c in self.compartments if (c.muscle, c.side) == (muscle, side)), None)

    def total_area(self) -> float:
        """Area of the six compartments, mm2; raises NotMeasured where one is missing."""
        there = {(c.muscle, c.side): c.area for c in self.compartments}
        joined = [(m, s) for m, s in there if any((part, s) not in there for part in JOINED.get(m, ()))]
        hidden = {(part, s) for m, s in joined for part in JOINED[m]}
        lacking = [(m, s) for m in MUSCLES for s in SIDES if there.get((m, s)) is None and (m, s) not in hidden]
        elsewhere = [kind_of(c.muscle, c.side) for c in self.compartments if c.is_elsewhere and (c.muscle, c.side) in lacking]
        missing = [name for name in (kind_of(*key) for key in lacking) if name not in elsewhere]
        reasons = [Sentence("no area of {muscles}; draw what is missing", muscles=_listed(missing))] if missing else []
        if elsewhere:
            nearest = "" if self.drawn_at is None else " (the nearest drawn one lies at S {nearest:.1f} mm)"
            sentence = "{muscles} not drawn on the slice at S {s:.1f} mm" + nearest
            sentence += "; draw on that slice, or give the slice's S (disc slices)"
            reasons.append(Sentence(sentence, muscles=_listed(elsewhere), s=self.plane.center[2], nearest=self.drawn_at))
        names = _listed(kind_of(m, s) for m, s in joined)
        reasons += [Sentence("{muscles}: not the muscles one by one; draw each of them", muscles=names)] if joined else []
        if reasons:
            raise NotMeasured(Sentence.joined(reasons))
        return float(sum(there[m, s] for m in MUSCLES for s in SIDES))

    def rcsa(self) -> float:
        """Area of the six compartments over that of the disc; raises NotMeasured where a part is missing."""
        if not self.disc:
            raise NotMeasured("no disc is known at this slice")
        total = self.total_area()
        if self.disc_area is None:
            raise NotMeasured(next(iter(self.reasons), "no mask of the disc; draw it"))
        return total / self.disc_area

    def rows(self) -> list[dict]:
        """One table row for every compartment, and at a disc one for all six together; without the case's id."""
        common = dict(disc=self.disc, disc_area_mm2=self.disc_area, slice_s_mm=float(self.plane.center[2]))
        of_all = [flag for flag in self.flags if flag.code in ("muscle-bias", "fat-water")]
        found = []
        for c in self.compartments:
            threshold = self.thresholds.get(c.side)
            found.append(dict(
                common, muscle=c.muscle.replace("_", " "), side=c.side, area_mm2=c.area,
                rcsa=c.area / self.disc_area if c.area and self.disc_area else None,
                fat_infiltration_percent=c.fat_infiltration, fat_fraction_percent=c.fat_fraction,
                fat_threshold=threshold.number if threshold is not None else None,
                edited="yes" if c.roi is not None and c.roi.edited else "", reason="; ".join(map(str, c.reasons)), flags=codes([*c.flags, *of_all]),
            ))  # fmt: skip
        return found + ([dict(common, **self._all_six())] if self.disc else [])

    def _all_six(self) -> dict:
        """The row of the three muscles of both sides together."""
        row = dict(muscle="all", side="both", area_mm2=None, rcsa=None, reason="", flags=codes(self.flags))
        for name, measure in (("area_mm2", self.total_area), ("rcsa", self.rcsa)):
            try:
                row[name] = measure()
            except NotMeasured as reason:
                row["reason"] = str(reason)
        for name in ("fat_infiltration", "fat_fraction"):
            found = [self.fat_of(muscle, name) for muscle in MUSCLES]
            row[f"{name}_percent"] = float(np.mean(found)) if None not in found else None
        return row

    def described(self) -> dict:
        """What the JSON says beside the rows: plane, thresholds, ROIs, RAS mm."""
        plane = self.plane
        return dict(
            name=plane.name, stack=self.stack, slice_from=plane.source, off_mm=plane.off_mm, center=plane.center, u=plane.u, v=plane.v, normal=plane.normal, reasons=self.reasons,
            thresholds={side: asdict(threshold) for side, threshold in self.thresholds.items()}, rois=[roi.place() for roi in self.rois],
        )  # fmt: skip

    def fat_of(self, muscle: str, name: str) -> float | None:
        """Mean of both sides' ``name`` (fat_infiltration or fat_fraction), percent; None where a side has none or is cut."""
        sides = [self.find(muscle, side) for side in SIDES]
        found = [getattr(c, name) for c in sides if c is not None and c.is_whole]
        return float(np.mean(found)) if len(found) == 2 and None not in found else None


@dataclass(eq=False)
class Muscles:
    """All slices, top to bottom, flags, and why case values are missing."""

    slices: list[MuscleSlice] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def rois(self) -> list[PlanarRoi]:
        """The ROIs at the discs; those of slices without a disc stand in the slices."""
        return [roi for there in self.slices if there.disc for roi in there.rois]

    @property
    def fat_pixels(self) -> list[Mask]:
        """The pixels that count as fat, slice by slice and compartment by compartment."""
        return [c.fat_pixels for there in self.slices for c in there.compartments if c.fat_pixels is not None]

    @property
    def is_measured(self) -> bool:
        """Whether anything was."""
        return any(c.is_measured for there in self.slices for c in there.compartments)

    def rows(self) -> list[dict]:
        """The rows of CASE_muscles.csv, without the case's id."""
        return [row for there in self.slices for row in there.rows()]

    def case_values(self) -> dict:
        """rcsa, rcsa_discs, fat_infiltration_percent, fat_fraction_percent, as far as they were measured."""
        return self._case()[0]

    def case_reasons(self) -> list[str]:
        """Why slices or case values are missing."""
        return [*self.reasons, *self._case()[1]]

    def _case(self) -> tuple[dict, list[str]]:
        at_discs = [s for s in self.slices if s.disc in CASE_DISCS]
        values, ratios, reasons = {}, {}, []
        for there in at_discs:
            try:
                ratios[there.disc] = there.rcsa()
            except NotMeasured as reason:
                reasons.append(Sentence("no rCSA at {disc}: {reason}", disc=there.disc, reason=reason))
        if ratios:
            values.update(rcsa=float(np.mean(list(ratios.values()))), rcsa_discs=list(ratios))
        for name, title in (("fat_infiltration", "fat infiltration"), ("fat_fraction", "fat fraction")):
            every = [c for s in self.slices for c in s.compartments]
            if not any(getattr(c, name) is not None for c in every):
                said = [reason.sentence for c in every for reason in c.reasons if reason.column == name]
                reasons += [Sentence("no {what}", what=Sentence(sentence)) for sentence in dict.fromkeys(said)]
                continue
            found = {m: [f for s in at_discs if (f := s.fat_of(m, name)) is not None] for m in MUSCLES}
            missing = _listed(m.replace("_", " ") for m in MUSCLES if not found[m])
            if missing:
                sentence = "no {what} of the case: no value of both sides at a disc for {muscles}"
                reasons.append(Sentence(sentence, what=Sentence(title), muscles=missing))
            else:
                values[f"{name}_percent"] = float(np.mean([np.mean(found[m]) for m in MUSCLES]))
        return values, reasons
