"""ROIs that a person moves: handles on ellipses, the value while one moves, reading again, back to where it was placed."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.measures.slices import read_slice
from BoneQualityLib.scene.arrays import image_of
from BoneQualityLib.scene.case_nodes import CASE_ATTRIBUTE
from BoneQualityLib.scene.case_rois import points_of
from BoneQualityLib.scene.ellipse_handles import dragged, ellipse_of, handle_points, reshape, show_handles

from .messages import progress, said

PAUSE_MS = 200
SAME_PLACE_MM = 1e-3
SLICES = ("upper", "middle", "lower")


class EditsSection:
    """What a person does to ROIs by hand. Values are read again when a person asks for it; until then they are said to be old."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._curve, self._handles, self._ellipse, self._key = None, None, None, ("", "")
        self._isFollowing = False
        self._ofHandles = VTKObservationMixin()
        self._pause = qt.QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.connect("timeout()", self.update)
        self.ui.updateButton.connect("clicked(bool)", self.onUpdate)
        self.ui.resetRoiButton.connect("clicked(bool)", self.onResetRoi)

    def stop(self):
        """Let go of the scene."""
        self._pause.stop()
        self.letGo()

    def watched(self):
        """What the edits of the case follow: the curves and their events."""
        events = slicer.vtkMRMLMarkupsNode
        kinds = (events.PointModifiedEvent, events.PointAddedEvent, events.PointRemovedEvent)
        return [(curve, event) for curve in self.panel.case.curve_nodes() for event in kinds]

    @said
    def onCurveModified(self, caller=None, event=None):
        self._pause.start()

    @said
    def update(self):
        """Say which ROIs were edited since their values were read."""
        if self.panel.parameters is None:
            return
        if self._isLeftBehind():
            self.take(*self._key)
        edited = self.panel.case.unread_edits()
        missing = self.panel.inputs.missing
        self.ui.updateButton.visible, self.ui.updateButton.enabled = bool(edited), bool(edited) and not missing
        read = _("Read these ROIs again: {names}").format(names=", ".join(edited))
        self.ui.updateButton.toolTip = (missing or read) if edited else _("No ROI was edited since its value was read")
        self.ui.resetRoiButton.enabled = self._curve is not None
        self.panel.showState()

    @said
    def onUpdate(self, checked=False):
        with progress(_("Reading edited ROIs")) as report:
            self.panel.measuring.measureAndShow(self.panel.parameters, report)
        self.panel.update()

    # One ROI in hand

    def take(self, level, kind):
        """Give handles to the ellipse that is in view; none for other ROIs, which are moved by their points."""
        self.letGo()
        curve = self.panel.case.node(f"{level} {kind}")
        self._curve, self._key = curve, (level, kind)
        self._ellipse = self._ellipseShown(curve)
        if self._ellipse is not None:
            self._showHandles()
        self.ui.resetRoiButton.enabled = curve is not None

    def letGo(self):
        """Remove the handles."""
        self._ofHandles.removeObservers()
        if self._curve is not None and self._ellipse is not None:
            self._curve.SetLocked(False)
        if self._handles is not None and slicer.mrmlScene.IsNodePresent(self._handles):
            slicer.mrmlScene.RemoveNode(self._handles)
        self._curve, self._handles, self._ellipse, self._key = None, None, None, ("", "")

    def _isLeftBehind(self):
        """Whether the ROI in hand has gone or come back, or something else than its handles moved it, as Undo does."""
        curve = self.panel.case.node(" ".join(self._key))
        if curve is not self._curve or curve is None:
            return curve is not self._curve
        ellipse = self._ellipseShown(self._curve)
        if ellipse is None or self._ellipse is None:
            return ellipse is not self._ellipse
        points = points_of(self._handles)
        return points.shape != (3, 3) or not np.allclose(points, handle_points(ellipse), atol=SAME_PLACE_MM)

    def _ellipseShown(self, curve):
        """The ellipse that the ROI in hand is; None for ROIs of another kind, and for one that was reshaped point by point."""
        return ellipse_of(curve) if curve is not None and self._key[1] in SLICES else None

    def _showHandles(self):
        node = slicer.vtkMRMLMarkupsFiducialNode()
        node.SetName(self._curve.GetName() + " handles")
        node.SetAttribute(CASE_ATTRIBUTE, self.panel.case.case_id)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)  # before it is added: the saved subject hierarchy must not know it
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetUseGlyphScale(False)
        display.SetGlyphSize(2.5)
        display.SetTextScale(3.5)
        display.SetSelectedColor(*self._curve.GetDisplayNode().GetSelectedColor())
        self._handles = node
        self._curve.SetLocked(True)
        show_handles(node, self._ellipse, self._label(self._ellipse))
        node.SetFixedNumberOfControlPoints(True)
        self._ofHandles.addObserver(node, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onHandleMoved)

    @said
    def onHandleMoved(self, caller=None, event=None):
        points = points_of(self._handles)
        if self._isFollowing or len(points) != 3:
            return
        self._isFollowing = True
        try:
            self._ellipse = dragged(self._ellipse, points)
            reshape(self._curve, self._ellipse)
            show_handles(self._handles, self._ellipse, self._label(self._ellipse))
        finally:
            self._isFollowing = False

    def _label(self, ellipse):
        """What is read in the ellipse now; only this ROI is read."""
        picked = self.panel.inputs.picked["ct"]
        try:
            return _("{roi}: {value} HU").format(
                roi=f"{ellipse.level} {ellipse.kind}", value=f"{read_slice(ellipse, image_of(picked.volume)):.0f}"
            )
        except BoneQualityError as reason:
            return f"{ellipse.level} {ellipse.kind}: {reason}"

    @said
    def onResetRoi(self, checked=False):
        """Put the ROI in view back to where it was placed; one that a person drew goes, so that it is placed when it is read again."""
        self.panel.case.put_back(self._key)
        self.update()
