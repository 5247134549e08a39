"""A measured case as plain data, as CASE.json holds it, and what people get from it: files, table rows, sentences.

All of it is made here, whether the case was measured a moment ago or lies in a saved scene.
"""

from __future__ import annotations

from pathlib import Path

from .tables import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, Column, csv_text, json_text, write_whole

RESEARCH = "Research use; not a medical device."
SEVERITIES = ("error", "warning", "info")
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


def rows_of(columns: tuple[Column, ...], items: list[dict]) -> list[dict]:
    """The table rows that lie in a document's items, without what else the items hold."""
    return [{column.name: item.get(column.name) for column in columns} for item in items]


def level_rows(document: dict) -> list[dict]:
    """The rows of CASE_levels.csv."""
    return rows_of(LEVEL_COLUMNS, document["levels"])


def case_rows(document: dict) -> list[dict]:
    """The one row of CASE_case.csv."""
    return rows_of(CASE_COLUMNS, [document["case"]])


def muscle_rows(document: dict) -> list[dict]:
    """The rows of CASE_muscles.csv; none without axial images."""
    return rows_of(MUSCLE_COLUMNS, document.get("muscles") or [])


def output_paths(folder: str | Path, case_id: str, muscles: bool = False) -> list[Path]:
    """The files of a case, with axial images that of its muscles too; the JSON, last, marks it as done."""
    endings = ("_levels.csv", "_case.csv", *(["_muscles.csv"] if muscles else []), ".json")
    return [Path(folder) / f"{case_id}{ending}" for ending in endings]


def write_case(document: dict, folder: str | Path, overwrite: bool = False) -> list[Path]:
    """Write CASE_levels.csv, CASE_case.csv, with axial images CASE_muscles.csv, and CASE.json; returns their paths.

    The JSON is last: it marks the case as done.
    """
    muscles = muscle_rows(document)
    paths = output_paths(folder, document["case_id"], bool(muscles))
    texts = [csv_text(LEVEL_COLUMNS, level_rows(document)), csv_text(CASE_COLUMNS, case_rows(document))]
    texts += [csv_text(MUSCLE_COLUMNS, muscles)] if muscles else []
    write_whole(dict(zip(paths, [*texts, json_text(document)])), overwrite)
    if not muscles:  # of an earlier run that had axial images
        output_paths(folder, document["case_id"], True)[-2].unlink(missing_ok=True)
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


def place_behind(document: dict, level: str, column: str = "") -> tuple[dict | None, str]:
    """Where a cell of the level table was measured: the ROI's place as the document has it, and its image ("ct" or "t1").

    None where the level has no ROI. Columns without a ROI of their own, and no column, give the level's first one.
    """
    row = next((row for row in document["levels"] if row["level"] == level), None)
    rois = {roi["kind"]: roi for roi in row["rois"]} if row else {}
    wanted = next((kind for kind in ("upper", "lower", "middle") if f"hu_{kind}" in column), "")
    wanted = wanted or ("marrow" if column.startswith(("t1", "vbq")) else "")
    kind = next((kind for kind in (wanted, "middle", "cancellous", "marrow") if kind in rois), "")
    return rois.get(kind), "t1" if kind == "marrow" else "ct"


def muscle_place(document: dict, row: dict) -> dict | None:
    """Where a row of the muscle table was measured: the compartment's ROI, that of the disc for the row of all six."""
    kind = "disc" if row["muscle"] == "all" else f"{row['side']} {row['muscle']}"
    position = float(row["slice_s_mm"])
    there = [s for s in document["muscle_slices"] if abs(s["center"][2] - position) < 0.01]
    return next((roi for slice in there for roi in slice["rois"] if roi["kind"] == kind), next(iter(there), None))


def csf_place(document: dict) -> dict | None:
    """Where the CSF of the VBQ was read."""
    csf = document["csf"].get(document["case"].get("csf_level") or "")
    return csf["roi"] if csf else None


def cutoff_sentences(document: dict) -> list[str]:
    """Every published cut-off beside the value it belongs to."""
    return [
        f"{c['measure']} {c['value']:.4g}: {c['comparison']} {c['cutoff']:g} {c['purpose']} ({'; '.join(filter(None, (c['source'], c['note'])))})"
        for c in document["cutoffs"]
    ]


def flag_sentences(document: dict) -> list[str]:
    """Every flag with its level and the number behind it, errors first."""
    found = []
    for flag in sorted(document["flags"], key=lambda flag: SEVERITIES.index(flag["severity"])):
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
