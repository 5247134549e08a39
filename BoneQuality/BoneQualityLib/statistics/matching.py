"""Controls for cases: 1 to n, with the same levels and numbers within a caliper, and the balance before and after."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from ..files.csv_tables import csv_line, csv_text
from ..files.writing import write_whole
from .cohort import FACTS, check_columns, check_spelling, counted, events_of, read_csv, text_of, typed
from .exclusions import apply_rules
from .facts import with_facts
from .question import Question
from .tables import COHORT_TABLES

MATCHED, BALANCE, PAIR = "matched.csv", "balance.csv", "pair"
#: An assignment over more pairs of an event and a control than this would take minutes; then each event takes its nearest control in turn.
MOST_ASSIGNED = 4_000_000
MOST_CONTROLS = 20
#: Standardized differences up to this count as balance (Austin, Stat Med 2009;28:3083).
BALANCED = 0.1


@dataclass(frozen=True)
class Matching:
    """table: the rows that could be matched, as they were; events (n,); sets: row of an event -> rows of its controls; balance: rows of that table."""

    table: object
    events: np.ndarray
    sets: dict[int, list[int]]
    balance: list[dict]
    flow: list[dict]
    ratio: int

    @property
    def text(self) -> str:
        """What was matched, for a terminal."""
        from .page import aligned

        full, controls = sum(len(found) == self.ratio for found in self.sets.values()), sum(map(len, self.sets.values()))
        lines = [f"{step['step']}: {step['excluded']} excluded, {step['left']} left" for step in self.flow[1:]]
        lines.append(
            f"{counted(len(self.sets), 'event')} matched with {counted(controls, 'control')} (1 to {self.ratio}; {full} with all), "
            f"{counted(int(self.events.sum()) - len(self.sets), 'event')} without a control"
        )
        lines += ["", COHORT_TABLES["balance"][0], *aligned("balance", self.balance)]
        if any(abs(row.get("smd_after", 0.0)) > BALANCED for row in self.balance):
            lines.append(
                f"Standardized differences over {BALANCED:g} are no balance; narrow the calipers, or adjust for these variables."
            )
        return "\n".join(lines)

    def write_files(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write matched.csv, the rows of all sets with a column ``pair`` that says which set, and balance.csv; returns their paths."""
        width, of_row = len(str(len(self.sets))), {}
        for number, (event, controls) in enumerate(sorted(self.sets.items()), 1):
            of_row |= dict.fromkeys([event, *controls], f"p{number:0{width}d}")
        kept = [name for name in self.table.columns if name != PAIR]
        lines = [csv_line([*kept, PAIR])]
        for at, cells in enumerate(self.table[kept].itertuples(index=False)):
            if at in of_row:
                lines.append(csv_line([*("" if cell is None or cell != cell else str(cell) for cell in cells), of_row[at]]))
        paths = [Path(folder) / BALANCE, Path(folder) / MATCHED]
        write_whole({paths[0]: csv_text(COHORT_TABLES["balance"][1], self.balance), paths[1]: "".join(lines)}, overwrite)
        return paths


def match(source, outcome: str, exact="sex", caliper="age=2", ratio: int = 1, where=()) -> Matching:
    """Find up to ``ratio`` controls for every event: as many events as possible get one, then a second and so on, the nearest first.

    source: path of a CSV file or DataFrame with one row per case; outcome and where as of `analysis.analyze`. exact: columns whose cells
    must be the same; caliper: ``age=2,bmi=3``, columns of numbers and how far apart they may lie. Nearness: the sum of squared
    differences, each in units of its caliper; ties go by the order of case ids, so that the order of rows changes no set. Cases
    without one of these columns are not matched. Raises BoneQualityError.
    """
    same, calipers = _names(exact), _calipers(caliper)
    if not 1 <= ratio <= MOST_CONTROLS:
        raise BoneQualityError("{ratio} controls for each event are asked for; give 1 to {most}.", ratio=ratio, most=MOST_CONTROLS)
    if not same and not calipers:
        sentence = "Nothing to match by is named; give columns that must be the same, calipers such as age=2, or both."
        raise BoneQualityError(sentence, remedies=("exact", "caliper"))
    question = Question.of(outcome, measures=list(calipers), adjust=same, where=where)
    name = "the table" if hasattr(source, "columns") else Path(source).name
    table, _ = with_facts(source if hasattr(source, "columns") else read_csv(source), name)
    check_columns(table, question, name)
    table, flow = apply_rules(table, question.where, name)
    used = [column for column in dict.fromkeys(["case_id", question.outcome, *same, *calipers, *FACTS]) if column in table]
    frame = typed(text_of(table[used]), question, name)
    check_spelling(frame, question, name)
    event = events_of(frame[question.outcome], question, name)
    known = event.notna() & frame[[*same, *calipers]].notna().all(axis=1)
    flow.append(
        dict(
            step="outcome and what is matched by known",
            excluded=int((~known).sum()),
            missing=int((~known).sum()),
            left=int(known.sum()),
        )
    )
    frame, events = frame[known].reset_index(drop=True), event[known].to_numpy(bool)
    sets = _sets(frame, events, same, calipers, ratio)
    variables = [column for column in used if column not in ("case_id", question.outcome)]
    return Matching(table[known.to_numpy()], events, sets, balance_rows(frame[variables], events, sets), flow, ratio)


def _names(text) -> list[str]:
    names = text.split(",") if isinstance(text, str) else text
    return list(dict.fromkeys(name.strip() for name in names or () if name.strip()))


