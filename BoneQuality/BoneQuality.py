import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)


class BoneQuality(ScriptedLoadableModule):
    """Bone quality of the lumbar spine from CT and T1 MRI."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Bone Quality")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = []
        parent.contributors = ["BoneQuality developers"]
        parent.helpText = _(
            "Measures 3D-HU and multi-slice HU of the lumbar vertebrae on CT, and the vertebral bone quality score (VBQ) on T1 MRI. "
            "Research use; not a medical device."
        )
        parent.acknowledgementText = _("The methods are those of Chang 2025, Schreiber 2011, Pickhardt 2013 and Ehresman 2019.")
        parent.hidden = True  # measured from the Python console and the command line: there is no panel


class BoneQualityLogic(ScriptedLoadableModuleLogic):
    """Forwards to BoneQualityLib, for use in Slicer's Python console.

    Example::

        from BoneQuality import BoneQualityLogic
        from BoneQualityLib import CaseFacts
        result = BoneQualityLogic().measureCase(CaseFacts("case-7"), ct=getNode("CT"), ct_segmentation=getNode("Spine"))
        result.to_table_nodes()
        result.write_files("/home/me/results")
    """

    def measureCase(self, facts, **inputs):
        """The arguments and the result are those of BoneQualityLib.measure_case."""
        from BoneQualityLib import measure_case

        return measure_case(facts, **inputs)


class BoneQualityTest(ScriptedLoadableModuleTest):
    """Measures a synthetic vertebra pair with known answers in the scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_measures_known_bone_and_shows_tables()

    def test_measures_known_bone_and_shows_tables(self):
        from BoneQualityLib import CaseFacts, phantom
        from BoneQualityLib.geometry import Mask
        from BoneQualityLib.scene import segmentation_node, volume_node

        spine = phantom.lumbar_spine(("L1", "L2"), cancellous_hu={"L1": 120, "L2": 80}, posterior_elements=False)
        grid = phantom.grid_for(spine, (1.0, 1.0, 1.0))
        volume = volume_node("CT", phantom.render_ct(spine, grid), grid)
        masks = [Mask(f"{v.level} body", phantom.body_mask(v, grid), grid) for v in spine.vertebrae]
        segmentation = segmentation_node("Spine", masks)

        result = BoneQualityLogic().measureCase(CaseFacts("self-test"), ct=volume, ct_segmentation=segmentation)

        self.assertAlmostEqual(result.values["hu_3d"], 100, delta=1)
        self.assertEqual([level.name for level in result.levels], ["L1", "L2"])
        levels, case = result.to_table_nodes()
        self.assertEqual(levels.GetNumberOfRows(), 2)
        self.assertAlmostEqual(case.GetTable().GetValueByName(0, "hu_3d").ToDouble(), 100, delta=1)
