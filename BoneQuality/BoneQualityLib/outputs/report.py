"""The report of a case as one page, and its text for a RIS."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MEASURES, MUSCLE_COLUMNS
from ..parameters import CaseFacts, Parameters
from .cutoff_bars import bar
from .document import RESEARCH, level_rows, muscle_rows
from .drawing import Picture
from .page_templates import PACKAGES, render
from .remedies import remedy
from .summary import SUMMARIZED, behind_flag, shown

__all__ = ["PACKAGES", "html", "ris_text"]

#: Values of the level table in the report, as far as any level has them.
LEVEL_VALUES = tuple(measure.name for measure in MEASURES if measure.brief or measure.family == "heights")
#: Values of the muscle table: name, what stands behind the number in place of the unit, decimals.
MUSCLE_VALUES = (
    ("area_mm2", "", 0),
    ("rcsa", "rCSA", 2),
    ("fat_infiltration_percent", "% fat", 1),
    ("fat_fraction_percent", "% fat fraction", 1),
)
#: What the levels of a case value are called in the case table.
LEVELS_OF = dict(hu="ct_levels", vbq="t1_levels", rcsa="rcsa_discs")
IMAGES = dict(ct="CT", t1="T1 MRI", axial_mr="axial images", fat="fat image", water="water image")
#: Digits after the point for people; the CSV has more.
DECIMALS = {measure.name: measure.people for measure in MEASURES}
#: Characters of a content hash that are shown; the JSON has all of them.
HASH_SHOWN = 8
UNKNOWN_TITLES = dict(scanning_sequence="scanning sequence", fat_suppressed="fat suppression", modality="modality")


def html(document: dict, pictures: list[Picture], templates: str | Path | None = None) -> str:
    """The report as a page that needs nothing beside it: no script, no request.

    document: as CASE.json holds it. pictures: as ``pictures.draw`` gives them. templates: a folder with a person's own
    ``report.html`` or ``ris.txt``, which get the names of `content`. Raises BoneQualityError where a template cannot be used.
    """
    return render("report.html", dict(content(document, pictures), ris_text=ris_text(document, templates)), templates)


def ris_text(document: dict, templates: str | Path | None = None) -> str:
    """The case in several lines to paste into a RIS; templates: likewise, with ``ris.txt``."""
    return render("ris.txt", content(document, []), templates)


def content(document: dict, pictures: list[Picture]) -> dict:
    """What a template can use.

    document; facts: (title, text) of what is known of the case; measures: case values with range, cut-offs and bar (SVG);
    fractures: suggested ones; levels, muscles: tables of titles and rows of texts; doubts: errors first; pictures: by kind;
    method, images: (title, text); statement.
    """
    return dict(
        document=document, facts=_facts(document), measures=_measures(document), fractures=_fractures(document),
        graded="ct" in document["inputs"] and any(row.get("genant_grade") is not None for row in document["levels"]),
        ungraded=[row["level"] for row in document["levels"] if row.get("genant_grade") is None] if "ct" in document["inputs"] else [],
        unseen=_unseen(document, pictures), levels=_levels(document), muscles=_muscles(document), doubts=doubts(document), pictures=_by_kind(pictures),
        method=_method(document), images=_images(document), statement=RESEARCH, is_edited=bool(document["case"].get("edited")),
    )  # fmt: skip


def doubts(document: dict) -> list[dict]:
    """Flags, in the document's order, errors first; one entry per code and severity with all its levels: severity, code, where, sentence, found, remedy."""
    found: dict[tuple[str, str], dict] = {}
    for flag in document["flags"]:
        entry = found.setdefault(
            (flag["severity"], flag["code"]),
            dict(
                severity=flag["severity"],
                code=flag["code"],
                sentence=flag["sentence"],
                remedy=remedy(flag["code"]),
                levels=[],
                found=[],
            ),
        )
        behind = behind_flag(flag)
        entry["levels"] += [flag["level"]] if flag["level"] and flag["level"] not in entry["levels"] else []
        entry["found"] += [f"{flag['level']}: {behind}" if flag["level"] else behind] if behind else []
    return [
        dict(entry, where=", ".join(entry["levels"]), found="; ".join(dict.fromkeys(entry["found"]))) for entry in found.values()
    ]


