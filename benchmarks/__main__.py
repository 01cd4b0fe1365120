"""``python -m benchmarks AREA [--quick]``: runs one area (or all) and writes benchmarks/results/AREA.json.

A row is one figure: ``{area, figure, goal, ours, peer, ratio, spread, met, command, versions}``. Goals that are
not met stay in the table as unmet; an area leaves out what stands here for it: area, command, and a peer it has not.
Does not judge: absolute times on shared machines mean little, ratios do.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

HERE = Path(__file__).parent
FIELDS = ("area", "figure", "goal", "ours", "peer", "ratio", "spread", "met", "command", "versions")


def areas() -> list[str]:
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("area", choices=[*areas(), "all"])
    parser.add_argument("--quick", action="store_true", help="smaller inputs; figures are marked as quick")
    arguments = parser.parse_args(argv)
    for area in areas() if arguments.area == "all" else [arguments.area]:
        rows = []
        command = f"python -m benchmarks {area}{' --quick' if arguments.quick else ''}"
        # one by one: some rows take an hour
        for figure in importlib.import_module(f"benchmarks.{area}").run(arguments.quick):
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
        result = {
            "machine": f"{platform.machine()}, {len_cores()} cores",
            "quick": arguments.quick,
            "rows": rows,
        }
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / f"{area}.json").write_text(
            json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8"
        )
    return 0


def len_cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
