"""The result of a case: every level, the case values, flags, and the ROIs that the numbers were taken in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from ..measures.csf import Csf
from ..measures.height_loss import HeightLoss
from ..measures.heights import Heights
from ..measures.muscle_result import Muscles
from ..measures.roi import LevelNumbers, PlanarRoi, RegionRoi
from ..parameters import CaseFacts, Parameters
from ..states import SAID_BY_PERSON, Exclusion, Flag, Severity, codes
from ..vertebra.frame import Frame


@dataclass(frozen=True, eq=False)
class Level:
    """One vertebra: what CT and T1 MRI say of it, and why either does not enter the case values (empty where it does)."""

    name: str
    ct: LevelNumbers = field(default_factory=LevelNumbers)
    t1: LevelNumbers = field(default_factory=LevelNumbers)
    ct_excluded: tuple[Exclusion, ...] = (Exclusion.NO_MASK,)
    t1_excluded: tuple[Exclusion, ...] = (Exclusion.NO_MASK,)
    frame: Frame | None = None
    heights: Heights | None = None
    loss: HeightLoss | None = None

    @property
    def is_used(self) -> bool:
        """Whether the level enters a case value."""
        return not (self.ct_excluded and self.t1_excluded)

    @property
    def is_aside(self) -> bool:
        """Whether no case value could use the level, whatever is measured there: outside L1-L4, or taken out by a person."""
        aside = {Exclusion.OUTSIDE_MEAN, Exclusion.NO_MASK, Exclusion.NO_CT, Exclusion.NO_T1, *SAID_BY_PERSON}
        return all(aside & set(excluded) for excluded in (self.ct_excluded, self.t1_excluded))

    @property
    def flags(self) -> list[Flag]:
        return [replace(flag, level=self.name, is_aside=self.is_aside) for flag in (*self.ct.flags, *self.t1.flags)]

    @property
    def rois(self) -> list[PlanarRoi | RegionRoi]:
        return [*self.ct.rois, *self.t1.rois]

    @property
    def values(self) -> dict:
        return {**self.ct.values, **self.t1.values}

    def row(self) -> dict:
        """The level's cells, but for the case's id and edited ROIs."""
        return dict(
            level=self.name,
            used="yes" if self.is_used else "no",
            ct_exclusion=_said(self.ct_excluded, self.ct),
            t1_exclusion=_said(self.t1_excluded, self.t1),
            flags=codes(self.flags),
            **self.values,
        )

    def shape(self) -> dict:
        """The vertebra's axes and heights, RAS mm."""
        found = {}
        if self.frame is not None:
            names = ("center", "superior", "anterior", "upper_normal", "lower_normal", "anterior_from", "uncertain")
            found["frame"] = {name: getattr(self.frame, name) for name in names}
        if self.heights is not None:
            found["height_lines"] = self.heights.lines
            found["height_corners"] = self.heights.corners
        if self.loss is not None:
            found["height_loss"] = asdict(self.loss)
        return found


def _said(excluded: tuple[Exclusion, ...], numbers: LevelNumbers) -> str:
    """Why a level is not used or not measured, for people."""
    said = []
    for why in excluded:
        severity = {Exclusion.DOUBTFUL: Severity.WARNING, Exclusion.IMPLAUSIBLE: Severity.ERROR}.get(why)
        said += [why.value] if severity is None else [flag.code for flag in numbers.flags if flag.severity is severity]
    return "; ".join(dict.fromkeys((*said, *map(str, numbers.reasons))))


@dataclass(frozen=True, eq=False)
class CaseResult:
    """A measured case.

    levels: every vertebra found, top to bottom. values: the case row by column name. flags: of the case; ``all_flags`` has those
    of the levels too. reasons: why case values are empty. csf: CSF by level. muscles: what axial images say, None without them.
    cutoffs: published cut-offs beside the values. inputs: geometry and hashes of what was measured.
    """

    facts: CaseFacts
    parameters: Parameters
    levels: tuple[Level, ...] = ()
    values: dict = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    reasons: tuple[str, ...] = ()
    csf: dict[str, Csf] = field(default_factory=dict)
    muscles: Muscles | None = None
    cutoffs: tuple[dict, ...] = ()
    inputs: dict = field(default_factory=dict)

    @property
    def all_flags(self) -> list[Flag]:
        """Those of the case and of its levels, those that matter most first."""
        return sorted((*self.flags, *(flag for level in self.levels for flag in level.flags)), key=lambda flag: flag.order)

    @property
    def rois(self) -> list[PlanarRoi | RegionRoi]:
        """Every ROI of the case."""
        return [
            *(roi for level in self.levels for roi in level.rois),
            *(csf.roi for csf in self.csf.values() if csf.roi is not None),
            *(self.muscles.rois if self.muscles is not None else ()),
        ]

    @property
    def edited(self) -> list[PlanarRoi]:
        """The ROIs that a person edited."""
        return [roi for roi in self.rois if isinstance(roi, PlanarRoi) and roi.edited]

    @property
    def level_rows(self) -> list[dict]:
        """The rows of CASE_levels.csv."""
        edited = {level.name: [roi.kind for roi in self.edited if roi.level == level.name] for level in self.levels}
        return [dict(level.row(), case_id=self.facts.case_id, edited="; ".join(edited[level.name])) for level in self.levels]

    @property
    def case_row(self) -> dict:
        """The row of CASE_case.csv."""
        return dict(self.values, flags=codes(self.all_flags), edited="yes" if self.edited else "")

    @property
    def muscle_rows(self) -> list[dict]:
        """The rows of CASE_muscles.csv."""
        return [dict(row, case_id=self.facts.case_id) for row in (self.muscles.rows() if self.muscles is not None else [])]

    def endplate_angles(self) -> list[dict]:
        """Angles between the upper endplate of a level and the lower endplate of one below, in the upper one's sagittal plane.

        Degrees, positive for lordosis; neighbors, and L1-L5 (lumbar lordosis) where both are there.
        """
        framed = [level for level in self.levels if level.frame is not None]
        pairs = list(zip(framed, framed[1:]))
        ends = {level.name: level for level in framed}
        if {"L1", "L5"} <= set(ends):
            pairs.append((ends["L1"], ends["L5"]))
        found = []
        for upper, lower in pairs:
            axes = np.stack([upper.frame.anterior, upper.frame.superior])
            tilts = [np.degrees(np.arctan2(*(axes @ normal))) for normal in (upper.frame.upper_normal, lower.frame.lower_normal)]
            found.append(dict(upper=upper.name, lower=lower.name, degrees=float(tilts[1] - tilts[0])))
        return found
