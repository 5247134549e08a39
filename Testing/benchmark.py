"""How fast and how lean a case is measured, against one pass of SimpleITK's label statistics over the same CT.

    python Testing/benchmark.py [--repeats 5]

Prints a table and exits with 1 where a target is missed. Only ratios within one run mean anything: the yardstick and the
measurements take turns, SimpleITK on one thread. Memory added is the peak of a fresh process that loads the nodes and measures,
less the peak of one that only loads them. Batch: seconds a case once every worker has had its first, on compressed CTs, against
SimpleITK reading the same files; its figures need a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "BoneQuality"))

from BoneQualityLib import CaseFacts, measure_case
from BoneQualityLib.batch.manifest import read_manifest  # noqa: E402
from BoneQualityLib.batch.run import Pages, run_batch  # noqa: E402
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask  # noqa: E402
from BoneQualityLib.phantoms import phantom_spine  # noqa: E402
from BoneQualityLib.scene.nodes import segmentation_node  # noqa: E402
from BoneQualityLib.scene.session import mrml_scene  # noqa: E402
from spine_files import image_file  # noqa: E402


def centered_grid(shape: tuple[int, int, int], spacing_mm, orientation: str) -> Grid:
    """A lattice of ``shape`` (k, j, i) around the origin, where the phantom's middle vertebra lies."""
    affine = phantom_spine.grid_for(phantom_spine.lumbar_spine(), spacing_mm, orientation=orientation).ijk_to_ras
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    return Grid(shape, affine)


GRIDS = {
    "ct": centered_grid((350, 512, 512), (0.7, 0.7, 1.0), "axial"),
    "t1": centered_grid((20, 512, 512), (0.6, 0.6, 4.4), "sagittal"),
}
#: How an image is rendered; its air, soft tissue and noise.
LOOKS = {"ct": (phantom_spine.render_ct, -1000, 40, 20), "t1": (phantom_spine.render_t1, 0, 200, 6)}
#: What is measured: the image, and whether one full-extent layer holds all segments, or each has a cropped one of its own.
CASES = {"CT, cropped layers": ("ct", False), "CT, one shared layer": ("ct", True), "T1, cropped layers": ("t1", False)}
#: Time as a share of the yardstick's, memory as a share of the CT's; a goal leaves a margin.
TIME_TARGETS, TIME_GOALS, MEMORY_TARGET = {"ct": 0.35, "t1": 0.05}, {"ct": 0.15, "t1": 0.05}, 0.5
#: Many cases: rows of a manifest and seconds to check them, cases and slices of a batch, gain of a second worker.
MANIFEST_ROWS, MANIFEST_SECONDS, BATCH_CASES, BATCH_SLICES, GAIN_TARGET, READING_TARGET = 10_000, 5.0, 16, (100, 250), 1.8, 1.5
#: The statistics of a cohort: rows, and seconds from its CSV file to all tables, figures and the page.
COHORT_ROWS, COHORT_TARGET_S = 100_000, 30.0
YARDSTICK, WITHOUT_HISTOGRAMS = "label statistics (yardstick)", "the same without histograms"


def make_files(folder: Path) -> None:
    """Images and labels as raw files: the phantom near its spine, around that a plain trunk with noise, and air."""
    spine = phantom_spine.lumbar_spine()
    for name, (render, air, soft_tissue, noise) in LOOKS.items():
        grid, random = GRIDS[name], np.random.default_rng(1)
        labels = phantom_spine.sac_mask(spine, grid) * np.uint8(6 if name == "t1" else 0)
        for value, vertebra in enumerate(spine.vertebrae, 1):
            labels[phantom_spine.body_mask(vertebra, grid)] = value
        image = np.empty(grid.shape, np.int16)
        for k, plane in enumerate(image):
            right, anterior, _ = np.moveaxis(grid.box((slice(k, k + 1), slice(0, 512), slice(0, 512))).centers()[0], -1, 0)
            inside = (right / 150) ** 2 + ((anterior + 20) / 110) ** 2 < 1
            plane[:] = np.where(inside, soft_tissue, air) + noise * random.standard_normal(plane.shape, np.float32)
        near = grid.slices_around(np.concatenate([vertebra.corners for vertebra in spine.vertebrae]), pad=20 if name == "ct" else 0)
        image[near] = render(spine, grid.box(near), noise, seed=2)
        image.tofile(folder / name)
        labels.tofile(folder / f"{name}-labels")


