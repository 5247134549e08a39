"""A value with its range beside published cut-offs, as a small SVG."""

from __future__ import annotations

from html import escape

#: Pixels: width, the band of the value, the line of each cut-off's label; space left and right of the outermost mark;
#: the mean width of a letter.
WIDTH, BAND, LINE, RIM, LETTER = 300, 24, 13, 22, 5.6
INK, RANGE, CUTOFF, REACHED = "#111111", "#9ec5e8", "#444444", "#b00020"


def bar(value: float, low: float | None, high: float | None, cutoffs: list[dict]) -> str:
    """SVG of a scale with the value (dot), its range (band), and every cut-off (tick, labeled; the arrow shows the side it means).

    cutoffs: as the document has them, of this value. The label says the number and the source.
    """
    low, high = value if low is None else low, value if high is None else high
    marks = [value, low, high, *(cutoff["cutoff"] for cutoff in cutoffs)]
    first, last = min(marks), max(marks)
    spread = (last - first) or abs(value) or 1.0

    def x(number: float) -> float:
        return round(RIM + (number - first) / spread * (WIDTH - 2 * RIM), 1)

    height = BAND + LINE * len(cutoffs)
    middle = BAND / 2
    parts = [
        f'<line x1="4" y1="{middle}" x2="{WIDTH - 4}" y2="{middle}" stroke="#888888" stroke-width="1"/>',
        f'<rect x="{x(low)}" y="{middle - 5}" width="{max(x(high) - x(low), 1):.1f}" height="10" fill="{RANGE}"/>',
    ]
    for number, cutoff in enumerate(sorted(cutoffs, key=lambda c: c["cutoff"])):
        parts += _cutoff(cutoff, x(cutoff["cutoff"]), BAND + LINE * number)
    parts.append(f'<circle cx="{x(value)}" cy="{middle}" r="4.5" fill="{INK}"/>')
    said = ", ".join(f"{c['comparison']} {c['cutoff']:g} {c['source']}" for c in cutoffs)
    label = escape(f"{value:.4g}, range {low:.4g} to {high:.4g}" + (f"; cut-offs: {said}" if said else ""))
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">{"".join(parts)}</svg>'


def _cutoff(cutoff: dict, x: float, top: float) -> list[str]:
    side = -1 if cutoff["comparison"] == "<=" else 1
    color = REACHED if cutoff["reached"] else CUTOFF
    sign = "\N{LESS-THAN OR EQUAL TO}" if side < 0 else "\N{GREATER-THAN OR EQUAL TO}"
    text = f"{sign} {cutoff['cutoff']:g} {cutoff['source']}"
    at = max(min(x + 3, WIDTH - LETTER * len(text)), 1)
    return [
        f'<line x1="{x}" y1="3" x2="{x}" y2="{top + LINE - 3}" stroke="{color}" stroke-width="1.5"/>',
        f'<path d="M{x} 3 h{side * 9} m0 0 l{-side * 4} -2.5 v5 z" stroke="{color}" fill="{color}" stroke-width="1"/>',
        f'<text x="{at:.1f}" y="{top + LINE - 3}" font-size="10.5" fill="{color}" stroke="#ffffff" stroke-width="3" paint-order="stroke">{escape(text)}</text>',
    ]
