"""The columns of every table: names, titles, units, decimals and descriptions, said here alone."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Cutoff:
    """measure: a column of the case table, or of the level table with its level; comparison: "<=" or ">="."""

    measure: str
    level: str
    comparison: str
    cutoff: float
    purpose: str
    source: str
    evidence: dict
    note: str

    @property
    def is_vbq(self) -> bool:
        return self.measure.startswith("vbq")

    def beside(self, value: float) -> dict:
        """The cut-off as the JSON and the panel show it beside a value."""
        return dict(
            measure=self.measure, level=self.level, value=value, comparison=self.comparison, cutoff=self.cutoff,
            reached=value <= self.cutoff if self.comparison == "<=" else value >= self.cutoff, purpose=self.purpose,
            source=self.source, note=self.note, **self.evidence,
        )  # fmt: skip


#: What a cell begins with that a spreadsheet would run; blanks and invisible characters before it do not help.
_FORMULA_BEGINS = "=+-@"
_UNSEEN = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]+")


def unarmed(text: str) -> str:
    """A text as it is, but for one that a spreadsheet would run as a formula; full-width signs count as well (NFKC)."""
    seen = unicodedata.normalize("NFKC", _UNSEEN.sub("", text[:100]))[:1]
    return f"'{text}" if seen and seen in _FORMULA_BEGINS else text


@dataclass(frozen=True)
class Column:
    """decimals: digits written after the point; None for text."""

    name: str
    title: str
    unit: str = ""
    decimals: int | None = None
    description: str = ""

    @property
    def is_number(self) -> bool:
        return self.decimals is not None

    def number(self, value) -> float:
        return math.nan if value is None else float(value)

    def text(self, value) -> str:
        """A cell's text: no quotes, tabs or line breaks, nothing that a spreadsheet would run as a formula."""
        if value is None:
            return ""
        words = value if isinstance(value, str) else " ".join(str(v) for v in value)
        clean = " ".join(words.replace('"', "").replace("'", "").replace(",", ";").split())
        return unarmed(clean)

    def cell(self, value) -> str:
        """The value as it stands in the CSV; empty for what was not measured."""
        if not self.is_number:
            return self.text(value)
        value = self.number(value)
        return f"{value:.{self.decimals}f}" if math.isfinite(value) else ""


def _columns(text: str) -> tuple[Column, ...]:
    found = []
    for line in text.strip().splitlines():
        name, title, unit, decimals, description = (part.strip() for part in line.split("|"))
        found.append(Column(name, title, unit, int(decimals) if decimals else None, description))
    return tuple(found)


