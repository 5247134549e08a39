"""Many cases: a manifest measured case by case, one of them faulty, listed and opened in the case panel; the statistics of a cohort."""

import csv
import tempfile
from pathlib import Path

import makers
import qt
import slicer
from slicer_panel.application import loadScriptedModule

from BoneQualityLib.scene.reading import write_node
from BoneQualityLib.states import CATALOG

ui = widget.ui
folder = Path(tempfile.mkdtemp())
for role, name in (("ct", "ct.nrrd"), ("t1", "t1.nrrd")):
    write_node(makers.volume(role), folder / name)
    write_node(makers.segmentation(role), folder / name.replace(".nrrd", ".seg.nrrd"))
write_node(makers.segmentation("t1", makers.bodies("t1")), folder / "t1.seg.nrrd")
write_node(makers.segmentation("t1", [makers.sac()]), folder / "sac.seg.nrrd")
(folder / "damaged.nrrd").write_bytes((folder / "ct.nrrd").read_bytes()[:5000])
slicer.mrmlScene.Clear()
before = makers.scene_state()

(folder / "manifest.csv").write_text(
    "case_id,ct,ct_segmentation,t1,t1_segmentation,outcome\n"
    "one,ct.nrrd,ct.seg.nrrd,,,yes\ntwo,,,t1.nrrd,t1.seg.nrrd;sac.seg.nrrd,no\nthree,damaged.nrrd,ct.seg.nrrd,,,no\n"
)
assert not ui.batchButton.enabled and "Choose a manifest" in ui.batchButton.toolTip
ui.manifestEdit.currentPath = str(folder / "manifest.csv")
assert not ui.batchButton.enabled and "Choose a folder for the results" in ui.batchButton.toolTip
ui.batchFolderEdit.currentPath = str(folder / "out")
assert ui.batchButton.enabled and ui.batchButton.toolTip == ""
listed, fill = [], widget.cohort.list.fill


def noted(names, folder, failed):
    fill(names, folder, failed)
    listed.append([ui.caseTable.item(row, 1).text() for row in range(3)])


widget.cohort.list.fill = noted
ui.batchButton.click()
widget.cohort.list.fill = fill
assert messages.texts("info")[-1].startswith("2 cases measured, 1 failed."), messages.texts("info")
assert makers.scene_state() == before, "images of the batch stayed in the scene"
rows = {row["case_id"]: row for row in csv.DictReader((folder / "out" / "cohort.csv").open())}
assert set(rows) == {"one", "two"} and abs(float(rows["one"]["hu_3d"]) - 70) < 2 and rows["two"]["outcome"] == "no"
assert ui.cohortEdit.currentPath == str(folder / "out" / "cohort.csv")

table = [[ui.caseTable.item(row, column).text() for column in range(6)] for row in range(3)]
assert [cells[:2] for cells in table] == [["one", "measured"], ["two", "measured"], ["three", "failed"]], table
assert table[0][2].startswith("70") and table[0][4] == "" and table[1][4].startswith("3.") and table[2][5], table
log = ui.logText.toPlainText()
assert "2 cases measured, 1 failed." in log and "one measured" in log and "three failed" in log, log
waits, done = "to be measured", "measured"
lives = [[waits] * 3, [done, waits, waits], [done, done, waits], [done, done, "failed"], [done, done, "failed"]]
assert listed == lives, listed
said, counted = log.index("three: ct is cut short"), log.index("3 of 3 cases, 1 failed, three failed")
assert said < counted and log.count("cut short") == 1, "said when it happens, and once"
assert [ui.caseTable.isColumnHidden(column) for column in range(6)] == [False] * 6
assert "cut short" in ui.caseTable.item(2, 1).toolTip(), "why it failed, where that is said"
icons = [ui.caseTable.item(row, 0).icon() for row in range(3)]
assert [icon.isNull() for icon in icons] == [False, False, True]
middle = icons[0].pixmap(64, 64).toImage()
colors = {middle.pixelColor(x, y).name() for x in range(middle.width()) for y in range(middle.height())}
assert len(colors) > 100, "the thumbnail shows the image"
doubts = [ui.caseTable.item(row, 5) for row in range(3)]
assert doubts[2].foreground().color().name() == "#d9534f" and "cut short" in doubts[2].toolTip(), doubts[2].toolTip()
flags = rows["one"]["flags"].split("; ")
assert doubts[0].toolTip().splitlines() == [CATALOG[code][1] for code in flags] and doubts[0].text().startswith(CATALOG[flags[0]][1])

