"""What to do about each doubt."""

from __future__ import annotations

#: Code of a flag -> what a person does about it.
REMEDIES = {
    "borderline": "Look at the height lines on the sagittal picture and decide.",
    "cement-or-metal": "Look at the slices; give the level as cemented, or draw the cement as an exclusion segment.",
    "coil-shading": "Correct the coil's bias field and measure again, or read VBQ with care.",
    "contrast": "Use a scan without contrast agent.",
    "contrast-mr": "Use the T1 series taken before the contrast agent.",
    "csf-level": "See on the T1 picture why the CSF at L3 was not used; give blocked levels as such.",
    "dense-focus": "Look at the slices; draw the focus as an exclusion segment if it is not cancellous bone.",
    "derived": "Use the original series.",
    "disc-absent": "Draw the disc, or give its slice.",
    "dixon": "Use the T1 spin-echo series.",
    "endplate-defect": "Look at the endplate on the sagittal picture; exclude the level if it is fractured.",
    "fat-suppressed": "Use the T1 series without fat suppression.",
    "fat-water": "Check which image was given as fat and which as water.",
    "few-levels": "Add masks of the other levels, or read the value with care.",
    "frame-uncertain": "Check the outlines and the slices' planes on the pictures; correct the mask.",
    "hu-offset": "Calibrate the scanner, or use another scan; the values are shifted by as much as air is.",
    "hu-outlier": "Compare the level with its neighbors on the pictures; exclude it if it is not typical bone.",
    "hu-unverified": "No air is in view, so the HU scale could not be checked; use the whole field of view if there is one.",
    "hyperlipidemia": "Prefer the HU measures.",
    "inversion-recovery": "Use the T1 spin-echo series without inversion pulse.",
    "kvp": "Compare only with scans at the same tube voltage.",
    "level-gap": "Check the names of the levels: one seems to be missing between two of them.",
    "level-numbering": "Check the numbering of the levels against ribs and sacrum.",
    "level-order": "Correct the names of the segments, or the slices given.",
    "lucent-focus": "Look at the slices; draw the focus as an exclusion segment if it is not cancellous bone.",
    "mask-fragmented": "Remove the loose pieces of the mask.",
    "mask-holes": "Fill the holes of the mask (Segment Editor: Smoothing > Closing, or Wrap Solidify) and measure again.",
    "mask-off-bone": "Check that the mask belongs to this image; draw or register it anew.",
    "mask-overlap": "Correct the masks so that they do not overlap.",
    "muscle-bias": "Correct the coil's bias field, or give a fixed fat threshold.",
    "muscle-cut": "Use an image that shows the whole muscle.",
    "neighbor-slice": "Draw the muscles on the slice at the disc's middle, or check that the neighboring slice will do.",
    "no-data": "Use an image that covers the region.",
    "no-end-slice": "Use thinner slices, or slices parallel to the vertebra.",
    "not-spin-echo": "Use the T1 spin-echo series.",
    "not-t1": "Use the T1 spin-echo series.",
    "parasagittal": "Check on the T1 picture that the slice passes through the middle of the body.",
    "possible-fracture": "Look at the sagittal picture; mark the level as fractured if it is, and measure again.",
    "rescaled": "Export the image at its original bit depth.",
    "segments-ignored": "Rename these segments if they are structures to be measured.",
    "sharp-kernel": "Use the reconstruction with a soft kernel.",
    "small-roi": "Check the mask; the value rests on little bone.",
    "spectral": "Use the conventional 120 kV reconstruction.",
    "straddles-cutoff": "Do not read the value as above or below that cut-off.",
    "thick-slices": "Use a reconstruction with slices of at most 3 mm.",
    "truncated": "Use an image that shows the whole vertebra.",
}


def remedy(code: str) -> str:
    """What a person does about a flag of this code."""
    return REMEDIES.get(code, "")