def oriented_image(file: Path, grid: Grid, vtk_type: int):
    """The file's voxels as oriented image data, read in place, so that loading has no peak of its own."""
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*grid.shape[::-1])
    image.AllocateScalars(vtk_type, 1)
    with open(file, "rb") as opened:
        opened.readinto(vtk_to_numpy(image.GetPointData().GetScalars()))
    return image


def load(folder: Path, name: str, shared: bool) -> dict:
    """The volume node and the segmentation node of an image, as arguments of `measure_case`."""
    import vtk

    grid, matrix = GRIDS[name], vtk.vtkMatrix4x4()
    matrix.DeepCopy(grid.ijk_to_ras.ravel().tolist())
    volume = mrml_scene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volume.SetAndObserveImageData(oriented_image(folder / name, grid, vtk.VTK_SHORT))
    volume.SetIJKToRASMatrix(matrix)
    masks = cropped_masks(folder, name)
    segmentation = segmentation_node("masks", masks)
    if shared:
        layer = oriented_image(folder / f"{name}-labels", grid, vtk.VTK_UNSIGNED_CHAR)
        layer.SetImageToWorldMatrix(matrix)
        for n in range(len(masks)):
            segment = segmentation.GetSegmentation().GetNthSegment(n)
            segment.AddRepresentation("Binary labelmap", layer)
            segment.SetLabelValue(n + 1)
    return {name: volume, f"{name}_segmentation": segmentation}


def cropped_masks(folder: Path, name: str) -> list[Mask]:
    """The labels as masks; only the slices around a structure are read."""
    grid, spine = GRIDS[name], phantom_spine.lumbar_spine()
    corners = {f"{vertebra.level} body": vertebra.corners for vertebra in spine.vertebrae}
    if name == "t1":
        corners["thecal sac"] = grid.corners()
    masks = []
    for value, (text, points) in enumerate(corners.items(), 1):
        k, j, i = part = grid.slices_around(points, pad=2)
        count, size = k.stop - k.start, grid.shape[1] * grid.shape[2]
        labels = np.fromfile(folder / f"{name}-labels", np.uint8, count * size, offset=k.start * size)
        masks.append(Mask(text, labels.reshape(count, *grid.shape[1:])[:, j, i] == value, grid.box(part)).cropped())
    return masks


