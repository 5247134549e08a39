"""Bone quality of the lumbar spine: 3D-HU and multi-slice HU on CT, VBQ on T1 MRI, paraspinal muscles on axial images.

``measure_case`` is the one entry; see its docstring for an example. The rooms, from the door inward; data goes down once and
comes back up as results:

    cli            the command line; the panels BoneQuality.py and BoneQualityCohort.py stand beside it, outside this package
    batch/         many cases: manifest, its draft, running, workers
    entry/         what a person gave, checked once; measure_case
    scene/         everything MRML: files and nodes, nodes and arrays, results as nodes, views
    outputs/       the versioned document, CSV, text, pictures, comparison of two cases
    case/          images and masks -> CaseResult, without MRML: case values, cut-offs
    measures/      one family of measurements per file: place a ROI, read it
    vertebra/      a vertebra, its body, its axes
    anatomy/       names, codes and label schemes; which segment is which structure
    image/         lattices, images, masks, distances, resampling
    files/         checks before reading, DICOM headers, CSV, whole-or-nothing writing
    statistics/    a wing: cohorts
    phantoms/      a wing: synthetic cases with known answers

``errors``, ``states``, ``parameters`` and ``columns`` are used in every room. Which room may import which is said at the top of
each room, and kept by import-linter (pyproject.toml).
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = dict(
    measure_case="entry.measure_case",
    Segmentation="scene.masks",
    Parameters="parameters",
    CaseFacts="parameters",
    BoneQualityError="errors",
)


def __getattr__(name):
    """Import the parts when they are asked for: Slicer loads this package at start."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [*_HOME, "__version__"]
