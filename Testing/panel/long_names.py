"""The panel fits into Slicer's dock as it is at first, with names of any length, elided and whole in the tooltip; every control has one."""

import makers
from PySide6 import QtWidgets

QtWidgets.QWIDGETSIZE_MAX = 16777215  # the runner's collapsible button looks for it where Qt 5 has it
ui = widget.ui
LONG = "CT_of_the_lumbar_spine_" * 8
#: Slicer's dock is 335 pixels wide at first, its scroll bar among them.
WIDEST = 318
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

# muscles alone: their table has the numbers as they are read, and what was not measured is nowhere a nan
ui.loadDemoButton.click()
for role in ("ct", "ctSegmentation", "t1", "t1Segmentation"):
    setattr(widget.parameters, role, None)
ui.measureButton.click()
assert width() <= WIDEST, width()
table = ui.muscleTable
shown = [table.horizontalHeaderItem(n).text() for n in range(table.columnCount) if not table.isColumnHidden(n)]
assert shown == ["Disc", "Muscle", "Side", "Area mm\N{SUPERSCRIPT TWO}", "rCSA", "Fat %"], shown
first = makers.document(widget)["muscles"][0]
assert table.item(0, 4).text() == f"{first['area_mm2']:.0f}" and table.item(0, 6).text() == f"{first['fat_infiltration_percent']:.1f}"
model = ui.caseTable.model()
values = [model.data(model.index(row, 0)) for row in range(model.rowCount()) if not ui.caseTable.isRowHidden(row)]
assert len(values) > 4 and "nan" not in values and "" not in values, values
assert not ui.flagsText.visible and "No doubts" in ui.cardLabel.text
ui.allColumnsButton.click()
assert slicer.util.getNodesByClass("vtkMRMLTableViewNode")[0].GetTableNodeID() == makers.curve(widget, "muscles").GetID()
ui.backButton.click()

controls = QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QTableWidget, QtWidgets.QTextBrowser
silent = [name for name, each in vars(ui).items() if isinstance(each, controls) and not each.toolTip and not name.startswith("qt_")]
assert [name for name in silent if not name.endswith("Section")] == ["flagsText"], silent
assert not messages, messages
