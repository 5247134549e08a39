"""The demo case: its segments have colors of their own, Measure renders little and takes hardly longer than measuring alone."""

import time

import makers

from BoneQualityLib.phantoms import demo

demo.demo_spine = makers.spine  # two levels, to be quick; what is shown for each is the same
ui = widget.ui
ui.loadDemoButton.click()
for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
    segments = [node.GetSegmentation().GetNthSegment(n).GetColor() for n in range(node.GetSegmentation().GetNumberOfSegments())]
    assert len(set(segments)) == len(segments) > 1, (node.GetName(), segments)
measure, alone = widget.logic.measureCase, []


def timed(*arguments, **inputs):
    started = time.perf_counter()
    result = measure(*arguments, **inputs)
    alone.append(time.perf_counter() - started)
    return result


widget.logic.measureCase = timed
slicer.app.processEvents()
renders, started = views.renders, time.perf_counter()
ui.measureButton.click()
whole = time.perf_counter() - started
print(f"renders {views.renders - renders}, press to card {whole:.2f} s, measuring alone {alone[0]:.2f} s")
assert views.renders - renders <= 20, views.renders - renders
assert ui.card.visible and ui.stateLabel.text == "Measured." and ui.inputsSection.collapsed
assert ui.caseTable.transposed and ui.caseTable.model().rowCount() > 40, "a row for every value"
assert not messages, messages
