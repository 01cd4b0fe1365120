"""`python -m benchmarks`: a run that is cut keeps what it measured and what it did not come to.

Does not cover: what the areas measure.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import benchmarks.__main__ as command
import benchmarks.code
import benchmarks.training


def figure(name: str, ours: float) -> dict[str, object]:
    return {"figure": name, "goal": "", "ours": ours, "met": None, "versions": {}}


def measured(folder: Path, area: str) -> dict[str, float]:
    rows = json.loads((folder / f"{area}.json").read_text("utf-8"))["rows"]
    return {row["figure"]: row["ours"] for row in rows}


def test_rows_of_a_cut_run_are_kept_beside_the_earlier_ones(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(
        benchmarks.code, "run", lambda quick: [figure("a", 1), figure("b", 1), figure("gone", 1)]
    )
    command.main(["code"])

    def cut(quick: bool):
        yield figure("b", 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmarks.code, "run", cut)
    with pytest.raises(KeyboardInterrupt):
        command.main(["code"])
    assert measured(tmp_path, "code") == {"a": 1, "b": 2, "gone": 1}
    monkeypatch.setattr(benchmarks.code, "run", lambda quick: [figure("b", 3), figure("a", 3)])
    command.main(["code"])
    assert measured(tmp_path, "code") == {"b": 3, "a": 3}


def test_a_part_is_measured_alone_where_the_area_can(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    part = lambda quick, only="": [figure(name, len(only)) for name in ("a", "b") if only in name]  # noqa: E731
    monkeypatch.setattr(benchmarks.training, "run", part)
    command.main(["training"])
    command.main(["training", "--only", "b"])
    assert measured(tmp_path, "training") == {"a": 0, "b": 1}
    for arguments, said in (
        (["code", "--only", "b"], "leave --only out"),
        (["training", "--only", "c"], "no bed of training"),
    ):
        with pytest.raises(SystemExit) as refused:
            command.main(arguments)
        assert refused.value.code == 2 and said in capsys.readouterr().err
    assert measured(tmp_path, "training") == {"a": 0, "b": 1}


def test_quick_rows_and_whole_ones_do_not_mix(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(
        benchmarks.training, "run", lambda quick, only="": [figure("quick" if quick else "whole", 1)]
    )
    command.main(["training"])
    command.main(["training", "--quick", "--only", "x"])
    assert measured(tmp_path, "training") == {"quick": 1}
