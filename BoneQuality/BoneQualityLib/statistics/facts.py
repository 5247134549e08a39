"""Facts of a case that follow from the columns of its manifest: numbers of fractures, where they lie, T-score, follow-up."""

from __future__ import annotations

from datetime import date

from ..errors import BoneQualityError, Sentence
from ..parameters import LEVELS, LUMBAR_USED, NEIGHBORS

#: Columns of levels, as in the manifest; ``new_fractures``: those found later, as ``bonequality compare`` names them.
LEVEL_LISTS = ("fractured", "cemented", "exclude", "new_fractures")
#: Where the stiff thoracic meets the mobile lumbar spine, as Chang 2025 takes it.
JUNCTION = ("T12", "L1", "L2")
DATES = ("baseline_date", "end_date")
#: Column -> what it says and from what; those that a table has already are kept as they are.
FACTS = {
    "fracture_count": "number of fractured levels, from fractured",
    "multiple_fractures": "more than one fractured level, from fractured",
    "consecutive_fractures": "two fractured levels that are neighbors, from fractured",
    "cement_count": "number of cemented levels, from cemented",
    "thoracolumbar_junction": "a treated level at T12 to L2 (Chang 2025), from cemented, else fractured",
    "new_fracture_site": "adjacent to a cemented level, or remote, from new_fractures and cemented",
    "t_score": "mean of t_score_l1 to t_score_l4 without fractured, cemented and excluded levels (Chang 2025, Zhan 2024)",
    "follow_up_days": "days from baseline_date to end_date",
}


def with_facts(table, name: str):
    """The table (DataFrame of cells) with the facts that can be derived from it added; a new one, columns in the order of FACTS.

    A column that is there and holds anything is kept. Blank levels mean none where any case has some. Raises BoneQualityError
    for a level, T-score or date that cannot be read, with its row.
    """
    sources = [*LEVEL_LISTS, *DATES, *map(_score_column, LUMBAR_USED), *FACTS]
    held = {column for column in sources if column in table and table[column].map(_text).astype(bool).any()}
    levels = {column: _levels(table, column, name) for column in LEVEL_LISTS if column in held}
    made = {}
    if "fractured" in levels:
        made["fracture_count"] = levels["fractured"].map(len)
        made["multiple_fractures"] = _yes(made["fracture_count"] > 1)
        made["consecutive_fractures"] = _yes(levels["fractured"].map(_consecutive))
    if "cemented" in levels:
        made["cement_count"] = levels["cemented"].map(len)
    treated = levels.get("cemented", levels.get("fractured"))
    if treated is not None:
        made["thoracolumbar_junction"] = _yes(treated.map(lambda there: bool(set(there) & set(JUNCTION)))).where(
            treated.map(bool), ""
        )
    if {"cemented", "new_fractures"} <= set(levels):
        pairs = list(zip(levels["new_fractures"], levels["cemented"]))
        made["new_fracture_site"] = [_site(*pair) for pair in pairs]
    if any(_score_column(level) in held for level in LUMBAR_USED):
        made["t_score"] = _t_scores(table, levels, name)
    if set(DATES) <= held:
        made["follow_up_days"] = _days(table, name)
    new = {column: made[column] for column in FACTS if column in made and column not in held}
    return table.drop(columns=[column for column in new if column in table]).assign(**new), tuple(new)


def _text(cell) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()


def _yes(told):
    return told.map({True: "yes", False: "no"}).astype(object)


def _levels(table, column: str, name: str):
    def read(cell) -> tuple[str, ...]:
        return tuple(
            part for part in (p.strip().upper() for p in _text(cell).replace(";", ",").replace(" ", ",").split(",")) if part
        )

    found = table[column].map(read)
    for row, there in found.items():
        unknown = [level for level in there if level not in LEVELS]
        if unknown:
            sentence = "Row {row} of {name} holds {text!r} in {column!r}, which is no level; write levels as L2,L3."
            raise BoneQualityError(sentence, row=row, name=name, text=unknown[0], column=column)
    return found


def _consecutive(levels: tuple[str, ...]) -> bool:
    return any(frozenset((a, b)) in NEIGHBORS for a in levels for b in levels if a != b)


def _site(new: tuple[str, ...], cemented: tuple[str, ...]) -> str:
    """Where the new fractures lie; one adjacent one makes the case adjacent, blank without new fracture or cement."""
    if not new or not cemented:
        return ""
    return "adjacent" if any(frozenset((a, b)) in NEIGHBORS for a in new for b in cemented) else "remote"


def _score_column(level: str) -> str:
    return f"t_score_{level.lower()}"


def _t_scores(table, levels: dict, name: str):
    import pandas

    out = [levels[column] for column in ("fractured", "cemented", "exclude") if column in levels]
    scores = {}
    for level in LUMBAR_USED:
        column = _score_column(level)
        if column not in table:
            continue
        cells = table[column].map(_text)
        numbers = pandas.to_numeric(cells, errors="coerce")
        wrong = numbers.isna() & cells.astype(bool) & ~cells.str.lower().isin(("na", "nan", "n/a"))
        if wrong.any():
            row = wrong.idxmax()
            sentence = "Row {row} of {name} holds {text!r} in {column!r}; write a number or leave it empty."
            raise BoneQualityError(sentence, row=row, name=name, text=cells[row][:40], column=column)
        used = (
            ~pandas.concat([taken.map(lambda there, level=level: level in there) for taken in out], axis=1).any(axis=1)
            if out
            else True
        )
        scores[level] = numbers.where(used)
    return pandas.DataFrame(scores).mean(axis=1)


def _days(table, name: str):
    def days(row: tuple) -> float:
        number, cells = row[0], [_text(cell) for cell in row[1:]]
        try:
            first, last = (date.fromisoformat(cell[:10]) if cell else None for cell in cells)
        except ValueError:
            sentence = "Row {number} of {name} holds a date that cannot be read; write {dates} as 2024-12-31."
            raise BoneQualityError(sentence, number=number, name=name, dates=Sentence.joined(DATES, " and ")) from None
        return (last - first).days if first and last else float("nan")

    import pandas

    return pandas.Series([days(row) for row in table[list(DATES)].itertuples()], index=table.index, dtype=float)
