"""What lies beside a run is in its report: data difference, seeds, retention, blame, curve. Texts stay texts."""

import json

import numpy as np
import pytest

from evals.arms import Arm
from evals.blame import blame
from evals.curve import fit
from evals.report import write_report
from evals.retention import load_items
from evals.run import run_suite
from tests.eval_helpers import outputs, pack_folder, rows, snapshot_folder

NASTY = "<script>alert(1)</script> | **x**"


@pytest.fixture
def run(tmp_path):
    eval_rows = rows(40)
    pack = pack_folder(tmp_path / "pack", eval_rows, floor=0.5)
    snapshot = snapshot_folder(
        tmp_path / "snapshot", [(f"say {i}", r.reference) for i, r in enumerate(eval_rows)], pack
    )
    arms = [
        Arm("tuned", "file", outputs=outputs(eval_rows, 0.6, seed=1)),
        Arm("parrot-v1", "file", outputs=outputs(eval_rows, 0.7, seed=2)),
    ]
    made = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run", snapshot_dir=snapshot)
    changed = {"pair_id": "pair-003", "source": "file-3", "columns": ["completion"],
               "before": {"completion": "old words"}, "after": {"completion": NASTY}}  # fmt: skip
    data = {
        "left": "a" * 64, "right": "b" * 64, "why": "", "changed": [changed],
        "counts": {"added": 1, "removed": 2, "changed": 1, "same": 30},
        "added": [{"pair_id": "pair-new", "source": "file-9"}],
        "removed": [{"pair_id": "pair-old", "source": "file-8"}] * 2,
    }  # fmt: skip
    seeds = {"deviation": 0.021, "runs": [{"model": "m", "seed": s, "mean": 0.6 + s / 100} for s in (1, 4)]}
    items = load_items()
    beside = {
        "context": {"model": "parrot-v2", "predecessor": "parrot-v1", "data": data, "seeds": seeds},
        "retention": {
            "sha256": "0" * 64, "ids": [i.id for i in items], "kinds": [i.kind for i in items],
            "base": [0.5] * len(items), "tuned": [0.4] * len(items),
        },
        "blame": blame(made, snapshot, reference="parrot-v1", changed={"pair-003"}),
        "curve": fit([10, 10, 20, 20, 40, 40, 80, 80], np.linspace(0.3, 0.6, 8).tolist(), threshold=0.7),
    }  # fmt: skip
    for name, value in beside.items():
        (made.folder / f"{name}.json").write_text(json.dumps(value))
    return made


def test_every_part_is_shown_and_the_bytes_repeat(run, tmp_path):
    first = write_report(run, None, tmp_path / "one")
    page, text = first["html"].read_text(), first["md"].read_text()
    assert "Data since parrot-v1" in page and "1 pairs added, 2 removed, 1 changed, 30 the same" in page
    assert "pair-new" in page and "old words" in page
    assert NASTY not in page and "&lt;script&gt;alert(1)" in page
    assert "standard deviation of 0.021" in page and "standard deviation of 0.021" in text
    assert "General ability" in page and "0.400" in page
    assert "Training pairs behind what broke" in page and "Fixed and broken, row by row" in page
    assert "How many more pairs?" in page and "With twice the data (160 pairs)" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    again = write_report(run.folder, None, tmp_path / "two")
    assert {k: p.read_bytes() for k, p in first.items()} == {k: p.read_bytes() for k, p in again.items()}
    assert first["html"].stat().st_size < 2_000_000


def test_rows_fixed_and_broken_add_up(run, tmp_path):
    body = json.loads(write_report(run, None, tmp_path / "one")["json"].read_text())
    table = next(d for d in body["differences"] if d["arm"] == "parrot-v1")["table"]
    kinds = [row["kind"] for row in body["outcomes"]]
    assert kinds.count("fixed") == table["fixed"] and kinds.count("broken") == table["broken"] > 0
    assert sum(table.values()) == 40


def test_one_seed_is_said_to_be_one(run, tmp_path):
    path = run.folder / "context.json"
    context = json.loads(path.read_text())
    path.write_text(json.dumps(context | {"seeds": {"deviation": None, "runs": []}}))
    assert "One training seed" in write_report(run, None, tmp_path / "one")["html"].read_text()
