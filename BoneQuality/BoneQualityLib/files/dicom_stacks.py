"""The images of a DICOM series as stacks: images on one right-angled lattice each, ordered along their normal.

Missing, doubled or uneven slices (MRML's reader spreads the rest evenly) and gantry tilt (a sheared lattice) are refused. Where a
series may hold several stacks, as lumbar axial MRI with one angled to each disc, images of another direction, size, or place that
does not continue the stack begin another one.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence
from .dicom_checks import DicomSlice, check_same
from .dicom_values import number, numbers

POSITION_TOLERANCE_MM = 0.1
SAME_POSITION_MM = 0.01
TILT_TOLERANCE_DEGREES = 0.5
#: Images whose axes differ by less belong to one stack; stacks of neighboring discs differ by degrees.
SAME_DIRECTION = 1e-3
#: A step that differs from the stack's own by more than this share of it leads to another stack.
ANOTHER_STEP = 0.25
REGULARIZE = Sentence("import it in 3D Slicer with geometry regularization (DICOM settings), harden its transform, save it as NRRD")


def one_stack(folder: Path, images: list[DicomSlice]) -> list[DicomSlice]:
    """The images in order; raises BoneQualityError if a right-angled lattice cannot hold all of them."""
    check_same(folder, images)
    if len(images) < 2:
        raise BoneQualityError("{folder} holds a single slice in that series: export the whole stack.", folder=folder)
    return _ordered(folder, images)


def several_stacks(folder: Path, images: list[DicomSlice]) -> list[list[DicomSlice]]:
    """The stacks of a series, top to bottom, each in order. Raises BoneQualityError if they cannot be told apart."""
    if len(images) < 2:
        return [one_stack(folder, images)]
    found = []
    for group in _of_one_direction(images):
        check_same(folder, group)
        _check_places(folder, group)
        found += _apart(folder, group)
    return sorted(found, key=lambda stack: -float(np.mean([_position(image)[2] for image in stack])))


def lattice(images: list[DicomSlice]) -> np.ndarray:
    """From voxel index (i, j, k) to RAS mm, 4x4, of a stack in order; of a single image k steps by its thickness."""
    header = images[0].header
    row, column, normal = _axes(images[0])
    down, across = numbers(header, "PixelSpacing", 2)
    if len(images) > 1:
        step = (_position(images[-1]) - _position(images[0])) / (len(images) - 1)
    else:
        step = normal * (number(header, "SpacingBetweenSlices") or number(header, "SliceThickness") or 0)
    affine = np.eye(4)
    affine[:3] = np.column_stack([row * across, column * down, step, _position(images[0])])
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _position(image: DicomSlice) -> np.ndarray:
    return np.array(numbers(image.header, "ImagePositionPatient", 3))


def _axes(image: DicomSlice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors along rows, along columns, and across the image, LPS."""
    row, column = np.reshape(numbers(image.header, "ImageOrientationPatient", 6), (2, 3))
    normal = np.cross(row, column)
    return row, column, normal / np.linalg.norm(normal)


def _of_one_direction(images: list[DicomSlice]) -> list[list[DicomSlice]]:
    """The images in groups of one direction, size and voxel size."""
    groups: list[tuple[np.ndarray, list[DicomSlice]]] = []
    for image in images:
        header = image.header
        key = np.array([*np.concatenate(_axes(image)[:2]), header.Rows, header.Columns, *numbers(header, "PixelSpacing", 2)])
        same = next((group for other, group in groups if np.allclose(other, key, rtol=0, atol=SAME_DIRECTION)), None)
        if same is None:
            groups.append((key, [image]))
        else:
            same.append(image)
    return [group for _, group in groups]


def _apart(folder: Path, images: list[DicomSlice]) -> list[list[DicomSlice]]:
    """The stacks among parallel images: by their places, or where stacks overlap, in the order in which they were taken."""
    normal = _axes(images[0])[2]
    by_place = sorted(images, key=lambda image: float(_position(image) @ normal))
    by_number = sorted(images, key=lambda image: number(image.header, "InstanceNumber") or 0)
    found, faults = [], []
    for ordered in (by_place, by_number):
        try:
            found.append([_ordered(folder, part) if len(part) > 1 else _alone(folder, part) for part in _split(ordered)])
        except BoneQualityError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    return min(found, key=len)


