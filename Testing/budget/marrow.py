"""T1 MRI: how wrong VBQ gets, whether its range holds what another reader gives, and which faults are caught.

Left-right shifts of a mask are exempt: marrow looks the same on the neighboring slice, and no rim lies across it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from scipy import ndimage

from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.case.result import CaseResult
from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.files.dicom_tags import header_tags
from BoneQualityLib.image.acquisition import ImageTags
from BoneQualityLib.image.grid import RIGHT, Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.contrast import t1_flags
from BoneQualityLib.measures.marrow import on_plane, place_marrow, read_signal, section_plane
from BoneQualityLib.measures.mask_rim import LEAST_RIM_SHARE, rim_on_t1
from BoneQualityLib.parameters import CaseFacts
from BoneQualityLib.phantoms import phantom_spine
from budget import Row, at_least, at_most
from budget._injected_faults import fair_masks, moved, nifti, percent, swollen, t1_sample, wrong_masks

#: Seeds: the threshold was chosen on the first, its rates are measured on the second.
CHOSEN_ON, LEFT_OUT = range(0, 11), range(1000, 1022)
FEW_SHIFTS = (4, 8, 14)
#: A fault is harmful where it moves VBQ by more than this share; one that moves it by much more must not slip through.
HARMFUL, VERY_HARMFUL = 0.03, 0.10
CURVE = (0.05, 0.10, 0.15, 0.18, 0.20, 0.25)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "mr_t1_t2_sagittal"


def _read(mask: Mask, image: Image) -> tuple[float, float]:
    """Marrow signal and dark rim; nan where not read."""
    plane = section_plane(image, mask.center)
    lattice = plane.lattice(mask.row_ends)
    found = []
    for reading in (
        lambda: read_signal(place_marrow("L3", mask, [], plane, 3.0, "body"), image),
        lambda: rim_on_t1(on_plane(mask, lattice), lattice, image),
    ):
        try:
            found.append(reading())
        except NotMeasured:
            found.append(float("nan"))
    return found[0], found[1]


@cache
def readings(seeds: range) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rims of right masks, of fair ones, of harmful ones, and by how much those move the signal."""
    right, fair, harmful, harm = [], [], [], []
    for seed in seeds:
        sample = t1_sample(seed)
        found = [_read(mask, sample.image) for _, mask in fair_masks(sample)]
        right.append(found[0][1])
        fair += [rim for _, rim in found]
        for _, mask in wrong_masks(sample, FEW_SHIFTS):
            step = mask.center - sample.mask.center
            sideways = np.linalg.norm(step) > 1.5 and abs(step[0]) > 0.5 * np.linalg.norm(step)
            signal, rim = _read(mask, sample.image)
            change = abs(signal / found[0][0] - 1) if np.isfinite(signal) else 1.0
            if not sideways and change > HARMFUL:
                harmful.append(rim)
                harm.append(change)
    return np.array(right), np.array(fair), np.array(harmful), np.array(harm)


def threshold_of_the_dark_rim() -> list[Row]:
    """The curve that the threshold was read from."""
    _, fair, harmful, _ = readings(CHOSEN_ON)
    setting = f"11 phantoms, {len(fair)} fair and {len(harmful)} harmful masks, threshold {{:.2f}}"
    return [
        Row("mask-off-bone on T1, curve", setting.format(limit), f"{percent(_caught(harmful, limit))} / {percent(_caught(fair, limit))}", "caught / false")
        for limit in CURVE
    ]  # fmt: skip


def masks_off_the_bone() -> list[Row]:
    """Rates at the threshold, on phantoms that took no part in choosing it."""
    right, fair, harmful, harm = readings(LEFT_OUT)
    what, very = f"left out of the choice, {len(right)} phantoms of 11 kinds", harmful[harm > VERY_HARMFUL]
    return [
        at_least("mask-off-bone on T1, caught", f"{what}, {len(harmful)} masks over 3 % of VBQ, none sideways", 100 * _caught(harmful), 90, "%", 1, True),
        at_least("mask-off-bone on T1, caught", f"the same, {len(very)} masks over 10 % of VBQ", 100 * _caught(very), 98, "%", 1, True),
        at_most("mask-off-bone on T1, false alarms", f"{what}, right masks", 100 * _caught(right), 1, "%", 1, True),
        at_most("mask-off-bone on T1, false alarms", f"{what}, masks off by up to 1 mm", 100 * _caught(fair), 3, "%", 1),
    ]  # fmt: skip


def _caught(rims: np.ndarray, limit: float = LEAST_RIM_SHARE) -> float:
    return float(np.mean(rims < limit)) if len(rims) else float("nan")


