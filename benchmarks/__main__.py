"""``python -m benchmarks AREA [--quick]``: runs one area (or all) and writes benchmarks/results/AREA.json.

A row is one figure: ``{area, figure, goal, ours, peer, ratio, spread, met, command, versions}``. Goals that are
not met stay in the table as unmet; an area leaves out what stands here for it: area, command, and a peer it has not.
Results are written row by row, over the row of the same figure, so that a run that is cut leaves what it has measured
and what it has not come to; rows that no run makes any more go with the next whole one.
Does not judge: absolute times on shared machines mean little, ratios do.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import platform
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
FIELDS = ("area", "figure", "goal", "ours", "peer", "ratio", "spread", "met", "command", "versions")


def areas() -> list[str]:
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("area", choices=[*areas(), "all"])
    parser.add_argument("--quick", action="store_true", help="smaller inputs; figures are marked as quick")
    parser.add_argument(
        "--only", metavar="WORDS", help="of an area that can: its beds with these words alone"
    )
    arguments = parser.parse_args(argv)
    for area in areas() if arguments.area == "all" else [arguments.area]:
        run = importlib.import_module(f"benchmarks.{area}").run
        if arguments.only and "only" not in inspect.signature(run).parameters:
            parser.error(f"{area} is measured as a whole: leave --only out.")
        part = {"only": arguments.only} if arguments.only else {}
        path = RESULTS / f"{area}.json"
        before = _rows(path, arguments.quick)
        rows: list[dict[str, Any]] = []
        command = f"python -m benchmarks {area}{' --quick' if arguments.quick else ''}"
        # one by one: some rows take an hour
        for figure in run(arguments.quick, **part):
            row = {"area": area, "command": command} | dict.fromkeys(("peer", "ratio", "spread")) | figure
            missing = set(FIELDS) ^ set(row)
            if missing:
                raise ValueError(
                    f"benchmarks.{area}: row {row.get('figure')!r} has wrong fields: {sorted(missing)}"
                )
            state = {True: "met", False: "UNMET", None: "-"}[row["met"]]
            beside = ", ".join(f"{name} {row[name]}" for name in ("goal", "peer", "ratio"))
            print(f"{state:6}{row['figure']}: {row['ours']} ({beside})", flush=True)
            rows.append(row)
            _write(path, merged(before, rows), arguments.quick)
        if not rows and part:
            parser.error(f"no bed of {area} has {arguments.only!r} in its name.")
        _write(path, merged(before, rows) if part else rows, arguments.quick)
    return 0


def merged(before: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of earlier runs in their order, with those of this run in the place of the same figure or behind."""
    new = {row["figure"]: row for row in rows}
    return [new.pop(row["figure"], row) for row in before] + list(new.values())


def _rows(path: Path, quick: bool) -> list[dict[str, Any]]:
    """The rows of the file if they were measured the same way, quick or not."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return list(found["rows"]) if found.get("quick") == quick else []


def _write(path: Path, rows: list[dict[str, Any]], quick: bool) -> None:
    result = {"machine": f"{platform.machine()}, {len_cores()} cores", "quick": quick, "rows": rows}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")


def len_cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
