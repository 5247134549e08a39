"""The inputs of a case by name: images, segmentations, and how files are read."""

from __future__ import annotations

from dataclasses import dataclass

VOLUME_HELP = "NRRD, NIfTI, MetaImage, or a DICOM folder (DIR@UID: a series of it)"
SEGMENTATION_HELP = (
    ".seg.nrrd, DICOM SEG, label map, or folder with one file per structure; may be given several times. The scheme of a label map: "
    "FILE@SCHEME or FILE@LABELS.csv, else that for all label maps"
)


@dataclass(frozen=True)
class Input:
    """A file or folder: an argument of `measure_case`, an option, a column.

    of: of a segmentation, the volumes that it may show. words: what the names of files call a volume. several: whether there may be
    more than one.
    """

    name: str
    title: str
    help: str
    of: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    several: bool = False


INPUTS = (
    Input("ct", "CT", f"CT: {VOLUME_HELP}", words=("ct",)),
    Input("ct_segmentation", "segmentation of the CT", f"vertebrae on the CT: {SEGMENTATION_HELP}", of=("ct",), several=True),
    Input("t1", "T1 MRI", f"T1 MRI: {VOLUME_HELP}", words=("t1", "t1w")),
    Input(
        "t1_segmentation",
        "segmentation of the T1 MRI",
        "vertebral bodies and CSF or sac on the T1 MRI, likewise",
        of=("t1",),
        several=True,
    ),
    Input(
        "axial_mr",
        "axial MRI",
        f"axial T2 or T1 MRI (or CT) for the muscles: {VOLUME_HELP}; several times for stacks in series or files of their own",
        words=("axial", "muscle", "muscles"),
        several=True,
    ),
    Input(
        "axial_mr_segmentation",
        "segmentation of the axial images",
        "psoas major, multifidus and erector spinae of both sides, and discs, on the axial images, likewise",
        of=("axial_mr", "fat", "water"),
        several=True,
    ),
    Input("fat", "fat image", "fat image of a Dixon pair, beside the axial MRI or in its place", words=("fat",), several=True),
    Input("water", "water image", "water image of the pair", words=("water",), several=True),
)
#: Images; the other inputs are segmentations.
VOLUMES = tuple(item.name for item in INPUTS if not item.of)
#: Volumes that muscles are read from.
AXIAL = ("axial_mr", "fat", "water")
#: How files are read, for all of a case's: the series of a DICOM folder that holds several, what the values of label maps mean.
READING = ("series", "label_scheme", "labels")