#: Flag -> headers that must raise it, each without TR and TE.
WRONG_HEADERS = {
    "contrast-mr": [dict(ContrastBolusAgent=agent) for agent in ("GADAVIST", "Dotarem", "YES", "Gadovist 7.5 ml iv")]
    + [dict(SeriesDescription=text) for text in ("T1 TSE SAG +KM", "SAG T1 POST", "T1+C", "t1_tse_sag_GD", "T1 nach KM", "SAG T1 FSE post gad")],
    "not-t1": [dict(SeriesDescription=text) for text in ("SAG T2 TSE", "t2_tse_sag", "SAG PD", "STIR SAG", "T2W_TSE")]
    + [dict(RepetitionTime=3000), dict(EchoTime=90)],
    "not-spin-echo": [dict(ScanningSequence="GR"), dict(SeriesDescription="T1 VIBE SAG"), dict(SeriesDescription="t1_fl2d_sag"), dict(SeriesDescription="Sag T1 FSPGR")],
    "dixon": [dict(ImageType=["DERIVED", "PRIMARY", "DIXON", kind]) for kind in ("FAT", "WATER", "OPP_PHASE")] + [dict(SeriesDescription="T1 mDIXON TSE")],
    "fat-suppressed": [dict(SeriesDescription=text) for text in ("T1 TSE FS SAG", "T1 fat sat", "T1 SPIR", "t1_tse_fs_sag")] + [dict(ScanOptions="FS")],
    "inversion-recovery": [dict(InversionTime=860), dict(SeriesDescription="SAG T1 FLAIR")],
    "derived": [dict(ImageType=["DERIVED", "PRIMARY", kind]) for kind in ("ADC", "SUBTRACT")]
    + [dict(ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]), dict(LossyImageCompression="01")],
}  # fmt: skip
#: Headers of native T1 spin echo, with texts that mean no agent.
RIGHT_HEADERS = [
    *(dict(ContrastBolusAgent=agent) for agent in ("N", "0", "NATIV", "ohne KM", "none", "oral", "NO CONTRAST", "")),
    *(dict(SeriesDescription=text) for text in ("SAG T1 TSE", "t1_tse_sag", "T1 nativ", "T1 ohne KM", "SAG T1 PRE GAD", "T1 w/o contrast", "T1 SAG post op", "LSPINE T1 SAG")),
    dict(ImageType=["ORIGINAL", "PRIMARY", "M", "ND"], ScanningSequence="SE", RepetitionTime=550, EchoTime=10),
    dict(ImageType=["DERIVED", "PRIMARY", "M", "IN_PHASE"]),
]  # fmt: skip


def _codes(header: dict) -> list[str]:
    dataset = pydicom.Dataset()
    dataset.Modality = "MR"
    for name, value in header.items():
        setattr(dataset, name, value)
    image = Image("T1", np.arange(8, dtype=np.int16).reshape(2, 2, 2), Grid((2, 2, 2), np.eye(4)), ImageTags(**header_tags(dataset)))
    return [flag.code for flag in t1_flags(image) if flag.code != "rescaled"]


def contrast_of_the_mri() -> list[Row]:
    """Headers of images that are no native T1 spin echo, and of some that are."""
    missed = [f"{code} {header}" for code, headers in WRONG_HEADERS.items() for header in headers if code not in _codes(header)]
    count = sum(map(len, WRONG_HEADERS.values()))
    false = [str(header) for header in RIGHT_HEADERS if _codes(header)]
    return [
        at_least("native T1 spin echo", f"{count} headers of others, flagged by tag or description", 100 * (1 - len(missed) / count), 100, "%", 0, True),
        at_most("native T1 spin echo, false alarms", f"{len(RIGHT_HEADERS)} headers {'; '.join(false)}", 100 * len(false) / len(RIGHT_HEADERS), 0, "%", 0),
    ]  # fmt: skip


LEVELS = ("L1", "L2", "L3", "L4")


def case(image: Image, bodies: dict[str, Mask], sac: Mask) -> CaseResult:
    segments = [Segment(level, "masks", lambda mask=mask: mask, structure=Structure("vertebra", level, covers="body")) for level, mask in bodies.items()]
    segments.append(Segment("sac", "masks", lambda: sac, structure=Structure("sac")))
    return measure(CaseImages(None, Given(image, tuple(segments)), None), CaseFacts("budget"))


def _shifted(mask: Mask, voxels: int) -> Mask:
    """A sac drawn so many voxels thicker or, below 0, thinner in its slices."""
    room = mask.padded(2)
    change = ndimage.binary_dilation if voxels > 0 else ndimage.binary_erosion
    across = np.ones((3, 3, 3), bool) & (np.abs(np.indices((3, 3, 3)) - 1).sum(axis=0) <= 1)
    axis = 2 - mask.grid.slice_axis
    across[tuple(slice(None) if a != axis else [0, 2] for a in range(3))] = False
    return Mask(mask.name, change(room.array, across), room.grid).cropped()


