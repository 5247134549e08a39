"""Names of any length do not widen the panel: they are elided, and whole in the tooltip."""

import makers
from PySide6 import QtWidgets

QtWidgets.QWIDGETSIZE_MAX = 16777215  # the runner's collapsible button looks for it where Qt 5 has it
ui = widget.ui
LONG, WIDEST = "CT_of_the_lumbar_spine_" * 8, 480
ct = makers.volume("ct", LONG + "end")
masks = makers.segmentation("ct", [*makers.bodies("ct")], name="masks_" + LONG, drawn_on=ct)
masks.GetSegmentation().GetNthSegment(0).SetName("L2 body")
makers.process_events()


def width():
    makers.process_events()
    return panel.minimumSizeHint.width() if not callable(panel.minimumSizeHint) else panel.minimumSizeHint().width()


assert width() <= WIDEST, width()
assert ct.GetName() in ui.ctSelector.toolTip and masks.GetName() in ui.ctSegmentationSelector.toolTip, ui.ctSelector.toolTip
ui.caseIdEdit.text = "c" * 100
ui.measureButton.click()
assert width() <= WIDEST, width()
ui.inputsSection.collapsed = False
widget.update()
assert width() <= WIDEST, width()
for section in (ui.musclesSection, ui.methodSection, ui.exportSection, ui.compareSection):
    section.collapsed = False
    assert width() <= WIDEST, (section.name, width())
widget.showCase(widget.cases.secondReading(widget.parameters))
ui.measureButton.click()
ui.compareReadersButton.click()
assert width() <= WIDEST, width()
other = makers.volume("ct", "another_" + LONG)
masks.SetReferenceImageGeometryParameterFromVolumeNode(other)
widget.update()
assert "was drawn on" in ui.foundLabel.text
assert width() <= WIDEST, width()
assert not messages, messages