def _calipers(text) -> dict[str, float]:
    if isinstance(text, dict):
        return text
    found = {}
    for part in _names(text):
        parts = re.fullmatch(r"(.+?)\s*=\s*([0-9.eE+]+)", part)
        width = float(parts[2]) if parts and re.fullmatch(r"[0-9]*\.?[0-9]+([eE]\+?[0-9]+)?", parts[2]) else -1.0
        if not (math.isfinite(width) and width >= 0):
            raise BoneQualityError(
                "{part!r} is no caliper; write a column and how far apart its values may lie, as age=2.", part=part
            )
        found[parts[1].strip()] = width
    return found


def _sets(frame, events: np.ndarray, same: list[str], calipers: dict[str, float], ratio: int) -> dict[int, list[int]]:
    order = np.argsort(frame["case_id"].fillna("").to_numpy(str), kind="stable") if "case_id" in frame else np.arange(len(frame))
    strata: dict[tuple, list[int]] = {}
    keys = frame[same].to_numpy(object) if same else np.zeros((len(frame), 0), object)
    for at in order:
        strata.setdefault(tuple(map(str, keys[at])), []).append(at)
    values = np.stack([frame[name].to_numpy(float) for name in calipers], axis=1) if calipers else np.zeros((len(frame), 0))
    widths, found = np.array(list(calipers.values())), {}
    for members in strata.values():
        cases = np.array([at for at in members if events[at]], int)
        controls = np.array([at for at in members if not events[at]], int)
        if not len(cases) or not len(controls):
            continue
        assign = _assigned if len(cases) * len(controls) <= MOST_ASSIGNED else _in_turn
        free = np.ones(len(controls), bool)
        for _ in range(ratio):
            for event, control in assign(values[cases], values[controls], widths, free):
                free[control] = False
                found.setdefault(int(cases[event]), []).append(int(controls[control]))
    return {event: found[event] for event in sorted(found)}


def _distances(first: np.ndarray, second: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Squared differences in units of the calipers, summed, (n, m); infinite outside one. A caliper of 0 wants equal numbers."""
    total = np.zeros((len(first), len(second)))
    for n, width in enumerate(widths):
        apart = np.abs(first[:, None, n] - second[None, :, n])
        with np.errstate(divide="ignore", invalid="ignore"):
            total += np.where(apart <= width * (1 + 1e-12), (apart / width) ** 2 if width else 0.0, np.inf)
    return total


def _assigned(first: np.ndarray, second: np.ndarray, widths: np.ndarray, free: np.ndarray):
    """The most pairs, and of those ways the nearest: the assignment problem, solved by scipy."""
    from scipy.optimize import linear_sum_assignment

    left = np.flatnonzero(free)
    cost = _distances(first, second[left], widths)
    allowed = np.isfinite(cost)
    none = (len(widths) + 1.0) * (min(cost.shape) + 1)  # dearer than any number of allowed pairs
    for event, control in zip(*linear_sum_assignment(np.where(allowed, cost, none))):
        if allowed[event, control]:
            yield event, left[control]


def _in_turn(first: np.ndarray, second: np.ndarray, widths: np.ndarray, free: np.ndarray):
    """The nearest free control for each event, events with the fewest controls within the first caliper first."""
    free = free.copy()
    if not len(widths):
        yield from zip(range(len(first)), np.flatnonzero(free))
        return
    by_value = np.argsort(second[:, 0], kind="stable")
    sorted_values, reach = second[by_value, 0], widths[0] * (1 + 1e-12)
    begin = np.searchsorted(sorted_values, first[:, 0] - reach, "left")
    end = np.searchsorted(sorted_values, first[:, 0] + reach, "right")
    for event in np.argsort(end - begin, kind="stable"):
        near = by_value[begin[event] : end[event]]
        near = np.sort(near[free[near]])
        distance = _distances(first[event : event + 1], second[near], widths)[0]
        if len(near) and np.isfinite(distance.min()):
            free[near[distance.argmin()]] = False
            yield event, near[distance.argmin()]


def balance_rows(frame, events: np.ndarray, sets: dict[int, list[int]]) -> list[dict]:
    """Rows of the table ``balance``: every variable among events and others, before and after, with standardized differences.

    After matching, a set's controls together weigh as much as its event. The SD is that before matching, so that both differences have
    one unit (Stuart, Stat Sci 2010;25:1).
    """
    weights = np.zeros(len(events))
    for event, controls in sets.items():
        weights[event] = 1.0
        weights[controls] = 1.0 / len(controls)
    rows = []
    for name in frame:
        cells = frame[name]
        known = cells.notna().to_numpy()
        if cells.dtype.kind == "f":
            rows.append(dict(variable=name, **_balance(cells.to_numpy()[known], events[known], weights[known])))
        else:
            for level in sorted(cells.dropna().unique()):
                share = (cells == level).to_numpy(float)[known]
                rows.append(dict(variable=name, level=level, **_balance(share, events[known], weights[known], share=True)))
    return rows


def _balance(values: np.ndarray, events: np.ndarray, weights: np.ndarray, share: bool = False) -> dict:
    if not 0 < events.sum() < len(events):
        return {}
    groups = values[events], values[~events]
    spread = [v.mean() * (1 - v.mean()) if share else v.var(ddof=1) if len(v) > 1 else 0.0 for v in groups]
    unit = math.sqrt(sum(spread) / 2)
    row = dict(events_before=groups[0].mean(), others_before=groups[1].mean())
    row["smd_before"] = (row["events_before"] - row["others_before"]) / unit if unit else np.nan
    if weights[events].any() and weights[~events].any():
        row |= dict(
            events_after=np.average(groups[0], weights=weights[events]),
            others_after=np.average(groups[1], weights=weights[~events]),
        )
        row["smd_after"] = (row["events_after"] - row["others_after"]) / unit if unit else np.nan
    return row
