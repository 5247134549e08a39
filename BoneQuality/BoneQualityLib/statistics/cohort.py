"""A cohort as it is asked for: the CSV file checked and typed, one row a case. Every fault is one sentence with its row and remedy."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, Column, measures_for
from ..errors import BoneQualityError, Sentence
from ..files.csv_tables import NotCsv, read_table
from .exclusions import apply_rules
from .facts import FACTS as DERIVED
from .facts import with_facts
from .question import Question

#: Measures that are taken where none are named and the file has them, and the facts that the group table shows beside them.
MEASURES = tuple(measure.name for measure in measures_for("in_cohort"))
FACTS = ("age", "sex", "bmi", "hyperlipidemia")
MISSING = ("", "na", "nan", "n/a")
#: What two-valued outcome columns hold; the first of each pair is the event.
YES_NO = (("yes", "no"), ("1", "0"), ("true", "false"), ("y", "n"))
#: More subgroups than this are taken for a column of measurements.
MOST_SUBGROUPS = 12
#: A number above this is none of a measurement, and its squares overflow.
LARGEST = 1e100
#: Columns of ``Cohort.readings`` beside the case's id and the measures, whatever these are called.
READER, READING = "(reader)", "(reading)"
_KNOWN = {column.name: column for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}


@dataclass(eq=False)
class Cohort:
    """Checked data: ``frame`` has a row a case, numbers as floats (nan: missing), categories as text (None: missing).

    readings: with ``readers``, every reading: case_id, READER, READING (0 the first of this reader) and the measures. flow: rows
    of the table ``flow``. Without an outcome ``events`` are all False, and only methods and readers can be compared.
    """

    name: str
    question: Question
    frame: object
    events: np.ndarray
    measures: tuple[Column, ...]
    flow: list[dict]
    readings: object = None
    warnings: list[str] = field(default_factory=list)
    _members: dict = field(default_factory=dict, repr=False)

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def is_number(self, name: str) -> bool:
        return self.frame[name].dtype.kind == "f"

    def complete(self, *names: str) -> np.ndarray:
        """Which cases have all of these columns, (n,)."""
        return self.frame[list(names)].notna().all(axis=1).to_numpy()

    def values(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy()

    def subgroups(self) -> list[str]:
        """The values of the ``by`` column, sorted; none where nothing was asked."""
        return sorted(self.frame[self.question.by].dropna().unique()) if self.question.by else []

    def members(self, subgroup: str | None) -> np.ndarray:
        """Which cases belong to a subgroup, all for None."""
        if subgroup not in self._members:
            every = np.ones(len(self.frame), bool)
            self._members[subgroup] = every if subgroup is None else (self.frame[self.question.by] == subgroup).to_numpy()
        return self._members[subgroup]

    def variables(self) -> list[str]:
        """The rows of the group table: measures, known facts, and what is adjusted for or split by."""
        question = self.question
        facts = [name for name in (*FACTS, *DERIVED) if name in self.frame and name != question.time]
        named = [*(m.name for m in self.measures), *facts, *(term.name for term in question.adjust), question.by, *question.facts]
        return [name for name in dict.fromkeys(named) if name not in (None, question.outcome)]


def counted(number: int, word: str) -> Sentence:
    return Sentence("{number} {things}", number=number, things=Sentence(word if number == 1 else word + "s"))


def column_of(name: str) -> Column:
    """Title and unit of a column: those of the case and level tables, else the name itself."""
    return _KNOWN.get(name) or Column(name, name, "", 4)


def load(source, question: Question) -> Cohort:
    """Read and check ``source``, the path of a CSV file or a DataFrame; raises BoneQualityError for the first fault."""
    name = "the table" if hasattr(source, "columns") else Path(source).name
    table = source if hasattr(source, "columns") else read_csv(source)
    if not len(table):
        raise BoneQualityError("{name} holds no cases; give a row for every case.", name=name)
    table, derived = with_facts(table, name)
    check_columns(table, question, name)
    table, flow = apply_rules(table, question.where, name)
    frame = typed(text_of(table[_used(table, question, derived)]), question, name)
    same = [fact for fact in derived if fact in frame and fact not in question.columns() and frame[fact].nunique() < 2]
    frame = frame.drop(columns=same)  # nobody asked for it, and it tells nothing
    check_spelling(frame, question, name)
    measures, readings, warnings = _measures(frame, question), None, []
    if question.readers:
        frame, readings = _by_case(frame, question, measures, warnings, name)
    elif "case_id" in frame:
        _check_unique(frame["case_id"], name)
    frame, events = _with_outcome(frame, question, flow, warnings, name)
    frame = _without_empty(frame, question, warnings, name)
    measures = tuple(column_of(measure) for measure in measures if measure in frame)
    if not measures and not question.methods:
        raise BoneQualityError(
            "{name} holds none of the measures {measures}; name the columns to analyze.", name=name, measures=", ".join(MEASURES)
        )
    cohort = Cohort(name, question, frame, events, measures, flow, readings, warnings)
    _check_subgroups(cohort)
    return cohort


def _with_outcome(frame, question: Question, flow: list[dict], warnings: list[str], name: str):
    """The cases whose outcome is known, and which of them are events (n,); all of them and no events where no outcome is asked for."""
    if question.outcome is None:
        return frame.reset_index(drop=True), np.zeros(len(frame), bool)
    event = events_of(frame[question.outcome], question, name)
    known = event.notna().to_numpy()
    if not known.all():
        warnings.append(f"{(~known).sum()} of {len(frame)} cases have no {question.outcome}; they are left out.")
        flow.append(
            dict(step=f"{question.outcome} known", excluded=int((~known).sum()), missing=int((~known).sum()), left=int(known.sum()))
        )
    return frame[known].reset_index(drop=True), event[known].to_numpy(bool)


def read_csv(path):
    """A CSV file as a DataFrame of text cells whose index holds the rows' numbers in the file; raises BoneQualityError."""
    import pandas

    try:
        table = read_table(path, "table")
    except NotCsv:
        raise BoneQualityError("{path} is not UTF-8 CSV text; save it as CSV UTF-8 (comma separated).", path=path) from None
    if table.separator != ",":
        raise BoneQualityError(
            "{path} is separated by semicolons or tabs; save it separated by commas, with decimal points.", path=path
        )
    header, numbers, rows = table.header, [number for number, _ in table.rows], [cells for _, cells in table.rows]
    if not rows:
        raise BoneQualityError("{path} holds no cases; give a CSV file with a header and a row for every case.", path=path)
    for number, row in zip(numbers, rows):
        if len(row) != len(header):
            sentence = "Row {number} of {path} has {cells} cells for {columns} columns; correct it."
            raise BoneQualityError(sentence, number=number, path=path, cells=len(row), columns=len(header))
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise BoneQualityError("{path} has two columns called {column!r}; rename one.", path=path, column=doubled[0])
    frame = pandas.DataFrame(rows, columns=header, index=numbers)
    return frame.loc[:, [bool(name) for name in header]]  # a column without a name, as spreadsheets leave them, cannot be asked for


