"""A measured case as plain data, as CASE.json holds it, and what people get from it: files, table rows, sentences.

All of it is made here, whether the case was measured a moment ago or lies in a saved scene.
"""

from __future__ import annotations

from pathlib import Path

from .tables import CASE_COLUMNS, LEVEL_COLUMNS, Column, csv_text, json_text, write_whole

RESEARCH = "Research use; not a medical device."
#: The values that a person looks at first: column of the case table, what it is called in a sentence, decimals.
HEADLINES = (("hu_3d", "3D-HU", 1), ("hu_multislice", "multi-slice HU", 1), ("hu_middle_l1", "mid-slice HU of L1", 1), ("vbq", "VBQ", 2))


def rows_of(columns: tuple[Column, ...], items: list[dict]) -> list[dict]:
    """The table rows that lie in a document's items, without what else the items hold."""
    return [{column.name: item.get(column.name) for column in columns} for item in items]


def level_rows(document: dict) -> list[dict]:
    """The rows of CASE_levels.csv."""
    return rows_of(LEVEL_COLUMNS, document["levels"])


def case_rows(document: dict) -> list[dict]:
    """The one row of CASE_case.csv."""
    return rows_of(CASE_COLUMNS, [document["case"]])


def output_paths(folder: str | Path, case_id: str) -> list[Path]:
    """The files of a case; the JSON, last, marks it as done."""
    return [Path(folder) / f"{case_id}{ending}" for ending in ("_levels.csv", "_case.csv", ".json")]


def write_case(document: dict, folder: str | Path, overwrite: bool = False) -> list[Path]:
    """Write CASE_levels.csv, CASE_case.csv and CASE.json (last: it marks the case as done); returns their paths."""
    paths = output_paths(folder, document["case_id"])
    texts = (csv_text(LEVEL_COLUMNS, level_rows(document)), csv_text(CASE_COLUMNS, case_rows(document)), json_text(document))
    write_whole(dict(zip(paths, texts)), overwrite)
    return paths


def summary(document: dict) -> str:
    """The case as text for a terminal."""
    names = ("hu_3d", "hu_upper", "hu_middle", "hu_lower", "hu_multislice", "vbq_single_level")
    header = ("level", "3D-HU", "upper", "middle", "lower", "multi-slice", "VBQ", "CT", "T1")
    rows = [
        (row["level"], *(shown(row[name], 2 if "vbq" in name else 1) for name in names), row["ct_exclusion"] or "used",
         row["t1_exclusion"] or "used")
        for row in level_rows(document)
    ]  # fmt: skip
    lines = [f"Case {document['case_id']}", "", *aligned([header, *rows]), ""]
    lines.append("  ".join(f"{title} {shown(document['case'].get(name), decimals)}" for name, title, decimals in HEADLINES))
    lines += [f"  {reason}" for reason in document["reasons"]]
    if document["cutoffs"]:
        lines += ["", "Published cut-offs (each belongs to its method and scanner; not a verdict):"]
        lines += [f"  {sentence}" for sentence in cutoff_sentences(document)]
    if document["flags"]:
        lines += ["", "Flags:", *(f"  {sentence}" for sentence in flag_sentences(document))]
    return "\n".join([*lines, "", RESEARCH])


def report_line(document: dict) -> str:
    """The case in one line, to paste into a report."""
    case, found = document["case"], []
    for name, title, decimals in HEADLINES:
        if case.get(name) is not None:
            low, high = case.get(f"{name}_low"), case.get(f"{name}_high")
            spread = f" ({low:.{decimals}f}-{high:.{decimals}f})" if low is not None and high is not None else ""
            found.append(f"{title} {case[name]:.{decimals}f}{spread}")
    used = [f"{role} {', '.join(case[name])}" for role, name in (("CT", "ct_levels"), ("T1", "t1_levels")) if case.get(name)]
    used += [f"CSF {case['csf_level']}"] if case.get("csf_level") else []
    parts = [", ".join(found) or "nothing measured", f"levels: {'; '.join(used)}" if used else ""]
    parts += [f"flags: {case['flags']}" if case.get("flags") else "no flags", "ROIs edited by hand" if case.get("edited") else ""]
    return f"{document['case_id']}: {'. '.join(filter(None, parts))}. BoneQuality {document['software_version']}, research use."


def cutoff_sentences(document: dict) -> list[str]:
    """Every published cut-off beside the value it belongs to."""
    return [
        f"{c['measure']} {c['value']:.4g}: {c['comparison']} {c['cutoff']:g} {c['purpose']} ({'; '.join(filter(None, (c['source'], c['note'])))})"
        for c in document["cutoffs"]
    ]


def flag_sentences(document: dict) -> list[str]:
    """Every flag with its level and the number behind it."""
    found = []
    for flag in document["flags"]:
        number = f"{flag['number']:.4g}" if isinstance(flag["number"], float) else flag["number"]
        behind = "" if number is None else f" ({number})"
        found.append(f"{' '.join(filter(None, (flag['severity'], flag['code'], flag['level'])))}: {flag['sentence']}{behind}")
    return found


def shown(value, decimals: int) -> str:
    """A number for a person's eyes; "-" for what was not measured."""
    return "-" if value is None or value != value else f"{value:.{decimals}f}"


def aligned(rows) -> list[str]:
    """Rows of cells as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
