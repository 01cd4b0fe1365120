"""The runner: every row accounted for, answers kept by content, scores kept by scorer version."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import evals
from curate.errors import NotFound, UsageError
from evals.arms import Arm, conversation, prepare, read_outputs, standard_arms
from evals.generate import GenerationError, LocalModel
from evals.run import EvalError, EvalRun, run_suite, score_texts
from tests.eval_helpers import SENTENCES, outputs, pack_folder, rows, snapshot_folder


class Counting:
    """A real model that also counts what it is asked."""

    def __init__(self, model: LocalModel) -> None:
        self.model, self.asked = model, []

    def identity(self):
        return self.model.identity()

    def generate(self, conversations, **options):
        self.asked += list(conversations)
        return self.model.generate(conversations, **options)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from train.base import tiny_llama

    return LocalModel(tiny_llama(tmp_path_factory.mktemp("base") / "tiny", texts=SENTENCES))


@pytest.fixture
def snapshot(tmp_path):
    pack = pack_folder(tmp_path / "pack", rows(6))
    pairs = [(f"Please repeat after me: {text}", text) for text in SENTENCES]
    return snapshot_folder(tmp_path / "snapshot", pairs, pack)


def test_all_arms_answer_all_rows_and_a_second_run_asks_nothing(tmp_path, model, snapshot):
    eval_rows = rows(6)
    pack = pack_folder(
        tmp_path / "pack", eval_rows, baselines=["zero_shot", "few_shot", "retrieval"], few_shot=2
    )
    counting = Counting(model)
    arms = [
        *standard_arms(pack, counting, tuned=counting),  # the same model twice is asked once
        Arm("vendor", "file", outputs=outputs(eval_rows, 1.0)),
    ]
    seen = []
    run = run_suite(
        tmp_path / "pack", pack, "main", arms, tmp_path / "runs" / "one",
        snapshot_dir=snapshot, progress=lambda *now: seen.append(now),
    )  # fmt: skip
    assert run.arms == ["zero_shot", "few_shot", "retrieval", "tuned", "vendor"]
    assert all(len(run.answers(arm)) == 6 for arm in run.arms) and run.meta["gaps"] == []
    assert seen and seen[-1][1] == seen[-1][2] == 6
    assert set(run.primary("vendor").values()) == {1.0}
    # the nearest prompt holds the same sentence, so copying its completion is right here
    assert set(run.primary("retrieval").values()) == {1.0}
    assert run.answers("retrieval")["row-000"]["support"].startswith("pair-")
    asked = len(counting.asked)
    # six zero-shot, six few-shot, and the tuned arm's six once more to see whether decoding repeats
    assert asked == 18 and run.meta["arms"]["zero_shot"]["completion_tokens"] > 0
    assert run.meta["arms"]["tuned"]["repeat"] == {"asked": 6, "same": 6, "steady": 6}
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    again = run_suite(tmp_path / "pack", pack, "main", arms, run.folder, snapshot_dir=snapshot)
    assert len(counting.asked) == asked
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == before


def test_rescoring_never_generates(tmp_path, model):
    pack = pack_folder(tmp_path / "pack", rows(5), metric="exact_match")
    counting = Counting(model)
    arms = [Arm("zero_shot", "zero_shot", generator=counting)]
    first = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")
    texts = {name: row["text"] for name, row in first.answers("zero_shot").items()}
    other = pack.model_copy(update={"suites": [pack.suites[0].model_copy(update={"metric": "rouge"})]})
    second = run_suite(tmp_path / "pack", other, "main", arms, tmp_path / "run")
    assert len(counting.asked) == 5 and second.meta["scorer"]["name"] == "rouge"
    assert {name: row["text"] for name, row in second.answers("zero_shot").items()} == texts
    assert set(second.scores["scorer_version"]) == {evals.scorer_version("rouge")}


def test_changed_decoding_generates_anew(tmp_path, model):
    pack = pack_folder(tmp_path / "pack", rows(3))
    counting = Counting(model)
    arms = [Arm("zero_shot", "zero_shot", generator=counting)]
    run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")
    pack.model.generation.max_new_tokens = 3
    run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")
    assert len(counting.asked) == 6


def test_a_missing_output_is_a_named_gap(tmp_path):
    eval_rows = rows(4)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    said = outputs(eval_rows, 1.0)
    del said["row-002"]
    said["row-999"] = "answers nobody's question"
    run = run_suite(tmp_path / "pack", pack, "main", [Arm("vendor", "file", outputs=said)], tmp_path / "run")
    assert [gap["row_id"] for gap in run.meta["gaps"]] == ["row-002"]
    assert run.meta["arms"]["vendor"]["facts"]["unknown_ids"] == ["row-999"]
    assert len(run.primary("vendor")) == 3


def test_empty_answers_are_answers(tmp_path):
    eval_rows = rows(3)
    pack = pack_folder(tmp_path / "pack", eval_rows, metric="rouge")
    arm = Arm("silent", "file", outputs={row.id: "" for row in eval_rows})
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    assert set(run.primary("silent").values()) == {0.0}


def test_looks_at_an_eval_set_are_counted_once_a_set_of_answers(tmp_path):
    eval_rows = rows(4)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    counts = []
    for seed, folder in ((1, "a"), (2, "b"), (1, "c"), (2, "b")):
        arm = Arm("vendor", "file", outputs=outputs(eval_rows, 0.5, seed=seed))
        run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "runs" / folder)
        counts.append(run.meta["eval"]["looks"])
    assert counts == [1, 2, 1, 2]
    assert (
        next(iter(json.loads((tmp_path / "runs" / "eval_looks.json").read_text())))
        == run.meta["eval"]["sha256"]
    )


def test_overlap_with_training_rows_is_found(tmp_path, snapshot):
    eval_rows = rows(3)
    eval_rows[1].prompt = "PLEASE   repeat after me: " + SENTENCES[2]
    pack = pack_folder(tmp_path / "pack", eval_rows)
    arm = Arm("vendor", "file", outputs=outputs(eval_rows, 1.0))
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run", snapshot_dir=snapshot)
    assert run.meta["overlap"] == [{"row_id": "row-001", "pair_id": "pair-002"}]


def test_conversation_is_the_same_shape_for_every_arm(tmp_path):
    eval_rows = rows(1)
    eval_rows[0].history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no"}]
    pack = pack_folder(tmp_path / "pack", eval_rows)
    turns = conversation(pack, eval_rows[0])
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[-1]["content"] == eval_rows[0].prompt
    silent = pack.model_copy(update={"system": ""})
    assert conversation(silent, eval_rows[0])[0]["role"] == "user"


def test_few_shot_takes_as_many_as_fit_and_says_so(tmp_path, model, snapshot):
    class Narrow(Counting):
        context_tokens = 60

        def count_tokens(self, conversations):
            return [sum(len(turn["content"].split()) + 3 for turn in turns) for turns in conversations]

    eval_rows = rows(4)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    examples = pl.read_parquet(snapshot / "data" / "train.parquet")
    narrow = prepare(
        Arm("few", "few_shot", generator=Narrow(model), shots=5), pack, eval_rows, examples, max_new_tokens=6
    )
    wide = prepare(
        Arm("few", "few_shot", generator=model, shots=5), pack, eval_rows, examples, max_new_tokens=6
    )
    assert 0 < narrow.facts["shots"] < wide.facts["shots"] == narrow.facts["shots_wanted"] == 5
    assert wide.facts["shot_pairs"][: narrow.facts["shots"]] == narrow.facts["shot_pairs"]
    shuffled = prepare(
        Arm("few", "few_shot", generator=model, shots=5),
        pack,
        eval_rows,
        examples.reverse(),
        max_new_tokens=6,
    )
    assert shuffled.facts == wide.facts and shuffled.questions == wide.questions


def test_retrieved_shots_are_the_rows_own_nearest_pairs(tmp_path, model, snapshot):
    eval_rows = rows(4)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    examples = pl.read_parquet(snapshot / "data" / "train.parquet")
    arm = Arm("rag", "retrieval_few_shot", generator=model, shots=3)
    made = prepare(arm, pack, eval_rows, examples, max_new_tokens=6)
    for row, question in zip(eval_rows, made.questions, strict=True):
        turns = question.conversation
        assert [t["role"] for t in turns] == ["system", *["user", "assistant"] * 3, "user"]
        # the nearest example stands last, and it is the one that holds the row's own sentence
        assert turns[-2]["content"] == row.reference and turns[-1]["content"] == row.prompt
    assert made.facts == {"shots": 3, "shots_wanted": 3, "retrieved_from": len(SENTENCES)}

    class Narrow(Counting):
        context_tokens = 60

        def count_tokens(self, conversations):
            return [sum(len(turn["content"].split()) + 3 for turn in turns) for turns in conversations]

    narrow = prepare(
        Arm("rag", "retrieval_few_shot", generator=Narrow(model), shots=5),
        pack, eval_rows, examples, max_new_tokens=6,
    )  # fmt: skip
    assert 0 < narrow.facts["shots"] < 5
    assert (
        narrow.questions[0].conversation[-2]["content"] == eval_rows[0].reference
    )  # the farthest went first


SHEET = """
name = "Kitchen rules"
version = "1"
valid_from = 2026-01-01