def text_of(frame):
    """Every cell as text without blanks around it, missing ones None."""
    text = frame.astype(object).where(frame.notna(), "").map(lambda cell: str(cell).strip())
    return text.where(~text.map(str.lower).isin(MISSING), None)


def check_columns(frame, question: Question, name: str) -> None:
    """Raise BoneQualityError for a column that is asked for and not there, with the nearest name."""
    rules = [rule.column for rule in question.where]
    for column in [*question.columns(), *rules, *(["case_id"] if question.readers else [])]:
        if column not in frame.columns:
            near = difflib.get_close_matches(column, frame.columns, 1)
            near = near or [name for name in frame.columns if str(name).startswith(column)][:1]
            hint = "did you mean {near!r}?" if near else "it has {columns}."
            if near and set(",[]=") & set(near[0]):
                hint += " Rename it: , [ ] and = have a meaning here."
            hint = Sentence(hint, near=near and near[0], columns=", ".join(map(str, frame.columns[:20])))
            raise BoneQualityError("{name} has no column {column!r}; {hint}", name=name, column=column, hint=hint)


def _used(table, question: Question, derived: tuple[str, ...]) -> list[str]:
    known = ["case_id", *FACTS, *(fact for fact in derived if fact not in MEASURES), *([] if question.measures else MEASURES)]
    return list(dict.fromkeys([*question.columns(), *(name for name in known if name in table)]))


