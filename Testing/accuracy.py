"""The error budget: how wrong each number gets, on phantoms with known answers and on the shared real images.

    python Testing/accuracy.py [--only heights hounsfield] [--processes 2] [--markdown extract.md]

Prints every row of ``Testing/budget/*.py`` with its target and exits with 1 where one is missed or a part fails. ``--markdown``
also writes the rows for the README as a table. Under 10 minutes on two cores; ``--only`` runs the named modules.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "BoneQuality")]

import budget  # noqa: E402
from budget import Row  # noqa: E402


def parts_of(name: str) -> list[str]:
    """Names of the functions that give a module's rows."""
    module = importlib.import_module(f"budget.{name}")
    return [part.__name__ for part in getattr(module, "PARTS", (module.rows,))]


def run(name: str, part: str) -> tuple[list[Row], float]:
    """Rows of one part and the seconds it took; a part that fails is a row that misses its target."""
    start = time.perf_counter()
    try:
        found = getattr(importlib.import_module(f"budget.{name}"), part)()
    except Exception:
        found = [Row(name, part, traceback.format_exc(limit=-1).strip().splitlines()[-1], "runs", False)]
    return found, time.perf_counter() - start


def print_rows(title: str, rows: list[Row], seconds: float) -> None:
    print(f"\n{title} ({seconds:.0f} s)", flush=True)
    for row in rows:
        print(f"  {row.what:28} {row.setting:72} {row.measured:>24}  {row.target:16}{'' if row.met else '  MISSED'}", flush=True)


def markdown(rows: list[Row]) -> str:
    """The README's extract."""
    lines = ["| number | setting | measured | target |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.what} | {row.setting} | {row.measured} | {row.target} |" for row in rows if row.readme]
    return "\n".join(lines) + "\n"


def main() -> int:
    modules = sorted(module.name for module in pkgutil.iter_modules(budget.__path__) if not module.name.startswith("_"))
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", nargs="+", choices=modules, default=modules)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--markdown", type=Path)
    asked = options.parse_args()
    start, every = time.perf_counter(), []
    with ProcessPoolExecutor(asked.processes, get_context("spawn")) as pool:
        running = [(name, part, pool.submit(run, name, part)) for name in asked.only for part in parts_of(name)]
        for name, part, done in running:
            rows, seconds = done.result()
            print_rows(f"{name}: {part.replace('_', ' ')}" if part != "rows" else name, rows, seconds)
            every += rows
    missed = [row for row in every if not row.met]
    print(f"\n{len(every)} rows, {len(missed)} targets missed, {time.perf_counter() - start:.0f} s")
    if asked.markdown:
        asked.markdown.write_text(markdown(every), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
