"""The registry of measures, and the columns of every table that are made from it.

A measure is said here once: its name, title, unit, decimals, description and source, which image it is read from, whether it is a value
of a level, of the case or of both, and who takes it (headlines, summary, chart, cohort). The tables of cases, nodes and files, the
terminal's and the report's lists, the chart and the cohort's default measures follow. A new measure of a CT level is one file in
``measures/`` and one entry in ``MEASURES`` (and a line in CMakeLists.txt, which names every file).
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from enum import Enum


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
    found = []  # name | title | unit | decimals | description
    for line in text.strip().splitlines():
        name, title, unit, decimals, description = (part.strip() for part in line.split("|"))
        found.append(Column(name, title, unit, int(decimals) if decimals else None, description))
    return tuple(found)


class Image(Enum):
    """Which image of a case a measure is read from."""

    CT = "CT"
    T1 = "T1 MRI"
    AXIAL = "axial images"
    NONE = "as given"


class OfCase(Enum):
    """How the case has a measure."""

    NO = "of levels alone"
    MEAN = "mean over the used levels"
    OWN = "a value of the case itself"


@dataclass(frozen=True)
class Measure:
    """A number that levels or the case can have.

    family: the file in ``measures/`` that reads it; for a CT level the one whose ``place_level`` and ``read_level`` are called. of_level: a column of the level table. of_case: of the case table.
    including_fractured: the case also has it with fractured levels. has_range: ``_low`` and ``_high`` stand beside it.
    headline: what a sentence calls it, with ``people`` decimals; "" where it is no headline. brief: its header in a narrow level
    table. charted: drawn by level. summarized: in the summary table. in_cohort: taken by the statistics where none are named.
    """

    name: str
    title: str
    unit: str
    decimals: int
    description: str
    source: str = ""
    image: Image = Image.CT
    family: str = "hounsfield"
    of_level: bool = True
    of_case: OfCase = OfCase.NO
    including_fractured: bool = False
    has_range: bool = False
    headline: str = ""
    people: int = 1
    brief: str = ""
    charted: bool = False
    summarized: bool = False
    in_cohort: bool = False

    def level_columns(self) -> list[Column]:
        """Its columns in the level table."""
        if not self.of_level:
            return []
        said = f"{self.description} ({self.source})" if self.source else self.description
        return [Column(self.name, self.title, self.unit, self.decimals, said), *self._ranges()]

    def case_columns(self) -> list[Column]:
        """Its columns in the case table."""
        if self.of_case is OfCase.NO:
            return []
        how = "; mean over the used levels" if self.of_case is OfCase.MEAN and self.of_level else ""
        said = f"{self.description}{how}" + (f" ({self.source})" if self.source else "")
        found = [Column(self.name, self.title, self.unit, self.decimals, said)]
        if self.including_fractured:
            name, title = f"{self.name}_including_fractured", f"{self.title} including fractured"
            found.append(Column(name, title, self.unit, self.decimals, f"{self.title} of the case including fractured levels"))
        return found + self._ranges()

    def _ranges(self) -> list[Column]:
        if not self.has_range:
            return []
        return [
            Column(f"{self.name}_{end}", f"{self.title} {end}", self.unit, self.decimals,
                   f"{extreme} {self.title} that another fair mask or reading of the definition gives")
            for end, extreme in (("low", "lowest"), ("high", "highest"))
        ]  # fmt: skip


MEASURES = (
    Measure(
        "hu_3d", "3D-HU", "HU", 2, "mean HU of the cancellous vertebral body", "Chang 2025", of_case=OfCase.MEAN, including_fractured=True,
        has_range=True, headline="3D-HU", brief="3D-HU", charted=True, summarized=True, in_cohort=True,
    ),
    Measure("hu_3d_sd", "3D-HU SD", "HU", 2, "standard deviation of HU in the cancellous region"),
    Measure("hu_3d_median", "3D-HU median", "HU", 2, "median HU of the cancellous region"),
    Measure("hu_3d_volume_mm3", "3D-HU volume", "mm3", 1, "volume of the cancellous region"),
    Measure(
        "hu_3d_wide", "3D-HU wide", "HU", 2, "mean HU of everything inside the endosteal edge; nearest to the widened region",
        "Chang 2025", of_case=OfCase.MEAN, summarized=True, in_cohort=True,
    ),
    Measure("hu_upper", "Upper HU", "HU", 2, "mean HU in the largest ellipse below the upper endplate", brief="upper"),
    Measure(
        "hu_middle", "Mid-slice HU", "HU", 2, "mean HU in the largest ellipse on the middle slice", "Pickhardt 2013; Zhan 2024",
        of_case=OfCase.MEAN, has_range=True, brief="middle", charted=True, summarized=True, in_cohort=True,
    ),
    Measure("hu_lower", "Lower HU", "HU", 2, "mean HU in the largest ellipse above the lower endplate", brief="lower"),
    Measure(
        "hu_multislice", "Multi-slice HU", "HU", 2, "mean of upper; middle and lower HU", "Schreiber 2011; Chang 2025",
        of_case=OfCase.MEAN, including_fractured=True, has_range=True, headline="multi-slice HU", brief="multi-slice", charted=True,
        summarized=True, in_cohort=True,
    ),
    Measure("hu_upper_area_mm2", "Upper area", "mm2", 1, "area of the upper ellipse"),
    Measure("hu_middle_area_mm2", "Middle area", "mm2", 1, "area of the middle ellipse"),
    Measure("hu_lower_area_mm2", "Lower area", "mm2", 1, "area of the lower ellipse"),
    Measure(
        "hu_middle_l1", "Mid-slice HU L1", "HU", 2, "middle slice of L1", "Pickhardt 2013; Xue 2025", of_level=False, of_case=OfCase.OWN,
        has_range=True, headline="mid-slice HU of L1", summarized=True, in_cohort=True,
    ),
    Measure("t1_signal", "T1 signal", "", 3, "mean T1 signal of the marrow", image=Image.T1, family="marrow"),
    Measure("t1_area_mm2", "T1 area", "mm2", 1, "area of the marrow ROI; empty for a volume", image=Image.T1, family="marrow"),
    Measure(
        "vbq_single_level", "Single-level VBQ", "", 4, "marrow signal of this level over CSF signal", image=Image.T1, family="marrow",
        has_range=True, brief="VBQ", people=2, charted=True,
    ),
    Measure(
        "vbq", "VBQ", "", 4, "median marrow signal of the used levels over CSF signal", "Ehresman 2019", image=Image.T1, family="csf",
        of_level=False, of_case=OfCase.OWN, including_fractured=True, has_range=True, headline="VBQ", people=2, summarized=True,
        in_cohort=True,
    ),
    Measure("height_anterior_mm", "Anterior height", "mm", 2, "height of the body in front", "Genant 1993", family="heights"),
    Measure("height_middle_mm", "Middle height", "mm", 2, "height of the body in the middle", "Genant 1993", family="heights"),
    Measure("height_posterior_mm", "Posterior height", "mm", 2, "height of the body at the back", "Genant 1993", family="heights"),
    Measure("height_loss_percent", "Height loss", "%", 1, "largest loss of height", "Genant 1993", family="heights"),
    Measure("genant_grade", "Genant grade", "", 0, "suggested grade of fracture; 0 to 3", "Genant 1993", family="heights"),
    Measure(
        "rcsa", "rCSA", "", 4, "cross-sectional area of the muscles over that of the disc", "Zhan 2024", Image.AXIAL, "muscles",
        of_level=False, of_case=OfCase.OWN, headline="rCSA", people=2, summarized=True, in_cohort=True,
    ),
    Measure(
        "fat_infiltration_percent", "Fat infiltration", "%", 2, "share of muscle pixels that count as fat", "Zhan 2024", Image.AXIAL,
        "muscles", of_level=False, of_case=OfCase.OWN, headline="fat infiltration %", summarized=True, in_cohort=True,
    ),
    Measure(
        "fat_fraction_percent", "Fat fraction", "%", 2, "mean fat fraction of the muscles from fat and water images", "Burian 2019",
        Image.AXIAL, "muscles", of_level=False, of_case=OfCase.OWN, headline="fat fraction %", summarized=True, in_cohort=True,
    ),
    Measure(
        "t_score", "T-score", "SD", 2, "DXA T-score as given", image=Image.NONE, family="", of_level=False, of_case=OfCase.OWN,
        summarized=True, in_cohort=True,
    ),
)  # fmt: skip


def measures_for(who: str, image: Image | None = None) -> tuple[Measure, ...]:
    """The measures that ``who`` (a field of Measure, as "charted") takes, of one image where that is given; in order."""
    return tuple(m for m in MEASURES if getattr(m, who) and (image is None or m.image is image))


def families(image: Image) -> tuple[str, ...]:
    """The files in ``measures/`` that read a level's values on an image."""
    return tuple(dict.fromkeys(m.family for m in MEASURES if m.image is image and m.of_level))


