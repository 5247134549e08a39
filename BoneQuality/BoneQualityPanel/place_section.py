"""From a value to the place where it was taken, and back."""

import slicer

from BoneQualityLib.entry.choices import MUSCLE_ROLE
from BoneQualityLib.outputs.places import csf_place, muscle_place, place_behind
from BoneQualityLib.scene.case_nodes import is_ours
from BoneQualityLib.scene.session import every_node, still_views
from BoneQualityLib.scene.views import FIELD_OF_VIEW_MM, MUSCLES_FIELD_OF_VIEW_MM, look_at, restore, view_state

from .messages import said
from .results_section import COLUMNS

SLICES = ("upper", "middle", "lower")


class PlaceSection:
    """Clicks, or the arrow keys, in the result tables bring the views to a value's place; *Views back* restores everything.

    shown: called with the level and the kind of the ROI that is in view, "" where there is none.
    """

    def __init__(self, panel, shown):
        self.panel, self.ui, self.shown = panel, panel.ui, shown
        self.before = None
        ui = self.ui
        ui.levelTable.connect("cellClicked(int,int)", self.onLevelCell)
        ui.levelTable.connect("currentCellChanged(int,int,int,int)", self.onLevelCell)
        ui.muscleTable.connect("cellClicked(int,int)", self.onMuscleCell)
        ui.muscleTable.connect("currentCellChanged(int,int,int,int)", self.onMuscleCell)
        ui.backButton.connect("clicked(bool)", self.onViewsBack)

    def update(self):
        self.ui.backButton.enabled = self.before is not None

    def remember(self):
        """Keep what the views show now, unless they are away from it already."""
        if self.before is None:
            self.before = view_state()
        self.update()

    def forget(self):
        """The views that were remembered are gone, as with a closed scene."""
        self.before = None
        self.update()

    @said
    def onLevelCell(self, row, column, *before):
        levels = self.panel.results.levels
        if 0 <= row < len(levels) and column >= 0:
            self.showValue(levels[row], COLUMNS[column][0])

    def showValue(self, level, column):
        """Show where a value of the table of levels was taken."""
        place, role = place_behind(self.panel.case.document, level, column)
        self._look(place, role)

    def showMeasure(self, name):
        """Show where a case value was taken: the CSF of VBQ, the middle slice of L1, else the lumbar spine's middle."""
        document = self.panel.case.document
        if name == "vbq":
            self._look(csf_place(document), "t1")
        else:
            used = document["case"].get("ct_levels") or []
            level = "L1" if name == "hu_middle_l1" else next((level for level in ("L3", "L2", *used) if level in used), "")
            self._look(*place_behind(document, level, "hu_middle" if name == "hu_middle_l1" else "hu_3d"))

    @said
    def onMuscleCell(self, row, *others):
        muscles = self.panel.results.muscles
        if 0 <= row < len(muscles):
            self._look(muscle_place(self.panel.case.document, muscles[row]), MUSCLE_ROLE.name)

    def _look(self, place, role):
        if place is None:
            return
        self.remember()
        picked = self.panel.inputs.picked[role]
        with still_views():
            for node in every_node("vtkMRMLSegmentationNode"):
                if not is_ours(node):
                    node.SetDisplayVisibility(False)
            self.panel.case.show_only(place.get("level", ""))
            width = MUSCLES_FIELD_OF_VIEW_MM if role == MUSCLE_ROLE.name else FIELD_OF_VIEW_MM
            look_at(place, picked.image_at(place), self.before, is_ct=role == "ct", field_of_view_mm=width)
            self.shown(place.get("level", ""), place.get("kind", ""))

    @said
    def onViewsBack(self, checked=False):
        self.back()

    def back(self):
        """Bring views, window, layout and visibility back to where they were before the first click."""
        if self.before is not None:
            self.shown("", "")
            restore(self.before)
            self.before = None
            for table in (self.ui.levelTable, self.ui.muscleTable):
                table.blockSignals(True)
                table.setCurrentCell(-1, -1)
                table.blockSignals(False)
            slicer.app.processEvents()
        self.update()