def typed(text, question: Question, name: str):
    """The columns in use, numbers as floats."""
    import pandas

    categories = {term.name for term in question.adjust if term.reference} | {
        question.outcome,
        question.by,
        question.pairs,
        question.readers,
        question.competing and question.competing[0],
    }
    measured = {*question.measures, question.time, *(cut.column for cut in question.cutoffs), *question.methods}
    found = {}
    for column in text:
        cells = text[column]
        numbers = pandas.to_numeric(cells, errors="coerce")
        numbers = numbers.astype(float).where(numbers.astype(float).abs() <= LARGEST)
        wrong = cells.notna() & numbers.isna()
        known = _KNOWN.get(column)
        must = column in measured or (known is not None and known.is_number)
        if column in categories or column == "case_id" or (known is not None and not known.is_number and not must):
            found[column] = cells
        elif must or (~wrong & cells.notna()).sum() > wrong.sum():
            if wrong.any():
                row = wrong.idxmax()
                sentence = "Row {row} of {name} holds {text!r} in {column!r}, a column of numbers; write a number with a "
                sentence += "decimal point or leave it empty."
                raise BoneQualityError(sentence, row=row, name=name, text=cells[row][:40], column=column)
            found[column] = numbers
        else:
            found[column] = cells
    if question.time and (found[question.time] < 0).any():
        row = (found[question.time] < 0).idxmax()
        raise BoneQualityError("Row {row} of {name} holds a negative {time!r}; correct it.", row=row, name=name, time=question.time)
    return pandas.DataFrame(found, index=text.index)


def check_spelling(frame, question: Question, name: str) -> None:
    """Raise BoneQualityError where levels differ by letter case alone, which would silently be groups of their own."""
    for column in set(frame) - {"case_id", question.outcome, question.pairs}:
        levels = frame[column].dropna().unique() if frame[column].dtype.kind == "O" else ()
        spelled: dict[str, str] = {}
        for level in sorted(levels):
            if (other := spelled.setdefault(level.casefold(), level)) != level:
                sentence = "The column {column!r} of {name} holds {other!r} and {level!r}, which differ by letter case alone; "
                sentence += "write them the same."
                raise BoneQualityError(sentence, column=column, name=name, other=other, level=level)


def _measures(frame, question: Question) -> list[str]:
    """The measures that are asked for, else the known ones that are not asked for as something else."""
    taken = set(question.columns()) - {cut.column for cut in question.cutoffs} - {*question.methods, *question.facts}
    return list(question.measures) or [n for n in MEASURES if n in frame and n not in taken]


def _without_empty(frame, question: Question, warnings: list[str], name: str):
    """The columns that hold anything; raises BoneQualityError for one that was named and holds nothing."""
    empty = [column for column in frame if column != "case_id" and not frame[column].notna().any()]
    for column in empty:
        if column in question.columns():
            raise BoneQualityError(
                "{column!r} is empty in every row of {name} that has an outcome; name another column.", column=column, name=name
            )
    if empty:
        warnings.append(f"Nothing was measured or filled in for {', '.join(empty)}; these columns are left out.")
    return frame.drop(columns=empty)


def _check_unique(ids, name: str) -> None:
    doubled = ids[ids.notna() & ids.duplicated()]
    if len(doubled):
        sentence = "{name} has two rows of case {case!r} (row {row}); keep one, or name the column of the readers."
        raise BoneQualityError(sentence, name=name, case=doubled.iloc[0], row=doubled.index[0])


