"""A second reader, and a second date: two cases of the scene beside each other."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.outputs.places import place_behind
from BoneQualityLib.scene.case_nodes import case_ids, id_measured_for
from BoneQualityLib.scene.linked_dates import LinkedDates, ShownDate
from BoneQualityLib.scene.scene_case import SceneCase

from .cases import picked
from .comparison_text import datesCompared, readersCompared
from .messages import said

#: Which level both dates are shown at first.
FIRST_SHOWN = ("L3", "L2", "L4", "L1", "L5")


class ReadingsSection:
    """Second reader and second date of the case that the panel shows."""

    def __init__(self, panel):
        self.panel, self.ui, self.linked = panel, panel.ui, LinkedDates()
        self._compared = None  # the documents that the text is about
        ui = self.ui
        self._about = {button: button.toolTip for button in (ui.compareDatesButton, ui.compareReadersButton)}
        ui.secondReaderButton.connect("clicked(bool)", self.onSecondReader)
        ui.compareDatesButton.connect("clicked(bool)", self.onCompareDates)
        ui.compareReadersButton.connect("clicked(bool)", self.onCompareReaders)
        ui.compareBox.connect("activated(int)", self.onOtherChosen)
        ui.compareText.setWordWrapMode(qt.QTextOption.WordWrap)  # in a narrow panel no word is broken
        ui.compareText.connect("anchorClicked(QUrl)", self.onLevel)

    def update(self):
        """Offer the other measured cases; a comparison of what was measured anew since is gone."""
        ui, case = self.ui, self.panel.case
        others = [name for name in case_ids() if name != case.case_id]
        if [ui.compareBox.itemText(n) for n in range(ui.compareBox.count)] != others:
            ui.compareBox.clear()
            ui.compareBox.addItems(others)
        if self._compared is not None and self._compared != self._documents():
            self._say("", None)
        for button in self._about:
            button.enabled = case.is_measured and bool(others)
            button.toolTip = self._about[button] if button.enabled else _("Two measured cases are needed")
        ui.secondReaderButton.enabled = case.is_measured

    def _documents(self):
        """Those of the other case, and of this one."""
        return SceneCase(self.ui.compareBox.currentText).document, self.panel.case.document

    def _say(self, text, compared):
        self.ui.compareText.setHtml(text)
        self._compared = compared

    @said
    def onOtherChosen(self, index):
        self._say("", None)

    @said
    def onSecondReader(self, checked=False):
        """Begin a second reading: the first one's ROIs and numbers are out of sight."""
        self.panel.showCase(self.panel.cases.secondReading(self.panel.parameters))
        self.ui.factsSection.collapsed = False
        slicer.util.showStatusMessage(_("Give the second reader's code, then measure."), 5000)

    @said
    def onCompareReaders(self, checked=False):
        other, mine = self._documents()
        self._say(readersCompared(mine, other), (other, mine))

    @said
    def onCompareDates(self, checked=False):
        """What changed since the other case, and both dates side by side at L3, or at the first level that both have."""
        documents, levels = self._documents(), self._levels()
        self._say(datesCompared(*documents, levels), documents)
        first = next((level for level in (*FIRST_SHOWN, *levels) if level in levels), None)
        if first is not None:
            self.showDates(first)

    @said
    def onLevel(self, url):
        self.showDates(url.toString().partition(":")[2])

    def showDates(self, level):
        """Show a level of both dates in linked views; *Views back* restores what was there."""
        self.panel.place.remember()
        self.panel.edits.letGo()  # the handles of a ROI that was clicked before
        self.linked.show(self._levels()[level], level)

    def _levels(self):
        """What shows each level that both cases have on one kind of image: the earlier date and this one, by level."""
        other, mine = SceneCase(self.ui.compareBox.currentText), self.panel.case
        dates, found = ((other, self._imagesOf(other)), (mine, self._imagesOf(mine))), {}
        for row in mine.document["levels"]:
            for role in ("ct", "t1"):
                pair = [_shownDate(case, images.get(role), row["level"], role) for case, images in dates]
                if None not in pair:
                    found.setdefault(row["level"], pair)
        return found

    def _imagesOf(self, case):
        """The images that a case was measured on, by role; none where the case is not one of the panel's."""
        owners = [p for p in self.panel.cases.every() if id_measured_for(p.parameterNode) == case.case_id]
        return {each.role.name: each.image for each in picked(owners[0])} if owners else {}


def _shownDate(case, image, level, role):
    """A level of a case on an image; None where it was not measured there."""
    place, placeRole = place_behind(case.document, level, "hu_middle" if role == "ct" else "vbq_single_level")
    if image is None or place is None or placeRole != role:
        return None
    row = next(row for row in case.document["levels"] if row["level"] == level)
    if role == "ct" and row.get("frame"):
        return ShownDate(case, image, True, *(np.array(row["frame"][name]) for name in ("center", "anterior", "superior")))
    return ShownDate(case, image, role == "ct", np.array(place["center"]))
