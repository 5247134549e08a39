"""The panel: driven for real where its runner is there, and always what its form says against the code that uses it."""

from __future__ import annotations

import ast
import os
import re
import runpy
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import pytest
import slicer.util

from BoneQualityLib import CaseFacts, Parameters
from spine_files import spine_files

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "BoneQuality"
MODULES = ("BoneQuality", "BoneQualityCohort")
FORM = HOME / "Resources" / "UI" / "BoneQuality.ui"
PANEL_CODE = [*sorted((HOME / "BoneQualityPanel").glob("*.py")), *(HOME / f"{name}.py" for name in MODULES)]
DRIVES = sorted(path for path in (ROOT / "Testing" / "panel").glob("*.py") if path.stem not in ("makers", "pictures", "figures"))
NEEDED = ("SLICER_PANEL", "SLICER_SOURCE", "CTK_SOURCE")
#: Facts that the table of levels holds, not a widget of their own.
IN_THE_TABLE = {"fractured", "cemented", "excluded", "csf_blocked"}


def camel_case(name):
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


# In the panel's runner


def run_panel(name, *options, module="BoneQuality"):
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"{name}: {', '.join(missing)} not set: the panel is NOT tested here")
    command = [*shlex.split(os.environ["SLICER_PANEL"]), "--module", HOME / f"{module}.py", "--path", ROOT / "Testing" / "panel", *options]
    run = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0 and run.stdout.rstrip().endswith("OK"), run.stdout + run.stderr


@pytest.mark.parametrize("drive", DRIVES, ids=lambda path: path.stem)
def test_the_panel_behaves(drive):
    module = "BoneQualityCohort" if drive.stem.startswith("cohort_") else "BoneQuality"
    run_panel(drive.stem, "--no-main-window", "--script", drive, module=module)


@pytest.mark.parametrize("module", MODULES)
def test_the_module_tests_itself(module):
    run_panel(f"{module}Test", "--self-test", module=module)


# The form against the code


def widgets_of(form):
    """The widgets of a form by name: class and parameter."""
    return {
        widget.get("name"): (widget.get("class"), next((p.findtext("string") for p in widget.findall("property[@name='SlicerParameterName']")), None))
        for widget in ElementTree.parse(form).iter("widget")
    }  # fmt: skip


@pytest.fixture(scope="module")
def widgets():
    return widgets_of(FORM)


@pytest.fixture(scope="module")
def code():
    """Every file of the two panels."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PANEL_CODE}


@pytest.fixture(scope="module")
def parameters(code):
    """The fields of the parameter node."""
    classes = [node for tree in code.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    node = next(node for node in classes if node.name == "BoneQualityParameterNode")
    return {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}


def test_every_parameter_of_the_form_is_in_the_parameter_node(widgets, parameters):
    named = [parameter for _, parameter in widgets.values() if parameter]
    assert set(named) <= parameters and len(named) == len(set(named)) > 15


@pytest.mark.parametrize("dataclass", [CaseFacts, Parameters])
def test_every_fact_and_parameter_is_in_the_parameter_node_and_on_the_form(dataclass, widgets, parameters):
    names = {camel_case(field.name) for field in fields(dataclass) if field.name not in IN_THE_TABLE}
    assert names <= parameters
    assert names <= {parameter for _, parameter in widgets.values()}


def test_limits_on_the_form_are_those_of_the_parameters(widgets):
    limits = {camel_case(field.name): (field.metadata["low"], field.metadata["high"]) for field in fields(Parameters)}
    for widget in ElementTree.parse(FORM).iter("widget"):
        if widget.get("class") == "ctkSliderWidget":
            low, high = (float(widget.findtext(f"property[@name='{end}']/double")) for end in ("minimum", "maximum"))
            assert (low, high) == limits[widgets[widget.get("name")][1]]


def test_every_widget_that_the_code_names_is_on_a_form(widgets, code):
    cohort = widgets_of(HOME / "Resources" / "UI" / "BoneQualityCohort.ui")
    for path, tree in code.items():
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and (getattr(node.value, "attr", "") == "ui" or getattr(node.value, "id", "") == "ui")
        }
        of_cohort = path.stem in ("BoneQualityCohort", "case_list", "cohort_section", "statistics_section")
        assert used <= set(cohort if of_cohort else widgets), path.name


@pytest.mark.parametrize("module", MODULES)
def test_every_mrml_widget_of_the_form_gets_the_scene(module):
    form = HOME / "Resources" / "UI" / f"{module}.ui"
    connected = {
        connection.findtext("receiver")
        for connection in ElementTree.parse(form).iter("connection")
        if (connection.findtext("sender"), connection.findtext("signal"), connection.findtext("slot"))
        == (module, "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")
    }
    assert connected == {name for name, (kind, _) in widgets_of(form).items() if kind.startswith("qMRML") and kind != "qMRMLWidget"}


def test_texts_of_the_panel_can_be_translated(code):
    for path, tree in code.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                assert isinstance(node.args[0], ast.Constant), f"{path.name} line {node.lineno}: tr() takes a plain text"


def test_slicer_starts_without_the_library(code):
    """What Slicer loads at start imports neither the library nor the panel's parts at file scope."""
    for name in MODULES:
        for node in code[HOME / f"{name}.py"].body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not any(each.startswith(("BoneQualityLib", "BoneQualityPanel")) for each in names), f"{name} line {node.lineno}"


def test_packages_that_are_installed_on_click_are_those_of_the_library(code):
    from BoneQualityLib.outputs.dicom_files import PACKAGES as OF_DICOM
    from BoneQualityLib.outputs.page_templates import PACKAGES as OF_PAGES
    from BoneQualityLib.statistics.analysis import PACKAGES as OF_STATISTICS

    found = {}
    for path, tree in code.items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("PACKAGES", "REPORT_PACKAGES", "DICOM_PACKAGES"):
                found[path.stem] = {each.partition(">=")[0] for each in ast.literal_eval(node.value)}
    assert found == dict(dicom_export=set(OF_DICOM), export_section=set(OF_PAGES), statistics_section=set(OF_STATISTICS))


# The scripts for Slicer's console and for the terminal


def test_every_script_says_how_it_is_run():
    scripts = sorted((ROOT / "Resources").glob("*.py"))
    assert [path.stem for path in scripts] == ["console_measure", "console_panel", "measure_without_window"]
    for path in scripts:
        assert re.search(rf"(?m)^# .*\n(#.*\n)*#     .*{path.name}", path.read_text(encoding="utf-8")), path.name


def without_window(monkeypatch, *options):
    """The exit status of the script that runs without a window."""
    left = []
    monkeypatch.setattr(slicer.util, "exit", left.append)
    monkeypatch.setattr(sys, "argv", ["measure_without_window.py", *map(str, options)])
    runpy.run_path(str(ROOT / "Resources" / "measure_without_window.py"), run_name="__main__")
    return left


def test_a_case_is_measured_without_a_window(tmp_path, monkeypatch, capfd):
    files = spine_files(tmp_path)
    output = tmp_path / "out"
    assert without_window(monkeypatch, "--case-id", "a", "--output", output, *files.of_ct) == [0]
    assert sorted(path.name for path in output.iterdir()) == ["a.html", "a.json", "a_case.csv", "a_levels.csv"]
    assert without_window(monkeypatch, "--case-id", "a", "--output", output, *files.of_ct) == [2]
    assert "is there already" in capfd.readouterr().err
