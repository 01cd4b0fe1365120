"""`goldpair score`: any JSON lines, any scorer; clear words where fields are missing.

Does not cover: what the scorers find; each has its own tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import evals
from curate.cli import app, main
from curate.errors import UsageError
from evals.scoring import columns_of, score_file

ROWS = [
    {"id": "a", "prediction": "the cat sat", "reference": "the cat sat"},
    {"id": "b", "prediction": "a dog", "reference": "the cat sat", "extra": 1},
]


def lines(path: Path, rows: list) -> Path:
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", "utf-8"
    )
    return path


def test_json_is_one_object_with_numbers_and_items(tmp_path: Path) -> None:
    file = lines(tmp_path / "pairs.jsonl", ROWS)
    out = tmp_path / "items.jsonl"
    done = CliRunner().invoke(app, ["score", "exact_match", "--file", str(file), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["score"] == 0.5 and result["scores"] == [1.0, 0.0] and result["items"] == 2
    assert result["ignored"] == ["extra"] and result["version"] == evals.scorer_version("exact_match")
    items = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(item["id"], item["score"]) for item in items] == [("a", 1.0), ("b", 0.0)]


def test_without_json_it_is_a_table(tmp_path: Path) -> None:
    note = "S: pain\nO: ok\nA: strain\nP: warfarin 5 mg"
    file = lines(tmp_path / "x.jsonl", [{"note": note, "transcript": "[doctor] rest ."}])
    done = CliRunner().invoke(
        app, ["score", "soap_note", "--file", str(file), "--map", "predictions=note"], env={"COLUMNS": "160"}
    )
    assert done.exit_code == 0 and "1 unsupported_medication" in done.stdout, done.output


def test_options_reach_the_scorer(tmp_path: Path) -> None:
    file = lines(tmp_path / "x.jsonl", [{"predictions": "YES", "references": "yes"}])
    assert score_file("exact_match", file)["score"] == 0.0
    done = CliRunner().invoke(
        app, ["score", "exact_match", "-f", str(file), "--option", "ignore_case=true", "--json"]
    )
    assert json.loads(done.stdout)["score"] == 1.0


def test_metadata_objects_become_the_json_that_a_scorer_reads(tmp_path: Path) -> None:
    row = {"prediction": "Subjective: 54-year-old.", "transcript": "[doctor] hi", "metadata": {"age": 54}}
    assert score_file("soap_note", lines(tmp_path / "x.jsonl", [row]))["unsupported_number"] == 0


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (
            [{"prediction": "x"}],
            {},
            "lacks references, which scorer 'exact_match' needs. Its fields: prediction",
        ),
        ([{"prediction": "x", "reference": "y"}, {"prediction": "x"}], {}, "line 2: 'reference' is absent"),
        (["{", "{}"], {}, "line 1: no JSON"),
        (["[1]"], {}, "line 1: list instead of an object"),
        ([""], {}, "holds no rows"),
        ([ROWS[0]], {"options": {"case": 1}}, "no option 'case'. It has: ignore_case, ignore_punctuation"),
        ([ROWS[0]], {"mapping": {"prompts": "x"}}, "no column 'prompts'"),
        ([ROWS[0]], {"mapping": {"references": "gold"}}, "lacks references (from gold)"),
    ],
)
def test_bad_input_is_named_with_its_line(tmp_path: Path, rows: list, options: dict, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        score_file("exact_match", lines(tmp_path / "x.jsonl", rows), **options)
    assert words in str(caught.value)


def test_a_usage_error_exits_2_and_an_unknown_scorer_lists_the_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines(tmp_path / "x.jsonl", ROWS)
    monkeypatch.setattr("sys.argv", ["goldpair", "score", "nonsense", "--file", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "exact_match" in capsys.readouterr().err


def test_what_every_scorer_takes_can_be_asked() -> None:
    for name in evals.metric_names():
        assert "predictions" in columns_of(name)["required"], name
    assert columns_of("soap_note")["optional"] == ["transcripts", "references", "metadata"]


def test_not_utf8_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with pytest.raises(UsageError, match="No file"):
        score_file("rouge", path)
    path.write_bytes(b'{"prediction": "\xff"}\n')
    with pytest.raises(UsageError, match="UTF-8"):
        score_file("rouge", path)