def _in_order(names: str, found: list[Column]) -> tuple[Column, ...]:
    """The columns that the files promise first, in their order, then the others."""
    first, by_name = names.split(), {column.name: column for column in found}
    return tuple(by_name[name] for name in (*first, *(name for name in by_name if name not in first)))


LEVEL_COLUMNS = _in_order(
    """case_id level used ct_exclusion t1_exclusion hu_3d hu_3d_sd hu_3d_median hu_3d_volume_mm3 hu_3d_wide hu_upper hu_middle hu_lower
    hu_multislice hu_upper_area_mm2 hu_middle_area_mm2 hu_lower_area_mm2 t1_signal t1_area_mm2 vbq_single_level height_anterior_mm
    height_middle_mm height_posterior_mm height_loss_percent genant_grade edited flags""",
    [
        *_columns("""
case_id | Case | | | the id given to the case
level | Level | | | vertebra
used | Used | | | yes where the level enters a case value
ct_exclusion | CT exclusion | | | why the level is not used or not measured on CT
t1_exclusion | T1 exclusion | | | why the level is not used or not measured on T1 MRI
edited | Edited | | | ROIs that a person edited
flags | Flags | | | codes of quality flags of this level
"""),
        *(column for measure in MEASURES for column in measure.level_columns()),
    ],
)
CASE_COLUMNS = _in_order(
    """case_id hu_3d hu_3d_including_fractured hu_3d_wide hu_multislice hu_multislice_including_fractured hu_middle hu_middle_l1 ct_levels
    vbq vbq_including_fractured csf_signal csf_level t1_levels rcsa rcsa_discs fat_infiltration_percent fat_fraction_percent t_score age
    sex bmi hyperlipidemia reader kvp slice_thickness_mm kernel contrast field_strength_t tr_ms te_ms ti_ms manufacturer model
    effective_margin_mm slice_plane vbq_slice vbq_margin_mm edited flags software_version""",
    [
        *(column for measure in MEASURES for column in measure.case_columns()),
        *_columns("""
case_id | Case | | | the id given to the case
ct_levels | CT levels | | | levels in the CT values
csf_signal | CSF signal | | 3 | mean T1 signal of the CSF
csf_level | CSF level | | | level at which the CSF was read
t1_levels | T1 levels | | | levels in the VBQ
rcsa_discs | rCSA discs | | | discs in the rCSA
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
effective_margin_mm | Effective margin | mm | 3 | distance that the cancellous region keeps from the surface of the body
slice_plane | Slice plane | | | plane of the three slices
vbq_slice | VBQ slice | | | where the marrow was read
vbq_margin_mm | VBQ margin | mm | 3 | margin of the marrow ROI
edited | Edited | | | yes where a person edited a ROI
flags | Flags | | | codes of quality flags
software_version | Software | | | version of BoneQuality
"""),
    ],
)
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
range | Range | | | over other fair masks and readings of the definition
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
