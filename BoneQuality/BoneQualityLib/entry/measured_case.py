"""A measured case on its way out: its document, its files, its tables as nodes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ..case.result import CaseResult
from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS
from ..outputs.document import case_rows, document_of, level_rows, muscle_rows, write_case
from ..scene.nodes import table_node


@dataclass(frozen=True, eq=False)
class MeasuredCase(CaseResult):
    """What `measure_case` returns: a CaseResult that can be written and shown."""

    @classmethod
    def of(cls, result: CaseResult) -> MeasuredCase:
        return cls(**{field.name: getattr(result, field.name) for field in fields(result)})

    def document(self) -> dict:
        """Everything as plain data, as CASE.json holds it."""
        return document_of(self)

    def write_files(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write the tables and CASE.json (last: it marks the case as done); returns their paths."""
        return write_case(self.document(), folder, overwrite)

    def to_table_nodes(self):
        """The level table, the case table, and with axial images the muscle table, as MRML table nodes."""
        name, document = self.facts.case_id, self.document()
        tables = [("levels", LEVEL_COLUMNS, level_rows), ("case", CASE_COLUMNS, case_rows)]
        tables += [("muscles", MUSCLE_COLUMNS, muscle_rows)] if self.muscles is not None else []
        return tuple(table_node(f"{name} {what}", columns, rows(document)) for what, columns, rows in tables)
