"""Bone quality of the lumbar spine: 3D-HU and multi-slice HU on CT, VBQ on T1 MRI.

``measure_case`` is the one entry; see its docstring for an example.
"""

__version__ = "0.1.0"


def __getattr__(name):
    """Import the parts when they are asked for: Slicer loads this package at start."""
    if name == "measure_case":
        from .case import measure_case

        return measure_case
    if name == "Segmentation":
        from .scene import Segmentation

        return Segmentation
    if name in ("Parameters", "CaseFacts"):
        from . import parameters

        return getattr(parameters, name)
    if name == "BoneQualityError":
        from .errors import BoneQualityError

        return BoneQualityError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["measure_case", "Segmentation", "Parameters", "CaseFacts", "BoneQualityError", "__version__"]
