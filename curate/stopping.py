"""A task's own scorer for a model in memory: one that is still learning, so that a run can stop when its answers stop
getting better, or one that an export wrote.

Covers: what `train` is handed: greedy answers to pairs of the snapshot's validation split, by the pack's decoding,
judged by a suite. Does not cover: when to look and when to stop (`train.validate`), the frozen eval set, which no
training run ever sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.tasks import Suite, TaskPack, load_pack


@dataclass(frozen=True)
class SuiteJudge:
    """A suite as the judge of validation answers (`train.validate.Judge`)."""

    pack_folder: Path
    pack: TaskPack
    suite: Suite

    @property
    def identity(self) -> dict[str, Any]:
        """Suite, scorer with its version, parameters and what it learned from, decoding."""
        import evals
        from evals.run import learned_from

        return {
            "suite": self.suite.name,
            "metric": self.suite.metric,
            "version": evals.scorer_version(self.suite.metric),
            "params": self.suite.params,
            "primary": self.suite.primary,
            "learned_from": learned_from(self.pack_folder, self.suite.metric),
            "decoding": self.pack.model.generation.model_dump(mode="json"),
        }

    def __call__(
        self, rows: Sequence[Mapping[str, Any]], model: Any, tokenizer: Any, stops: set[int]
    ) -> list[float | None]:
        """The suite's primary number of each answer; None where the scorer could not judge, asked twice."""
        from curate.preflight import as_eval_row
        from evals.generate import greedy_answers
        from evals.run import primary_of, score_twice
        from train.render import messages_of

        answers = greedy_answers(
            model,
            tokenizer,
            stops,
            [messages_of(row) for row in rows],
            **self.pack.model.generation.model_dump(),
        )
        asked = [as_eval_row(row, self.suite) for row in rows]
        texts = [answer.text for answer in answers]
        result = score_twice(self.suite.metric, asked, texts, self.suite.params, self.pack_folder)
        subscores = result.get("subscores") or [{} for _ in texts]
        errors = result.get("errors") or [None for _ in texts]
        return [
            None if error else primary_of(self.suite, float(score), beside)
            for score, beside, error in zip(result["scores"], subscores, errors, strict=True)
        ]


def judge_of(recipe: Any, pack_folder: Path) -> SuiteJudge | None:
    """The judge that a recipe asks for; None where it stops by the loss, or never early.

    Raises `UsageError` naming the pack's suites when it has none of that name.
    """
    if recipe.early_stop is None or recipe.early_stop_on == "loss":
        return None
    pack = load_pack(pack_folder)
    found = next((suite for suite in pack.suites if suite.name == recipe.early_stop_on), None)
    if found is None:
        known = ", ".join(["loss", *(suite.name for suite in pack.suites)])
        raise UsageError(
            f"early_stop_on = {recipe.early_stop_on!r} is no suite of task {pack.name}. It may be: {known}."
        )
    return SuiteJudge(pack_folder, pack, found)


def judges_of(pack_folder: Path) -> list[SuiteJudge]:
    """A judge for every suite of a pack."""
    pack = load_pack(pack_folder)
    return [SuiteJudge(pack_folder, pack, suite) for suite in pack.suites]
