"""Fonts for the letters of a cohort's names, found on this machine when a figure is drawn."""

from __future__ import annotations

from functools import lru_cache

#: Comes with matplotlib; has Latin, Greek and Cyrillic letters.
BASE = "DejaVu Sans"


def families(texts) -> tuple[list[str], str]:
    """Font families that together have every letter of ``texts``, the base font first, and the letters that no font here has.

    matplotlib takes each letter from the first family that has it.
    """
    missing = {letter for text in texts for letter in str(text) if letter.isprintable() and not letter.isspace()} - _letters(BASE)
    found = [BASE]
    while missing:
        name, there = max(((name, missing & letters) for name, letters in _others()), key=lambda one: len(one[1]), default=("", set()))
        if not there:
            break
        found.append(name)
        missing -= there
    return found, "".join(sorted(missing))


@lru_cache(maxsize=1)
def _others() -> tuple[tuple[str, frozenset[str]], ...]:
    """Every other upright font that can be read, by name."""
    from matplotlib.font_manager import fontManager

    names = sorted({entry.name for entry in fontManager.ttflist if entry.style == "normal" and entry.name != BASE})
    return tuple((name, letters) for name in names if (letters := _letters(name)))


@lru_cache(maxsize=512)
def _letters(name: str) -> frozenset[str]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    try:
        path = findfont(FontProperties(family=name), fallback_to_default=False)
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # a broken or unreadable font file is no font
        return frozenset()
