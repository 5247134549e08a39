# In Slicer's Python console: the panel's own widget and the case that it shows, here the demo case.
#     exec(open("Resources/console_panel.py").read())
import slicer

panel = slicer.modules.bonequality.widgetRepresentation().self()
panel.enter()
panel.onLoadDemo()
panel.ui.measureButton.click()
print(*panel.case.document["case"].items(), sep="\n")