def _unseen(document: dict, pictures: list[Picture]) -> list[str]:
    """Levels whose slices have no picture."""
    shown_levels = {picture.level for picture in pictures}
    sliced = [level["level"] for level in document["levels"] if any(f"hu_{roi['kind']}" in level for roi in level["rois"])]
    return [name for name in sliced if name not in shown_levels]


def _facts(document: dict) -> list[tuple[str, str]]:
    facts, found = document["facts"], []
    for item in fields(CaseFacts):
        value = facts.get(item.name)
        if item.name == "case_id" or value in (None, "", [], ()):
            continue
        text = ", ".join(value) if isinstance(value, (list, tuple)) else f"{value:g}" if isinstance(value, float) else str(value)
        unit = item.metadata.get("unit", "")
        found.append((_title(item.name), f"{text} {unit}".strip()))
    return found


def _title(name: str) -> str:
    known = {column.name: column.title for column in CASE_COLUMNS}
    return known.get(name) or name.replace("_", " ").replace(" mm", "").capitalize()


def _measures(document: dict) -> list[dict]:
    """Every case value that was measured, and level values that a cut-off stands beside."""
    columns = {column.name: column for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}
    beside: dict[str, list[dict]] = {}
    for cutoff in document["cutoffs"]:
        beside.setdefault(cutoff["measure"], []).append(cutoff)
    case, found = document["case"], []
    for name in dict.fromkeys((*SUMMARIZED, *beside)):
        cutoffs, column = beside.get(name, []), columns[name]
        value = case.get(name, cutoffs[0]["value"] if name not in case and cutoffs else None)
        if value is None:
            continue
        low, high, decimals = case.get(f"{name}_low"), case.get(f"{name}_high"), DECIMALS.get(name, 1)
        if name not in case:
            low, high = cutoffs[0].get("low"), cutoffs[0].get("high")
        spread = f"{shown(low, decimals)} to {shown(high, decimals)}" if None not in (low, high) and low < high else ""
        levels = case.get(LEVELS_OF.get(name.split("_")[0], ""), []) if name in case else [cutoffs[0]["level"]]
        levels = ["L1"] if name == "hu_middle_l1" else levels
        with_fractured = case.get(f"{name}_including_fractured")
        with_fractured = None if with_fractured == value else with_fractured
        found.append(dict(
            name=name, title=column.title, value=shown(value, decimals), unit=column.unit, range=spread, cutoffs=cutoffs,
            levels=_run(levels), bar=bar(value, low, high, cutoffs) if cutoffs else "",
            including_fractured="" if with_fractured is None else shown(with_fractured, decimals),
        ))  # fmt: skip
    return found


def _run(levels: list[str]) -> str:
    """Levels as a text; three or more lumbar ones in a row as L1-L4."""
    numbers = [int(level[1:]) for level in levels if level[0] == "L" and level[1:].isdigit()]
    if len(levels) == len(numbers) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{levels[0]}-{levels[-1]}"
    return ", ".join(levels)


def _fractures(document: dict) -> list[dict]:
    """Levels that a fracture is suggested for: level, grade, shape, loss (percent), and whether a person marked it."""
    flagged = {flag["level"] for flag in document["flags"] if flag["code"] == "possible-fracture"}
    found = []
    for row in document["levels"]:
        if row.get("genant_grade") or row["level"] in flagged:
            shape = (row.get("height_loss") or {}).get("shape") or ""
            grade = "" if row.get("genant_grade") is None else f"{row['genant_grade']:.0f}"
            is_marked = row["level"] in document["facts"].get("fractured", ())
            loss = shown(row.get("height_loss_percent"), 0)
            found.append(dict(level=row["level"], grade=grade, shape=shape, loss=loss, is_marked=is_marked))
    return found