def times(folder: Path, repeats: int) -> dict[str, float]:
    """Median seconds of the yardstick and of every case, all taking turns."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    image, labels = (
        sitk.GetImageFromArray(np.fromfile(folder / file, kind).reshape(GRIDS["ct"].shape))
        for file, kind in (("ct", np.int16), ("ct-labels", np.uint8))
    )
    yardstick, plain = sitk.LabelStatisticsImageFilter(), sitk.LabelStatisticsImageFilter()
    plain.UseHistogramsOff()
    actions = {YARDSTICK: lambda: yardstick.Execute(image, labels), WITHOUT_HISTOGRAMS: lambda: plain.Execute(image, labels)}
    for case, (name, shared) in CASES.items():
        actions[case] = lambda nodes=load(folder, name, shared): measure_case(CaseFacts("benchmark"), **nodes)
    taken = {text: [] for text in actions}
    for text, action in [*actions.items()] * repeats:
        start = time.perf_counter()
        action()
        taken[text].append(time.perf_counter() - start)
    return {text: float(np.median(seconds)) for text, seconds in taken.items()}


def manifest_seconds(folder: Path) -> float:
    """To check a manifest whole; every case with files of its own."""
    lines = ["case_id,ct,ct_segmentation,t1,t1_segmentation,fractured,age,sex,t_score,outcome"]
    for n in range(MANIFEST_ROWS):
        for name in ("ct.nii.gz", "bodies.nii.gz"):
            (folder / f"{n}-{name}").touch()
        files = f"{n}-ct.nii.gz,{n}-bodies.nii.gz@totalsegmentator"
        lines.append(f'{n},{files},{files},"L1,L{n % 5 + 1}",{40 + n % 4000 / 100},F,{-n % 400 / 100},{n % 2}')
    (folder / "manifest.csv").write_text("\n".join(lines))
    start = time.perf_counter()
    read_manifest(folder / "manifest.csv")
    return time.perf_counter() - start


def batch_seconds(folder: Path, workers: int, reports: bool) -> dict[str, float]:
    """Seconds a case of a batch run, with or without reports, and of SimpleITK reading the same files before and after it."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    part = tuple(slice(a, b) for a, b in zip((BATCH_SLICES[0], 0, 0), (BATCH_SLICES[1], 512, 512)))
    files = []
    for name, kind in (("ct", np.int16), ("ct-labels", np.uint8)):
        array = np.fromfile(folder / name, kind).reshape(GRIDS["ct"].shape)[part]
        files.append(image_file(folder / f"{name}.nii.gz", array, GRIDS["ct"].box(part)))
    (folder / "labels.csv").write_text("value,name\n" + "".join(f"{n},L{n} body\n" for n in range(1, 6)))
    rows = [f"{n},ct.nii.gz,ct-labels.nii.gz,labels.csv" for n in range(BATCH_CASES)]
    (folder / "batch.csv").write_text("\n".join(["case_id,ct,ct_segmentation,labels", *rows]))

    def read() -> float:
        start = time.perf_counter()
        for file in files:
            sitk.ReadImage(str(file))
        return time.perf_counter() - start

    marks, reading = [], [read() for _ in range(5)]
    batch = run_batch(
        folder / "batch.csv", folder / "results", workers, overwrite=True, progress=lambda *_: marks.append(time.perf_counter()),
        pages=Pages(reports=reports),
    )  # fmt: skip
    assert len(batch.done) == BATCH_CASES, batch.failures
    reading += [read() for _ in range(5)]
    return dict(case=(marks[-1] - marks[workers]) / (BATCH_CASES - workers), reading=float(np.median(reading)))


def peak_bytes(folder: Path, case: str, measured: bool) -> int:
    """Of this process, after loading a case, or after measuring it too."""
    import resource

    nodes = load(folder, *CASES[case])
    if measured:
        measure_case(CaseFacts("benchmark"), **nodes)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def cohort_seconds(folder: Path) -> float:
    """Everything ``bonequality cohort`` can ask of three measures but readers and pairs, after the packages are loaded."""
    from BoneQualityLib.statistics.analysis import analyze

    random, n = np.random.default_rng(1), COHORT_ROWS
    event, plain = random.random(n) < 0.2, np.char.mod("c%d", np.arange(n))
    columns = dict(
        case_id=plain, fracture=np.where(event, "yes", "no"), hu_3d=80 - 25 * event + 25 * random.standard_normal(n),
        vbq=3.2 + 0.4 * event + 0.5 * random.standard_normal(n), age=70 + 9 * random.standard_normal(n),
        sex=random.choice(["F", "M"], n), hyperlipidemia=random.choice(["yes", "no"], n), days=np.ceil(random.exponential(900, n)),
    )  # fmt: skip
    columns["hu_multislice"] = columns["hu_3d"] - 8 + 10 * random.standard_normal(n)
    lines = [",".join(columns)]
    lines += [",".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) for row in zip(*columns.values())]
    (folder / "cohort.csv").write_text("\n".join(lines))
    start = time.perf_counter()
    result = analyze(folder / "cohort.csv", "fracture", by="hyperlipidemia", adjust="age,sex", time="days")
    result.write_files(folder / "cohort")
    return time.perf_counter() - start


STEPS = {
    "manifest": lambda folder: manifest_seconds(Path(folder)),
    "batch": lambda folder, workers, *reports: batch_seconds(Path(folder), int(workers), bool(reports)),
    "cohort": lambda folder: cohort_seconds(Path(folder)),
    "make": lambda folder: make_files(Path(folder)),
    "time": lambda folder, repeats: times(Path(folder), int(repeats)),
    "load": lambda folder, case: peak_bytes(Path(folder), case, measured=False),
    "measure": lambda folder, case: peak_bytes(Path(folder), case, measured=True),
}


