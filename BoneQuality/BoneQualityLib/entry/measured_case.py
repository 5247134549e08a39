"""A measured case on its way out: its document, its files, its tables as nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..case.images import CaseImages
from ..case.result import CaseResult
from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS
from ..outputs.document import case_rows, document_of, level_rows, muscle_rows, write_case
from ..scene.nodes import table_node

if TYPE_CHECKING:  # drawing is loaded when something is drawn
    from ..outputs.drawing import Picture
    from ..outputs.pictures import Seen


@dataclass(frozen=True, eq=False)
class MeasuredCase(CaseResult):
    """What `measure_case` returns: a CaseResult, and the images it was measured on, that can be written, drawn and shown."""

    images: CaseImages = CaseImages()

    @classmethod
    def of(cls, result: CaseResult, images: CaseImages) -> MeasuredCase:
        return cls(**{field.name: getattr(result, field.name) for field in fields(result)}, images=images)

    def document(self) -> dict:
        """Everything as plain data, as CASE.json holds it."""
        return document_of(self)

    @cached_property
    def seen(self) -> Seen:
        """What pictures and DICOM files are made from beside the document."""
        from ..outputs.pictures import Seen, solid

        given = dict(ct=self.images.ct, t1=self.images.t1)
        images = {role: each.image for role, each in given.items() if each is not None}
        stacks = self.images.axial.stacks if self.images.axial is not None else ()
        first = tuple(next(image for image in (stack.signal, stack.fat, stack.water) if image is not None) for stack in stacks)
        return Seen(images, first, solid(self.rois), tuple(self.muscles.fat_pixels) if self.muscles is not None else ())

    @cached_property
    def pictures(self) -> list[Picture]:
        """Every ROI over the image it was read from."""
        from ..outputs.pictures import draw

        return draw(self.document(), self.seen)

    def thumbnail(self) -> bytes:
        """The first picture, small, as a JPEG."""
        from ..outputs.drawing import thumbnail

        return thumbnail(self.pictures[0]).jpeg

    def report(self, templates: str | Path | None = None) -> str:
        """The report as HTML; templates: a folder with a person's own. Raises BoneQualityError without the package jinja2."""
        from ..outputs.report import html

        return html(self.document(), self.pictures, templates)

    def write_files(
        self, folder: str | Path, overwrite: bool = False, report: bool = True, templates: str | Path | None = None,
        others: Mapping[Path, bytes] = MappingProxyType({}),
    ) -> list[Path]:  # fmt: skip
        """Write the tables, the report, ``others`` by path within the folder, and CASE.json (last: it marks the case as done).

        All are written or none. Returns the paths of the tables, the report and the JSON.
        """
        return write_case(self.document(), folder, overwrite, self.report(templates) if report else "", others)

    def to_table_nodes(self):
        """The level table, the case table, and with axial images the muscle table, as MRML table nodes."""
        name, document = self.facts.case_id, self.document()
        tables = [("levels", LEVEL_COLUMNS, level_rows), ("case", CASE_COLUMNS, case_rows)]
        tables += [("muscles", MUSCLE_COLUMNS, muscle_rows)] if self.muscles is not None else []
        return tuple(table_node(f"{name} {what}", columns, rows(document)) for what, columns, rows in tables)
