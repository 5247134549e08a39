"""A measured case as text: for a terminal, a report, a summary table."""

from __future__ import annotations

from collections.abc import Callable

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, Image, measures_for
from .document import RESEARCH, level_rows, muscle_rows

HEADLINES = measures_for("headline")
BRIEF = measures_for("brief")
SUMMARIZED = tuple(measure.name for measure in measures_for("summarized"))


def summary(document: dict) -> str:
    """The case as text for a terminal."""
    header = ("level", *(measure.brief for measure in BRIEF), "CT", "T1")
    rows = [
        (row["level"], *(shown(row[measure.name], measure.people) for measure in BRIEF), row["ct_exclusion"] or "used",
         row["t1_exclusion"] or "used")
        for row in level_rows(document)
    ]  # fmt: skip
    lines = [f"Case {document['case_id']}", "", *(aligned([header, *rows]) + [""] if rows else [])]
    lines += muscle_lines(document)
    has_muscles = bool(muscle_rows(document))
    heads = [m for m in HEADLINES if (has_muscles if m.image is Image.AXIAL else rows)]
    lines.append("  ".join(f"{m.headline} {shown(document['case'].get(m.name), m.people)}" for m in heads))
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
    names = (("area_mm2", 1), *((m.name, m.people) for m in measures_for("headline", Image.AXIAL)))
    cells = []
    for (side, muscle), there in found.items():
        columns = [[row[name] for row in there if row[name] is not None] for name, _ in names]
        means = [shown(sum(values) / len(values) if values else None, digits) for values, (_, digits) in zip(columns, names)]
        cells.append((f"{side} {muscle}", *means, str(len(there))))
    header = ("muscle", "area mm2", *(m.headline for m in measures_for("headline", Image.AXIAL)), "slices")
    return [*aligned([header, *cells]), ""] if cells else []


def report_line(document: dict) -> str:
    """The case in one line, to paste into a report."""
    case, found = document["case"], []
    for measure in HEADLINES:
        name, digits = measure.name, measure.people
        if case.get(name) is not None:
            low, high = case.get(f"{name}_low"), case.get(f"{name}_high")
            spread = f" ({low:.{digits}f}-{high:.{digits}f})" if low is not None and high is not None else ""
            found.append(f"{measure.headline} {case[name]:.{digits}f}{spread}")
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
    """Every flag with its level and the value behind it, in the document's order: those that matter most first."""
    found = []
    for flag in document["flags"]:
        behind = behind_flag(flag)
        name = " ".join(filter(None, (flag["severity"], flag["code"], flag["level"])))
        found.append(f"{name}: {flag['sentence']}{f' ({behind})' if behind else ''}")
    return found


def behind_flag(flag: dict, tell: Callable[[str], str] = str) -> str:
    """The names and the value that a flag of the document was raised for, with the unit; tell: as a panel does that translates."""
    value = "" if flag["value"] is None else f"{flag['value']:.4g} {tell(flag['unit'])}".strip()
    return ", ".join(filter(None, (tell(flag["about"]), value)))


def shown(value, decimals: int) -> str:
    """A number for a person's eyes; "-" for what was not measured."""
    return "-" if value is None or value != value else f"{value:.{decimals}f}"


def aligned(rows) -> list[str]:
    """Rows of cells as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
