"""Closing a scene after the demo logs nothing: no segmentation changes once its item of the subject hierarchy is gone.

Slicer's plugin for segmentations says "Unable to find subject hierarchy item" of one that does, as of one that outlives the scene
because somebody holds on to it.
"""

import gc

import makers
import slicer
import vtk

from BoneQualityLib.phantoms import demo

demo.demo_spine = makers.spine  # two levels, to be quick
ui = widget.ui
late, held = [], []


def noticed(caller, event):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None or not hierarchy.GetItemByDataNode(caller):
        late.append((caller.GetName(), event))


def watch():
    """Every segmentation, as Slicer's plugin watches it; without holding on to one."""
    left = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        for event in (node.DisplayModifiedEvent, slicer.vtkSegmentation.SegmentModified):
            node.AddObserver(event, noticed)
        left.append(vtk.vtkWeakReference())
        left[-1].Set(node)
    return left


for step in ("loaded", "measured", "shown"):
    ui.loadDemoButton.click()
    makers.process_events()
    if step != "loaded":
        ui.measureButton.click()
    if step == "shown":
        makers.click_level(widget, "L3", "hu_upper")
    makers.process_events()
    left = watch()
    assert len(left) >= 3

    def closed(caller, event):
        """Before the panel begins anew: it holds on to nothing of the scene that goes."""
        held.extend([widget.inputs.picked, widget.case])

    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.EndCloseEvent, closed, 100.0)
    slicer.mrmlScene.Clear(False)
    slicer.mrmlScene.RemoveObserver(tag)
    makers.process_events()
    gc.collect()  # the runner's own subject hierarchy and a node hold each other
    assert not late and not any(held), (step, late, held)
    assert not [each.Get().GetName() for each in left if each.Get() is not None], step
assert not messages, messages