def other_readers(bodies: dict[str, Mask], sac: Mask, grid: Grid) -> dict[str, tuple[dict[str, Mask], Mask]]:
    """Masks of other fair readers: bodies half a voxel off or 1 mm larger or smaller, the sac a voxel thinner or thicker, another slice."""
    in_plane = float(np.sort(grid.spacing)[0])
    across = RIGHT * max(float(np.abs(RIGHT @ grid.ijk_to_ras[:3, :3]).max()), 4.0)
    return {
        "bodies up": ({level: moved(mask, [0, 0, in_plane / 2]) for level, mask in bodies.items()}, sac),
        "bodies back": ({level: moved(mask, [0, -in_plane / 2, 0]) for level, mask in bodies.items()}, sac),
        "bodies 0.5 mm larger": ({level: swollen(mask, 0.5) for level, mask in bodies.items()}, sac),
        "bodies 0.5 mm smaller": ({level: swollen(mask, -0.5) for level, mask in bodies.items()}, sac),
        "sac thinner": (bodies, _shifted(sac, -1)),
        "sac thicker": (bodies, _shifted(sac, 1)),
        "one slice right": ({level: moved(mask, across) for level, mask in bodies.items()}, sac),
        "one slice left": ({level: moved(mask, -across) for level, mask in bodies.items()}, sac),
    }


def _phantom(seed: int) -> tuple[Image, dict[str, Mask], Mask, float]:
    random = np.random.default_rng(seed)
    marrow = {level: float(random.uniform(260, 380)) for level in LEVELS}
    spine = phantom_spine.lumbar_spine(LEVELS, marrow_t1=marrow, csf_t1=100.0, lordosis_deg=float(random.uniform(15, 55)), scoliosis_deg=float(random.uniform(-6, 6)), posterior_elements=False)
    grid = phantom_spine.grid_for(spine, ((0.8, 0.8, 4.4), (1.0, 1.0, 4.0))[seed % 2], orientation="sagittal", margin_mm=12)
    image = Image("T1", phantom_spine.render_t1(spine, grid, 7.0, seed), grid)
    masks = {v.level: Mask(v.level, phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae}
    return image, masks, Mask("sac", phantom_spine.sac_mask(spine, grid), grid).cropped(), float(np.median(list(marrow.values()))) / 100


def vbq_and_its_range() -> list[Row]:
    """Against the truth of phantoms, and against other fair readers."""
    errors, held = [], []
    for seed in range(3):
        image, bodies, sac, truth = _phantom(seed)
        values = case(image, bodies, sac).values
        errors.append(abs(values["vbq"] / truth - 1))
        for masks, fluid in other_readers(bodies, sac, image.grid).values():
            other = case(image, masks, fluid).values.get("vbq")
            held.append(other is None or values["vbq_low"] <= other <= values["vbq_high"])
    return [
        at_most("VBQ", "3 phantoms with roots and noise, mean error", 100 * float(np.mean(errors)), 2, "%", 1, True),
        at_least("VBQ, range", f"holds what another reader gives, {len(held)} pairs of phantoms", 100 * float(np.mean(held)), 90, "%", 0, True),
    ]


def shared_mri() -> list[Row]:
    """The shared MRI: bodies drawn on T1 and on T2, other readers, and its T2 given as T1."""
    if not SHARED.is_dir():
        return [Row("VBQ", "shared MRI: absent, NOT measured", "-", "", False)]
    array, grid = nifti(SHARED / "t1.nii.gz")
    image = Image("T1", array, grid)
    drawn = [nifti(SHARED / f"{name}.nii.gz")[0] for name in ("vertebral_bodies", "vertebral_bodies_from_t2")]
    first, second = ({f"L{n}": Mask(f"L{n}", labels == 19 + n, grid).cropped() for n in range(1, 5)} for labels in drawn)
    sac = Mask("sac", nifti(SHARED / "thecal_sac_derived.nii.gz")[0] > 0, grid).cropped()
    result = case(image, first, sac)
    values, alarms = result.values, [flag.code for flag in result.all_flags if flag.code in ("mask-off-bone", "mask-fragmented", "level-gap")]
    pairs = {"bodies from T2": (second, sac), **other_readers(first, sac, grid)}
    others = [case(image, bodies, fluid).values["vbq"] for bodies, fluid in pairs.values()]
    held = [values["vbq_low"] <= other <= values["vbq_high"] for other in others]
    t2 = case(Image("T2", nifti(SHARED / "t2.nii.gz")[0], grid), first, sac)
    return [
        Row("VBQ", "shared MRI, its range, and that of other readers", f"{values['vbq']:.2f} ({values['vbq_low']:.2f}-{values['vbq_high']:.2f}), {min(others):.2f}-{max(others):.2f}"),
        at_least("VBQ, range", f"shared MRI, {len(held)} other readers", 100 * float(np.mean(held)), 90, "%", 0, True),
        at_most("flags of masks", "shared MRI, false alarms", len(alarms), 0, "flags", 0),
        Row("T2 as T1", "shared MRI, without tags", "refused" if "vbq" not in t2.values else f"VBQ {t2.values['vbq']:.2f}", "refused", "vbq" not in t2.values, True),
    ]  # fmt: skip


PARTS = (threshold_of_the_dark_rim, masks_off_the_bone, contrast_of_the_mri, vbq_and_its_range, shared_mri)


def rows() -> list[Row]:
    return [row for part in PARTS for row in part()]