def _levels(document: dict) -> dict:
    rows = level_rows(document)
    columns = {column.name: column for column in LEVEL_COLUMNS}
    names = [name for name in LEVEL_VALUES if any(row[name] is not None for row in rows)]
    both = {"ct", "t1"} <= set(document["inputs"])
    lines = []
    for row in rows:
        why = {role: row[f"{role}_exclusion"] for role in ("ct", "t1") if role in document["inputs"] and row[f"{role}_exclusion"]}
        titles = {
            role: f"{IMAGES[role]}: " if both and len(set(why.values())) > 1 or len(why) == 1 and both else "" for role in why
        }
        remarks = list(dict.fromkeys(f"{titles[role]}{text}" for role, text in why.items()))
        remarks += [f"edited: {row['edited']}"] if row["edited"] else []
        cells = [shown(row[name], min(columns[name].decimals, 2 if "vbq" in name else 1)) for name in names]
        lines.append(dict(level=row["level"], is_used=row["used"] == "yes", cells=cells, remark="; ".join(remarks)))
    return dict(titles=[_headed(columns[name]) for name in names], rows=lines)


def _headed(column) -> str:
    return f"{column.title} ({column.unit})" if column.unit and column.unit != "HU" else column.title


def _muscles(document: dict) -> dict:
    """One row per slice, one column per compartment: area and fat."""
    rows, columns = muscle_rows(document), {column.name: column for column in MUSCLE_COLUMNS}
    titles = list(dict.fromkeys(_compartment(row) for row in rows))
    slices: dict[tuple, dict] = {}
    for row in rows:
        where = row["disc"] or f"S {shown(row['slice_s_mm'], 1)}"
        there = slices.setdefault((where, row["slice_s_mm"]), dict(where=where, texts={}, remarks=[]))
        said = [
            f"{shown(row[name], digits)} {title or columns[name].unit}".strip()
            for name, title, digits in MUSCLE_VALUES
            if row[name] is not None and (name != "rcsa" or row["muscle"] == "all")
        ]
        there["texts"][_compartment(row)] = ", ".join(said) or "-"
        there["remarks"] += [row["reason"]] if row["reason"] else []
    lines = [
        dict(
            where=s["where"], cells=[s["texts"].get(title, "-") for title in titles], remark="; ".join(dict.fromkeys(s["remarks"]))
        )
        for s in slices.values()
    ]
    return dict(titles=titles, rows=lines)


def _compartment(row: dict) -> str:
    return "all six" if row["muscle"] == "all" else f"{row['side']} {row['muscle']}"


def _by_kind(pictures: list[Picture]) -> dict[str, list[Picture]]:
    """overview, slices (upper, middle, lower, level by level), vbq, muscles."""
    found = dict(overview=[], slices=[], vbq=[], muscles=[])
    for picture in pictures:
        found[picture.kind if picture.kind in found else "slices"].append(picture)
    return found


def _method(document: dict) -> list[tuple[str, str]]:
    """Every parameter with its unit and what it means."""
    parameters, found = document["parameters"], []
    for item in fields(Parameters):
        value = parameters.get(item.name)
        if value in (None, ""):
            continue
        text = (
            {True: "yes", False: "no"}[value]
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else str(value)
        )
        found.append((_title(item.name), f"{text} {item.metadata.get('unit', '')}".strip()))
    return found


def _images(document: dict) -> list[dict]:
    """Every input: title, what its tags say, what they do not say, lattice, hashes of its content and its masks'."""
    titles = {column.name: (column.title, column.unit) for column in CASE_COLUMNS}
    found = []
    for role, given in document["inputs"].items():
        tags = []
        for name, value in given["tags"].items():
            if value is not None:
                title, unit = titles.get(name, (_title(name), ""))
                tags.append(f"{title} {value:g} {unit}".strip() if isinstance(value, float) else f"{title} {value}")
        unknown = ", ".join(titles.get(name, (UNKNOWN_TITLES.get(name, name),))[0] for name in given["unknown_tags"])
        matrix = given["ijk_to_ras"]
        steps = [sum(matrix[row][column] ** 2 for row in range(3)) ** 0.5 for column in range(3)]
        size = " x ".join(str(n) for n in reversed(given["shape_kji"]))
        lattice = f"{size} voxels of {' x '.join(f'{step:.3g}' for step in steps)} mm"
        masks = ", ".join(f"{name} {mask['sha256'][:HASH_SHOWN]}" for name, mask in given["masks"].items())
        found.append(dict(
            title=IMAGES.get(role, role.replace("_", " ")), tags="; ".join(tags), unknown=unknown, lattice=lattice,
            sha256=given["sha256"][:HASH_SHOWN], masks=masks,
        ))  # fmt: skip
    return found
