"""A second reader, and a second date: two cases of the scene beside each other."""

import html

import numpy as np
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.columns import LEVEL_COLUMNS
from BoneQualityLib.outputs.comparison import COMPARE_COLUMNS, compare
from BoneQualityLib.outputs.places import place_behind
from BoneQualityLib.scene.case_nodes import case_ids, id_measured_for
from BoneQualityLib.scene.scene_case import SceneCase
from BoneQualityLib.scene.views import show_side_by_side
from BoneQualityLib.statistics.intraclass import icc_forms

from .messages import said

#: What two readers are compared by, level by level.
COMPARED = ("hu_3d", "hu_upper", "hu_middle", "hu_lower", "hu_multislice", "t1_signal", "vbq_single_level")
FEWEST_LEVELS = 3


class ReadingsSection:
    """Second reader and second date of the case that the panel shows."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        ui.secondReaderButton.connect("clicked(bool)", self.onSecondReader)
        ui.compareDatesButton.connect("clicked(bool)", self.onCompareDates)
        ui.compareReadersButton.connect("clicked(bool)", self.onCompareReaders)
        ui.compareBox.connect("activated(int)", self.onOtherChosen)

    def update(self):
        """Offer the other measured cases."""
        ui, case = self.ui, self.panel.case
        others = [name for name in case_ids() if name != case.case_id]
        if [ui.compareBox.itemText(n) for n in range(ui.compareBox.count)] != others:
            ui.compareBox.clear()
            ui.compareBox.addItems(others)
            ui.compareText.clear()
        for button in (ui.compareDatesButton, ui.compareReadersButton):
            button.enabled = case.is_measured and bool(others)
            button.toolTip = "" if button.enabled else _("Two measured cases are needed")
        ui.secondReaderButton.enabled = case.is_measured

    @said
    def onOtherChosen(self, index):
        self.ui.compareText.clear()

    @said
    def onSecondReader(self, checked=False):
        """Begin a second reading: the first one's ROIs and numbers are out of sight."""
        self.panel.showCase(self.panel.cases.secondReading(self.panel.parameters))
        self.ui.factsSection.collapsed = False
        slicer.util.showStatusMessage(_("Give the second reader's code, then measure."), 5000)

    @said
    def onCompareReaders(self, checked=False):
        other = SceneCase(self.ui.compareBox.currentText)
        self.ui.compareText.setHtml(readersCompared(self.panel.case.document, other.document))

    @said
    def onCompareDates(self, checked=False):
        """What changed since the other case, and both dates side by side at L3, or at the first level that both have."""
        case, other = self.panel.case, SceneCase(self.ui.compareBox.currentText)
        self.ui.compareText.setHtml(datesCompared(other.document, case.document))
        volumes = [self._ctOf(other), self.panel.parameters.ct]
        levels = [level for level in ("L3", "L2", "L4", "L1", "L5") if all(_middleOf(each, level) for each in (other, case))]
        if all(volumes) and levels:
            self.panel.place.remember()
            show_side_by_side(volumes, [_middleOf(each, levels[0]) for each in (other, case)])

    def _ctOf(self, other):
        """The CT that another case was measured on; None where that case is not one of the panel's."""
        owners = [p for p in self.panel.cases.every() if id_measured_for(p.parameterNode) == other.case_id]
        return owners[0].ct if owners else None


def _middleOf(case, level):
    place, _role = place_behind(case.document, level, "hu_middle")
    return place["center"] if place else None


def readersCompared(first, second):
    """Two readings of one case: for every measure the mean difference over the levels and the ICC, as rich text.

    Raises BoneQualityError where the cases were measured on other images.
    """
    sameImages = {role: image.get("sha256") for role, image in first["inputs"].items()} == {
        role: image.get("sha256") for role, image in second["inputs"].items()
    }
    note = "" if sameImages else _paragraph(_("The two cases were measured on different images."))
    titles = {column.name: column for column in LEVEL_COLUMNS}
    rows, levels = [], {row["level"]: row for row in second["levels"]}
    for name in COMPARED:
        pairs = [
            (row[name], levels[row["level"]][name])
            for row in first["levels"]
            if row.get(name) is not None and levels.get(row["level"], {}).get(name) is not None
        ]
        if not pairs:
            continue
        readings = np.array(pairs)
        mean, most = np.diff(readings, axis=1).mean(), np.abs(np.diff(readings, axis=1)).max()
        agreement = f"{icc_forms(readings)['(2,1)'].value:.3f}" if len(pairs) >= FEWEST_LEVELS else ""
        decimals = 2 if titles[name].unit == "" else 1
        rows.append((titles[name].title, str(len(pairs)), f"{mean:+.{decimals}f}", f"{most:.{decimals}f}", agreement))
    header = (_("Measure"), _("Levels"), _("Mean difference"), _("Largest"), _("ICC(2,1)"))
    about = _("{second} less {first}, level by level.").format(first=first["case_id"], second=second["case_id"])
    return note + _paragraph(about) + _table(header, rows)


def datesCompared(baseline, followup):
    """What changed between two dates, as rich text; raises BoneQualityError where that cannot be said."""
    rows = [row for row in compare(baseline, followup) if row["new_fracture"] or not row["reason"].startswith("outside")]
    columns = [column for column in COMPARE_COLUMNS if column.name != "borderline"]
    cells = [tuple(column.text(row.get(column.name)) if not column.is_number else _number(row, column) for column in columns) for row in rows]
    about = _("{followup} since {baseline}").format(followup=followup["case_id"], baseline=baseline["case_id"])
    return _paragraph(about) + _table([column.title for column in columns], cells)


def _number(row, column):
    value = row.get(column.name)
    return "" if value is None else f"{value:.{column.decimals}f}"


def _paragraph(text):
    return f"<p>{html.escape(text)}</p>"


def _table(header, rows):
    head = "".join(f"<th align='left'>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table cellspacing='0' cellpadding='3'><tr>{head}</tr>{body}</table>"