[[facts]]
id = "kettle"
topic = "kettle"
keywords = ["kettle"]
text = "The kettle is filled by whoever empties it."

[[facts]]
id = "bicycle"
topic = "bicycle"
keywords = ["bicycle", "tyres"]
text = "Bicycles stay in the yard."

[[hand_over]]
topic = "ladders"
cues = ["ladder"]
"""


def test_arms_with_facts_read_the_passages_of_the_sheet_that_fit_each_row(tmp_path, model):
    eval_rows = [
        row.model_copy(update={"prompt": f"What about {word}?"})
        for row, word in zip(rows(3), ("the bicycle", "the ladder", "an owl"), strict=True)
    ]
    pack = pack_folder(tmp_path / "pack", eval_rows, baselines=["zero_shot", "retrieval_facts"])
    (tmp_path / "pack" / "rules.toml").write_text(SHEET, "utf-8")
    counting = Counting(model)
    sheet = tmp_path / "pack" / "rules.toml"
    arms = standard_arms(pack, counting, tuned=counting, sheet=sheet)
    assert [(arm.name, arm.kind) for arm in arms[-2:]] == [
        ("tuned", "model"),
        ("tuned_with_facts", "model_facts"),
    ]
    told = [q.conversation[0]["content"] for q in prepare(arms[-1], pack, eval_rows).questions]
    assert told[0] == f"{pack.system}\n\nOur policy:\n- Bicycles stay in the yard."
    assert "ladders are handed over" in told[1] and "Bicycles" not in told[1]
    assert told[2] == pack.system  # nothing on the sheet, nothing in the prompt
    run = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")
    assert run.arms == ["zero_shot", "retrieval_facts", "tuned", "tuned_with_facts"]
    assert run.meta["arms"]["tuned_with_facts"]["facts"]["sheet"] == "rules.toml"
    assert [len(run.answers(name)) for name in run.arms] == [3] * 4
    with pytest.raises(UsageError, match="the suite names none"):
        prepare(Arm("x", "retrieval_facts", counting), pack, eval_rows)
    sheet.write_text("name = 1", "utf-8")
    with pytest.raises(UsageError, match=r"rules\.toml"):
        prepare(arms[-1], pack, eval_rows)


class Failing(Counting):
    """Cannot answer prompts with a certain word, for the machine's reasons; ``once`` only the first time."""

    def __init__(self, model, word, once=False):
        super().__init__(model)
        self.word, self.once, self.failed = word, once, 0

    def generate(self, conversations, **options):
        bad = any(self.word in turns[-1]["content"] for turns in conversations)
        if bad and not (self.once and self.failed):
            self.failed += 1
            raise GenerationError("503 from the server")
        return super().generate(conversations, **options)


