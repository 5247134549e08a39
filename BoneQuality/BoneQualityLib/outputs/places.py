"""Where in the image the value of a table cell was taken."""

from __future__ import annotations


def place_behind(document: dict, level: str, column: str = "") -> tuple[dict | None, str]:
    """Where a cell of the level table was measured: the ROI's place as the document has it, and its image ("ct" or "t1").

    None where the level has no ROI. Columns without a ROI of their own, and no column, give the level's first one.
    """
    row = next((row for row in document["levels"] if row["level"] == level), None)
    rois = {roi["kind"]: roi for roi in row["rois"]} if row else {}
    wanted = next((kind for kind in ("upper", "lower", "middle") if f"hu_{kind}" in column), "")
    wanted = wanted or ("marrow" if column.startswith(("t1", "vbq")) else "")
    kind = next((kind for kind in (wanted, "middle", "cancellous", "marrow") if kind in rois), "")
    return rois.get(kind), "t1" if kind == "marrow" else "ct"


def muscle_place(document: dict, row: dict) -> dict | None:
    """Where a row of the muscle table was measured: the compartment's ROI, that of the disc for the row of all six."""
    kind = "disc" if row["muscle"] == "all" else f"{row['side']} {row['muscle']}"
    position = float(row["slice_s_mm"])
    there = [s for s in document["muscle_slices"] if abs(s["center"][2] - position) < 0.01]
    return next((roi for slice in there for roi in slice["rois"] if roi["kind"] == kind), next(iter(there), None))


def csf_place(document: dict) -> dict | None:
    """Where the CSF of the VBQ was read."""
    csf = document["csf"].get(document["case"].get("csf_level") or "")
    return csf["roi"] if csf else None
