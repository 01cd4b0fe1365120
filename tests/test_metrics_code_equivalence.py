"""code_equivalence on our own programs: right translations are equal, wrong ones are told, bad input is classed.

Does not cover: how well it tells mistakes that we did not think of; `benchmarks/code.py` measures more of them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import evals
from curate.errors import UsageError
from evals.cobol import inputs, mutants, source
from evals.cobol.compare import same
from evals.cobol.judge import Judge, judge_all
from evals.cobol.traps import pitfalls
from evals.sandbox import SandboxUnavailable

TRAPS = {p.name: p for p in pitfalls()}
needs = pytest.mark.skipif(
    not (shutil.which("cobc") and shutil.which("bwrap")), reason="needs cobc and bwrap"
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """One cache for all tests of this file, none of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOLDPAIR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def judge():
    with Judge(search=24, most_mutants=0, fresh=16) as made:
        yield made


def fixed(data: str, code: str) -> str:
    rows = ["IDENTIFICATION DIVISION.", "PROGRAM-ID. T.", "DATA DIVISION.", "WORKING-STORAGE SECTION."]
    rows += [
        *data.strip().splitlines(),
        "PROCEDURE DIVISION.",
        *("    " + r for r in code.strip().splitlines()),
    ]
    return "".join(f"       {row}\n" for row in rows)


ECHO = fixed("01 N PIC 9(3).", "ACCEPT N.\nDISPLAY N.\nSTOP RUN.")
RIGHT = "print(f'{int(input()):03d}')"


# --- reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pic", "meaning"),
    [
        ("9(3)V99", ("numeric", 5, 2, False, 5)),
        ("S9(4)V9(2)", ("numeric", 6, 2, True, 6)),
        ("X(10)", ("text", 0, 0, False, 10)),
        ("XX", ("text", 0, 0, False, 2)),
        ("ZZ,ZZ9.99", ("edited", 0, 0, False, 9)),
    ],
)
def test_pictures(pic: str, meaning: tuple[str, int, int, bool, int]) -> None:
    assert source.picture(pic) == meaning


def test_channels_are_found() -> None:
    program = source.read(TRAPS["file_status"].cobol)
    files = {f.name: f for f in program.files}
    assert files["INPUT-FILE"].assigned == "names.txt" and files["INPUT-FILE"].status
    assert files["INPUT-FILE"].modes == {"INPUT"} and files["OUTPUT-FILE"].modes == {"OUTPUT"}
    assert [f.name for f in source.read(TRAPS["linkage_call"].cobol).linkage] == [
        "L-PRINCIPAL",
        "L-YEARS",
        "L-TOTAL",
    ]
    assert source.read(TRAPS["command_line"].cobol).command_line
    assert [f.name for f in source.read(TRAPS["size_error"].cobol).stdin] == ["A", "B"]
    loop = source.read(TRAPS["sentinel_loop"].cobol)
    assert [[f.name for f in step] for step in loop.stdin] == [["WORD-IN"]]
    assert "END" in loop.fields["WORD-IN"].literals


def test_fences_chatter_and_layouts() -> None:
    wrapped = f"Translate this:\n```cobol\n{ECHO}```\nThank you."
    assert source.read(wrapped).text == source.read(ECHO).text
    assert not source.read(ECHO).free
    free = "\n".join(row.strip() for row in ECHO.splitlines())
    assert source.read(free).free
    assert source.extract("Sure!\n```python\nprint(1)\n```\nDone.", "python") == "print(1)\n"
    assert source.extract("print(1)\n", "python") == "print(1)\n"
    with pytest.raises(source.SourceError, match="IDENTIFICATION"):
        source.read("Hello")


def test_inputs_fit_their_fields_and_repeat() -> None:
    program = source.read(TRAPS["implied_decimal"].cobol)
    made = inputs.cases(program, {}, 1, 100)
    assert made == inputs.cases(program, {}, 1, 100) != inputs.cases(program, {}, 2, 100)
    assert all(len(c.lines[0]) <= 5 for c in made)
    assert {"0", "999.9"} & {c.lines[0] for c in made}
    narrowed = inputs.cases(program, inputs.domain_of({"price": {"min": 5, "max": 6}}), 1, 50)
    assert narrowed and all(5 <= float(c.lines[0]) <= 6 for c in narrowed)