def in_fresh_process(step: str, *arguments):
    """What a step of this script returns. This process stays small, as a child's peak begins at that of its parent."""
    done = subprocess.run([sys.executable, __file__, step, *map(str, arguments)], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def benchmark(folder: str, repeats: int) -> bool:
    """Prints the table; returns whether every target is kept."""
    in_fresh_process("make", folder)
    taken = in_fresh_process("time", folder, repeats)
    packages = ", ".join(f"{package} {version(package)}" for package in ("slicer-core", "SimpleITK", "numpy", "scipy"))
    print(f"python {platform.python_version()}, {packages}; medians of {repeats}\n")
    print(f"{'time':30}{'seconds':>9}{'ratio':>8}{'target':>8}{'goal':>8}")
    kept = True
    for text, seconds in taken.items():
        name, ratio = CASES.get(text, ("", False))[0], seconds / taken[YARDSTICK]
        missed = bool(name) and ratio > TIME_TARGETS[name]
        kept &= not missed
        limits = f"{TIME_TARGETS[name]:8.2f}{TIME_GOALS[name]:8.2f}" if name else ""
        print(f"{text:30}{seconds:9.2f}{ratio:8.3f}{limits}{'  MISSED' * missed}")
    print(f"\n{'peak memory added':30}{'MB':>9}{'of CT':>8}{'target':>8}")
    for case in CASES:
        added = in_fresh_process("measure", folder, case) - in_fresh_process("load", folder, case)
        share = added / (2 * int(np.prod(GRIDS["ct"].shape)))
        kept &= share <= MEMORY_TARGET
        print(f"{case:30}{added / 1e6:9.0f}{share:8.3f}{MEMORY_TARGET:8.2f}{'  MISSED' * (share > MEMORY_TARGET)}")
    return kept & many_cases(folder) & statistics(folder)


def many_cases(folder: str) -> bool:
    """Prints the lines of manifests and batch runs; returns whether every target is kept."""
    checked = in_fresh_process("manifest", folder)
    one, two = (in_fresh_process("batch", folder, workers) for workers in (1, 2))
    gain, missed = one["case"] / two["case"], {True: "  MISSED", False: ""}
    print(f"\n{'many cases':30}{'':9}{'ratio':>8}{'target':>8}")
    print(
        f"{f'check of {MANIFEST_ROWS} rows, seconds':30}{checked:9.2f}{'':8}{MANIFEST_SECONDS:8.2f}{missed[checked > MANIFEST_SECONDS]}"
    )
    for workers, run in ((1, one), (2, two)):
        ratio = run["case"] / run["reading"]
        print(
            f"{f'a case, {workers} workers, seconds':30}{run['case']:9.2f}{ratio:8.2f}{READING_TARGET:8.2f}{missed[ratio > READING_TARGET]}"
        )
    reported = in_fresh_process("batch", folder, 2, "reports")["case"]
    print(f"{'with reports, 2 workers':30}{reported:9.2f}{reported / two['case']:8.2f}")
    print(f"{'gain of a second worker':30}{'':9}{gain:8.2f}{GAIN_TARGET:8.2f}{missed[gain < GAIN_TARGET]}")
    return (
        checked <= MANIFEST_SECONDS
        and gain >= GAIN_TARGET
        and max(run["case"] / run["reading"] for run in (one, two)) <= READING_TARGET
    )


def statistics(folder: str) -> bool:
    """Prints the line of the cohort; returns whether its target is kept."""
    seconds = in_fresh_process("cohort", folder)
    print(f"\n{'statistics':30}{'seconds':>9}{'target':>16}")
    print(f"{f'cohort of {COHORT_ROWS:,} rows':30}{seconds:9.1f}{COHORT_TARGET_S:16.0f}{'  MISSED' * (seconds > COHORT_TARGET_S)}")
    return seconds <= COHORT_TARGET_S


def main() -> int:
    if sys.argv[1:] and sys.argv[1] in STEPS:
        print(json.dumps(STEPS[sys.argv[1]](*sys.argv[2:])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="how often everything is timed (default 5)")
    with tempfile.TemporaryDirectory() as folder:
        return 0 if benchmark(folder, parser.parse_args().repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
