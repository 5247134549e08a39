"""Entering, leaving, reloading and closing: the case stays, and nobody observes more than before."""

import gc

import makers

from BoneQualityLib.scene import case_nodes


def observers(obj):
    return sum(obj.GetCommand(tag) is not None for tag in range(1, 5000))


ui = widget.ui
ct = makers.volume("ct")
masks = makers.segmentation("ct", drawn_on=ct)
makers.process_events()
ui.measureButton.click()
document, curve = makers.document(widget), makers.curve(widget, "L3 upper")
watched = [slicer.mrmlScene, masks.GetSegmentation(), curve]
before = [observers(each) for each in watched]
assert all(before), before

for _ in range(3):
    panel.exit()
    away = [observers(each) for each in watched]
    panel.enter()
assert [observers(each) for each in watched] == before
assert away[1] < before[1] and away[2] < before[2], "a panel that is not shown follows no segment and no curve"
assert makers.document(widget) == document and ui.levelTable.rowCount == 2

old, own = widget, len(widget.Observations)
widget.onReload()
new = slicer.modules.bonequality.widgetRepresentation().self()
gc.collect()
assert new is not old and [observers(each) for each in watched[1:]] == before[1:]
assert old.Observations == [] and len(new.Observations) == own, (
    "of the scene the module's own observers are counted: selectors have theirs"
)
assert old.parameters is None and new.parameters.caseId == "case-1"
assert new.ui.levelTable.rowCount == 2 and new.ui.measureButton.enabled and not makers.is_stale(new.ui)
import sys  # noqa: E402

assert case_nodes is not sys.modules[case_nodes.__name__], "the library was read again"
makers.move(curve, [1, 0, 0])
makers.process_events()
assert new.ui.updateButton.enabled and not old.ui.updateButton.enabled
new.ui.updateButton.click()
assert makers.value(new, "L3", "edited") == "upper"
new.ui.resetButton.click()
new.ui.measureButton.click()
assert not messages and makers.value(new, "L3", "edited") == "upper", "an edit survives measuring again"

new.cleanup()
assert new.Observations == []
assert all(observers(each) < count for each, count in zip(watched[1:], before[1:])), "a panel that is gone observes nothing"
