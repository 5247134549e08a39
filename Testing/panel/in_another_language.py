"""What the library says is shown in the user's language: flags, column titles, help, what is missing with its values filled in."""

import html

import makers
import slicer

from BoneQualityLib.columns import CASE_COLUMNS, LEVEL_COLUMNS
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.states import CATALOG
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

ct = makers.volume("ct")
makers.segmentation("ct", drawn_on=ct)
makers.process_events()
ui.measureButton.click()
document = makers.document(widget)
assert document["flags"]
for flag in document["flags"]:
    sentence = CATALOG[flag["code"]][1]
    assert flag["sentence"] == sentence, "the document is in English"
    assert f"[{sentence}]" in ui.flagsText.toPlainText(), sentence
assert "[3D-HU]" in ui.cardLabel.text
(first, *_others) = cutoffSentences(document)
assert first.startswith("[[3D-HU wide] 7") and html.escape(first) in ui.cardLabel.toolTip, (first, ui.cardLabel.toolTip)
for role, columns in (("levels", LEVEL_COLUMNS), ("case", CASE_COLUMNS)):
    table = widget.case.node(role)
    assert all(table.GetColumnTitle(column.name) == f"[{column.title}]" for column in columns)
header = ui.levelTable.horizontalHeaderItem(0).text()
assert header == "[Level]"
slicer.app.translate = lambda context, text: text.replace("{level}", "{niveau}")
assert translated("{level} of {case}", level="L3", case="a") == "L3 of a", "a translator's slip"
del slicer.app.translate
widget.update()
assert widget.case.node("case").GetColumnTitle("hu_3d") == "3D-HU"
assert not messages, messages
