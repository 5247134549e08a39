"""The MRML scene where there is no Slicer application around it: the real nodes and logics of slicer-core, without Qt."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from ..errors import BoneQualityError

_scene, _logics = None, []


def mrml_scene():
    """Slicer's own scene, or one of ours that lives as long as the process."""
    global _scene
    try:
        import slicer
    except ImportError as error:
        raise BoneQualityError(
            "3D Slicer's core is missing ({error}); run inside Slicer or install slicer-core.", error=error
        ) from None
    scene = getattr(slicer, "mrmlScene", None)
    if scene is not None:
        return scene
    if _scene is None:
        _scene = slicer.vtkMRMLScene()
        _scene.AddNewNodeByClass("vtkMRMLSelectionNode")
        for name in ("vtkSlicerSubjectHierarchyModuleLogic", "vtkSlicerSegmentationsModuleLogic", "vtkSlicerMarkupsLogic"):
            logic = getattr(slicer, name)()
            logic.SetMRMLScene(_scene)
            _logics.append(logic)
    return _scene


def every_node(kind: str = "vtkMRMLNode") -> list:
    """The nodes of the scene of a class."""
    found = mrml_scene().GetNodesByClass(kind)
    found.UnRegister(None)
    return list(found)


@contextlib.contextmanager
def still_views() -> Iterator[None]:
    """Let Slicer's views wait while the block runs and render once after it; without the application there are none."""
    import slicer

    application = getattr(slicer, "app", None)
    if application is None:
        yield
        return
    application.pauseRender()
    try:
        yield
    finally:
        application.resumeRender()


@contextlib.contextmanager
def many_nodes() -> Iterator[None]:
    """Let what draws nodes wait until the block, which adds or removes many of them, ends; views render once after it."""
    scene = mrml_scene()
    with still_views():
        scene.StartState(scene.BatchProcessState)
        try:
            yield
        finally:
            scene.EndState(scene.BatchProcessState)


@contextlib.contextmanager
def errors_of_vtk() -> Iterator[list[str]]:
    """Collect the errors that VTK and MRML would print while the block runs, and keep their warnings from the terminal."""
    import vtk

    said: list[str] = []

    @vtk.calldata_type(vtk.VTK_STRING)
    def on_error(window, event, text) -> None:
        said.append(text.strip())

    before, window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
    window.AddObserver(vtk.vtkCommand.ErrorEvent, on_error)
    vtk.vtkOutputWindow.SetInstance(window)
    try:
        yield said
    finally:
        vtk.vtkOutputWindow.SetInstance(before)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what C++ libraries write to the process's standard error from the user's terminal.

    The errors that matter come back as our own sentences; a block that fails unexpectedly shows what was held back.
    """
    if sys.stderr is None:  # closed by whoever started the process
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held_back:
        terminal = os.dup(2)
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except (BoneQualityError, OSError, MemoryError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            sys.stderr.flush()
            held_back.seek(0)
            os.write(terminal, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
