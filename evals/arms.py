"""Arms: the ways to answer an eval row that are compared with each other.

Covers: the prompts of zero-shot, few-shot (the same examples for every row, or the nearest of each row) and model
arms, the retrieval arm that copies the nearest approved completion, the arms that read a policy sheet (its passages
nearest to the question stand in the prompt of the untuned or of the tuned model), and outputs that another system wrote
(a file).
Does not cover: decoding (`evals.generate`), running and scoring (`evals.run`).

Every arm answers the same rows under the same system message: `pack.system`, the row's history, the row's prompt.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from curate.contract import file_sha256, sha256_hex
from curate.errors import NotFound, UsageError
from curate.tasks import EvalRow, TaskPack

if TYPE_CHECKING:
    from evals.generate import Generator

Kind = Literal[
    "zero_shot",
    "few_shot",
    "retrieval",
    "retrieval_few_shot",
    "retrieval_facts",
    "model",
    "model_facts",
    "file",
]
FACTS = ("retrieval_facts", "model_facts")  # kinds that need a policy sheet
ASKING = ("zero_shot", "few_shot", "retrieval_few_shot", "model", *FACTS)  # kinds that need a generator
EXAMPLES = ("few_shot", "retrieval", "retrieval_few_shot")  # kinds that need training rows
TEXT_FIELDS = ("text", "output", "completion", "prediction")
SHOT_SEED = 0
PASSAGES = 4  # of the sheet, put before a question


@dataclass(frozen=True)
class Arm:
    """One way to answer. ``name`` is its label in every table; ``note`` is shown beside it.

    ``generator`` answers for the kinds in `ASKING`; ``outputs`` (row id -> text, or a JSONL file of it) is what a
    file arm says; ``shots`` is the number of examples a few_shot or retrieval_few_shot arm asks for; ``sheet`` is the
    policy sheet (a file) of the kinds in `FACTS`.
    """

    name: str
    kind: Kind
    generator: Generator | None = None
    outputs: Mapping[str, str] | Path | None = None
    shots: int = 4
    sheet: Path | None = None
    note: str = ""


@dataclass(frozen=True)
class Question:
    """What one arm does with one row: a conversation for its generator, or a text that is there already."""

    row_id: str
    conversation: list[dict[str, str]] | None = None
    text: str | None = None
    support: str = ""  # pair id of the copied completion
    gap: str = ""  # why there is no answer


@dataclass(frozen=True)
class Prepared:
    """An arm ready to run: a question for every eval row, in order, and what decides its answers."""

    questions: list[Question]
    identity: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)  # shown in the report


def standard_arms(
    pack: TaskPack,
    generator: Generator,
    *,
    tuned: Generator | None = None,
    predecessors: Mapping[str, Generator] | None = None,
    sheet: Path | None = None,
) -> list[Arm]:
    """The arms of every model version: the gate's baselines on the untuned base, predecessors, the tuned model, and the
    tuned model with the policy ``sheet`` beside it where the suite names one."""
    arms = [
        Arm(kind, kind, None if kind == "retrieval" else generator, shots=pack.gate.few_shot, sheet=sheet)
        for kind in pack.gate.baselines
    ]
    arms += [Arm(name, "model", generator=model) for name, model in (predecessors or {}).items()]
    if tuned is not None:
        arms.append(Arm("tuned", "model", generator=tuned))
        if sheet is not None:
            arms.append(Arm("tuned_with_facts", "model_facts", generator=tuned, sheet=sheet))
    return arms


def prepare(
    arm: Arm,
    pack: TaskPack,
    rows: Sequence[EvalRow],
    examples: pl.DataFrame | None = None,
    *,
    snapshot_id: str = "",
    max_new_tokens: int = 64,
) -> Prepared:
    """Questions of one arm.

    ``examples`` are the snapshot's training rows; the kinds in `EXAMPLES` need them. Raises `UsageError` when an arm
    lacks what its kind needs.
    """
    if arm.kind in ASKING and arm.generator is None:
        raise UsageError(f"Arm {arm.name!r} of kind {arm.kind} needs a generator (a model or an endpoint).")
    if arm.kind in FACTS and arm.sheet is None:
        raise UsageError(
            f"Arm {arm.name!r} of kind {arm.kind} reads a policy sheet, and the suite names none. "
            'Add facts = "SHEET.toml" to the suite in task.toml, or leave the arm out.'
        )
    if arm.kind in EXAMPLES and (examples is None or examples.is_empty()):
        raise UsageError(f"Arm {arm.name!r} of kind {arm.kind} takes examples out of a snapshot; name one.")
    if arm.kind == "file":
        return _file(arm, rows)
    if arm.kind == "retrieval":
        assert examples is not None
        return _retrieval(rows, examples, snapshot_id)
    assert arm.generator is not None
    if arm.kind == "retrieval_few_shot":
        assert examples is not None
        return _retrieved_shots(arm, pack, rows, examples, max_new_tokens)
    if arm.kind in FACTS:
        return _with_facts(arm, pack, rows)
    shots: list[dict[str, str]] = []
    facts: dict[str, Any] = {}
    if arm.kind == "few_shot":
        assert examples is not None
        shots, facts = _shots(arm, pack, rows, examples, max_new_tokens)
    questions = [Question(row.id, conversation=conversation(pack, row, shots)) for row in rows]
    return Prepared(questions, {"generator": arm.generator.identity()}, facts)


def conversation(
    pack: TaskPack, row: EvalRow, shots: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, str]]:
    """System message, example turns, the row's history, the row's prompt."""
    system = [{"role": "system", "content": pack.system}] if pack.system else []
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in (*shots, *row.history)]
    return [*system, *turns, {"role": "user", "content": row.prompt}]


def read_outputs(path: Path) -> dict[str, str]:
    """Row id -> text of a JSONL file with ``id`` and one of ``text``, ``output``, ``completion``, ``prediction``."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            name, text = item["id"], next(item[key] for key in TEXT_FIELDS if key in item)
        except (ValueError, TypeError, KeyError, StopIteration) as error:
            wanted = " or ".join(TEXT_FIELDS)
            raise UsageError(f"{path}:{number}: wants a JSON object with id and {wanted}.") from error
        if not isinstance(text, str) or not isinstance(name, str):
            raise UsageError(f"{path}:{number}: id and text must both be strings.")
        if name in found:
            raise UsageError(f"{path}:{number}: id {name!r} stands there twice; which answer counts?")
        found[name] = text
    return found