def _check_places(folder: Path, images: list[DicomSlice]) -> None:
    """Raise BoneQualityError for two parallel images at one place, and where the numbers of images skip as many as their places do."""
    ordered = sorted(images, key=lambda image: float(_position(image) @ _axes(images[0])[2]))
    steps = np.diff([_position(image) for image in ordered], axis=0)
    if not len(steps):
        return
    usual = steps[np.argsort(np.linalg.norm(steps, axis=1))[len(steps) // 2]]
    for a, b, step in zip(ordered, ordered[1:], steps):
        if np.linalg.norm(step) < SAME_POSITION_MM:
            raise BoneQualityError(
                "{folder} holds two images at one place ({pair}): keep one phase or echo only.", folder=folder, pair=_pair(a, b)
            )
        first, second = (number(image.header, "InstanceNumber") for image in (a, b))
        skipped = abs(second - first) if first is not None and second is not None else 0
        if skipped >= 2 and np.linalg.norm(step - skipped * usual) < POSITION_TOLERANCE_MM:
            raise BoneQualityError(
                "{folder} misses slices between {pair}: add them or export the series again.", folder=folder, pair=_pair(a, b)
            )


def _pair(a: DicomSlice, b: DicomSlice) -> Sentence:
    return Sentence("{first} and {second}", first=a.name, second=b.name)


def _split(images: list[DicomSlice]) -> list[list[DicomSlice]]:
    """Images in an order, parted where a step is not the usual one."""
    if len(images) < 2:
        return [images]
    places = np.array([_position(image) for image in images])
    steps = np.diff(places, axis=0)
    apart = np.linalg.norm(steps[:, None] - steps[None], axis=2)
    near = ANOTHER_STEP * np.linalg.norm(steps, axis=1) + POSITION_TOLERANCE_MM
    counts = (apart < near[:, None]).sum(axis=1)
    usual = min(np.flatnonzero(counts == counts.max()), key=lambda n: np.linalg.norm(steps[n]))
    parts = [[images[0]]]
    for n, image in enumerate(images[1:]):
        if apart[usual, n] < near[usual]:
            parts[-1].append(image)
        else:
            parts.append([image])
    return parts


def _alone(folder: Path, part: list[DicomSlice]) -> list[DicomSlice]:
    header = part[0].header
    if not (number(header, "SpacingBetweenSlices") or number(header, "SliceThickness")):
        raise BoneQualityError(
            "{folder} holds a stack of one image without a thickness ({name}): remove it.", folder=folder, name=part[0].path.name
        )
    return part


def _ordered(folder: Path, images: list[DicomSlice]) -> list[DicomSlice]:
    """The images along their normal, refused where a right-angled lattice cannot hold them."""
    normal = _axes(images[0])[2]
    positions = np.array([_position(image) for image in images])
    order = np.argsort(positions @ normal, kind="stable")
    images, positions = [images[i] for i in order], positions[order]

    height = (positions - positions[0]) @ normal
    sideways = np.linalg.norm(positions - positions[0] - np.outer(height, normal), axis=1)
    steps = np.diff(height)
    step = float(np.median(steps))
    tolerance = min(POSITION_TOLERANCE_MM, step / 4)
    pairs = [_pair(a, b) for a, b in zip(images, images[1:])]
    if steps.min() < SAME_POSITION_MM:
        sentence = "{folder} holds two images at one place ({pair}): keep one phase or echo only."
        raise BoneQualityError(sentence, folder=folder, pair=pairs[steps.argmin()])
    if np.abs(height - np.linspace(0, height[-1], len(height))).max() > tolerance:
        i = int(np.abs(steps - step).argmax())
        sentence = "{folder} misses slices or is unevenly spaced: {pair} lie {apart:.2f} mm apart, others {step:.2f} mm; add "
        sentence += "the missing slices or export the series again."
        raise BoneQualityError(sentence, folder=folder, pair=pairs[i], apart=steps[i], step=step)
    if np.any(sideways > height * math.tan(math.radians(TILT_TOLERANCE_DEGREES)) + tolerance):
        tilt = math.degrees(math.atan2(sideways[-1], height[-1]))
        sentence = "{folder} has a gantry tilt ({tilt:.1f} degrees) or slices shifted sideways: {remedy}."
        raise BoneQualityError(sentence, folder=folder, tilt=tilt, remedy=REGULARIZE)
    return images