def test_sort_opens_the_files_that_it_uses_and_gives() -> None:
    select = 'SELECT {0} ASSIGN TO "{0}.txt" ORGANIZATION IS LINE SEQUENTIAL.'
    text = "\n".join(
        [
            "IDENTIFICATION DIVISION.", "PROGRAM-ID. T.", "ENVIRONMENT DIVISION.", "INPUT-OUTPUT SECTION.",
            "FILE-CONTROL.", *(select.format(n) for n in ("IN-A", "IN-B", "OUT-F")),
            "SELECT WORK-F ASSIGN TO \"work\".", "DATA DIVISION.", "FILE SECTION.",
            *(f"FD {n}.\n01 {n}-R PIC 9(4)." for n in ("IN-A", "IN-B", "OUT-F")),
            "SD WORK-F.", "01 W-R.", "05 W-K PIC 9(4).", "PROCEDURE DIVISION.",
            "SORT WORK-F ON ASCENDING KEY W-K USING IN-A IN-B GIVING OUT-F.", "STOP RUN.",
        ]
    )  # fmt: skip
    modes = {file.name: file.modes for file in source.read(text).files}
    assert modes == {"IN-A": {"INPUT"}, "IN-B": {"INPUT"}, "OUT-F": {"OUTPUT"}, "WORK-F": set()}
    case = inputs.cases(source.read(text), {}, 3, 5)[0]
    assert {name for name, _ in case.files} == {"IN-A.txt", "IN-B.txt"}


def test_the_end_of_a_loop_is_typed_into_fields_that_can_take_it() -> None:
    """A text literal beside a number is no end mark for it, and no mark leaves the declared domain."""
    text = fixed(
        "01 N PIC 9(3).\n01 I PIC 9.",
        """PERFORM VARYING I FROM 1 BY 1 UNTIL I > 3
    ACCEPT N
    DISPLAY N " " I
    IF N = 0 DISPLAY "NIL" END-IF
END-PERFORM.
STOP RUN.""",
    )
    program = source.read(text)
    for domain in ({}, {"N": {"min": 5, "max": 90}}):
        made = inputs.cases(program, inputs.domain_of(domain), 1, 60)
        typed = [line for case in made for line in case.lines]
        assert all(line.isdigit() for line in typed)
        assert not domain or all(5 <= int(line) <= 90 for line in typed)


@pytest.mark.parametrize("domain", ["{", [1], {"N": {"least": 1}}, {"N": {}}, {"N": 3}])
def test_a_domain_that_is_none_is_refused(domain: object) -> None:
    with pytest.raises(UsageError, match="domains"):
        inputs.domain_of(domain)


def test_mutants_differ_in_one_place_and_repeat() -> None:
    program = source.read(TRAPS["rounded"].cobol)
    made = mutants.mutants(program, 20)
    assert made == mutants.mutants(program, 20)
    assert {"rounding dropped", "banker's rounding"} <= {m.operator for m in made}
    for mutant in made:
        pairs = zip(program.text.split("\n"), mutant.text.split("\n"), strict=True)
        assert [n for n, (a, b) in enumerate(pairs, 1) if a != b] == [mutant.line]


def test_levels_of_comparison() -> None:
    assert same(b"a \n", b"a\n") == {"exact": False, "whitespace": True, "loose": True}
    assert same(b"True\n", b"true\n") == {"exact": False, "whitespace": False, "loose": True}
    assert same(b" a\n", b"a\n")["whitespace"] is False
    assert not any(same(b"1\n", b"2\n").values())


# --- judging -------------------------------------------------------------------------------------------------


@needs
@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("python", "kind"),
    [
        (RIGHT, "equal"),
        (f"Here it is:\n```python\n{RIGHT}\n```\nEnjoy!", "equal"),
        ("print(int(input()))", "wrong_output"),
        ("raise ValueError", "crash"),
        ("def f(:", "crash"),
        ("", "crash"),
        ("\x00\x01\ud800", "crash"),
        ("```python\n```", "crash"),
        ("while True: pass", "timeout"),
        ("while True: print('more?')", "timeout"),
        ("import os\nos.system('id')", "violation"),
        ("import socket\nsocket.socket()", "violation"),
        ("import sys\nsys.stdout.buffer.write(bytes(range(256)))", "wrong_output"),
        ("input()\ninput()\n" + RIGHT, "crash"),
    ],
)
def test_classes(judge: Judge, python: str, kind: str) -> None:
    verdict = judge.judge(python, ECHO, {})
    assert verdict.kind == kind, (verdict.reason, verdict.counter)
    assert (verdict.counter is None) == (kind == "equal" or not source.extract(python, "python").strip())


