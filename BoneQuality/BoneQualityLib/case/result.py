"""The result of a case: levels, values, flags and ROIs, and the plain document made from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from .. import __version__
from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, check_columns
from ..files.writing import plain
from ..measures.csf import Csf
from ..measures.heights import HeightLoss, Heights
from ..measures.muscle_result import Muscles
from ..measures.roi import LevelNumbers, PlanarRoi, RegionRoi
from ..outputs.document import RESEARCH, case_rows, level_rows, muscle_rows, write_case
from ..parameters import CaseFacts, Parameters
from ..scene.nodes import table_node
from ..states import Flag, codes
from ..vertebra.frame import Frame


@dataclass(eq=False)
class Level:
    """One vertebra: what CT and T1 say of it, and why either is left out of the case values ("" where it is in)."""

    name: str
    ct: LevelNumbers = field(default_factory=LevelNumbers)
    t1: LevelNumbers = field(default_factory=LevelNumbers)
    ct_exclusion: str = "no mask"
    t1_exclusion: str = "no mask"
    frame: Frame | None = None
    heights: Heights | None = None
    loss: HeightLoss | None = None

    @property
    def flags(self) -> list[Flag]:
        return [Flag(flag.code, self.name, flag.number) for flag in (*self.ct.flags, *self.t1.flags)]

    @property
    def rois(self) -> list:
        return [*self.ct.rois, *self.t1.rois]

    @property
    def edited(self) -> list[str]:
        """Kinds of the ROIs that a person edited."""
        return [roi.kind for roi in self.rois if isinstance(roi, PlanarRoi) and roi.edited]

    @property
    def values(self) -> dict:
        return {**self.ct.values, **self.t1.values}

    def shape(self) -> dict:
        """What the JSON says of the vertebra's axes and heights, RAS mm."""
        found = {}
        if self.frame is not None:
            names = ("center", "superior", "anterior", "upper_normal", "lower_normal", "anterior_from", "uncertain")
            found["frame"] = {name: getattr(self.frame, name) for name in names}
        if self.heights is not None:
            found["height_lines"] = self.heights.lines
        if self.loss is not None:
            found["height_loss"] = asdict(self.loss)
        return found


@dataclass(eq=False)
class CaseResult:
    """A measured case.

    levels: every vertebra found, top to bottom. values: the case row by column name. flags: of the case; ``all_flags`` has those
    of the levels too. csf: CSF by level. muscles: what axial images say, None without them. cutoffs: published cut-offs beside the values. inputs: geometry and hashes.
    """

    facts: CaseFacts
    parameters: Parameters
    levels: list[Level] = field(default_factory=list)
    values: dict = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    csf: dict[str, Csf] = field(default_factory=dict)
    muscles: Muscles | None = None
    cutoffs: list[dict] = field(default_factory=list)
    inputs: dict = field(default_factory=dict)

    @property
    def all_flags(self) -> list[Flag]:
        return [*self.flags, *(flag for level in self.levels for flag in level.flags)]

    @property
    def rois(self) -> list[PlanarRoi | RegionRoi]:
        """Every ROI of the case."""
        muscles = self.muscles.rois if self.muscles is not None else []
        return [
            *(roi for level in self.levels for roi in level.rois),
            *(csf.roi for csf in self.csf.values() if csf.roi is not None),
            *muscles,
        ]

    @property
    def level_rows(self) -> list[dict]:
        """The rows of CASE_levels.csv."""
        return [
            dict(
                case_id=self.facts.case_id, level=level.name, ct_exclusion=_said(level.ct_exclusion, level.ct),
                used="yes" if not (level.ct_exclusion and level.t1_exclusion) else "no",
                t1_exclusion=_said(level.t1_exclusion, level.t1), flags=codes(level.flags), edited="; ".join(self._edited(level)), **level.values,
            )
            for level in self.levels
        ]  # fmt: skip

    @property
    def case_row(self) -> dict:
        """The row of CASE_case.csv."""
        edited = any(isinstance(roi, PlanarRoi) and roi.edited for roi in self.rois)
        return dict(self.values, flags=codes(self.all_flags), edited="yes" if edited else "")

    @property
    def muscle_rows(self) -> list[dict]:
        """The rows of CASE_muscles.csv."""
        return [dict(row, case_id=self.facts.case_id) for row in (self.muscles.rows() if self.muscles is not None else [])]

    def _edited(self, level: Level) -> list[str]:
        csf = self.csf.get(level.name)
        return level.edited + (["csf"] if csf is not None and isinstance(csf.roi, PlanarRoi) and csf.roi.edited else [])

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

    def to_table_nodes(self):
        """The level table, the case table, and with axial images the muscle table, as MRML table nodes."""
        name, document = self.facts.case_id, self.document()
        nodes = [
            table_node(f"{name} levels", LEVEL_COLUMNS, level_rows(document)),
            table_node(f"{name} case", CASE_COLUMNS, case_rows(document)),
        ]
        if self.muscles is not None:
            nodes.append(table_node(f"{name} muscles", MUSCLE_COLUMNS, muscle_rows(document)))
        return tuple(nodes)

    def document(self) -> dict:
        """Everything as plain data: values, parameters, flags, inputs, and every ROI's place in RAS mm."""
        check_columns(LEVEL_COLUMNS, self.level_rows)
        check_columns(CASE_COLUMNS, [self.case_row])
        check_columns(MUSCLE_COLUMNS, self.muscle_rows)
        content = dict(
            case_id=self.facts.case_id, software="BoneQuality", software_version=__version__, statement=RESEARCH,
            parameters=asdict(self.parameters), facts=asdict(self.facts), case=self.case_row,
            levels=[
                dict(row, reasons=dict(ct=level.ct.reasons, t1=level.t1.reasons), **level.shape(),
                     rois=[roi.place() for roi in level.rois])
                for row, level in zip(self.level_rows, self.levels)
            ],
            endplate_angles=self.endplate_angles(),
            csf={
                name: dict(signal=csf.signal, area_mm2=csf.area, dropped_share=csf.dropped, blocked=csf.blocked,
                           roi=csf.roi.place() if csf.roi else None)
                for name, csf in self.csf.items()
            },
            muscles=self.muscle_rows, muscle_slices=[there.described() for there in self.muscles.slices] if self.muscles is not None else [],
            flags=[dict(asdict(flag), severity=flag.severity, sentence=flag.sentence) for flag in self.all_flags],
            reasons=self.reasons, cutoffs=self.cutoffs, inputs=self.inputs,
        )  # fmt: skip
        return plain(content)

    def write_files(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write the tables and CASE.json (last: it marks the case as done); returns their paths."""
        return write_case(self.document(), folder, overwrite)


def _said(exclusion: str, numbers: LevelNumbers) -> str:
    return "; ".join(dict.fromkeys(filter(None, (exclusion, *numbers.reasons))))
