"""The list of a manifest's cases: thumbnail, status, the few values, doubts."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from BoneQualityLib.batch.index_page import THUMBNAILS
from BoneQualityLib.columns import MEASURES
from BoneQualityLib.files.csv_tables import csv_rows
from BoneQualityLib.outputs.summary import shown
from BoneQualityLib.states import CATALOG, Severity

from .results_section import SEVERITY_COLORS
from .translated import translated

VALUES = ("hu_3d", "hu_multislice", "vbq")
CASE, STATUS, DOUBTS = 0, 1, 2 + len(VALUES)
#: Size of a thumbnail in the list; the files are twice as high.
THUMBNAIL_PIXELS = 64


class CaseList:
    """A table widget with one row per case; it reads what the batch has written into its folder so far."""

    def __init__(self, table):
        self.table, self._shown = table, {}  # by row: what its cells were made from
        table.setColumnCount(DOUBTS + 1)
        measures = {measure.name: measure for measure in MEASURES}
        self._decimals = {name: measures[name].people for name in VALUES}
        titles = [translated(measures[name].title) for name in VALUES]
        table.setHorizontalHeaderLabels([_("Case"), _("Status"), *titles, _("Doubts")])
        table.verticalHeader().visible = False
        table.horizontalHeader().setStretchLastSection(True)
        table.setIconSize(qt.QSize(THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))

    def fill(self, names, folder, justFailed):
        """Show these cases with what is in the folder of the results, and why others failed just now, by id."""
        failed = {row["case_id"]: row["sentence"] for row in _rows(folder / "failures.csv")} | justFailed
        self.table.setRowCount(len(names))
        self._shown = {number: made for number, made in self._shown.items() if number < len(names)}
        for number, name in enumerate(names):
            made = (name, folder, _changed(folder / f"{name}.json"), failed.get(name))
            if self._shown.get(number) != made:  # a long list is filled again after every case
                self._shown[number] = made
                self._fillRow(number, *made)
        for column in range(DOUBTS):
            isEmpty = not any(self.table.item(number, column).text() for number in range(len(names)))
            self.table.setColumnHidden(column, isEmpty)  # room for the doubts
            self.table.resizeColumnToContents(column)
        self.table.visible = bool(names)

    def _fillRow(self, number, name, folder, isDone, failure):
        done = next(iter(_rows(folder / f"{name}_case.csv")), None) if isDone else None
        status = _("measured") if done else _("failed") if failure else _("to be measured")
        values = [_value(done, name, decimals) for name, decimals in self._decimals.items()]
        for column, text in enumerate((name, status, *values, "")):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            self.table.setItem(number, column, item)
        thumbnail = folder / THUMBNAILS / f"{name}.jpg"
        if done and thumbnail.is_file():
            self.table.item(number, CASE).setIcon(qt.QIcon(str(thumbnail)))
            self.table.setRowHeight(number, THUMBNAIL_PIXELS)
        doubts = _flags(done) if done else [(Severity.ERROR.value, failure)] if failure else []
        item = self.table.item(number, DOUBTS)
        if doubts:
            others = _(" (and {count} more)").format(count=len(doubts) - 1) if len(doubts) > 1 else ""
            item.setText(doubts[0][1] + others)
            item.setToolTip("\n".join(sentence for _severity, sentence in doubts))
            self.table.item(number, STATUS).setToolTip(item.toolTip())
            item.setForeground(qt.QBrush(qt.QColor(SEVERITY_COLORS[doubts[0][0]])))


def _value(done, name, decimals):
    return shown(float(done[name]), decimals) if done and done.get(name) else ""


def _flags(done):
    """Severity and sentence of every flag of a case, the gravest first."""
    found = [CATALOG[code] for code in done["flags"].split("; ") if code in CATALOG]
    found.sort(key=lambda flag: Severity(flag[0]).rank)
    return [(severity, translated(sentence)) for severity, sentence in found]


def _changed(path: Path):
    """When a file was changed; None where it is not there."""
    return path.stat().st_mtime_ns if path.is_file() else None


def _rows(path: Path):
    """The rows of a table of the batch; none where the file is not there."""
    return csv_rows(path, path.name) if path.is_file() else []
