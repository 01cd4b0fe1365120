"""Looking at the validation split while a model learns: its loss, a task's own score, and the stop that may follow.

Covers: when to look, which pairs are asked, which look was the best one, when patience is spent.
Does not cover: the scorer, which this room does not know: whoever may know it hands `train.fine_tune` a `Judge`. The
frozen eval set plays no part here; what is asked are pairs of the snapshot's validation split.

A look is part of its step: it is taken before the step's checkpoint is written, so a run that goes on from there has it
in its log, and stops and keeps what the run without the interruption would have.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from transformers import TrainerCallback

from curate.contract import sha256_hex
from train.capabilities import in_threads
from train.packed import micro_batches, pack, row_losses
from train.processes import decided_by_first, sharded
from train.recipe import Recipe
from train.render import Rendered
from train.samples import as_in_use
from train.trainer import PackedTrainer, TrainingStopped, random_tensors, restore_random

RowLoss = tuple[str, float, int]  # pair id, mean loss in nats per supervised token, supervised tokens
Exam = Callable[[Any], Sequence[float | None]]  # the model as in use -> a score for each pair that is asked


class Judge(Protocol):
    """Lets a model answer pairs and scores the answers; made outside of this room."""

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the scores besides pairs and model, as JSON: it becomes part of the run's identity."""

    def __call__(
        self, rows: Sequence[Mapping[str, Any]], model: Any, tokenizer: Any, stops: set[int]
    ) -> list[float | None]:
        """Higher is better; None where an answer could not be judged. ``rows`` are those of a snapshot."""


def asked_pairs(rows: Sequence[Mapping[str, Any]], recipe: Recipe) -> list[dict[str, Any]]:
    """The ``recipe.early_stop_pairs`` rows that are asked at every look, drawn by the recipe's seed and their ids."""
    order = sorted(rows, key=lambda row: sha256_hex(f"{recipe.seed}:{row['pair_id']}"))
    return [dict(row) for row in order[: recipe.early_stop_pairs]]


def losses(
    model: Any, rows: Sequence[Rendered], micro_tokens: int, head: torch.Tensor | None = None
) -> list[RowLoss]:
    """Loss of every row under the model as it is, in the order of ``rows``; ``head`` as for `token_losses`."""
    if not rows:
        return []
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    found: dict[int, tuple[float, int]] = {}
    packed = {k: v.to(device) for k, v in pack(list(enumerate(rows))).items()}
    threads = torch.get_num_threads() if device.type == "cpu" and not sharded() else 1
    parts = micro_batches(packed, micro_tokens // threads)
    for part in in_threads(lambda part: row_losses(model, part, head), parts, threads):
        for number, loss, count in part:
            found[number] = (loss, count)
    model.train(was_training)
    return [(row.pair_id, *found[number]) for number, row in enumerate(rows)]


def mean_loss(found: Sequence[RowLoss]) -> float:
    """Mean loss in nats per supervised token over all rows."""
    return sum(loss * count for _, loss, count in found) / max(1, sum(count for _, _, count in found))


def looks(log: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries of a run's log that are looks at the validation split, oldest first."""
    return [entry for entry in log if "eval_loss" in entry]


def best_of(found: Sequence[Mapping[str, Any]]) -> int:
    """Number of the best look: the highest score, where there is one, then the lowest loss, then the earliest.

    A score over a few answers takes few values, so equal ones are common; the loss tells those apart.
    """
    return min(range(len(found)), key=lambda i: (-found[i].get("eval_score", 0.0), found[i]["eval_loss"]))


def patience_spent(found: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Were the last ``patience`` looks no better than one before them?"""
    return bool(found) and len(found) - 1 - best_of(found) >= patience


class Validator(TrainerCallback):
    """Looks at the validation split at the end of every epoch and at the last step."""

    def __init__(self, rows: Sequence[Rendered], recipe: Recipe, exam: Exam | None = None) -> None:
        self.rows, self.recipe, self.exam = rows, recipe, exam
        self.trainer: PackedTrainer | None = None
        self.head: torch.Tensor | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        patience = self.recipe.early_stop
        if patience is not None and patience_spent(looks(state.log_history), patience):
            control.should_training_stop = (
                True  # it had ended here and was interrupted before it was published
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not control.should_training_stop and not float(state.epoch).is_integer():
            return
        assert self.trainer is not None
        started = time.monotonic(), time.process_time()
        found = {
            "eval_loss": mean_loss(losses(self.trainer.model, self.rows, self.recipe.micro_tokens, self.head))
        }
        if self.exam is not None:
            found |= self._score(self.exam)
        self.trainer.log_aside(found, started)
        control.should_log = True  # logging took the step's own turn
        patience = self.recipe.early_stop
        if patience is None:
            return
        history = looks(state.log_history)
        device = str(args.device)  # losses may differ in their last bit between processes; decisions must not
        if decided_by_first(best_of(history) == len(history) - 1, device):
            state.best_global_step = state.global_step
            control.should_save = True
        if decided_by_first(patience_spent(history, patience), device):
            control.should_training_stop = control.should_save = True

    def _score(self, exam: Exam) -> dict[str, float]:
        """Ask and judge without a trace in the run: random numbers and threads are as before afterwards."""
        assert self.trainer is not None
        before, threads = random_tensors(), torch.get_num_threads()
        try:
            with as_in_use(self.trainer.model), torch.no_grad():
                scores = exam(self.trainer.model)
        finally:
            restore_random(before)
            torch.set_num_threads(threads)
        judged = [score for score in scores if score is not None]
        if not judged:
            raise TrainingStopped(
                f"None of {len(scores)} answers could be judged by suite {self.recipe.early_stop_on!r} at step "
                f"{self.trainer.state.global_step}. The last checkpoint is kept. `goldpair doctor` shows what the "
                'scorer needs; early_stop_on = "loss" needs no scorer.'
            )
        return {"eval_score": statistics.fmean(judged), "eval_judged": len(judged)}
