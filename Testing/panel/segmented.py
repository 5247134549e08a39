"""No mask yet: an installed segmentation extension makes it, then the case is measured; without one it is said what to install."""

import makers
import slicer

from BoneQualityLib.scene.nodes import segmentation_node

ui = widget.ui
ct = makers.volume("ct")
makers.process_events()
assert widget.parameters.ct is ct and ui.segmentButton.enabled and not ui.measureButton.enabled
ui.segmentButton.click()
assert "install TotalSegmentator or TotalSpineSeg" in messages.texts("error")[-1], messages


class Logic:
    """As SlicerTotalSegmentator's logic is called."""

    fails = False

    def setupPythonRequirements(self, upgrade=False):
        pass

    def process(self, inputVolume, outputSegmentation, fast=True, cpu=False, task=None, subset=None):
        assert inputVolume is ct and not fast and task is None and "vertebrae_L3" in subset
        if self.fails:
            raise RuntimeError("no weights")
        segmentation_node("", makers.bodies("ct", "vertebrae_{}"), outputSegmentation)


slicer.modules.totalsegmentator = object()
get_logic, logic = slicer.util.getModuleLogic, Logic()
slicer.util.getModuleLogic = lambda name: logic if name == "TotalSegmentator" else get_logic(name)
logic.fails = True
ui.segmentButton.click()
assert "no weights" in messages.texts("error")[-1]
assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode"), "nothing is left of what failed"
logic.fails = False
ui.segmentButton.click()
assert widget.parameters.ctSegmentation.GetName() == "CT TotalSegmentator" and ui.card.visible
assert abs(makers.value(widget, "L3", "hu_3d") - 60) < 3 and len(messages.texts("error")) == 2, messages
slicer.util.getModuleLogic = get_logic
del slicer.modules.totalsegmentator