def test_an_error_of_the_machine_is_tried_again_and_then_named(tmp_path, model):
    eval_rows = rows(12)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    passing = Failing(model, "number 7", once=True)
    run = run_suite(tmp_path / "pack", pack, "main", [Arm("tuned", "model", passing)], tmp_path / "a")
    assert passing.failed == 1 and run.meta["gaps"] == [] and len(run.answers("tuned")) == 12
    lasting = Failing(model, "number 7:")
    run = run_suite(tmp_path / "pack", pack, "main", [Arm("tuned", "model", lasting)], tmp_path / "b")
    (gap,) = run.meta["gaps"]
    assert gap["row_id"] == "row-007" and gap["kind"] == "infrastructure" and "503" in gap["reason"]
    assert len(run.answers("tuned")) == 11
    with pytest.raises(GenerationError, match="outage"):
        run_suite(
            tmp_path / "pack", pack, "main", [Arm("tuned", "model", Failing(model, "number"))], tmp_path / "c"
        )


def test_what_the_scorer_could_not_judge_is_judged_again_then_left_out(tmp_path, monkeypatch):
    eval_rows = rows(10)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    arm = Arm("tuned", "file", outputs=outputs(eval_rows, 1.0))
    real, calls = score_texts, []

    def shaky(name, judged, texts, params=None, pack_dir=None):
        result = real(name, judged, texts, params, pack_dir)
        calls.append(len(judged))
        stuck = {"row-003"} if len(calls) > 1 else {"row-003", "row-005"}
        result["errors"] = ["the compiler was not there" if row.id in stuck else None for row in judged]
        return result

    monkeypatch.setattr("evals.run.score_texts", shaky)
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    assert calls == [10, 2]
    assert set(run.primary("tuned")) == {row.id for row in eval_rows} - {"row-003"}
    (gap,) = run.meta["gaps"]
    assert gap["kind"] == "infrastructure" and "compiler" in gap["reason"]
    monkeypatch.setattr("evals.run.score_texts", real)  # repaired: the same run heals
    healed = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    assert healed.meta["gaps"] == [] and len(healed.primary("tuned")) == 10


