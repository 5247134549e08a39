# In Slicer's Python console, with a CT "demo CT" and its segmentation "demo CT bodies" loaded (Load demo case makes them):
#     exec(open("Resources/console_measure.py").read())
import tempfile

import slicer

from BoneQuality import BoneQualityLogic
from BoneQualityLib import CaseFacts

logic = BoneQualityLogic()
result = logic.measureCase(
    CaseFacts("console", age=70, fractured=("L4",)),
    ct=slicer.util.getNode("demo CT"),
    ct_segmentation=slicer.util.getNode("demo CT bodies"),
)
for level in result.levels:
    print(level.name, f"{level.values['hu_3d']:.1f} HU")
logic.showCase(result, beside=slicer.util.getNode("demo CT"))
print(*result.write_files(tempfile.mkdtemp()), sep="\n")
