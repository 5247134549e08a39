"""Volume nodes to arrays."""

from __future__ import annotations

import json

import numpy as np

from ..errors import BoneQualityError
from ..files.dicom_tags import read_tags
from ..image.acquisition import ImageTags
from ..image.grid import Grid
from ..image.image import Image

#: Where a volume node keeps what is known of its acquisition (JSON of ImageTags; no patient data).
TAGS_ATTRIBUTE = "BoneQuality.ImageTags"
#: Where a node that came from DICOM keeps the UID of the space that its places are in.
FRAME_ATTRIBUTE = "BoneQuality.FrameOfReference"
#: Entries of a matrix below this, mm, are what is left of zero by computing.
NO_MORE_THAN_ROUNDING = 1e-6
_SHEAR_TOLERANCE = 0.009  # half a degree: what DICOM's rounded directions need


def image_of(node) -> Image:
    """The volume's array as it lies in the node, with its parent transform in the lattice.

    Raises BoneQualityError where the volume holds no image, colors instead of one value, or its transform cannot be used.
    """
    check_volume(node)
    array = array_of(node.GetImageData())
    return Image(node.GetName(), array, Grid(array.shape, ijk_to_ras_of(node)), _tags(node))


def _tags(node) -> ImageTags:
    """What is known of the acquisition: as it was read, or by Slicer's DICOM database where the volume came from there."""
    known, instances = node.GetAttribute(TAGS_ATTRIBUTE), (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if known:
        return ImageTags(**json.loads(known))
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(instances[0]) if instances and database else ""
    return ImageTags(**read_tags(path)) if path else ImageTags()


def check_same_space(volume, segmentation) -> None:
    """Raise BoneQualityError if both came from DICOM and their places are in different frames of reference."""
    spaces = [node.GetAttribute(FRAME_ATTRIBUTE) for node in (volume, segmentation)]
    if all(spaces) and spaces[0] != spaces[1]:
        raise BoneQualityError(
            "{segmentation} was drawn in another frame of reference than that of {volume}; give the image it was drawn on, or register "
            "the two in 3D Slicer and save both.",
            segmentation=segmentation.GetName(),
            volume=volume.GetName(),
        )


def placed_by(node) -> list:
    """Where a volume's voxels lie, or where the parent transform puts a segmentation, 4x4 by rows, to compare."""
    return lasting(ijk_to_ras_of(node) if node.IsA("vtkMRMLVolumeNode") else transform_of(node)).tolist()


def lasting(matrix: np.ndarray) -> np.ndarray:
    """A matrix to compare: in single precision, without what is left of zero, it is the same after saving and loading."""
    return np.where(np.abs(matrix) < NO_MORE_THAN_ROUNDING, 0, matrix).astype(np.float32)


def check_volume(node) -> None:
    data = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else None
    name = node.GetName()
    if data is None or not data.GetNumberOfPoints() or data.GetPointData().GetScalars() is None:
        raise BoneQualityError("{name} holds no image; choose a volume.", name=name)
    if data.GetNumberOfScalarComponents() != 1 or not node.IsA("vtkMRMLScalarVolumeNode"):
        raise BoneQualityError("{name} holds colors or vectors; choose a volume with one value per voxel.", name=name)


def array_of(image) -> np.ndarray:
    from vtk.util.numpy_support import vtk_to_numpy

    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def ijk_to_ras_of(node) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = transform_of(node) @ matrix_array(matrix)
    check_shear(affine, node.GetName())
    return affine


def transform_of(node) -> np.ndarray:
    """The node's parent transform to world, 4x4."""
    import vtk

    parent, matrix = node.GetParentTransformNode(), vtk.vtkMatrix4x4()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise BoneQualityError("{name} is under a non-linear transform; harden it in the Transforms module first.", name=node.GetName())
        parent.GetMatrixTransformToWorld(matrix)
    return matrix_array(matrix)


def check_shear(affine: np.ndarray, name: str) -> None:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(np.isfinite(affine)) or np.any(lengths < 1e-6):
        raise BoneQualityError("{name} has no usable voxel size; correct it in the Volumes module.", name=name)
    cosines = (affine[:3, :3] / lengths).T @ (affine[:3, :3] / lengths)
    if np.abs(cosines - np.eye(3)).max() > _SHEAR_TOLERANCE:
        raise BoneQualityError("{name} is sheared; harden its transform or resample it to a rectangular lattice first.", name=name)


def matrix_array(matrix) -> np.ndarray:
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
