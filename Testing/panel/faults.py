"""Whatever goes wrong in a slot ends in one message that says what to do, and the panel goes on."""

import makers

ui = widget.ui
makers.segmentation("ct", drawn_on=makers.volume("ct"))
makers.process_events()
measure = widget.logic.measureCase
for error, sentence in (
    (MemoryError(), "Not enough memory"),
    (OSError(28, "No space left on device", "/tmp/x"), "cannot be used (No space left on device)"),
    (ZeroDivisionError("division by zero"), "Unexpected ZeroDivisionError in faults.py"),
):

    def broken(*arguments, error=error, **inputs):
        raise error

    widget.logic.measureCase = broken
    before = len(messages.texts("error"))
    ui.measureButton.click()
    assert len(messages.texts("error")) == before + 1 and sentence in messages.texts("error")[-1], messages
    assert makers.document(widget) is None and ui.measureButton.enabled
widget.logic.measureCase = measure
ui.measureButton.click()
assert ui.stateLabel.text == "Measured."
look_at, widget.place.showValue = widget.place.showValue, None
makers.click_level(widget, "L3", "hu_upper")
assert "Unexpected TypeError in place_section.py" in messages.texts("error")[-1], messages
widget.place.showValue = look_at
makers.click_level(widget, "L2", "hu_upper")
assert len(messages.texts("error")) == 4, messages
