"""What was worked out for a case before, so that a ROI moved by hand, or another fact, does not have it worked out again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from ..errors import NotMeasured

Step = TypeVar("Step")


class Memory:
    """The results of steps of `measure` that depend on the images, the masks and the parameters alone.

    A memory goes with one state of these: whoever keeps one takes a new one when any of them changes. Facts and edits may be others
    each time; what depends on them is worked out anew.
    """

    def __init__(self):
        self._known: dict[Hashable, object] = {}

    def once(self, key: Hashable, step: Callable[[], Step]) -> Step:
        """The result of a step, which is taken only the first time; likewise the NotMeasured that it raises."""
        if key not in self._known:
            try:
                self._known[key] = step()
            except NotMeasured as reason:
                self._known[key] = reason
        found = self._known[key]
        if isinstance(found, NotMeasured):
            raise found
        return found
