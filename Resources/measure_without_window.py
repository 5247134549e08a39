# Without a window; what follows the two dashes are the options of "bonequality measure", and so is the exit status:
#     Slicer --no-main-window --python-script Resources/measure_without_window.py -- --case-id case-7 --output results \
#         --ct ct.nrrd --ct-segmentation spine.seg.nrrd
import sys

import slicer.util

from BoneQualityLib.cli import main

slicer.util.exit(main(["measure", *sys.argv[1:]]))
