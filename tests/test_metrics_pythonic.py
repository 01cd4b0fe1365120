"""The style judge: good Python above COBOL in Python's letters, each fault where it stands.

Does not cover: whether people agree; the card says that nobody has ranked the validation pairs yet.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evals
from benchmarks import _pythonic_rank as ranking

ROWS = [json.loads(line) for line in ranking.PAIRS.read_text("utf-8").splitlines()]
COBOL = ROWS[0]["source"]  # an invoice with implied decimals


@pytest.fixture(scope="module")
def scorer():
    return evals.metric("pythonic")


@pytest.fixture(scope="module")
def judged(scorer):
    return scorer.compute(
        predictions=[row["prediction"] for row in ROWS], sources=[row["source"] for row in ROWS]
    )


def kinds(result, item=0):
    return {hit["kind"] for hit in result["evidence"][item]}


def test_evidence_points_into_the_text_and_scores_stay_between_0_and_1(judged):
    for row, score, hits in zip(ROWS, judged["scores"], judged["evidence"], strict=True):
        assert 0.0 <= score <= 1.0
        assert all(row["prediction"][hit["start"] : hit["end"]] == hit["span"] for hit in hits)


def test_idiomatic_translations_come_before_literal_ones(judged):
    score = {row["id"]: value for row, value in zip(ROWS, judged["scores"], strict=True)}
    for good, poor in (("invoice-a", "invoice-b"), ("grades-a", "grades-c"), ("table-sum-a", "table-sum-b"),
                       ("payroll-a", "payroll-d"), ("records-a", "records-c"), ("guess-a", "guess-b")):  # fmt: skip
        assert score[good] > score[poor] + 0.3, (good, poor)


def test_globals_that_mirror_working_storage(judged):
    at = [row["id"] for row in ROWS].index("invoice-b")
    spans = {hit["span"] for hit in judged["evidence"][at] if hit["kind"] == "mirrored_global"}
    assert {"ws_qty", "ws_net"} <= spans and judged["subscores"][at]["globals"] == 0.0
    assert {"poor_name", "float_for_decimal", "literal_paragraph"} <= kinds(judged, at)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("from decimal import Decimal\nprint(Decimal(input()) * 2)\n", 1.0),
        ("from decimal import Decimal\nprint(Decimal(input()) * Decimal(0.5))\n", 0.5),
        ("print(float(input()) * 2)\n", 0.0),
        ("price_cents = int(input())\nprint(price_cents * 2)\n", 1.0),
    ],
)
def test_decimal_where_the_source_has_implied_decimals(scorer, code, value):
    result = scorer.compute(predictions=[code], sources=[COBOL])
    assert result["subscores"][0]["decimal"] == value
    whole = scorer.compute(predictions=[code], sources=[COBOL.replace("V99", "").replace(".99", "")])
    assert whole["subscores"][0]["decimal"] is None


def test_complexity_names_the_function(scorer):
    code = (
        "def tangled(x):\n"
        + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(14))
        + "    return x\n"
    )
    result = scorer.compute(predictions=[code], sources=[COBOL])
    hit = next(hit for hit in result["evidence"][0] if hit["kind"] == "complex_function")
    assert "complexity 15" in hit["support"] and hit["span"].startswith("def tangled")
    assert result["complexity"] == pytest.approx(10 / 15)


def test_fences_and_chatter_around_code(scorer):
    code = ROWS[0]["prediction"]
    text = f"Sure! Here it is:\n\n```python\n{code}```\nIt uses Decimal."
    one, other = scorer.compute(predictions=[text, code], sources=[COBOL, COBOL])["scores"]
    assert one == other > 0.8


@pytest.mark.parametrize(
    "code", ["", "def f(:\n", "I cannot do that.", "\x00", "```\n```", "print " * 5000, "(" * 500]
)
def test_what_is_no_python_scores_nothing_and_says_so(scorer, code):
    result = scorer.compute(predictions=[code], sources=[COBOL])
    assert result["scores"] == [0.0] and kinds(result) == {"syntax_error"}


def test_noqa_and_local_settings_do_not_silence_findings(scorer):
    code = "import os  # noqa\nx = 1\n"
    assert any(
        "F401" in hit["support"] for hit in scorer.compute(predictions=[code], sources=[COBOL])["evidence"][0]
    )


def test_run_times_are_reported_and_do_not_change_the_score(scorer):
    code = ROWS[0]["prediction"]
    slow = scorer.compute(predictions=[code], sources=[COBOL], seconds=[2.0], reference_seconds=[1.0])
    assert (
        slow["speed"] == 0.5
        and slow["scores"] == scorer.compute(predictions=[code], sources=[COBOL])["scores"]
    )


def test_cobol_in_fixed_and_free_format_reads_the_same():
    from evals.metrics.pythonic.cobol import read

    free = "\n".join(line[7:] for line in COBOL.splitlines())
    numbered = "\n".join(f"{n:06}{line[6:]}" for n, line in enumerate(COBOL.splitlines()))
    program = read(COBOL)
    assert program == read(free) == read(numbered)
    assert program.decimals == {"ws_price", "ws_net", "ws_tax", "ws_total"}
    assert program.paragraphs == {"main_para", "calc_net", "calc_tax"} and "ws_qty" in program.data
    assert read("") == read("* only a comment") and not read("").data


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_source_can_be_read(text):
    from evals.metrics.pythonic.cobol import read

    assert read(text).decimals <= read(text).data


def test_a_blind_sheet_shows_no_score_and_ranks_come_back_as_correlations(tmp_path):
    sheet = tmp_path / "sheet.jsonl"
    ranking.main(["sheet", str(sheet), "--seed", "3"])
    rows = [json.loads(line) for line in sheet.read_text("utf-8").splitlines()]
    assert len(rows) == len(ROWS) >= 40 and all(
        set(row) == {"id", "program", "source", "prediction", "rating"} for row in rows
    )
    assert not any(row["id"] in {r["id"] for r in ROWS} for row in rows), (
        "ids would give the writer's order away"
    )
    full = ranking.correlate(
        {ranking.blind(row["id"]): score for row, score in zip(ROWS, ranking.scores(ROWS), strict=True)}
    )
    assert full["spearman"] == pytest.approx(1.0) and full["items"] == len(ROWS)
    half = tmp_path / "rated.jsonl"
    half.write_text(
        "\n".join(json.dumps({**row, "rating": 1 + n % 5}) for n, row in enumerate(rows)), "utf-8"
    )
    result = ranking.main(["correlate", str(half)])
    assert -1 <= result["spearman"] <= 1 and result["programs"] == 10
    half.write_text(json.dumps({**rows[0], "rating": None}), "utf-8")
    with pytest.raises(SystemExit, match="rating"):
        ranking.main(["correlate", str(half)])


@pytest.mark.parametrize("number", [1, 2])
def test_blind_reviewers_rank_as_the_scorer_does(number):
    file = ranking.PAIRS.with_name(f"pythonic_ratings_{number}.jsonl")
    ratings = {row["id"]: row["rating"] for row in map(json.loads, file.read_text("utf-8").splitlines())}
    found = ranking.correlate(ratings)
    assert found["items"] == len(ROWS) >= 40
    assert found["interval"][0] > 0.5 and found["kendall_within_programs"] > 0.5
