"""Many cases: a manifest measured case by case, one of them faulty, then the statistics of a cohort as nodes."""

import csv
import tempfile
from pathlib import Path

import makers
import slicer

from BoneQualityLib.scene.reading import write_node

ui = widget.ui
folder = Path(tempfile.mkdtemp())
for role, name in (("ct", "ct.nrrd"), ("t1", "t1.nrrd")):
    write_node(makers.volume(role), folder / name)
    write_node(makers.segmentation(role), folder / name.replace(".nrrd", ".seg.nrrd"))
(folder / "damaged.nrrd").write_bytes((folder / "ct.nrrd").read_bytes()[:5000])
slicer.mrmlScene.Clear()
before = makers.scene_state()

(folder / "manifest.csv").write_text(
    "case_id,ct,ct_segmentation,t1,t1_segmentation,outcome\n"
    "one,ct.nrrd,ct.seg.nrrd,,,yes\ntwo,,,t1.nrrd,t1.seg.nrrd,no\nthree,damaged.nrrd,ct.seg.nrrd,,,no\n"
)
assert not ui.batchButton.enabled and ui.batchButton.toolTip == "Choose a manifest"
ui.manifestEdit.currentPath = str(folder / "manifest.csv")
assert not ui.batchButton.enabled and ui.batchButton.toolTip == "Choose a folder for the results"
ui.batchFolderEdit.currentPath = str(folder / "out")
assert ui.batchButton.enabled and ui.batchButton.toolTip == ""
ui.batchButton.click()
assert messages.texts("info")[-1].startswith("2 cases measured, 1 failed."), messages.texts("info")
assert makers.scene_state() == before, "images of the batch stayed in the scene"
rows = {row["case_id"]: row for row in csv.DictReader((folder / "out" / "cohort.csv").open())}
assert set(rows) == {"one", "two"} and abs(float(rows["one"]["hu_3d"]) - 70) < 2 and rows["two"]["outcome"] == "no"
assert ui.cohortEdit.currentPath == str(folder / "out" / "cohort.csv")

(folder / "faulty.csv").write_text("case_id,ct\nx,absent.nrrd\n")
ui.manifestEdit.currentPath = str(folder / "faulty.csv")
ui.batchButton.click()
assert "absent.nrrd is not there" in messages.texts("error")[-1]

lines = ["case_id,hu_3d,vbq,fracture"]
lines += [
    f"c{n},{90 - 30 * (n % 4 == 0) + 7 * (n % 5)},{3 + (n % 4 == 0) * 0.3 + 0.1 * (n % 7)},{'yes' if n % 4 == 0 else 'no'}"
    for n in range(80)
]
(folder / "cohort.csv").write_text("\n".join(lines) + "\n")
ui.cohortEdit.currentPath = str(folder / "cohort.csv")
assert not ui.cohortButton.enabled and ui.cohortButton.toolTip == "Give the column of the outcome"
ui.outcomeEdit.text = "fracture=yes"
ui.statisticsFolderEdit.currentPath = str(folder / "statistics")
ui.cohortButton.click()
assert (folder / "statistics" / "cohort.html").is_file()
table = next(n for n in slicer.util.getNodesByClass("vtkMRMLTableNode") if "How well each measure" in n.GetName())
areas = {
    table.GetCellText(row, 0): float(table.GetTable().GetValueByName(row, "auc").ToDouble())
    for row in range(table.GetNumberOfRows())
}
assert areas["hu_3d"] > 0.9 and 0.5 < areas["vbq"] < 1
chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
assert chart.GetNumberOfPlotSeriesNodes() == 3

ui.outcomeEdit.text = "absent"
ui.cohortButton.click()
assert "absent" in messages.texts("error")[-1]
