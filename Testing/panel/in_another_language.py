"""What the library says is shown in the user's language: flags, reasons, titles, choices, help; values are filled in afterwards."""

import html

import makers
import slicer

from BoneQualityLib.columns import CASE_COLUMNS, LEVEL_COLUMNS
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.states import CATALOG
from BoneQualityPanel.messages import say
from BoneQualityPanel.results_section import cutoffSentences
from BoneQualityPanel.translated import translated

asked = set()


def translate(context, text):
    """A language in which every text stands in brackets."""
    asked.add((context, text))
    return f"[{text}]"


ui = widget.ui
slicer.app.translate = translate
widget.inputs._explain()
field = Parameters.__dataclass_fields__["cancellous_margin_mm"].metadata
assert ui.cancellousMarginSlider.toolTip.replace("<p>", "").startswith(f"[{field['help']}] (mm)"), ui.cancellousMarginSlider.toolTip

# what is missing: the values take their places after translation
widget.update()
assert ui.stateLabel.text == "[Nothing to measure: give [the CT], [the T1 MRI] or [the axial MRI].]", ui.stateLabel.text
assert ("BoneQuality", "Nothing to measure: give {ct}, {t1} or {axial_mr}.") in asked
assert translated("{level} of {case}", level="L3", case="{a}") == "[L3 of {a}]"

# choices: the parameter node knows them by their place
assert [ui.slicePlaneBox.itemText(n) for n in range(ui.slicePlaneBox.count)] == ["[axial]", "[vertebra]"]
assert [ui.sexBox.itemText(n) for n in range(ui.sexBox.count)] == ["", "[F]", "[M]"]
ui.slicePlaneBox.currentIndex = 1
assert widget.parameters.slicePlane == "vertebra" and ui.slicePlaneBox.currentText == "[vertebra]"
ui.slicePlaneBox.currentIndex = 0

ct = makers.volume("ct")
makers.segmentation("ct", drawn_on=ct)
t1 = makers.volume("t1")
makers.segmentation("t1", makers.bodies("t1"), drawn_on=t1)
makers.process_events()
ui.ageEdit.text = "old"
makers.process_events()
assert ui.stateLabel.text == "[['old' is no number]; correct the [age].]", ui.stateLabel.text
ui.ageEdit.text = ""
makers.process_events()
ui.measureButton.click()
document = makers.document(widget)
assert document["flags"]
for flag in document["flags"]:
    sentence = CATALOG[flag["code"]][1]
    assert flag["sentence"] == sentence, "the document is in English"
    assert f"[{sentence}]" in ui.flagsText.toPlainText(), sentence
assert document["reasons"][0].startswith("no VBQ: CSF L2: no CSF or sac is segmented at this level; CSF L3: "), document["reasons"]
reasons = "[[CSF L2: [no CSF or sac is segmented at this level]]; [CSF L3: "
assert f"[no VBQ: {reasons}" in ui.flagsText.toPlainText() and f"([none ({reasons}" in ui.flagsText.toPlainText()
chart = widget.case.node("chart")
names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
assert names[0] == "[3D-HU]" and names[-1] == "[Published cut-offs]", names
assert "[3D-HU]" in ui.cardLabel.text
(first, *_others) = cutoffSentences(document)
assert first.startswith("[[3D-HU wide] 7") and html.escape(first) in ui.cardLabel.toolTip, (first, ui.cardLabel.toolTip)
for role, columns in (("levels", LEVEL_COLUMNS), ("case", CASE_COLUMNS)):
    table = widget.case.node(role)
    assert all(table.GetColumnTitle(column.name) == f"[{column.title}]" for column in columns)
header = ui.levelTable.horizontalHeaderItem(0).text()
assert header == "[Level]"
say(BoneQualityError("{name} holds no image; choose a volume.", name="{CT}"), "")
assert messages.texts("error") == ["[{CT} holds no image; choose a volume.]"] and ("BoneQuality", "{name} holds no image; choose a volume.") in asked
slicer.app.translate = lambda context, text: text.replace("{level}", "{niveau}")
assert translated("{level} of {case}", level="L3", case="a") == "L3 of a", "a translator's slip"
del slicer.app.translate
widget.update()
assert widget.case.node("case").GetColumnTitle("hu_3d") == "3D-HU"
assert len(messages) == 1, messages