def test_a_model_that_draws_at_random_is_caught(tmp_path, model):
    class Random(Counting):
        def generate(self, conversations, **options):
            made = super().generate(conversations, **options)
            return [replace(a, text=f"{a.text} {len(self.asked)}") for a in made]

    eval_rows = rows(6)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    arm = Arm("tuned", "model", Random(model))
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run", cache=tmp_path / "cache")
    assert run.meta["arms"]["tuned"]["repeat"] == {"asked": 6, "same": 0, "steady": 0}


def test_retrieval_of_a_row_without_a_shared_word_is_counted(tmp_path, snapshot):
    eval_rows = rows(2)
    eval_rows[0].prompt = "qqqq zzzz"
    pack = pack_folder(tmp_path / "pack", eval_rows)
    run = run_suite(
        tmp_path / "pack", pack, "main", [Arm("copy", "retrieval")], tmp_path / "run", snapshot_dir=snapshot
    )
    facts = run.meta["arms"]["copy"]["facts"]
    assert facts == {"copied_from": len(SENTENCES), "rows_without_a_shared_word": 1}


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ([], "at least one arm"),
        ([Arm("a", "file", outputs={}), Arm("a", "file", outputs={})], "own name"),
        ([Arm("a", "zero_shot")], "needs a generator"),
        ([Arm("a", "retrieval")], "snapshot"),
        ([Arm("a", "file")], "needs outputs"),
    ],
)
def test_arms_that_cannot_run_say_what_they_lack(tmp_path, arms, words):
    pack = pack_folder(tmp_path / "pack", rows(2))
    with pytest.raises(UsageError, match=words):
        run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")


def test_unknown_suite_and_primary_are_named(tmp_path):
    eval_rows = rows(2)
    pack = pack_folder(tmp_path / "pack", eval_rows, metric="rouge")
    arm = Arm("vendor", "file", outputs=outputs(eval_rows, 1.0))
    with pytest.raises(UsageError, match="It has: main"):
        run_suite(tmp_path / "pack", pack, "other", [arm], tmp_path / "run")
    pack.suites[0].primary = "rouge9"
    with pytest.raises(UsageError, match="rouge1"):
        run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    pack.suites[0].primary = "rouge2"
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    assert run.scores["primary"].to_list() == [1.0, 1.0]


def test_scorer_that_lacks_its_column_is_named(tmp_path):
    eval_rows = rows(2)
    eval_rows[0].reference = None
    with pytest.raises(EvalError, match=r"exact_match.*reference"):
        score_texts("exact_match", eval_rows, ["a", "b"])