@needs
@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("cobol", "reason"),
    [
        ("no program at all", "IDENTIFICATION"),
        (ECHO.replace("DISPLAY N", "DISPLAY NOBODY"), "does not compile"),
        (ECHO.replace("DISPLAY N", "COMPUTE N = FUNCTION RANDOM * 9\n           DISPLAY N"), "random"),
        (
            fixed("01 N PIC 9.\n01 T PIC 9(8).", "ACCEPT N.\nACCEPT T FROM TIME.\nDISPLAY T.\nSTOP RUN."),
            "not deterministic",
        ),
        (fixed("01 N PIC 9.", "PERFORM UNTIL 1 = 2\n    ACCEPT N\nEND-PERFORM.\nSTOP RUN."), "ends normally"),
        (ECHO.replace("DATA DIVISION.", "DATA DIVISION.\n       COPY 'SECRET'."), "does not compile"),
    ],
)
def test_references_that_cannot_be_used(judge: Judge, cobol: str, reason: str) -> None:
    verdict = judge.judge(RIGHT, cobol, {})
    assert verdict.kind == "harness_error" and reason in verdict.reason and not verdict.may_gate


@needs
@pytest.mark.sandbox
def test_the_counter_example_is_small_and_true(judge: Judge) -> None:
    verdict = judge.judge("n = int(input())\nprint(f'{n if n < 100 else 0:03d}')", ECHO, {})
    assert verdict.kind == "wrong_output" and verdict.counter
    n = int(verdict.counter["stdin"])
    assert n >= 100 and verdict.counter["expected"] == f"{n:03d}\n" and verdict.counter["got"] == "000\n"


@needs
@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRAPS))
def test_every_pitfall_is_told_apart(name: str) -> None:
    trap = TRAPS[name]
    domain = inputs.domain_of(trap.domain)
    with Judge(search=80, most_mutants=6, fresh=60) as judge:
        right, wrong = (judge.judge(text, trap.cobol, domain) for text in (trap.right, trap.wrong))
    assert right.kind == "equal", (right.reason, right.counter)
    assert wrong.kind == "wrong_output", (trap.mistake, wrong.kind, wrong.reason)


@needs
@pytest.mark.sandbox
def test_compute_as_the_issue_names_it() -> None:
    trap = TRAPS["size_error"]
    result = evals.metric("code_equivalence").compute(
        predictions=[trap.right, trap.wrong], sources=[trap.cobol, trap.cobol], search=40, mutants=6, fresh=12
    )
    assert result["classes"] == ["equal", "wrong_output"] and result["scores"] == [1.0, 0.0]
    assert result["counter_examples"][0] is None and result["counter_examples"][1]["expected"]
    assert result["evidence"][0] == [] and result["evidence"][1][0]["kind"] == "wrong_output"
    assert all(s is not None and 0.95 <= s <= 1 for s in result["mutation_scores"])
    assert result["sandbox"]["state"] == "held" and result["score"] == 0.5
    json.dumps(result)


@needs
@pytest.mark.sandbox
def test_frozen_inputs_are_kept_and_outputs_repeat() -> None:
    trap = TRAPS["level_88"]
    verdicts = []
    for _ in range(2):
        with Judge(search=30, most_mutants=4, fresh=8) as judge:
            verdicts.append(judge.judge(trap.wrong, trap.cobol, {}))
            ready = judge.prepare(trap.cobol, {})
            assert 0 < len(ready.frozen) <= 10 and ready.killed == ready.killable > 0
    assert verdicts[0] == verdicts[1]


@needs
@pytest.mark.sandbox
def test_a_translation_judged_again_runs_without_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    trap = TRAPS["size_error"]
    settings = {"search": 30, "most_mutants": 0, "fresh": 8}
    with Judge(**settings) as judge:
        first = [judge.judge(text, trap.cobol, {}) for text in (trap.wrong, trap.right)]
        known = set(judge.outputs)
    with Judge(**settings) as judge:
        monkeypatch.setattr(judge.cobol, "run", None)
        assert [judge.judge(text, trap.cobol, {}) for text in (trap.wrong, trap.right)] == first
        assert set(judge.outputs) <= known


@needs
@pytest.mark.sandbox
def test_judges_side_by_side_say_what_one_says_row_by_row(judge: Judge) -> None:
    traps = [TRAPS[name] for name in ("size_error", "level_88", "integer_division")]
    rows = [
        (text, trap.cobol, inputs.domain_of(trap.domain))
        for trap in traps
        for text in (trap.wrong, trap.right)
    ]
    rows = rows[::2] + rows[1::2]  # the rows of a source stand apart
    together = judge_all(rows, search=24, most_mutants=0, fresh=16)
    assert together == [judge.judge(*row) for row in rows]
    assert [verdict.kind for verdict in together] == ["wrong_output"] * 3 + ["equal"] * 3
    assert judge_all([]) == []


def test_without_a_sandbox_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="NOT RUN"):
        Judge()
    result = evals.metric("code_equivalence").compute(predictions=[RIGHT], sources=[ECHO])
    assert result["classes"] == ["harness_error"] and "NOT RUN" in result["refuses"]
    assert result["sandbox"]["state"] == "NOT RUN" and result["may_gate"] == [False]
