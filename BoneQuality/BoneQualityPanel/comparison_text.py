"""Two measured cases beside each other as rich text: two readers, two dates."""

import html
from itertools import groupby

import numpy as np
from slicer.i18n import tr as _

from BoneQualityLib.columns import CASE_COLUMNS, LEVEL_COLUMNS
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.outputs.change import changes, conditions
from BoneQualityLib.outputs.comparison import HEIGHTS, compare
from BoneQualityLib.outputs.comparison_page import MOST_DECIMALS
from BoneQualityLib.outputs.summary import shown
from BoneQualityLib.statistics.intraclass import icc_forms

from .results_section import SEVERITY_COLORS, link
from .translated import translated

#: What two readers are compared by, level by level.
COMPARED = ("hu_3d", "hu_upper", "hu_middle", "hu_lower", "hu_multislice", "t1_signal", "vbq_single_level")
FEWEST_LEVELS = 3
_COLUMNS = {column.name: column for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}


def readersCompared(first, second):
    """Two readings of one case: for every measure the mean difference over the levels and the ICC."""
    sameImages = _hashes(first) == _hashes(second)
    note = "" if sameImages else _paragraph(_("The two cases were measured on different images."))
    rows, levels = [], {row["level"]: row for row in second["levels"]}
    for name in COMPARED:
        pairs = [
            (row[name], levels[row["level"]][name])
            for row in first["levels"]
            if row.get(name) is not None and levels.get(row["level"], {}).get(name) is not None
        ]
        if not pairs:
            continue
        readings = np.array(pairs)
        mean, most = np.diff(readings, axis=1).mean(), np.abs(np.diff(readings, axis=1)).max()
        agreement = f"{icc_forms(readings)['(2,1)'].value:.3f}" if len(pairs) >= FEWEST_LEVELS else ""
        decimals = 2 if _COLUMNS[name].unit == "" else 1
        rows.append((_title(name), str(len(pairs)), f"{mean:+.{decimals}f}", f"{most:.{decimals}f}", agreement))
    header = (_("Measure"), _("Levels"), _("Mean difference"), _("Largest"), _("ICC(2,1)"))
    about = _("Differences are {second} minus {first}, by level.").format(first=first["case_id"], second=second["case_id"])
    return note + _paragraph(about) + _table(header, rows)


def datesCompared(baseline, followup, levels):
    """What changed between two dates: new fractures, then every value of both with its least significant change.

    levels: those that can be shown side by side; their names are links. Raises BoneQualityError where both dates are of one image.
    """
    hashes = [_hashes(document) for document in (baseline, followup)]
    same = [role for role, sha in hashes[0].items() if sha and sha == hashes[1].get(role)]
    if same:
        name = {"ct": "CT", "t1": "T1 MRI"}.get(same[0], _("axial MRI"))
        raise BoneQualityError(_("Both cases were measured on the same {image}; choose cases of two dates.").format(image=name))
    about = _("{followup} since {baseline}").format(followup=followup["case_id"], baseline=baseline["case_id"])
    parts = [f"<p><b>{html.escape(about)}</b></p>", *_heights(baseline, followup, levels)]
    differing = conditions(baseline, followup)
    if differing:
        parts.append(_paragraph(_("Taken or measured differently:")))
        parts.append(
            _table((), [(translated(title), f"{before} \N{RIGHTWARDS ARROW} {after}") for title, before, after in differing])
        )
    return "".join([*parts, _changes(baseline, followup, levels)])