def test_an_optional_column_comes_from_the_metadata(monkeypatch):
    """`domains` of a pair or an eval row reach code_equivalence, as JSON; without them the column is left out."""
    scorer, seen = evals.metric("code_equivalence"), []

    def compute(**columns):
        seen.append(columns)
        return {"scores": [1.0] * len(columns["predictions"])}

    monkeypatch.setattr(scorer, "compute", compute)
    monkeypatch.setattr(evals, "metric", lambda name: scorer)
    eval_rows = rows(2)
    score_texts("code_equivalence", eval_rows, ["a", "b"])
    eval_rows[1].metadata["domains"] = {"N": {"max": 5}}
    score_texts("code_equivalence", eval_rows, ["a", "b"])
    assert "domains" not in seen[0]
    assert seen[1]["domains"] == ["", '{"N": {"max": 5}}']
    assert seen[1]["sources"] == [row.prompt for row in eval_rows]


def test_output_files_are_checked_line_by_line(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"id": "a", "text": "one"}\n\n{"id": "b", "completion": "two"}\n')
    assert read_outputs(path) == {"a": "one", "b": "two"}
    for bad, words in (
        ('{"id": "a"}', ":1: wants"),
        ("nonsense", ":1: wants"),
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', ":2: id 'a' stands there twice"),
        ('{"id": "a", "text": 3}', "strings"),
    ):
        path.write_text(bad)
        with pytest.raises(UsageError, match=words):
            read_outputs(path)
    with pytest.raises(NotFound):
        read_outputs(tmp_path / "absent.jsonl")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(NotFound, match="no finished eval run"):
        EvalRun.load(tmp_path)


def test_damaged_tables_are_made_again(tmp_path):
    eval_rows = rows(4)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    arms = [Arm("vendor", "file", outputs=outputs(eval_rows, 0.5))]
    run = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")
    (run.folder / "generations.parquet").write_bytes(b"half a file")
    (run.folder / "scores.parquet").write_bytes(b"")
    again = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run")
    assert again.primary("vendor") == run.primary("vendor")


def test_scorers_load_from_anywhere_without_a_network(tmp_path):
    """Another working folder, an empty home, no socket: what an installed wheel on an offline machine sees."""
    import os
    import subprocess
    import sys

    code = (
        "import socket\n"
        "def refuse(*a, **k): raise OSError('no network in this test')\n"
        "socket.socket.connect = refuse; socket.create_connection = refuse; socket.getaddrinfo = refuse\n"
        "import evals\n"
        "print(evals.metric('exact_match').compute(predictions=['a'], references=['a'])['score'])\n"
        "print(evals.metric_names())\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "1.0" and "soap_note" in done.stdout
    left = [path for path in home.rglob("*.py")]
    assert left == [], "no copy of a scorer may be left in the home folder"


def test_every_card_says_what_its_scorer_is_known_to_miss():
    for name in evals.metric_names():
        sees, misses = evals.claims(name)
        assert misses and not set(sees) & set(misses), name
    with pytest.raises(NotFound, match="soap_note"):
        evals.claims("vibes")


def test_scorer_version_follows_code_and_not_the_card(tmp_path, monkeypatch):
    folder = tmp_path / "metrics" / "demo"
    folder.mkdir(parents=True)
    (folder / "demo.py").write_text("X = 1\n")
    (folder / "README.md").write_text("card")
    module = type("M", (), {"HELPERS": ("evals.stats",), "LIBRARIES": ("rouge-score",)})
    first = evals._fingerprint(folder, module)
    (folder / "README.md").write_text("better words")
    assert evals._fingerprint(folder, module) == first
    (folder / "words.txt").write_text("list")
    second = evals._fingerprint(folder, module)
    module.HELPERS = ()
    assert len({first, second, evals._fingerprint(folder, module)}) == 3


def test_unknown_scorer_names_the_known_ones():
    for name in ("nonsense", "../rouge", "Rouge"):
        with pytest.raises(NotFound, match=r"exact_match, .*rouge"):
            evals.metric(name)


def test_evaluate_can_load_the_folder_too(tmp_path, monkeypatch):
    import evaluate

    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = Path(evals.METRICS) / "exact_match"
    scorer = evaluate.load(str(folder), cache_dir=str(tmp_path / "cache"))
    assert scorer.compute(predictions=["x"], references=["x"])["scores"] == [1.0]
