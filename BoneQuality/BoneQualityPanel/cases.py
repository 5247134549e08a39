"""The cases of the scene: their ids, what is chosen for a new one, the demo."""

import slicer

from BoneQualityLib.anatomy.schemes import SCHEMES
from BoneQualityLib.entry.choices import MUSCLE_ROLE, ROLES, Picked
from BoneQualityLib.entry.first_choices import first_choices
from BoneQualityLib.parameters import is_id
from BoneQualityLib.scene.case_nodes import case_ids, id_measured_for, ids_given_twice, ids_measured, is_ours
from BoneQualityLib.scene.dicom_facts import facts_of
from BoneQualityLib.scene.scene_case import SceneCase

from .parameter_node import NODE_LISTS, STATES, BoneQualityParameterNode, camelCase

DELETED, READ_FACTS = "deleted: {name}", "facts: {ID}"


def picked(parameters):
    """What is picked for the CT, the T1 MRI and the axial MRI."""
    others = dict(fat=parameters.fat, water=parameters.water)
    found = []
    for role in ROLES:
        values = (getattr(parameters, camelCase(role.name) + what) for what in ("", "Segmentation", "Segments", "LabelScheme"))
        volume, segmentation, segments, scheme = values
        isMuscles = role is MUSCLE_ROLE
        stacks = tuple(filter(None, parameters.axialMrStacks)) if isMuscles else ()
        more = tuple(filter(None, getattr(parameters, f"{camelCase(role.name)}More")))
        found.append(Picked(role, volume, segmentation, dict(segments), scheme, others if isMuscles else {}, stacks, more))
    return found


def hasInputs(parameters):
    return not all(each.is_empty for each in picked(parameters))