#: name | title | unit | decimals | description
LEVEL_COLUMNS = _columns("""
case_id | Case | | | the id given to the case
level | Level | | | vertebra
used | Used | | | yes where the level enters a case value
ct_exclusion | CT exclusion | | | why the level is not used or not measured on CT
t1_exclusion | T1 exclusion | | | why the level is not used or not measured on T1 MRI
hu_3d | 3D-HU | HU | 2 | mean HU of the cancellous vertebral body (Chang 2025)
hu_3d_sd | 3D-HU SD | HU | 2 | standard deviation of HU in the cancellous region
hu_3d_median | 3D-HU median | HU | 2 | median HU of the cancellous region
hu_3d_volume_mm3 | 3D-HU volume | mm3 | 1 | volume of the cancellous region
hu_3d_wide | 3D-HU wide | HU | 2 | 3D-HU at a margin of 2 mm: nearest to the region of Chang 2025
hu_upper | Upper HU | HU | 2 | mean HU in the largest ellipse below the upper endplate
hu_middle | Middle HU | HU | 2 | mean HU in the largest ellipse on the middle slice (Pickhardt 2013)
hu_lower | Lower HU | HU | 2 | mean HU in the largest ellipse above the lower endplate
hu_multislice | Multi-slice HU | HU | 2 | mean of upper; middle and lower HU (Schreiber 2011; Chang 2025)
hu_upper_area_mm2 | Upper area | mm2 | 1 | area of the upper ellipse
hu_middle_area_mm2 | Middle area | mm2 | 1 | area of the middle ellipse
hu_lower_area_mm2 | Lower area | mm2 | 1 | area of the lower ellipse
t1_signal | T1 signal | | 3 | mean T1 signal of the marrow
t1_area_mm2 | T1 area | mm2 | 1 | area of the marrow ROI; empty for a volume
vbq_single_level | Single-level VBQ | | 4 | marrow signal of this level over CSF signal
height_anterior_mm | Anterior height | mm | 2 | height of the body in front
height_middle_mm | Middle height | mm | 2 | height of the body in the middle
height_posterior_mm | Posterior height | mm | 2 | height of the body at the back
height_loss_percent | Height loss | % | 1 | largest loss of height
genant_grade | Genant grade | | 0 | suggested grade of fracture; 0 to 3
edited | Edited | | | ROIs that a person moved
flags | Flags | | | codes of quality flags of this level
hu_3d_low | 3D-HU low | HU | 2 | lowest 3D-HU when the margin moves by 0.5 mm or the mask by half a voxel
hu_3d_high | 3D-HU high | HU | 2 | highest 3D-HU likewise
hu_multislice_low | Multi-slice HU low | HU | 2 | lowest multi-slice HU likewise
hu_multislice_high | Multi-slice HU high | HU | 2 | highest multi-slice HU likewise
vbq_single_level_low | Single-level VBQ low | | 4 | lowest single-level VBQ likewise
vbq_single_level_high | Single-level VBQ high | | 4 | highest single-level VBQ likewise
""")
CASE_COLUMNS = _columns("""
case_id | Case | | | the id given to the case
hu_3d | 3D-HU | HU | 2 | mean over the used levels among L1-L4 (Chang 2025)
hu_3d_including_fractured | 3D-HU with fractured | HU | 2 | the same with fractured levels in
hu_3d_wide | 3D-HU wide | HU | 2 | 3D-HU at a margin of 2 mm; mean over the used levels
hu_multislice | Multi-slice HU | HU | 2 | mean over the used levels (Chang 2025 after Schreiber 2011)
hu_multislice_including_fractured | Multi-slice HU with fractured | HU | 2 | the same with fractured levels in
hu_middle | Mid-slice HU | HU | 2 | middle slice; mean over the used levels (Zhan 2024)
hu_middle_l1 | Mid-slice HU L1 | HU | 2 | middle slice of L1 (Pickhardt 2013; Xue 2025)
ct_levels | CT levels | | | levels in the CT values
vbq | VBQ | | 4 | median marrow signal of the used levels over CSF signal (Ehresman 2019)
vbq_including_fractured | VBQ with fractured | | 4 | the same with fractured levels in (Kadri 2025)
csf_signal | CSF signal | | 3 | mean T1 signal of the CSF
csf_level | CSF level | | | level at which the CSF was read
t1_levels | T1 levels | | | levels in the VBQ
rcsa | rCSA | | 4 | cross-sectional area of the muscles over that of the disc (Zhan 2024)
rcsa_discs | rCSA discs | | | discs in the rCSA
fat_infiltration_percent | Fat infiltration | % | 2 | share of muscle pixels brighter than the fat threshold (Zhan 2024)
fat_fraction_percent | Fat fraction | % | 2 | mean fat fraction of the muscles from fat and water images
t_score | T-score | SD | 2 | DXA T-score as given
age | Age | years | 1 | as given
sex | Sex | | | as given
bmi | BMI | kg/m2 | 2 | as given
hyperlipidemia | Hyperlipidemia | | | as given
reader | Reader | | | as given
kvp | Tube voltage | kV | 1 | of the CT
slice_thickness_mm | Slice thickness | mm | 3 | of the CT: the larger of the tag and the slice distance
kernel | Kernel | | | of the CT
contrast | Contrast | | | of the CT
field_strength_t | Field strength | T | 2 | of the MRI
tr_ms | TR | ms | 2 | of the T1 MRI
te_ms | TE | ms | 2 | of the T1 MRI
ti_ms | TI | ms | 2 | of the T1 MRI
manufacturer | Manufacturer | | | of the scanners; CT first
model | Model | | | of the scanners; CT first
effective_margin_mm | Effective margin | mm | 3 | margin of the cancellous region after the slice thickness
slice_plane | Slice plane | | | plane of the three slices
vbq_slice | VBQ slice | | | where the marrow was read
vbq_margin_mm | VBQ margin | mm | 3 | margin of the marrow ROI
edited | Edited | | | yes where a person moved a ROI
flags | Flags | | | codes of quality flags
software_version | Software | | | version of BoneQuality
hu_3d_low | 3D-HU low | HU | 2 | lowest 3D-HU when the margin moves by 0.5 mm or the masks by half a voxel
hu_3d_high | 3D-HU high | HU | 2 | highest 3D-HU likewise
hu_multislice_low | Multi-slice HU low | HU | 2 | lowest multi-slice HU likewise
hu_multislice_high | Multi-slice HU high | HU | 2 | highest multi-slice HU likewise
vbq_low | VBQ low | | 4 | lowest VBQ likewise
vbq_high | VBQ high | | 4 | highest VBQ likewise
""")
MUSCLE_COLUMNS = _columns("""
case_id | Case | | | the id given to the case
disc | Disc | | | disc at whose middle the slice lies; empty for a slice that is known by its position alone
muscle | Muscle | | | compartment; all: the three muscles of both sides together
side | Side | | | of the patient
area_mm2 | Area | mm2 | 1 | cross-sectional area
disc_area_mm2 | Disc area | mm2 | 1 | cross-sectional area of the disc
rcsa | rCSA | | 4 | area over that of the disc (Zhan 2024)
fat_infiltration_percent | Fat infiltration | % | 2 | share of pixels that count as fat (Zhan 2024)
fat_fraction_percent | Fat fraction | % | 2 | mean of fat / (fat + water)
fat_threshold | Fat threshold | | 2 | signal above which a pixel is fat; on CT the upper limit; the lower one is -190 HU
slice_s_mm | Slice position | mm | 2 | S of the slice where the disc or the muscles lie on it
edited | Edited | | | yes where a person edited the ROI
reason | Reason | | | why a value is missing
flags | Flags | | | codes of quality flags
""")
#: What the panel shows of a case: its values, each published cut-off beside them. The first column is never empty: Slicer moves
#: the cells of a row that begins with an empty one when it reads a saved table.
SUMMARY_COLUMNS = _columns("""
column | Column | | | name in the case table
measure | Measure | | | case value
value | Value | | | mean or median over the used levels
unit | Unit | | |
range | Range | | | when the margin moves by 0.5 mm or the masks by half a voxel
cutoff | Published cut-off | | | belongs to its method; field strength and scanner; not a verdict
source | For; source | | | what the cut-off was published for; and where
""")
FAILURE_COLUMNS = _columns("""
case_id | Case | | | the id given to the case
stage | Stage | | | read; measure; write; or process where the process ended
sentence | Reason | | | what was wrong and what to do
""")


def check_columns(columns: tuple[Column, ...], rows: list[dict]) -> None:
    """Raise KeyError for a value that has no column."""
    unknown = {name for row in rows for name in row} - {column.name for column in columns}
    if unknown:
        raise KeyError(f"no column for {sorted(unknown)}")
