"""Rules that a case must meet to enter a cohort, applied in order, each with the number of cases it excludes: the patient flow."""

from __future__ import annotations

import operator

from ..errors import BoneQualityError
from .question import Comparison

_SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def apply_rules(table, rules: tuple[Comparison, ...], name: str) -> tuple[object, list[dict]]:
    """The rows of ``table`` (DataFrame of cells) that meet every rule, and the rows of the table ``flow`` so far.

    A cell that is empty does not meet a rule; such cases are counted apart. Raises BoneQualityError where a rule asks for more
    or less than a number and a cell holds none.
    """
    flow = [dict(step="cases in the table", left=_cases(table))]
    for rule in rules:
        cells = table[rule.column].map(_text)
        known = cells.astype(bool)
        met = known & _met(cells, known, rule, name)
        before, excluded = _cases(table), table[~met]
        missing = _cases(table[~known])
        table = table[met]
        flow.append(dict(step=str(rule), excluded=before - _cases(table), missing=missing, left=_cases(table)))
        if not len(table):
            sentence = "No case of {name} is left after the rule {rule} ({excluded} excluded by it); change the rule."
            raise BoneQualityError(sentence, name=name, rule=rule, excluded=_cases(excluded))
    return table, flow


def _text(cell) -> str:
    text = "" if cell is None or cell != cell else str(cell).strip()
    return "" if text.lower() in ("na", "nan", "n/a") else text


def _met(cells, known, rule: Comparison, name: str):
    import pandas

    numbers = pandas.to_numeric(cells.where(known), errors="coerce").astype(float)
    if rule.sign in ("=", "!="):
        same = cells.str.casefold() == rule.value.casefold()
        if rule.number == rule.number:
            same = same | (numbers == rule.number)
        return same if rule.sign == "=" else ~same
    if rule.number != rule.number:
        raise BoneQualityError(
            "The rule {rule} compares with no number; write for example age>=50, or sex=F for a text.", rule=rule
        )
    wrong = known & numbers.isna()
    if wrong.any():
        row = wrong.idxmax()
        sentence = "Row {row} of {name} holds {text!r} in {column!r}, which the rule {rule} compares; write a number."
        raise BoneQualityError(sentence, row=row, name=name, text=cells[row][:40], column=rule.column, rule=rule)
    return _SIGNS[rule.sign](numbers, rule.number)


def _cases(table) -> int:
    """Cases, of which a table of readings has several rows."""
    return int(table["case_id"].nunique()) if "case_id" in table else len(table)