# measured again: a person is asked, and what is done is kept; no word of the command line
before = (folder / "out" / "one.json").stat().st_mtime_ns
messages.answer(False)
ui.batchButton.click()
assert "already. Keep those that are done" in messages.texts()[-1]
ui.batchButton.click()
assert messages.texts("info")[-1].startswith("2 cases measured, 1 failed.") and (folder / "out" / "one.json").stat().st_mtime_ns == before
assert not any("--" in text for text in messages.texts()), messages

# a case of the list is opened in the case panel, with its images and facts, and measured there
loadScriptedModule(str(Path(__file__).resolve().parents[2] / "BoneQuality" / "BoneQuality.py"))
ui.caseTable.cellDoubleClicked.emit(0, 0)
case_panel = slicer.modules.bonequality.widgetRepresentation().self()
assert case_panel.parameters.caseId == "one" and case_panel.ui.measureButton.enabled, case_panel.ui.stateLabel.text
case_panel.ui.measureButton.click()
assert f"{case_panel.case.document['case']['hu_3d']:.2f}" == rows["one"]["hu_3d"]
ui.caseTable.cellDoubleClicked.emit(1, 0)
assert case_panel.parameters.caseId == "two" and len(case_panel.parameters.t1More) == 1
case_panel.ui.measureButton.click()
assert f"{case_panel.case.document['case']['vbq']:.4f}" == rows["two"]["vbq"]
slicer.mrmlScene.Clear()
case_panel.cleanup()

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
assert not ui.analyzeButton.enabled and "Give the column of the outcome" in ui.analyzeButton.toolTip
ui.outcomeEdit.text = "fracture=yes"
ui.statisticsFolderEdit.currentPath = str(folder / "statistics")
opened = []
qt.QDesktopServices.openUrl = opened.append
ui.analyzeButton.click()
assert (folder / "statistics" / "cohort.html").is_file()
assert [Path(url.toLocalFile()) for url in opened] == [folder / "statistics" / "cohort.html"]
table = next(n for n in slicer.util.getNodesByClass("vtkMRMLTableNode") if "How well each measure" in n.GetName())
areas = {
    table.GetCellText(row, 0): float(table.GetTable().GetValueByName(row, "auc").ToDouble())
    for row in range(table.GetNumberOfRows())
}
assert areas["hu_3d"] > 0.9 and 0.5 < areas["vbq"] < 1
chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
assert chart.GetNumberOfPlotSeriesNodes() == 3

# in the user's language, what is written stays as it is
slicer.app.translate = lambda context, text: f"[{text}]"
written = (folder / "statistics" / "roc.csv").read_bytes()
ui.analyzeButton.click()
del slicer.app.translate
table = next(n for n in slicer.util.getNodesByClass("vtkMRMLTableNode") if "[How well each measure" in n.GetName())
assert table.GetColumnTitle("measure") == "[Measure]" and (folder / "statistics" / "roc.csv").read_bytes() == written
chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
assert chart.GetXAxisTitle() == "[1 - specificity]", chart.GetXAxisTitle()
opened.pop()

messages.answer(False)
ui.analyzeButton.click()
assert "holds the statistics of a cohort already" in messages.texts()[-1] and len(opened) == 1
ui.analyzeButton.click()
assert len(opened) == 2

ui.outcomeEdit.text = "absent"
ui.analyzeButton.click()
assert "absent" in messages.texts("error")[-1]

# a manifest is drafted from a folder of images
drafts = folder / "drafts"
for name in ("a", "b"):
    (drafts / name).mkdir(parents=True)
    for file in ("ct.nrrd", "ct.seg.nrrd"):
        (drafts / name / file).write_bytes((folder / file).read_bytes())
ui.imagesEdit.currentPath = str(drafts)
ui.draftButton.click()
assert ui.manifestEdit.currentPath == str(drafts / "manifest.csv") and ui.caseTable.rowCount == 2
assert [ui.caseTable.isColumnHidden(column) for column in range(6)] == [False, False, True, True, True, False], "no room for nothing"
assert "2 cases" in ui.logText.toPlainText()
