"""The manifest of many cases: a CSV table with a row a case, checked whole before the first one is measured."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from ..columns import CASE_COLUMNS
from ..entry.inputs import CaseInputs
from ..entry.names import READING
from ..entry.settings import SETTINGS, setting_of
from ..entry.texts import FILE_COLUMNS, KNOWN_COLUMNS, checked_inputs
from ..errors import BoneQualityError, Sentence
from ..files.csv_tables import NotCsv, read_table

#: How alike a column's name and a known one are where it counts as misspelled (difflib's ratio).
MISSPELLED = 0.85
FILLED_BY_US = {column.name for column in CASE_COLUMNS} - set(KNOWN_COLUMNS)


@dataclass(frozen=True)
class Row:
    """A case: its row as a spreadsheet counts (the header is 1), its cells by column, and what is measured."""

    number: int
    cells: dict[str, str]
    inputs: CaseInputs

    @property
    def case_id(self) -> str:
        return self.inputs.facts.case_id


@dataclass(frozen=True)
class Manifest:
    """A manifest without a fault. ``columns`` are all of its columns, in order."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def carried(self) -> list[str]:
        """The columns that go on to the cohort's table: not those that say where files lie, nor those that a case fills itself."""
        left_out = {"case_id", *FILE_COLUMNS, *READING, *(column.name for column in CASE_COLUMNS)}
        return [name for name in self.columns if name not in left_out]


class ManifestFaults(BoneQualityError):
    """Everything that is wrong with a manifest, as (row, column, words); row 1 is the header, row 0 the file."""

    def __init__(self, path: Path, faults: list[tuple[int, str, str]]):
        self.path, self.faults = path, sorted(faults, key=lambda fault: fault[0])
        super().__init__(Sentence.joined(self.lines, " "))

    @property
    def lines(self) -> list[Sentence]:
        """One line a fault, after one that counts them."""
        count = Sentence("{count} faults", count=len(self.faults)) if len(self.faults) > 1 else Sentence("1 fault")
        said = [Sentence("{path} has {count}; correct them and start again:", path=self.path, count=count)]
        for row, column, words in self.faults:
            places = [Sentence("row {row}", row=row)] * (row > 0) + [column] * bool(column)
            sentence = "{place}: {words}." if places else "{words}."
            said.append(Sentence(sentence, place=Sentence.joined(places, ", "), words=Sentence(words)))
        return said


def read_manifest(path: str | Path, cutoffs: str | Path | None = None) -> Manifest:
    """The cases of a manifest; relative paths in it are relative to its folder. Raises ManifestFaults with every fault at once."""
    path = Path(path)
    columns, records = _records(path)
    faults = _faults_of_columns(columns, records)
    rows, first = [], {}
    for number, cells in records:
        if len(cells) != len(columns):
            words = "has {cells} cells, the header {columns}; a text with the separator in it needs quotes"
            faults.append((number, "", Sentence(words, cells=len(cells), columns=len(columns))))
            continue
        row = dict(zip(columns, cells))
        inputs, wrong = checked_inputs(row, path.absolute().parent, cutoffs)
        faults += [(number, column, words) for column, words in wrong if column in columns or column != "case_id"]
        case_id = row.get("case_id", "").strip()
        before, other = first.setdefault(case_id.lower(), (number, case_id))
        if case_id and before != number:
            words = "{id} is there already, in" if other == case_id else "{id} differs by letter case alone from {other} in"
            words += " row {row}; give every case an id of its own, as it names files"
            faults.append((number, "case_id", Sentence(words, id=case_id, other=other, row=before)))
        if inputs:
            rows.append(Row(number, row, inputs))
    if faults:
        raise ManifestFaults(path, faults)
    return Manifest(path, tuple(columns), tuple(rows))


def _records(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and every row with its number that is not empty."""
    try:
        table = read_table(path, "manifest")
    except NotCsv as fault:
        raise ManifestFaults(path, [(0, "", Sentence("{fault}; save the table as CSV UTF-8", fault=fault.words))]) from None
    if not table.rows:
        raise ManifestFaults(path, [(0, "", "there is no row below a header; give a header with case_id and a row a case")])
    return table.header, table.rows


def _faults_of_columns(columns: list[str], records) -> list[tuple[int, str, str]]:
    faults = []
    for at, name in enumerate(columns):
        if not name:
            faults.append((1, "", Sentence("column {number} has no name; give it one or remove it", number=at + 1)))
        elif name in columns[:at]:
            faults.append((1, name, "is there twice; rename one"))
        elif name in FILLED_BY_US:
            faults.append((1, name, "is a column that BoneQuality fills; rename it"))
        elif known := _misspelled(name, [cells[at] for _, cells in records if at < len(cells)]):
            faults.append((1, name, Sentence("looks like {known}; write that, or rename a column of your own", known=known)))
    if "case_id" not in columns:
        words = "there is no column case_id among {columns}; name the column of the cases' ids so"
        faults.append((1, "", Sentence(words, columns=", ".join(columns))))
    return faults


def _misspelled(name: str, cells: list[str]) -> str | None:
    """The known column that a name is so like that it may be meant, where its cells would do there; None for a column of one's own."""
    if name in KNOWN_COLUMNS:
        return None
    plain = re.sub(r"\W+", "_", name.lower())
    known = plain if plain in KNOWN_COLUMNS else next(iter(difflib.get_close_matches(plain, KNOWN_COLUMNS, 1, MISSPELLED)), None)
    if known is None or known not in SETTINGS:
        return known
    for text in {cell.strip() for cell in cells} - {""}:
        try:
            setting_of(known, text)
        except BoneQualityError:
            return None
    return known
