"""A case as the panel holds it in the scene."""

from dataclasses import fields
from typing import Annotated

from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper

from BoneQualityLib.anatomy.schemes import SCHEMES
from BoneQualityLib.parameters import CaseFacts, Parameters

#: The inputs that are several nodes.
NODE_LISTS = ("ctMore", "t1More", "axialMrMore", "axialMrStacks")
STATES = ("used", "fractured", "cemented", "excluded")


def camelCase(name):
    """The parameter's name for a field of the library's dataclasses: cancellousMarginMm for cancellous_margin_mm."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def setting(name, dataclass=Parameters):
    """The type of a parameter with the limits, choices and default of the library's field; choices that may stay open begin with ""."""
    field = next(field for field in fields(dataclass) if field.name == name)
    about = field.metadata
    if about["choices"]:
        choices = list(about["choices"]) if field.default is not None else ["", *about["choices"]]
        return Annotated[str, Choice(choices), Default(field.default or "")]
    if isinstance(field.default, bool):
        return Annotated[bool, Default(field.default)]
    if isinstance(field.default, str):
        return Annotated[str, Default(field.default)]
    return Annotated[float, WithinRange(about["low"], about["high"]), Default(field.default)]


LabelScheme = Annotated[str, Choice(["", *SCHEMES]), Default("")]


@parameterNodeWrapper
class BoneQualityParameterNode:
    """A case as the panel holds it.

    Facts that a person types are texts, "" where not given. ...Segments: the structure that a segment shows, by the segment's id,
    where a person chose it. ...More, ...Stacks: further segmentations and axial volumes. levelStates: "fractured", "cemented" or
    "excluded" by level. offered: the nodes that were chosen without asking, and the inputs that nothing is chosen for any more
    because their node was deleted.
    """

    caseId: str
    age: str
    sex: setting("sex", CaseFacts)
    bmi: str
    tScore: str
    hyperlipidemia: setting("hyperlipidemia", CaseFacts)
    contrast: setting("contrast", CaseFacts)
    reader: str
    ct: vtkMRMLScalarVolumeNode | None
    ctSegmentation: vtkMRMLSegmentationNode | vtkMRMLLabelMapVolumeNode | None
    ctLabelScheme: LabelScheme
    ctSegments: dict[str, str]
    ctMore: list[vtkMRMLNode]
    t1: vtkMRMLScalarVolumeNode | None
    t1Segmentation: vtkMRMLSegmentationNode | vtkMRMLLabelMapVolumeNode | None
    t1LabelScheme: LabelScheme
    t1Segments: dict[str, str]
    t1More: list[vtkMRMLNode]
    axialMr: vtkMRMLScalarVolumeNode | None
    axialMrSegmentation: vtkMRMLSegmentationNode | vtkMRMLLabelMapVolumeNode | None
    axialMrLabelScheme: LabelScheme
    axialMrSegments: dict[str, str]
    axialMrMore: list[vtkMRMLNode]
    axialMrStacks: list[vtkMRMLNode]
    fat: vtkMRMLScalarVolumeNode | None
    water: vtkMRMLScalarVolumeNode | None
    levelStates: dict[str, str]
    csfBlocked: list[str]
    mask: setting("mask")
    cancellousMarginMm: setting("cancellous_margin_mm")
    slicePlane: setting("slice_plane")
    avoidBasivertebral: setting("avoid_basivertebral")
    vbqMarginMm: setting("vbq_margin_mm")
    vbqSlice: setting("vbq_slice")
    fatThreshold: setting("fat_threshold")
    discSlices: setting("disc_slices")
    strict: setting("strict")
    offered: list[str]
    exportFolder: str

    def nodeInputs(self):
        """The names of the inputs that are nodes."""
        roles = ("ct", "t1", "axialMr")
        return (*roles, *(f"{role}Segmentation" for role in roles), "fat", "water")

    def factTexts(self):
        """The facts of the case by the names of CaseFacts."""
        texts = {field.name: getattr(self, camelCase(field.name), "") for field in fields(CaseFacts)}
        states = dict(self.levelStates)
        for state in STATES[1:]:
            texts[state] = [level for level, chosen in states.items() if chosen == state]
        return dict(texts, csf_blocked=list(self.csfBlocked))

    def method(self):
        """The Parameters of the case; raises BoneQualityError where one is none."""
        return Parameters(**{field.name: getattr(self, camelCase(field.name)) for field in fields(Parameters)})
