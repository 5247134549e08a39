"""The rules of the house that a script can check."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "BoneQuality" / "BoneQualityLib"
MODULES = sorted(".".join(path.relative_to(LIBRARY).with_suffix("").parts) for path in LIBRARY.rglob("*.py") if path.stem != "__init__")
#: The files that may speak MRML; all others know arrays only.
SPEAK_MRML = {"scene"}


def test_the_library_loads_without_slicer_qt_and_what_slicer_does_not_ship():
    blocked = ("slicer", "qt", "ctk", "pandas", "matplotlib", "statsmodels", "lifelines", "jinja2", "dask")
    code = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
    code += "".join(f"import BoneQualityLib.{module}\n" for module in MODULES)
    run = subprocess.run([sys.executable, "-c", code], cwd=LIBRARY.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("module", [m for m in MODULES if m.split(".")[0] not in SPEAK_MRML])
def test_only_the_scene_speaks_mrml(module):
    tree = ast.parse(LIBRARY.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {
        (node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level
    }
    assert imported.isdisjoint({"slicer", "qt", "ctk"})


def test_every_file_of_the_library_is_installed_with_the_extension():
    listed = set(re.findall(r"\$\{MODULE_NAME\}Lib/([\w/]+\.\w+)", (ROOT / "BoneQuality" / "CMakeLists.txt").read_text()))
    assert listed == {path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.*") if path.suffix in (".py", ".csv", ".html", ".txt")}


def test_the_readmes_pictures_are_there():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / picture).is_file()


def test_the_walls_between_the_rooms_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY.parent)}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)  # its contracts are in pyproject.toml
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_case_is_measured_without_slicer_and_vtk():
    code = """
import sys
sys.modules.update({name: None for name in ("slicer", "vtk", "qt", "ctk")})
import numpy as np
from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.parameters import CaseFacts
from BoneQualityLib.phantoms import phantom_spine
spine = phantom_spine.lumbar_spine(("L2", "L3"), posterior_elements=False)
grid = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0))
masks = [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]
segments = tuple(
    Segment(mask.name, "masks", lambda mask=mask: mask, structure=Structure("vertebra", mask.name[:2], covers="body")) for mask in masks
)
ct = Image("CT", phantom_spine.render_ct(spine, grid, noise_sd=15.0), grid)
result = measure(CaseImages(ct=Given(ct, segments)), CaseFacts("a"))
print(result.values["ct_levels"], round(result.values["hu_3d"]))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=LIBRARY.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("['L2', 'L3']")
