"""Gray images with lines, areas and words on them, by Pillow, which 3D Slicer brings along."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pixels
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from .picture_planes import PicturePlane

#: Lines are drawn on a lattice this many times finer and averaged, so that they are smooth.
FINER = 2
#: Pixels: line width, the dark rim that sets a line off from bone, the height of letters on a sheet.
LINE, RIM, LETTERS = 1.6, 1.0, 15
#: Height of letters on a picture as a share of its width: 2 mm where it is printed 40 mm wide.
LETTERS_SHARE = 0.052
JPEG_QUALITY = 82
#: Height of a thumbnail, pixels: twice that at which it is shown.
THUMBNAIL = 220
AREA_OPACITY = 0.45
WHITE, EDITED = "#ffffff", "#ffd60a"
#: Lengths of the scale bar, mm; it takes up to this share of the width.
BAR_MM, BAR_SHARE = (5, 10, 20, 50, 100), 0.3


@dataclass(frozen=True)
class Picture:
    """name: what it is called in files; caption: for the person who looks at it; level, kind: where it belongs ("" for none)."""

    name: str
    caption: str
    pixels: Pixels.Image
    level: str = ""
    kind: str = ""

    @property
    def png(self) -> bytes:
        return _encoded(self.pixels, format="PNG", compress_level=6)

    @property
    def jpeg(self) -> bytes:
        """A fifth of the PNG; colors are kept at full resolution, so that lines stay sharp."""
        return _encoded(self.pixels, format="JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)

    @property
    def data_uri(self) -> str:
        """The JPEG, to stand in a page."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


class Canvas:
    """The image on a plane, and what is drawn on it. Points are RAS mm."""

    def __init__(self, plane: PicturePlane, values: np.ndarray, window: tuple[float, float]):
        low, high = window
        gray = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        self.plane = plane
        self.pixels = Pixels.fromarray(gray).convert("RGB")
        self.lines = Pixels.new("RGBA", tuple(FINER * n for n in plane.size))
        self.rims = Pixels.new("L", self.lines.size)

    def curve(self, points_ras, color: str, closed: bool = True, width: float = LINE) -> None:
        """A line through points."""
        corners = [tuple(point) for point in (self.plane.pixels(points_ras) + 0.5) * FINER]
        corners += corners[:1] if closed else []
        ImageDraw.Draw(self.rims).line(corners, 150, round((width + 2 * RIM) * FINER), joint="curve")
        ImageDraw.Draw(self.lines).line(corners, color, round(width * FINER), joint="curve")

    def outline(self, inside: np.ndarray, color: str) -> None:
        """A line around the pixels that are inside, bool (height, width)."""
        rim = round(LINE + 2 * RIM)
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        top, left = max(rows[0] - rim, 0), max(columns[0] - rim, 0)
        part = inside[top : rows[-1] + rim + 1, left : columns[-1] + rim + 1]
        fine = part.repeat(FINER, axis=0).repeat(FINER, axis=1)
        for layer, ink, width in ((self.rims, 150, LINE + 2 * RIM), (self.lines, color, LINE)):
            steps = round(width * FINER / 2)
            edge = ndimage.binary_dilation(fine, iterations=steps) & ~ndimage.binary_erosion(fine, iterations=steps)
            layer.paste(ink, (left * FINER, top * FINER), Pixels.fromarray(edge.astype(np.uint8) * 255))

    def area(self, inside: np.ndarray, color: str) -> None:
        """A tint over the pixels that are inside, bool (height, width)."""
        self.pixels.paste(color, mask=Pixels.fromarray((inside * round(255 * AREA_OPACITY)).astype(np.uint8)))

    def label(self, point_ras, text: str, color: str = WHITE, anchor: str = "mm") -> None:
        """A text at a point, or as near to it as lies within the picture; ``anchor`` as Pillow has it."""
        column, row = self.plane.pixels(point_ras)
        if anchor == "lm":
            length = ImageDraw.Draw(self.pixels).textlength(text, ImageFont.load_default(self.letters))
            column = min(column, self.plane.size[0] - length - 4)
        self._text((column, row), text, color, anchor)

    def finished(self, title: str, case_id: str, edited: bool) -> Pixels.Image:
        """The picture with its lines, the letters of the patient's sides, a scale bar, a title and the case's id."""
        for layer, ink in ((self.rims, "black"), (self.lines, None)):
            small = layer.reduce(FINER)
            self.pixels.paste(ink or small.convert("RGB"), mask=small if ink else small.getchannel("A"))
        width, height = self.plane.size
        below = self.letters + 10
        at = dict(left=((4, height / 2), "lm"), right=((width - 4, height / 2), "rm"))
        at.update(top=((width / 2, below), "mt"), bottom=((width / 2, height - 5), "mb"))
        for edge, (place, anchor) in at.items():
            self._text(place, self.plane.marks[edge], WHITE, anchor)
        self._text((5, 5), title, WHITE, "lt")
        self._text((5, height - 5), case_id, WHITE, "lb", most=width / 2 - self.letters)
        if edited:
            self._text((width - 5, below), "edited", EDITED, "rt")
        self._scale_bar()
        return self.pixels

    @property
    def letters(self) -> int:
        """Height of letters, pixels."""
        return round(LETTERS_SHARE * self.plane.size[0])

    def _scale_bar(self) -> None:
        width, height = self.plane.size
        length = max(mm for mm in BAR_MM if mm == BAR_MM[0] or mm / self.plane.step <= BAR_SHARE * width)
        end, y = width - 6, height - 6
        start = end - length / self.plane.step
        draw = ImageDraw.Draw(self.pixels)
        draw.rectangle((start - 1, y - 3, end + 1, y + 1), "black")
        draw.rectangle((start, y - 2, end, y), WHITE)
        self._text((end, y - 5), f"{length} mm", WHITE, "rb")

    def _text(self, place, text: str, color: str, anchor: str, most: float | None = None) -> None:
        draw, font = ImageDraw.Draw(self.pixels), ImageFont.load_default(self.letters)
        while most is not None and len(text) > 1 and draw.textlength(text, font) > most:
            text = text.rstrip("\N{HORIZONTAL ELLIPSIS}")[:-1] + "\N{HORIZONTAL ELLIPSIS}"
        draw.text(place, text, color, font, anchor, stroke_width=2, stroke_fill="black")


def sheet(pictures: list[Picture], columns: int, footer: str) -> Pixels.Image:
    """Pictures side by side on black, row by row, each row as high as its highest picture."""
    rows = [pictures[n : n + columns] for n in range(0, len(pictures), columns)]
    width = max(sum(p.pixels.width for p in row) for row in rows)
    heights = [max(p.pixels.height for p in row) for row in rows]
    whole = Pixels.new("RGB", (width, sum(heights) + 2 * LETTERS))
    top = 0
    for row, height in zip(rows, heights):
        left = 0
        for picture in row:
            whole.paste(picture.pixels, (left, top))
            left += picture.pixels.width
        top += height
    font = ImageFont.load_default(LETTERS)
    ImageDraw.Draw(whole).text((5, top + LETTERS), footer, "#aaaaaa", font, "lm")
    return whole


def thumbnail(picture: Picture) -> Picture:
    """The same picture, smaller."""
    width = round(picture.pixels.width * THUMBNAIL / picture.pixels.height)
    small = picture.pixels.resize((width, THUMBNAIL), Pixels.Resampling.LANCZOS)
    return Picture(picture.name, picture.caption, small, picture.level, picture.kind)


def _encoded(pixels: Pixels.Image, **options) -> bytes:
    out = io.BytesIO()
    pixels.save(out, **options)
    return out.getvalue()