def _heights(baseline, followup, levels):
    """New fractures by the heights of the bodies, where both dates have a CT."""
    if not all("ct" in document["inputs"] for document in (baseline, followup)):
        return [_paragraph(_("Heights are compared on CT; one of the dates has none."))]
    rows = [
        row for row in compare(baseline, followup) if row["new_fracture"] or any(row[_height(name)] is not None for name in HEIGHTS)
    ]
    new = [row for row in rows if row["new_fracture"] == "yes"]
    if new:
        names = ", ".join(f"{row['level']}{_aboutFracture(row)}" for row in new)
        first = _colored(_("New fracture suggested: {levels}").format(levels=names), "warning")
    else:
        first = _paragraph(_("No new fracture by the heights."))
    header = (_("Level"), _("Anterior"), _("Middle"), _("Posterior"), _("Grade"), _("Fracture"))
    cells = []
    for row in rows:
        grades = [shown(row[f"genant_grade_{date}"], 0) for date in ("baseline", "followup")]
        heights = [_signed(row[_height(name)], 1) for name in HEIGHTS]
        said = {"yes": _("yes"), "no": _("no")}.get(row["new_fracture"], translated(row["reason"]))
        cells.append((_Link(row["level"], levels), *heights, f"{grades[0]} \N{RIGHTWARDS ARROW} {grades[1]}", said))
    about = _paragraph(_("Change of heights in percent, suggested grades, new fractures:"))
    return [first, about, _table(header, cells, [row in new for row in rows])] if rows else [first]


def _aboutFracture(row):
    about = {"adjacent": _("adjacent to a cemented level"), "remote": _("remote from cemented levels")}.get(row["site"])
    return f" ({about})" if about else ""


def _height(name):
    return f"height_{name}_change_percent"


def _changes(baseline, followup, levels):
    """Every value that both dates have, those of the case first; bold where it changed by more than its least significant change."""
    header, parts = (_("Measure"), _("Before"), _("After"), _("Change"), _("LSC"), _("Beyond")), []
    for level, rows in groupby(changes(baseline, followup), key=lambda row: row["level"]):
        cells = []
        for row in rows:
            column = _COLUMNS[row["measure"]]
            digits = 1 if column.unit == "HU" else min(column.decimals, MOST_DECIMALS)
            numbers = [shown(row[name], digits) for name in ("baseline", "followup")]
            least = shown(row["least_significant_change"], digits)
            beyond = {"yes": _("yes"), "no": _("no")}.get(row["beyond"], "")
            cells.append((_title(row["measure"]), *numbers, _signed(row["difference"], digits), least, beyond))
        title = _cell(_Link(level, levels)) if level else html.escape(_("Values of the case"))
        marked = [cell[-1] == _("yes") for cell in cells]
        parts.append(f"<p><b>{title}</b></p>" + _table(header, cells, marked))
    about = _("LSC: least significant change, 2.77 times the precision error; of HU at least 16. Bold: beyond it.")
    return _paragraph(about) + "".join(parts)


def _title(name):
    column = _COLUMNS[name]
    return translated(column.title) + (f" ({column.unit})" if column.unit else "")


def _signed(value, digits):
    return "" if value is None else f"{value:+.{digits}f}"


def _hashes(document):
    return {role: image.get("sha256") for role, image in document["inputs"].items()}


class _Link(str):
    """A level's name, as a link where it can be shown."""

    def __new__(cls, level, levels):
        link = super().__new__(cls, level)
        link.target = level if level in levels else ""
        return link


def _cell(text):
    return link(f"level:{text}", text, "underline") if getattr(text, "target", "") else html.escape(text)


def _paragraph(text):
    return f"<p>{html.escape(text)}</p>"


def _colored(text, severity):
    return f"<p><font color='{SEVERITY_COLORS[severity]}'>{html.escape(text)}</font></p>"


def _table(header, rows, marked=()):
    """A table; rows that are marked are bold."""
    head = "".join(f"<th align='left'>{html.escape(cell)}</th>" for cell in header)
    lines = [f"<tr>{head}</tr>"] if header else []
    for number, row in enumerate(rows):
        begin, end = ("<b>", "</b>") if number < len(marked) and marked[number] else ("", "")
        lines.append("<tr>" + "".join(f"<td>{begin}{_cell(cell)}{end}</td>" for cell in row) + "</tr>")
    return f"<table cellspacing='0' cellpadding='2'>{''.join(lines)}</table>"
