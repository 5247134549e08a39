"""Fonts for the letters of a cohort's names, found on this machine when a figure is drawn."""

from __future__ import annotations

from functools import lru_cache

#: Comes with matplotlib; has Latin, Greek and Cyrillic letters.
BASE = "DejaVu Sans"
#: A font of boxes for every letter, which matplotlib brings too.
BOXES = "Last Resort"


def families(texts) -> tuple[list[str], str]:
    """Font families that together have every letter of ``texts``, the base font first, and the letters that no font here has.

    matplotlib takes each letter from the first family that has it. Other fonts are looked at only where the base font lacks a letter.
    """
    missing = {letter for text in texts for letter in str(text) if letter.isprintable() and not letter.isspace()} - _base()
    found = [BASE]
    while missing:
        name, there = max(
            ((name, missing & letters) for name, letters in _others()), key=lambda one: len(one[1]), default=("", set())
        )
        if not there:
            break
        found.append(name)
        missing -= there
    return found, "".join(sorted(missing))


@lru_cache(maxsize=1)
def _base() -> frozenset[str]:
    from matplotlib import get_data_path

    return _letters(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")


@lru_cache(maxsize=1)
def _others() -> tuple[tuple[str, frozenset[str]], ...]:
    """Every other font that can be read, by family, those too that were installed after matplotlib wrote its list."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError):  # a broken or unreadable font file is no font
            continue
    entries = sorted(
        (entry.name, entry.fname)
        for entry in fontManager.ttflist
        if entry.style == "normal" and not entry.name.startswith((BASE, BOXES))
    )
    return tuple((name, letters) for name, path in dict(reversed(entries)).items() if (letters := _letters(path)))


def _letters(path: str) -> frozenset[str]:
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
