"""Masks by a segmentation extension that is installed: TotalSegmentator for a CT, TotalSpineSeg for a CT or an MRI.

Their logics are called as their own panels call them (SlicerTotalSegmentator: ``process(inputVolume, outputSegmentation, ...)``;
SlicerTotalSpineSeg: ``process(inputVolume=..., outputStep2=..., ...)``).
"""

import slicer
from slicer.i18n import tr as _

from BoneQualityLib.errors import BoneQualityError

#: The structures that a CT is measured in.
VERTEBRAE = [f"vertebrae_{level}" for level in ("T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1")]


def segment(volume, role):
    """Segment the vertebrae of a volume; returns the segmentation node.

    role: "ct" or "t1". Raises BoneQualityError where no extension is installed that can do it; other faults are the extension's.
    """
    extension = next((name for name in ("TotalSegmentator", "TotalSpineSeg") if _canSegment(name, role)), None)
    if extension is None:
        install = _("TotalSegmentator or TotalSpineSeg") if role == "ct" else _("TotalSpineSeg")
        sentence = _("No segmentation extension is installed: install {name} with the Extensions Manager, or draw the masks.")
        raise BoneQualityError(sentence.format(name=install))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volume.GetName()} {extension}")
    node.CreateDefaultDisplayNodes()
    try:
        _run(extension, volume, node)
    except Exception:
        slicer.mrmlScene.RemoveNode(node)
        raise
    if not node.GetSegmentation().GetNumberOfSegments():
        slicer.mrmlScene.RemoveNode(node)
        sentence = _("{extension} found no vertebra in {volume}; check the volume, or draw the masks.")
        raise BoneQualityError(sentence.format(extension=extension, volume=volume.GetName()))
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def _canSegment(extension, role):
    return hasattr(slicer.modules, extension.lower()) and (role == "ct" or extension == "TotalSpineSeg")


def _run(extension, volume, node):
    logic = slicer.util.getModuleLogic(extension)
    if extension == "TotalSegmentator":
        logic.setupPythonRequirements()
        logic.process(volume, node, fast=False, task=None, subset=VERTEBRAE)
        return
    missing = logic.checkDependencies()
    if missing:
        sentence = _("TotalSpineSeg lacks {names}; open its module, which installs what it needs, and come back.")
        raise BoneQualityError(sentence.format(names=", ".join(missing)))
    logic.process(inputVolume=volume, outputStep1=None, outputStep2=node, useStandardNames=True, waitForCompletion=True)