class Cases:
    """The panel's cases.

    logic: the module's logic, which makes and lists their parameter nodes.
    """

    def __init__(self, logic):
        self.logic = logic
        self._wrapped = {}

    def parametersOf(self, node):
        """The parameters that a node holds; wrapping one takes long, so it is done once."""
        known = self._wrapped.get(node.GetID())
        if known is None or known.parameterNode is not node:
            known = self._wrapped[node.GetID()] = BoneQualityParameterNode(node)
        return known

    def create(self):
        """A new, empty case; returns its parameters."""
        return BoneQualityParameterNode(slicer.mrmlScene.AddNode(self.logic.createParameterNode()))

    def every(self, butNot=None):
        """The parameters of every case in the scene."""
        nodes = [node for node in self.logic.getAllParameterNodes() if butNot is None or node is not butNot.parameterNode]
        return [self.parametersOf(node) for node in nodes]

    def unusedId(self, stem="case", first="case-1"):
        """An id that no case of the scene has."""
        taken = {other.caseId for other in self.every()} | set(case_ids())
        return next(name for name in (first, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)

    # First choices

    def chooseFirst(self, parameters):
        """Choose the only CT, T1 MRI and axial MRI that have a segmentation, among what no other case uses; else volumes alone.

        Only what is not chosen yet, and no node twice: what a person took out stays out. Nothing takes the place of a node that was
        deleted: nobody chose it.
        """
        mine = picked(parameters)
        with slicer.util.NodeModify(parameters.parameterNode):
            for first in first_choices(mine, self.free(parameters)):
                name = camelCase(first.role.name)
                self._offer(parameters, name, first.volume)
                self._offer(parameters, f"{name}Segmentation", first.segmentation)
                for listName, nodes in ((f"{name}More", first.more_segmentations), ("axialMrStacks", first.more_volumes)):
                    for node in nodes:
                        self._offer(parameters, listName, node)

    def free(self, parameters):
        """The volumes and segmentations that no case uses and that show no results."""
        taken = [node for each in self.every() for input in picked(each) for node in input.nodes]
        classes = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
        nodes = [node for nodeClass in classes for node in slicer.util.getNodesByClass(nodeClass)]
        return [node for node in nodes if node not in taken and not is_ours(node)]

    def _offer(self, parameters, name, node):
        offered, isList = list(parameters.offered), name in NODE_LISTS
        if node is None or (not isList and getattr(parameters, name) is not None):
            return
        if node.GetID() not in offered and DELETED.format(name=name) not in offered:
            setattr(parameters, name, [*getattr(parameters, name), node] if isList else node)
            parameters.offered = [*offered, node.GetID()]

    def fillFacts(self, parameters):
        """Take age and sex from the DICOM database where nobody has typed them; once for each image."""
        for each in picked(parameters):
            mark = READ_FACTS.format(ID=each.image.GetID()) if each.image is not None else ""
            if not mark or mark in parameters.offered:
                continue
            with slicer.util.NodeModify(parameters.parameterNode):
                for name, value in facts_of(each.image).items():
                    if not getattr(parameters, name):
                        setattr(parameters, name, value)
                parameters.offered = [*parameters.offered, mark]

    def letGo(self, node, shown):
        """Empty the inputs of every case that are a node which is about to be removed; returns whether the case shown has any."""
        return any([self._letGo(parameters, node) and parameters is shown for parameters in self.every()])

    def _letGo(self, parameters, node):
        mine = [name for name in parameters.nodeInputs() if getattr(parameters, name) is node]
        lists = [name for name in NODE_LISTS if node in list(getattr(parameters, name))]
        if not mine + lists:
            return False
        with slicer.util.NodeModify(parameters.parameterNode):
            for name in mine:
                setattr(parameters, name, None)
            for name in lists:
                setattr(parameters, name, [other for other in getattr(parameters, name) if other is not node])
            parameters.offered = [*parameters.offered, *(DELETED.format(name=name) for name in mine + lists)]
        return True

    def loadDemo(self, parameters, progress):
        """Make the demo case's images and masks and choose them, in a new case where this one has inputs; returns its parameters."""
        from BoneQualityLib.phantoms import demo

        _spine, nodes = demo.make_nodes(progress)
        if hasInputs(parameters):
            parameters = self.create()
        for node in nodes.values():
            node.CreateDefaultDisplayNodes()
        for role in ROLES:
            segmentation = nodes[f"{role.name}_segmentation"]
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(nodes[role.name])
            segmentation.GetDisplayNode().SetVisibility2DFill(False)
            segmentation.SetDisplayVisibility(role.name == "ct")  # the others lie where the CT's do
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.caseId = self.unusedId(demo.CASE_ID, demo.CASE_ID)
            parameters.tScore = f"{demo.T_SCORE:g}"
            for name, node in nodes.items():
                setattr(parameters, camelCase(name), node)
        slicer.util.setSliceViewerLayers(background=nodes["ct"], fit=True)
        return parameters

    def of(self, facts, nodes, schemes):
        """A new case with these facts (CaseFacts), lists of nodes by input, and label schemes; returns its parameters."""
        parameters = self.create()
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.caseId = self.unusedId(facts.case_id, facts.case_id)
            for name in ("age", "bmi", "t_score", "sex", "hyperlipidemia", "contrast", "reader"):
                value = getattr(facts, name)
                if value is not None:
                    setattr(parameters, camelCase(name), f"{value:g}" if isinstance(value, float) else value)
            parameters.levelStates = {level: state for state in STATES[1:] for level in getattr(facts, state)}
            parameters.csfBlocked = list(facts.csf_blocked)
            for name, (node, *more) in nodes.items():
                setattr(parameters, camelCase(name), node)
                if more:
                    isMask = name.endswith("_segmentation")
                    setattr(parameters, f"{camelCase(name.removesuffix('_segmentation'))}{'More' if isMask else 'Stacks'}", more)
            for name, scheme in schemes.items():
                if scheme in SCHEMES and nodes[name][0].IsA("vtkMRMLLabelMapVolumeNode"):
                    setattr(parameters, camelCase(name.removesuffix("_segmentation")) + "LabelScheme", scheme)
        return parameters

    def secondReading(self, parameters):
        """A new case with the inputs, facts and method of this one, but another reader; returns its parameters."""
        again = self.create()
        with slicer.util.NodeModify(again.parameterNode):
            for name in BoneQualityParameterNode.allParameters:
                if name not in ("caseId", "reader", "offered"):
                    setattr(again, name, getattr(parameters, name))
            again.caseId = self.unusedId(f"{parameters.caseId}-reader", f"{parameters.caseId}-reader-2")
        return again

    # Ids

    def resultsId(self, parameters):
        """The id under which the results of a case lie in the scene: its own, whatever is typed, and never another case's."""
        return id_measured_for(parameters.parameterNode) or ("" if self.idIsTaken(parameters) else parameters.caseId)

    def results(self, parameters):
        """The case as it lies in the scene."""
        return SceneCase(self.resultsId(parameters))

    def idIsTaken(self, parameters):
        """Whether another case has the id, or its results lie under it still."""
        others, measured = self.every(butNot=parameters), ids_measured()
        names = [name for other in others for name in (other.caseId, measured.get(other.parameterNode.GetID()))]
        return parameters.caseId in names

    def followId(self, parameters):
        """Take the results of a case along when its id is changed, once the new id can be used and is no other case's."""
        measuredId = id_measured_for(parameters.parameterNode)
        isFree = is_id(parameters.caseId) and not self.idIsTaken(parameters) and parameters.caseId not in case_ids()
        if measuredId and isFree:
            SceneCase(measuredId).rename(parameters.caseId)

    def afterImport(self, older):
        """Cases that came with a scene take the place of empty ones, and get other ids where cases that were there have theirs.

        older: IDs of the nodes that were there before.
        """
        for node in self.logic.getAllParameterNodes():
            parameters = self.parametersOf(node)
            isEmpty = not hasInputs(parameters) and id_measured_for(node) is None
            if isEmpty and len(self.logic.getAllParameterNodes()) > 1:
                slicer.mrmlScene.RemoveNode(node)
        for caseId in ids_given_twice(older):
            SceneCase(caseId, older).rename(self.unusedId(caseId, caseId))
        for parameters in self.every():
            if parameters.parameterNode.GetID() not in older and self.idIsTaken(parameters):
                measuredId = id_measured_for(parameters.parameterNode)
                parameters.caseId = measuredId or self.unusedId(parameters.caseId, parameters.caseId)