def _by_case(frame, question: Question, measures: list[str], warnings: list[str], name: str):
    """One row a case, with the mean over the readers of the first reading of each; and all readings."""
    for column in ("case_id", question.readers):
        if frame[column].isna().any():
            raise BoneQualityError(
                "Row {row} of {name} has no {column!r}; fill it in.", row=frame[column].isna().idxmax(), name=name, column=column
            )
    facts = [c for c in frame if c not in (*measures, "case_id", question.readers)]
    by_case = frame.groupby("case_id", sort=False)
    for fact in facts:
        differing = by_case[fact].nunique()
        if (differing > 1).any():
            sentence = "The readings of case {case!r} in {name} differ in {fact!r}; make them the same."
            raise BoneQualityError(sentence, case=differing.idxmax(), name=name, fact=fact)
    readings = frame[["case_id", *measures]].assign(**{READER: frame[question.readers]})
    readings[READING] = readings.groupby(["case_id", READER]).cumcount()
    first = readings[readings[READING] == 0].groupby("case_id", sort=False)
    readers = readings[READER].nunique()
    if readers == 1 and not readings[READING].any():
        warnings.append(f"{question.readers} names one reader, who read no case twice: there is no agreement to show.")
    for measure, count in first[measures].count().items():
        if 0 < (fewer := count[count > 0] < readers).sum():
            warnings.append(
                f"{measure}: {fewer.sum()} of {len(fewer)} cases have no first reading by all {readers} readers; their values are means of fewer."
            )
    return by_case[facts].first().join(first[measures].mean()).reset_index(), readings.reset_index(drop=True)


def events_of(cells, question: Question, name: str):
    """True for an event, False for none, None where unknown; both must be there."""
    words = cells.str.casefold()
    values = sorted(words.dropna().unique())
    shown = ", ".join(repr(v) for v in sorted(cells.dropna().unique())[:8])
    if question.value is None:
        plain = words.map(lambda v: v[:-2] if isinstance(v, str) and v in ("1.0", "0.0") else v)
        pair = next((p for p in YES_NO if set(plain.dropna()) <= set(p)), None)
        if pair is None or not values:
            sentence = "The outcome {outcome!r} of {name} holds {shown}; say which value is the event: {outcome}=VALUE."
            raise BoneQualityError(sentence, outcome=question.outcome, name=name, shown=shown or Sentence("nothing"))
        event = plain.map(lambda v: v == pair[0], na_action="ignore")
    else:
        event = words.map(lambda v: _same(v, question.value.casefold()), na_action="ignore")
    if not event.any() or event.dropna().all():
        said = "no case with {outcome}={value}" if question.value else "one class only"
        raise BoneQualityError(
            "The outcome {outcome!r} of {name} has {said} (it holds {shown}); both events and others are needed.",
            outcome=question.outcome,
            name=name,
            said=Sentence(said, outcome=question.outcome, value=question.value),
            shown=shown,
        )
    return event


def _same(cell: str, value: str) -> bool:
    try:
        return float(cell) == float(value)
    except ValueError:
        return cell == value


def _check_subgroups(cohort: Cohort) -> None:
    by, found = cohort.question.by, cohort.subgroups()
    if by and not 2 <= len(found) <= MOST_SUBGROUPS:
        sentence = "The column {by!r} of {name} holds {found}; 2 to {most} subgroups can be compared."
        raise BoneQualityError(sentence, by=by, name=cohort.name, found=counted(len(found), "different value"), most=MOST_SUBGROUPS)
    if "all" in found:
        raise BoneQualityError(
            "A subgroup of {by!r} in {name} is called 'all', as all cases together are; rename it.", by=by, name=cohort.name
        )
    for term in cohort.question.adjust:
        if term.reference and not (cohort.frame[term.name] == term.reference).any():
            levels = ", ".join(sorted(cohort.frame[term.name].dropna().unique())[:8])
            sentence = "{column!r} of {name} is never {reference!r}; name one of {levels}."
            raise BoneQualityError(sentence, column=term.name, name=cohort.name, reference=term.reference, levels=levels)
