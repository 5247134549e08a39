"""No mask yet: three clicks on a bare CT draw one ellipse on the middle slice of a level, which is then measured."""

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.measures.drawn_slices import ellipse_through, pixels_of
from BoneQualityLib.parameters import LEVELS
from BoneQualityLib.scene.arrays import image_of
from BoneQualityLib.scene.case_nodes import CASE_ATTRIBUTE
from BoneQualityLib.scene.case_rois import points_of
from BoneQualityLib.scene.nodes import add_mask, segmentation_node
from BoneQualityLib.scene.session import every_node

from .messages import progress, said

#: A segmentation of ellipses that were drawn here, to which others can be added.
DRAWN_ATTRIBUTE = "BoneQuality.Drawn"
CLICKS, FIRST_LEVEL = 3, "L1"


class DrawingSection:
    """The button *Draw one ellipse*: pressed, three clicks in a slice view are awaited; pressed again, it is given up."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._clicks = None
        self._ofDrawing = VTKObservationMixin()
        self.ui.drawLevelBox.addItems(list(LEVELS))
        self.ui.drawLevelBox.currentText = FIRST_LEVEL
        self.ui.drawButton.connect("clicked(bool)", self.onDraw)

    def update(self):
        """Offer it where there is a CT without masks, or with ellipses drawn here alone."""
        ct, masks = self.panel.parameters.ct, self.panel.parameters.ctSegmentation
        canDraw = ct is not None and (masks is None or bool(masks.GetAttribute(DRAWN_ATTRIBUTE)))
        self.ui.drawBar.visible = canDraw

    @said
    def onDraw(self, isDrawing):
        if not isDrawing:
            self.stop()
            return
        self.panel.place.back()
        node = slicer.vtkMRMLMarkupsFiducialNode()
        node.SetName(_("ellipse"))
        node.SetAttribute(CASE_ATTRIBUTE, self.panel.case.case_id)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        self._clicks = node
        self.ui.drawButton.text = _("Click the left, then the right, then the front edge of the bone")
        self.ui.drawButton.checked = True
        logic = slicer.modules.markups.logic()
        logic.SetActiveList(node)
        logic.StartPlaceMode(True)
        self._ofDrawing.addObserver(node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self.onClick)
        for interaction in every_node("vtkMRMLInteractionNode"):
            self._ofDrawing.addObserver(interaction, interaction.InteractionModeChangedEvent, self.onModeChanged)

    def stop(self):
        """Let go of the scene and of the mouse."""
        self._ofDrawing.removeObservers()
        if self._clicks is None:
            return
        node, self._clicks = self._clicks, None
        for interaction in every_node("vtkMRMLInteractionNode"):
            interaction.SwitchToViewTransformMode()
        if slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)
        self.ui.drawButton.checked = False
        self.ui.drawButton.text = _("Draw one ellipse")

    @said
    def onModeChanged(self, caller=None, event=None):
        """Another mode was chosen in the toolbar, or the right button pressed: the drawing is given up."""
        if caller.GetCurrentInteractionMode() != caller.Place:
            self.panel.later("given up", self.stop)

    @said
    def onClick(self, caller=None, event=None):
        if self._clicks is not None and self._clicks.GetNumberOfDefinedControlPoints() >= CLICKS:
            self.panel.later("drawn", self.onDrawn)

    def onDrawn(self):
        """Make the ellipse the mask of its level, measure, and show it with its handles."""
        if self._clicks is None:
            return
        points, level = points_of(self._clicks)[:CLICKS], self.ui.drawLevelBox.currentText
        self.stop()
        parameters = self.panel.parameters
        with progress(_("Measuring")) as report:
            image = image_of(parameters.ct)
            try:
                ellipse = ellipse_through(level, points, image)
            except BoneQualityError as reason:
                raise BoneQualityError(_("No ellipse was drawn: {reason}.").format(reason=reason)) from None
            if parameters.ctSegmentation is None:
                parameters.ctSegmentation = self._newMasks()
            mask, segmentation = pixels_of(ellipse, image), parameters.ctSegmentation.GetSegmentation()
            before = segmentation.GetSegmentIdBySegmentName(mask.name)
            if before:
                segmentation.RemoveSegment(before)
            add_mask(parameters.ctSegmentation, mask)
            earlier = self.panel.case.node(f"{level} middle")
            if earlier is not None:
                slicer.mrmlScene.RemoveNode(earlier)  # an edited curve would stay where it is
            self.panel.measuring.measureAndShow(parameters, report, isForced=True, drawn={(level, "middle"): ellipse})
            self.panel.foldInputs(True)
        self.panel.update()
        if self.panel.case.is_measured:
            self.panel.place.showValue(level, "hu_middle")

    def _newMasks(self):
        ct = self.panel.parameters.ct
        node = segmentation_node(_("{name} ellipses").format(name=ct.GetName()), [])
        node.SetAttribute(DRAWN_ATTRIBUTE, "yes")
        node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
        return node
