"""Cancel half-way through the demo, a measurement and an update: nothing changed; and no second measurement within one."""

import makers

ui = widget.ui


def cancel_soon():
    """A person presses Cancel as soon as there is something to cancel."""

    def press():
        shown = [window for window in slicer.app.topLevelWidgets() if hasattr(window, "wasCanceled")]
        for window in shown:
            window.cancel()
        pressed.extend(shown)

    pressed = []
    qt.QTimer.singleShot(0, press)
    return pressed


empty, cases = makers.scene_state(), ui.caseSelector.nodeCount()
pressed = cancel_soon()
ui.loadDemoButton.click()
assert pressed and makers.scene_state() == empty and ui.caseSelector.nodeCount() == cases
assert widget.parameters.ct is None and widget.parameters.caseId == "case-1"

ct, t1 = makers.volume("ct"), makers.volume("t1")
masks = makers.segmentation("ct", drawn_on=ct), makers.segmentation("t1", drawn_on=t1)
makers.process_events()
before = makers.scene_state()
pressed = cancel_soon()
ui.measureButton.click()
assert pressed and makers.scene_state() == before and makers.document(widget) is None
assert not ui.resultsSection.enabled and ui.measureButton.enabled

# from the first step on, a dialog keeps a second click from coming through
measure, in_front = widget.logic.measureCase, []


def watched(*arguments, **inputs):
    windows = [window for window in slicer.app.topLevelWidgets() if hasattr(window, "wasCanceled") and window.visible]
    in_front.extend(window.windowModality == qt.Qt.ApplicationModal for window in windows)
    return measure(*arguments, **inputs)


widget.logic.measureCase = watched
ui.measureButton.click()
assert in_front == [True]
widget.logic.measureCase = measure
measured, document = makers.scene_state(), makers.document(widget)
makers.move(makers.curve(widget, "L3 upper"), [1, 0, 0])
makers.process_events()
moved = makers.scene_state()
pressed = cancel_soon()
ui.updateButton.click()
assert pressed and makers.scene_state() == moved and makers.document(widget) == document
assert ui.updateButton.enabled, "the edit is still to be read"

# what was measured is shown whole: from there on it is too late to cancel
show, late = widget.logic.showCase, []


def canceled_late(*arguments):
    for window in (window for window in slicer.app.topLevelWidgets() if hasattr(window, "wasCanceled")):
        window.cancel()
        late.append(window)
    return show(*arguments)


widget.logic.showCase = canceled_late
nodes = set(widget.case.nodes)
widget.case.remove()
ui.measureButton.click()
assert late and set(widget.case.nodes) == nodes and ui.stateLabel.text == "Measured."
widget.logic.showCase = show
moved = makers.scene_state()

# a demo that is canceled leaves a case with inputs as it is, too
pressed = cancel_soon()
ui.loadDemoButton.click()
assert pressed and makers.scene_state() == moved and ui.caseSelector.nodeCount() == cases
assert not messages, messages
