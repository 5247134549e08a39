"""Case ids that cannot be, 40 segments, names in other languages, and no main window."""

import makers
import numpy as np

ui = widget.ui
assert slicer.util.mainWindow() is None, "all drives run without a main window"
ct = makers.volume("ct", "Wirbelsäule 椎骨 – CT")
upper, lower = makers.bodies("ct")
others = []
for n in range(38):
    spot = np.zeros(upper.array.shape, bool)
    spot[n % spot.shape[0], n // 2, : 2 + n] = True
    others.append(makers.Mask(f"Organ {n}", spot, upper.grid))
named = [makers.Mask("Wirbelkörper L2", upper.array, upper.grid), makers.Mask("L3 椎体", lower.array, lower.grid)]
masks = makers.segmentation("ct", [*others, *named], name="Сегментация", drawn_on=ct)
makers.process_events()
assert widget.parameters.ctSegmentation is masks
assert makers.box(ui, "L2", "ct").currentText == "Wirbelkörper L2" and makers.box(ui, "L3", "ct").currentText == "L3 椎体"
assert makers.box(ui, "L1", "ct").count == 41 and ui.choiceTable.rowCount <= 10

for refused in ("Müller", "Erika Mustermann", "患者", "../elsewhere", "a" * 101, "-1"):
    ui.caseIdEdit.text = refused
    assert not ui.measureButton.enabled and "cannot be used; give up to 100 letters, digits" in ui.measureButton.toolTip, refused
ui.caseIdEdit.text = ""
assert not ui.measureButton.enabled and "Give the case an id" in ui.measureButton.toolTip
ui.caseIdEdit.text = "case-7.b"
assert ui.measureButton.enabled
ui.readerEdit.text = "Dr. Ärztin"
assert not ui.measureButton.enabled and "The reader" in ui.measureButton.toolTip
ui.readerEdit.text = "r2"

ui.measureButton.click()
assert abs(makers.value(widget, "L2", "hu_3d") - 80) < 2 and [row["level"] for row in makers.document(widget)["levels"]] == [
    "L2",
    "L3",
]
text = makers.curve(widget, "document").GetText()
assert all(name not in text for name in ("椎", "Wirbel", "Сегментация", "Organ")), (
    "no names of nodes or segments get into the files"
)

# two segments for one level: both named, none guessed; a person's choice settles it
masks.GetSegmentation().GetSegment("Organ_0").SetName("L2 vertebra")
makers.process_events()
assert "both show L2" in ui.foundLabel.text and "Wirbelkörper L2" in ui.foundLabel.text and not ui.measureButton.enabled
makers.pick(ui, "L2", "ct", "Wirbelkörper L2")
assert ui.measureButton.enabled and not ui.foundLabel.visible
ui.measureButton.click()
assert abs(makers.value(widget, "L2", "hu_3d") - 80) < 2

# a name and a terminology that disagree
entry = "Segmentation category and type~SCT^123037004^Anatomical Structure~SCT^11994002^L4 vertebra~^^~Anatomic codes~^^~^^"
masks.GetSegmentation().GetSegment("L3_椎体").SetTag("TerminologyEntry", entry)
widget.update()
assert "L4 vertebra by its terminology" in ui.foundLabel.text, ui.foundLabel.text
assert not messages, messages