def _file(arm: Arm, rows: Sequence[EvalRow]) -> Prepared:
    if arm.outputs is None:
        raise UsageError(f"Arm {arm.name!r} of kind file needs outputs: a JSONL file with id and text.")
    outputs = read_outputs(arm.outputs) if isinstance(arm.outputs, Path) else arm.outputs
    known = {row.id for row in rows}
    questions = [
        Question(row.id, text=outputs[row.id])
        if row.id in outputs
        else Question(row.id, gap="the file holds no output for this row")
        for row in rows
    ]
    facts = {"outputs": len(outputs), "unknown_ids": sorted(set(outputs) - known)}
    return Prepared(questions, {"file": arm.name}, facts)


def nearest(texts: Sequence[str], queries: Sequence[str], k: int) -> list[list[tuple[int, float]]]:
    """The ``k`` nearest texts of each query by BM25, nearest first: ``[(index, score), ...]`` a query.

    BM25: Robertson and others 1994, Lucene's variant as in bm25s. Ties go to the first text; a query that shares no
    word with any text gets the first texts with a score of 0.
    """
    import bm25s

    def tokens(found: Sequence[str]) -> list[list[str]]:
        return bm25s.tokenize(list(found), stopwords="en", return_ids=False, show_progress=False)

    index = bm25s.BM25()
    corpus = [words or ["\0"] for words in tokens(texts)]  # a text of stop words only matches nothing
    index.index(corpus, show_progress=False)
    vocabulary = {word for words in corpus for word in words}
    found = []
    for words in tokens(queries):
        known = [word for word in words if word in vocabulary]
        scores = index.get_scores(known) if known else np.zeros(len(corpus))
        order = np.argsort(-scores, kind="stable")[:k]
        found.append([(int(i), float(scores[i])) for i in order])
    return found


def _retrieval(rows: Sequence[EvalRow], examples: pl.DataFrame, snapshot_id: str) -> Prepared:
    """Copies the completion whose prompt is nearest to the row's prompt."""
    completions, pairs = examples["completion"].to_list(), examples["pair_id"].to_list()
    found = [best for (best,) in nearest(examples["prompt"].to_list(), [row.prompt for row in rows], 1)]
    questions = [
        Question(row.id, text=completions[best], support=pairs[best])
        for row, (best, _) in zip(rows, found, strict=True)
    ]
    identity = {"retrieval": f"bm25s {version('bm25s')}", "snapshot": snapshot_id}
    unmatched = sum(score == 0 for _, score in found)
    return Prepared(questions, identity, {"copied_from": len(pairs), "rows_without_a_shared_word": unmatched})


