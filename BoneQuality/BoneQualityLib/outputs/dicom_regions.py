"""Regions as a DICOM segmentation (SEG), voxel for voxel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from .. import __version__
from ..image.grid import Grid
from ..measures.roi import COLORS, RegionRoi
from .dicom_source import RAS_TO_LPS, Source, uid_of, undated

#: A voxel belongs to a region if at least this share of it lies inside.
INSIDE = 0.5
MAKER = "BoneQuality"
#: Numbers of the series that are made; after those of scanners.
SERIES_OF_REGIONS, SERIES_OF_REPORT = 9701, 9702


def region_label(region: RegionRoi) -> str:
    """For example "L1 cancellous"."""
    return f"{region.level} {region.kind}"


def segmentation(case_id: str, regions: list[RegionRoi], grid: Grid, source: Source, codes: Mapping[str, str]):
    """A pydicom dataset (SEG, binary) with one segment per region.

    grid: lattice of the image that the regions were made on. codes: SNOMED CT code of each level's vertebra.
    """
    import highdicom
    from pydicom.sr.coding import Code

    source.check_lattice(grid)
    labels = np.zeros(grid.shape, np.uint8)
    descriptions = []
    algorithm = highdicom.AlgorithmIdentificationSequence(MAKER, Code("123104", "DCM", "Morphological Operations"), __version__)
    for number, region in enumerate(regions, 1):
        box = labels[region.slices]
        box[region.weights >= INSIDE] = number
        vertebra = vertebra_code(region.level, codes)
        descriptions.append(
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=region_label(region),
                segmented_property_category=Code("123037004", "SCT", "Anatomical Structure"),
                segmented_property_type=Code("272673000", "SCT", "Bone"),
                algorithm_type="SEMIAUTOMATIC",
                algorithm_identification=algorithm,
                tracking_id=region_label(region),
                tracking_uid=uid_of(source.headers[0].SeriesInstanceUID, case_id, region_label(region)),
                anatomic_regions=[vertebra] if vertebra else None,
                display_color=highdicom.color.CIELabColor.from_rgb(*_rgb(COLORS[region.kind])),
            )
        )
    affine = np.eye(4)
    affine[:3, :3] = RAS_TO_LPS @ grid.ijk_to_ras[:3, 2::-1]
    affine[:3, 3] = RAS_TO_LPS @ grid.ijk_to_ras[:3, 3]
    content = uid_of(source.headers[0].SeriesInstanceUID, case_id, __version__, hashlib.sha256(labels).hexdigest())
    dataset = highdicom.seg.Segmentation(
        source_images=list(source.headers),
        pixel_array=highdicom.Volume(labels, affine, "PATIENT", frame_of_reference_uid=source.frame_of_reference),
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        series_instance_uid=uid_of(content, "series"),
        series_number=SERIES_OF_REGIONS,
        sop_instance_uid=uid_of(content, "instance"),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number=__version__,
        content_label="REGIONS",
        content_description="Regions of bone quality",
        series_description="BoneQuality regions",
    )
    organization = uid_of(content, "dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    return undated(dataset, source)


def vertebra_code(level: str, codes: Mapping[str, str]):
    """The coded vertebra of a level; None for one that SNOMED CT has no code for."""
    from pydicom.sr.coding import Code

    return Code(codes[level], "SCT", f"{level} vertebra") if level in codes else None


def _rgb(color: str) -> tuple[int, int, int]:
    return tuple(int(color[n : n + 2], 16) for n in (1, 3, 5))
