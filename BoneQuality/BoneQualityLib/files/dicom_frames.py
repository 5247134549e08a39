"""Enhanced multi-frame CT and MR: every frame as an image of its own, its header flat as that of a single image.

MRML's reader gives the frames in the order in which they are stored, with the first one's place and rescale. As single images they
are ordered, checked and read like any series, by that same reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from .dicom_file import DicomFile
from .dicom_values import damage_of

#: Attributes of functional groups under the names that single images have for them.
_SINGLE = dict(EffectiveEchoTime="EchoTime", InversionTimes="InversionTime", FrameType="ImageType")
_PULSES = dict(SPIN="SE", GRADIENT="GR", BOTH="SE GR")
_PIXELS = (
    "Modality", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "RescaleSlope",
    "RescaleIntercept", "RescaleType",
)  # fmt: skip


def frame_headers(header) -> list:
    """A header for every frame: that of the file, and the frame's own functional groups over the shared ones.

    Raises ValueError if there are not as many functional groups as frames.
    """
    shared = header.get("SharedFunctionalGroupsSequence") or []
    frames = header.PerFrameFunctionalGroupsSequence
    if len(frames) != header.get("NumberOfFrames", 1):
        raise ValueError("not one functional group for every frame")
    common = _without_frames(header)
    for group in shared:
        _add_macros(common, group)
    return [_of_frame(common, group) for group in frames]


def _without_frames(header):
    import pydicom

    common = pydicom.Dataset()
    for element in header:
        if element.keyword not in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames"):
            common.add(element)
    common.file_meta = header.file_meta
    if header.get("EchoPulseSequence") in _PULSES and "ScanningSequence" not in common:
        common.ScanningSequence = _PULSES[header.EchoPulseSequence]
    return common


def _of_frame(common, group):
    import pydicom

    header = pydicom.Dataset()
    header.update(common)
    header.file_meta = common.file_meta
    _add_macros(header, group)
    return header


def _add_macros(header, group) -> None:
    """The attributes of every macro of a functional group; what a macro repeats within itself is left out."""
    for macro in group:
        for item in list(macro.value)[:1] if macro.VR == "SQ" else []:
            for element in item:
                keyword = _SINGLE.get(element.keyword, element.keyword)
                if keyword:
                    setattr(header, keyword, element.value)


def write_frames(images: Sequence, folder: Path) -> list[Path]:
    """Images as files of one frame each, in the order given, with what says their pixels and place and nothing of the patient.

    images: of `images_in`, ordered. The pixels stay as they are stored, compressed or not.
    """
    import pydicom
    from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid

    series, paths = generate_uid(), {}
    for path, frames in groupby(sorted(enumerate(images), key=lambda pair: str(pair[1].path)), key=lambda pair: pair[1].path):
        with damage_of(path):
            with DicomFile(path) as file:
                whole = pydicom.dcmread(file, force=True)
            pixels = _stored_frames(whole)
            for n, image in frames:
                single = pydicom.Dataset()
                for name in _PIXELS:
                    if (value := image.header.get(name)) is not None:
                        setattr(single, name, value)
                single.SOPClassUID = CTImageStorage if image.header.get("Modality") == "CT" else MRImageStorage
                single.SOPInstanceUID, single.SeriesInstanceUID, single.InstanceNumber = generate_uid(), series, n + 1
                single.file_meta = pydicom.dataset.FileMetaDataset()
                single.file_meta.TransferSyntaxUID = image.header.file_meta.TransferSyntaxUID
                single.file_meta.MediaStorageSOPClassUID = single.SOPClassUID
                single.file_meta.MediaStorageSOPInstanceUID = single.SOPInstanceUID
                single.PixelData = pixels[image.frame or 0]
                single["PixelData"].VR = "OB" if image.header.BitsAllocated == 8 else "OW"
                if single.file_meta.TransferSyntaxUID.is_compressed:
                    single.PixelData = pydicom.encaps.encapsulate([single.PixelData])
                    single["PixelData"].is_undefined_length = True
                    single["PixelData"].VR = "OB"
                paths[n] = folder / f"{n:05}.dcm"
                single.save_as(paths[n], **_as_standard())
    return [paths[n] for n in sorted(paths)]


def _as_standard() -> dict:
    """How pydicom is told to write a file with a preamble: by another name from version 3 on."""
    import pydicom

    return dict(enforce_file_format=True) if int(pydicom.__version__.split(".")[0]) >= 3 else dict(write_like_original=False)


def _stored_frames(whole) -> list[bytes]:
    """The bytes of every frame as they are stored."""
    from pydicom import encaps

    count = int(whole.get("NumberOfFrames", 1) or 1)
    if whole.file_meta.get("TransferSyntaxUID") and whole.file_meta.TransferSyntaxUID.is_compressed:
        if hasattr(encaps, "generate_frames"):
            return list(encaps.generate_frames(whole.PixelData, number_of_frames=count))
        return list(encaps.generate_pixel_data_frame(whole.PixelData, count))  # before pydicom 3
    length = whole.Rows * whole.Columns * whole.SamplesPerPixel * whole.BitsAllocated // 8
    return [whole.PixelData[n * length : (n + 1) * length] for n in range(count)]
