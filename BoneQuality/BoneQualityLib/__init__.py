"""Bone quality of the lumbar spine: 3D-HU and multi-slice HU on CT, VBQ on T1 MRI.

``measure_case`` is the one entry; see its docstring for an example.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = dict(measure_case="case", Segmentation="scene", Parameters="parameters", CaseFacts="parameters", BoneQualityError="errors")


def __getattr__(name):
    """Import the parts when they are asked for: Slicer loads this package at start."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if not name.startswith("_"):
        try:
            return import_module(f".{name}", __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [*_HOME, "__version__"]
