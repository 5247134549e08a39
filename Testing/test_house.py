"""The rules of the house that a script can check."""

from __future__ import annotations

import ast
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
