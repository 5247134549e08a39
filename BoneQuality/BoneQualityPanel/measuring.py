"""Measuring the panel's cases, and their results in the scene."""

import json
from types import MappingProxyType

from slicer.i18n import tr as _

from BoneQualityLib.anatomy.segments import MEASURED_KINDS
from BoneQualityLib.case.memory import Memory
from BoneQualityLib.entry.choices import facts_of, find_beside, find_structures, what_is_missing
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.scene.masks import changed_at, checksums, checksums_of, reference_volume, state_of

from .cases import picked
from .translated import translated

SLICES = ("upper", "middle", "lower")
#: Of so many cases what was worked out is kept, the last ones.
MOST_MEMORIES = 3


class Measuring:
    """What can be measured of a case, and measuring it.

    logic: the module's logic; cases: the panel's Cases.
    """

    def __init__(self, logic, cases):
        self.logic, self.cases = logic, cases
        # looking through large images and many segments takes too long for every letter that is typed
        self._found, self._checksums = {}, {}
        self._memories = {}

    def find(self, each):
        """What the segments of what is picked for one image show."""
        node, kinds = each.segmentation, MEASURED_KINDS[each.role.name]
        key, state = (each.role, node and node.GetID()), [each.segments, each.scheme, knownState(node)]
        before, found = self._found.get(key, (None, None))
        if found is None or before != state or state[-1] is None:
            found = find_structures(node, each.segments, each.scheme, kinds)
            self._found[key] = state, found
        return find_beside(found, each.more_segmentations, kinds)

    def inputsAsText(self, parameters):
        """What the images and the segments in use hold, in short; another text where anything of it was changed."""
        return json.dumps([each.contents(self.find(each), self._checksumsOf) for each in picked(parameters)], sort_keys=True)

    def _checksumsOf(self, node, identifiers=None):
        state = changed_at(node), identifiers
        if self._checksums.get(node.GetID(), (None,))[0] != state:
            self._checksums[node.GetID()] = state, checksums(node, identifiers)
        return self._checksums[node.GetID()][1]

    def _keepChecksums(self, each, result):
        """Keep the checksums of what was measured for one image: neither it nor its masks are looked through again."""
        given = getattr(result.images, each.role.name, None)  # of the muscles there may be several stacks
        if given is None or each.more_segmentations:
            return
        shown = frozenset(self.find(each).shows.values())
        if self._checksums.get(each.segmentation.GetID(), (None,))[0] == (changed_at(each.segmentation), shown):
            return
        masks = checksums_of(each.segmentation, (segment for segment in given.segments if segment.identifier in shown))
        self._checksums[each.volume.GetID()] = (changed_at(each.volume), None), {"": result.inputs[each.role.name]["sha256"]}
        self._checksums[each.segmentation.GetID()] = (changed_at(each.segmentation), shown), masks

    def _memory(self, parameters, mine):
        """What was worked out for a case before, from the same images, masks and method; else a new memory."""
        owner = parameters.parameterNode.GetID()
        state = [[each.identity(), [state_of(node) for node in each.nodes]] for each in mine], parameters.method()
        before, memory = self._memories.pop(owner, (None, None))
        self._memories[owner] = state, memory if before == state else Memory()
        while len(self._memories) > MOST_MEMORIES:
            self._memories.pop(next(iter(self._memories)))
        return self._memories[owner][1]

    def forget(self):
        """Let go of what was worked out, as with a closed scene."""
        for kept in (self._memories, self._found, self._checksums):
            kept.clear()

    def whatIsMissing(self, parameters, found):
        """What has to be given before the case can be measured, in one sentence; found: by role."""
        if self.cases.idIsTaken(parameters):
            return _("Another case of this scene has the id {name}: give this one another.").format(name=parameters.caseId)
        try:
            parameters.method()
        except BoneQualityError as fault:
            return translated(str(fault))
        return what_is_missing(parameters.factTexts(), picked(parameters), found, translated)

    def notes(self, parameters, found):
        """What a person had better know before measuring, sentences."""
        sentences = []
        for each in picked(parameters):
            for segmentation in each.segmentations:
                drawnOn = reference_volume(segmentation)
                if drawnOn and each.image and drawnOn not in each.nodes:
                    text = _("{segmentation} was drawn on {other}, not on {volume}.")
                    names = dict(segmentation=segmentation.GetName(), other=drawnOn.GetName(), volume=each.image.GetName())
                    sentences.append(text.format(**names))
        sentences += [translated(sentence) for each in picked(parameters) for sentence in found[each.role.name].ignored]
        fluid = [name for name in found["t1"].all_shown if name == "thecal sac" or name.startswith("CSF")]
        if found["t1"].levels and not fluid:
            sentences.append(_("VBQ needs a mask of the thecal sac, or of CSF at L3: without one it will not be measured."))
        return sentences

    def edits(self, parameters):
        """The edited ROIs by level and kind; and why others cannot be kept: no flat curve, or no mask shows their place any more."""
        case = self.cases.results(parameters)
        shows = {each.role.name: self.find(each).all_shown for each in picked(parameters)}
        kept, lost = {}, {}
        for key in case.edited_keys():
            try:
                kept[key] = case.edited_roi(key)
            except BoneQualityError as fault:
                lost[key] = str(fault)
        for key in [key for key in kept if key[1] in (*SLICES, "marrow")]:
            if key[0] in shows["ct" if key[1] in SLICES else "t1"]:
                continue
            del kept[key]
            lost[key] = _("The ROI {name} has no place in this case any more.").format(name=" ".join(key))
        return kept, lost

    def measureAndShow(self, parameters, progress, isForced=False, drawn=MappingProxyType({})):
        """Measure the case and put it into the scene; ROIs that a person edited are read as they lie now.

        progress: called with the share done, what comes next, and whether that can be canceled, see `messages.progress`. isForced:
        whether edits that cannot be kept are dropped; else the first of them is the fault that is raised. drawn: ROIs that a person
        drew just now, by level and kind.
        """
        mine = picked(parameters)
        missing = self.whatIsMissing(parameters, {each.role.name: self.find(each) for each in mine})
        if missing:
            raise BoneQualityError(missing)
        inputs = {name: node for each in mine for name, node in each.inputs().items()}
        edits, lost = self.edits(parameters)
        if lost and not isForced:
            raise BoneQualityError(next(iter(lost.values())))
        result = self.logic.measureCase(
            facts_of(parameters.factTexts()),
            parameters=parameters.method(),
            progress=lambda share, text: progress(0.9 * share, text),
            edits={**edits, **drawn},
            memory=self._memory(parameters, mine),
            **inputs,
        )
        beside = next(each.image for each in mine if each.image is not None)
        for each in mine:
            self._keepChecksums(each, result)
        # from here on Cancel would leave a case half shown
        shown = self.logic.showCase(result, beside, lambda share, text: progress(0.9 + 0.1 * share, text, canCancel=False))
        shown.remember_inputs(self.inputsAsText(parameters), parameters.parameterNode)
        return result

    def isStale(self, parameters, case):
        """Whether images, segments, facts or method are others now than when the case was measured."""
        try:
            return case.is_stale(facts_of(parameters.factTexts()), parameters.method(), self.inputsAsText(parameters))
        except BoneQualityError:
            return True


def knownState(node):
    """The state of a segmentation node; None where it cannot be told, as under a non-linear transform."""
    try:
        return node and state_of(node)
    except BoneQualityError:
        return None
