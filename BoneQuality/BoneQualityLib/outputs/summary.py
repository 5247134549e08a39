"""A measured case as text: for a terminal, a report, a summary table."""

from __future__ import annotations

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS
from ..states import Severity
from .document import RESEARCH, level_rows, muscle_rows

#: The values that a person looks at first: column of the case table, what it is called in a sentence, decimals.
HEADLINES = (
    ("hu_3d", "3D-HU", 1),
    ("hu_multislice", "multi-slice HU", 1),
    ("hu_middle_l1", "mid-slice HU of L1", 1),
    ("vbq", "VBQ", 2),
)
MUSCLE_HEADLINES = (
    ("rcsa", "rCSA", 2),
    ("fat_infiltration_percent", "fat infiltration %", 1),
    ("fat_fraction_percent", "fat fraction %", 1),
)
#: The values of the summary table, as far as they were measured.
SUMMARIZED = (
    "hu_3d", "hu_3d_wide", "hu_multislice", "hu_middle", "hu_middle_l1", "vbq", "rcsa", "fat_infiltration_percent", "fat_fraction_percent",
    "t_score",
)  # fmt: skip


def summary(document: dict) -> str:
    """The case as text for a terminal."""
    names = ("hu_3d", "hu_upper", "hu_middle", "hu_lower", "hu_multislice", "vbq_single_level")
    header = ("level", "3D-HU", "upper", "middle", "lower", "multi-slice", "VBQ", "CT", "T1")
    rows = [
        (row["level"], *(shown(row[name], 2 if "vbq" in name else 1) for name in names), row["ct_exclusion"] or "used",
         row["t1_exclusion"] or "used")
        for row in level_rows(document)
    ]  # fmt: skip
    lines = [f"Case {document['case_id']}", "", *(aligned([header, *rows]) + [""] if rows else [])]
    lines += muscle_lines(document)
    heads = (HEADLINES if rows else ()) + (MUSCLE_HEADLINES if muscle_rows(document) else ())
    lines.append("  ".join(f"{title} {shown(document['case'].get(name), decimals)}" for name, title, decimals in heads))
    lines += [f"  {reason}" for reason in document["reasons"]]
    if document["cutoffs"]:
        lines += ["", "Published cut-offs (each belongs to its method and scanner; not a verdict):"]
        lines += [f"  {sentence}" for sentence in cutoff_sentences(document)]
    if document["flags"]:
        lines += ["", "Flags:", *(f"  {sentence}" for sentence in flag_sentences(document))]
    return "\n".join([*lines, "", RESEARCH])


def muscle_lines(document: dict) -> list[str]:
    """A table of every muscle's means over the slices, for a terminal; none without axial images."""
    rows, found = [row for row in muscle_rows(document) if row["muscle"] != "all"], {}
    for row in rows:
        found.setdefault((row["side"], row["muscle"]), []).append(row)
    names = (("area_mm2", 1), ("rcsa", 2), ("fat_infiltration_percent", 1), ("fat_fraction_percent", 1))
    cells = []
    for (side, muscle), there in found.items():
        columns = [[row[name] for row in there if row[name] is not None] for name, _ in names]
        means = [shown(sum(values) / len(values) if values else None, digits) for values, (_, digits) in zip(columns, names)]
        cells.append((f"{side} {muscle}", *means, str(len(there))))
    header = ("muscle", "area mm2", "rCSA", "fat infiltration %", "fat fraction %", "slices")
    return [*aligned([header, *cells]), ""] if cells else []


def report_line(document: dict) -> str:
    """The case in one line, to paste into a report."""
    case, found = document["case"], []
    for name, title, decimals in HEADLINES + MUSCLE_HEADLINES:
        if case.get(name) is not None:
            low, high = case.get(f"{name}_low"), case.get(f"{name}_high")
            spread = f" ({low:.{decimals}f}-{high:.{decimals}f})" if low is not None and high is not None else ""
            found.append(f"{title} {case[name]:.{decimals}f}{spread}")
    used = [
        f"{role} {', '.join(case[name])}"
        for role, name in (("CT", "ct_levels"), ("T1", "t1_levels"), ("muscles", "rcsa_discs"))
        if case.get(name)
    ]
    used += [f"CSF {case['csf_level']}"] if case.get("csf_level") else []
    parts = [", ".join(found) or "no case value", f"levels: {'; '.join(used)}" if used else ""]
    parts += [f"flags: {case['flags']}" if case.get("flags") else "no flags", "ROIs edited by hand" if case.get("edited") else ""]
    return f"{document['case_id']}: {'. '.join(filter(None, parts))}. BoneQuality {document['software_version']}, research use."


def summary_rows(document: dict) -> list[dict]:
    """The rows of the summary table: every case value that was measured, each published cut-off beside it in a row of its own."""
    case, rows = document["case"], []
    columns = {column.name: column for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}
    beside: dict[str, list[dict]] = {}
    for cutoff in document["cutoffs"]:
        beside.setdefault(cutoff["measure"], []).append(cutoff)
    for name in dict.fromkeys((*SUMMARIZED, *beside)):
        value = case.get(name, beside[name][0]["value"] if name in beside else None)
        if value is None:
            continue
        column, low, high = columns[name], case.get(f"{name}_low"), case.get(f"{name}_high")
        title = column.title if name in case else f"{column.title} {beside[name][0]['level']}"
        spread = f"{low:.{column.decimals}f} to {high:.{column.decimals}f}" if low is not None and high is not None else ""
        digits = f"{value:.{column.decimals}f}".replace("-", "\N{MINUS SIGN}")  # a text that no spreadsheet takes for a formula
        shown_once = dict(measure=title, value=digits, unit=column.unit, range=spread)
        for cutoff in beside.get(name, [None]):
            said = "" if cutoff is None else f"{cutoff['comparison']} {cutoff['cutoff']:g}"
            note = "" if cutoff is None else "; ".join(filter(None, (cutoff["purpose"], cutoff["source"], cutoff["note"])))
            rows.append(dict(shown_once, column=name, cutoff=said, source=note))
            shown_once = dict(measure="", value="", unit="", range="")
    return rows


def cutoff_sentences(document: dict) -> list[str]:
    """Every published cut-off beside the value it belongs to."""
    return [
        f"{c['measure']} {c['value']:.4g}: {c['comparison']} {c['cutoff']:g} {c['purpose']} ({'; '.join(filter(None, (c['source'], c['note'])))})"
        for c in document["cutoffs"]
    ]


def flag_sentences(document: dict) -> list[str]:
    """Every flag with its level and the value behind it, the most severe first."""
    found = []
    for flag in sorted(document["flags"], key=lambda flag: Severity(flag["severity"]).rank):
        behind = behind_flag(flag)
        name = " ".join(filter(None, (flag["severity"], flag["code"], flag["level"])))
        found.append(f"{name}: {flag['sentence']}{f' ({behind})' if behind else ''}")
    return found


def behind_flag(flag: dict) -> str:
    """The names and the value that a flag of the document was raised for, with the unit."""
    value = "" if flag["value"] is None else f"{flag['value']:.4g} {flag['unit']}".strip()
    return ", ".join(filter(None, (flag["about"], value)))


def shown(value, decimals: int) -> str:
    """A number for a person's eyes; "-" for what was not measured."""
    return "-" if value is None or value != value else f"{value:.{decimals}f}"


def aligned(rows) -> list[str]:
    """Rows of cells as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
