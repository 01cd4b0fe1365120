"""Getting the answers of one arm: what is known is kept, what fails for the machine's reasons is named.

Covers: keys of answers, the cache, one retry of questions that a model or an endpoint could not answer, asking a few
questions a second time to see whether decoding repeats itself.
Does not cover: prompts (`evals.arms`), decoding (`evals.generate`), scores (`evals.run`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.contract import canonical_json, sha256_hex
from curate.tasks import Generation as Decoding
from evals.arms import Arm, Prepared
from evals.generate import CachedGenerator, Generation, GenerationError, Generator

Progress = Callable[[str, int, int], None]  # arm, answers done, answers wanted

REPEATED = 8  # questions asked twice to see whether decoding repeats itself
GIVE_UP = 0.1  # share of questions that may fail before the run itself stops (what is answered is kept)
INFRASTRUCTURE = "infrastructure"  # kind of a gap that no model is to blame for


def answers_of(
    arm: Arm,
    prepared: Prepared,
    order: Sequence[str],
    decoding: Decoding,
    known: Mapping[str, Mapping[str, Any]],
    cache: Path | str | None,
    progress: Progress | None,
    repeat: dict[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, str]], dict[str, Any] | None]:
    """Answers in the order of the row ids, gaps, and what asking twice showed (None without a generator).

    ``repeat`` is what an earlier run of the same arm showed. A gap is ``{"arm", "row_id", "reason", "kind"}``.
    Raises `GenerationError` when more than a tenth of the questions fail twice: that is an outage, and the run goes on
    from here when it is started again.
    """
    found: dict[str, dict[str, Any]] = {}
    wanted: list[tuple[str, str, list[dict[str, str]]]] = []
    asked_all: list[tuple[str, list[dict[str, str]]]] = []
    gaps = [
        {"arm": arm.name, "row_id": q.row_id, "reason": q.gap, "kind": "missing"}
        for q in prepared.questions
        if q.gap
    ]
    for question in prepared.questions:
        if question.gap:
            continue
        asked: dict[str, Any] = {"identity": prepared.identity, "row": question.row_id}
        if question.conversation is not None:
            asked = {"identity": prepared.identity, "input": question.conversation}
            asked["decoding"] = decoding.model_dump(mode="json")
        else:
            asked |= {"text": question.text, "support": question.support}
        key = sha256_hex(canonical_json(asked))
        blank = {"key": key, "arm": arm.name, "row_id": question.row_id, "support": question.support}
        if question.conversation is None:
            cost = {"prompt_tokens": 0, "completion_tokens": 0, "seconds": 0.0}
            found[question.row_id] = blank | {"text": question.text} | cost
            continue
        asked_all.append((question.row_id, question.conversation))
        if key in known:
            found[question.row_id] = dict(known[key]) | blank
        else:
            wanted.append((question.row_id, key, question.conversation))
    if wanted:
        assert arm.generator is not None
        generator: Generator = arm.generator
        if cache is not None:
            generator = CachedGenerator(generator, Path(cache))
        done = len(found)
        results = _ask(
            generator,
            [turns for _, _, turns in wanted],
            decoding,
            None if progress is None else lambda now, _: progress(arm.name, done + now, done + len(wanted)),
        )
        for (row_id, key, _), result in zip(wanted, results, strict=True):
            if isinstance(result, str):
                gaps.append({"arm": arm.name, "row_id": row_id, "reason": result, "kind": INFRASTRUCTURE})
                continue
            found[row_id] = {
                "key": key,
                "arm": arm.name,
                "row_id": row_id,
                "support": "",
                "text": result.text,
                "prompt_tokens": result.prompt_tokens,
                "completion_tokens": result.completion_tokens,
                "seconds": result.seconds,
            }
    made = [found[row_id] for row_id in order if row_id in found]
    if repeat is None and arm.kind == "model" and made:
        assert arm.generator is not None
        texts = {answer["row_id"]: answer["text"] for answer in made}
        sample = [(turns, texts[row_id]) for row_id, turns in asked_all if row_id in texts]
        repeat = _repeat(arm.generator, sample, decoding, cache)
    return made, gaps, repeat


def _ask(
    generator: Generator,
    conversations: Sequence[Sequence[Mapping[str, str]]],
    decoding: Decoding,
    progress: Callable[[int, int], None] | None,
) -> list[Generation | str]:
    """An answer for each conversation, or why there is none after a second try."""

    def answers(some: Sequence[Sequence[Mapping[str, str]]], shown: Any = None) -> list[Generation]:
        made = generator.generate(
            some,
            max_new_tokens=decoding.max_new_tokens,
            repetition_penalty=decoding.repetition_penalty,
            progress=shown,
        )
        if len(made) != len(some):
            raise GenerationError(f"{len(made)} answers came back for {len(some)} questions.")
        return made

    try:
        return list(answers(conversations, progress))
    except GenerationError as error:
        first = error
    # One by one, so that a question that cannot be answered takes no other with it.
    found: list[Generation | str] = []
    failed = 0
    for number, conversation in enumerate(conversations):
        try:
            found += answers([conversation])
        except GenerationError as error:
            found.append(" ".join(str(error).split())[:300])
            failed += 1
            if failed > max(1, GIVE_UP * len(conversations)):
                raise GenerationError(
                    f"{failed} of {number + 1} questions failed twice, so this is an outage and no result. What was "
                    f"answered is kept; run the same command again. First error: {first}"
                ) from error
        if progress is not None:
            progress(number + 1, len(conversations))
    return found


def _repeat(
    generator: Generator,
    sample: Sequence[tuple[Sequence[Mapping[str, str]], str]],
    decoding: Decoding,
    cache: Path | str | None,
) -> dict[str, Any]:
    """Ask a few questions again, past every cache: ``{"asked", "same", "steady"}``. Remembered beside the cache.

    ``same`` counts answers equal to the run's. Where some differ they are asked once more: ``steady`` counts those
    equal to the second time. In bf16 an answer depends on the batch that it is made in, so that ``same`` falls and
    ``steady`` does not; where decoding draws at random both fall.
    """
    # Chosen by content, so that the same rows are asked whatever the order of the file.
    chosen = sorted(sample, key=lambda item: sha256_hex(canonical_json([dict(turn) for turn in item[0]])))
    chosen = chosen[:REPEATED]
    key = sha256_hex(
        canonical_json(
            {
                "model": generator.identity(),
                "decoding": decoding.model_dump(mode="json"),
                "asked": [[[dict(turn) for turn in turns], text] for turns, text in chosen],
            }
        )
    )
    path = Path(cache) / "repeats" / f"{key}.json" if cache is not None else None
    if path is not None:
        try:
            kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return kept
        except (OSError, ValueError):  # absent or damaged: asked again
            pass

    def ask() -> list[str]:
        made = generator.generate(
            [turns for turns, _ in chosen],
            max_new_tokens=decoding.max_new_tokens,
            repetition_penalty=decoding.repetition_penalty,
        )
        return [answer.text for answer in made]

    try:
        again = ask()
        same = sum(a == text for a, (_, text) in zip(again, chosen, strict=True))
        steady = len(chosen) if same == len(chosen) else sum(map(str.__eq__, again, ask()))
    except GenerationError as error:
        return {"asked": 0, "same": 0, "steady": 0, "why": " ".join(str(error).split())[:300]}
    result = {"asked": len(chosen), "same": same, "steady": steady}
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{key}.{os.getpid()}")
        scratch.write_text(json.dumps(result), "utf-8")
        scratch.replace(path)
    return result