def _retrieved_shots(
    arm: Arm, pack: TaskPack, rows: Sequence[EvalRow], examples: pl.DataFrame, max_new_tokens: int
) -> Prepared:
    """Each row under its own nearest pairs, the nearest one last; the farthest go first where room is short."""
    prompts, completions = examples["prompt"].to_list(), examples["completion"].to_list()
    ranked = [
        [number for number, _ in found] for found in nearest(prompts, [row.prompt for row in rows], arm.shots)
    ]

    def asked(row: EvalRow, chosen: Sequence[int]) -> list[dict[str, str]]:
        turns = [
            {"role": role, "content": text}
            for number in reversed(chosen)
            for role, text in (("user", prompts[number]), ("assistant", completions[number]))
        ]
        return conversation(pack, row, turns)

    for row, chosen in zip(rows, ranked, strict=True):
        while chosen and not _fits(arm.generator, [asked(row, chosen)], max_new_tokens):
            chosen.pop()
    questions = [
        Question(row.id, conversation=asked(row, chosen)) for row, chosen in zip(rows, ranked, strict=True)
    ]
    assert arm.generator is not None
    fewest = min((len(chosen) for chosen in ranked), default=0)
    facts = {"shots": fewest, "shots_wanted": arm.shots, "retrieved_from": len(prompts)}
    return Prepared(questions, {"generator": arm.generator.identity()}, facts)


def passages(sheet: Path) -> list[tuple[str, str]]:
    """What a policy sheet says, as (words to find it by, passage): one a fact, one a topic that a person answers.

    Raises `UsageError` for a sheet that cannot be read.
    """
    from evals.metrics.policy_facts.sheet import read_sheet

    try:
        known = read_sheet(sheet.name, sheet.parent)
    except ValueError as error:
        raise UsageError(str(error)) from error
    told = [
        (" ".join([fact.topic, *fact.keywords, fact.text]), fact.text) for fact in known.facts if fact.text
    ]
    return told + [
        (
            " ".join([topic.topic, *topic.cues]),
            f"Questions about {topic.topic} are handed over to a colleague.",
        )
        for topic in known.hand_over
    ]


def passages_for(sheet: Path, asked: Sequence[str]) -> list[list[str]]:
    """For each question the passages of a sheet that are nearest to it, `PASSAGES` at most, nearest first."""
    from evals._tone import content  # stems: "returned" on the sheet is what "return" asks for

    known = passages(sheet)
    found = nearest(
        [" ".join(content(about)) for about, _ in known], [" ".join(content(one)) for one in asked], PASSAGES
    )
    return [[known[number][1] for number, score in best if score > 0] for best in found]


def _with_facts(arm: Arm, pack: TaskPack, rows: Sequence[EvalRow]) -> Prepared:
    """The sheet's passages nearest to what the customer said, behind the system message of each row."""
    assert arm.generator is not None and arm.sheet is not None
    asked = [
        "\n".join([*(t["content"] for t in row.history if t["role"] == "user"), row.prompt]) for row in rows
    ]
    questions = []
    for row, told in zip(rows, passages_for(arm.sheet, asked), strict=True):
        policy = "\n".join(["Our policy:", *(f"- {passage}" for passage in told)]) if told else ""
        system = "\n\n".join(part for part in (pack.system, policy) if part)
        turns = conversation(pack.model_copy(update={"system": system}), row)
        questions.append(Question(row.id, conversation=turns))
    facts = {"sheet": arm.sheet.name, "sheet_sha256": file_sha256(arm.sheet), "passages": PASSAGES}
    return Prepared(questions, {"generator": arm.generator.identity()}, facts)


def _shots(
    arm: Arm, pack: TaskPack, rows: Sequence[EvalRow], examples: pl.DataFrame, max_new_tokens: int
) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Example turns: one seeded choice for all rows, cut to as many as leave room for the longest row's answer."""
    order = list(range(len(examples)))
    # Sorted by content first, so that the choice depends on the snapshot's content and not on its row order.
    order.sort(key=lambda i: sha256_hex(examples["sha256"][i] + examples["pair_id"][i]))
    random.Random(SHOT_SEED).shuffle(order)
    chosen = order[: arm.shots]
    while True:
        turns = [
            {"role": role, "content": examples[column][i]}
            for i in chosen
            for role, column in (("user", "prompt"), ("assistant", "completion"))
        ]
        if not chosen or _fits(
            arm.generator, [conversation(pack, row, turns) for row in rows], max_new_tokens
        ):
            break
        chosen = chosen[:-1]
    pairs = [examples["pair_id"][i] for i in chosen]
    return turns, {"shots": len(chosen), "shots_wanted": arm.shots, "shot_pairs": pairs}


def _fits(generator: Any, conversations: list[list[dict[str, str]]], max_new_tokens: int) -> bool:
    """True when every conversation and its answer fit the context; unknown contexts (endpoints) count as wide."""
    count, room = getattr(generator, "count_tokens", None), getattr(generator, "context_tokens", None)
    if count is None or room is None:
        return True
    return max(count(conversations), default=0) + max_new_tokens <= room
