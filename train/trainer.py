"""The training loop: transformers' `Trainer` with our step, our checkpoints and our log.

Covers: a step over a packed batch in micro-batches normalised by the step's supervised tokens (across processes
too), atomic checkpoints without a single pickle, exact resume, the per-step record, stopping on a loss that is
no number.
Does not cover: what a run is made of and what it leaves behind (`train.run`).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback

from curate.errors import GoldpairError
from train.capabilities import in_threads
from train.packed import Packed, even_parts, micro_batches, pack, real_tokens, token_losses
from train.processes import decided_by_first, like, share, whole
from train.render import Rendered

Progress = Callable[[dict[str, Any]], None]


class TrainingStopped(GoldpairError):
    """A run ended before its time; the message says why and what is left of it."""


class Rows(Dataset[tuple[int, Rendered]]):
    """Rendered rows with their number, as the data loader wants them."""

    def __init__(self, rows: Sequence[Rendered]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, Rendered]:
        return index, self.rows[index]


class PackedTrainer(Trainer):
    """`transformers.Trainer` over packed rows.

    One batch of the data loader is one process's share of an optimizer step. ``micro_tokens`` bounds what is in
    memory at once; when memory still runs out it is halved and the step starts again with the same content. ``apart``
    is the number of cores that each take a part of a micro-batch's rows; 0 for all cores on each product.
    """

    model: Any  # both are set by the time anything here runs; the base class allows None
    optimizer: Any

    def __init__(
        self, *, micro_tokens: int, head: torch.Tensor | None = None, apart: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(data_collator=pack, **kwargs)
        self.micro_tokens, self.head, self.apart = micro_tokens, head, apart
        self._step: dict[str, Any] = {}
        self._clock = (time.monotonic(), time.process_time())

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Alone: the base class's. Among others: the same steps in every process, each keeping its share."""
        if self.args.world_size == 1:
            return super().get_train_dataloader()
        assert self.train_dataset is not None
        loader = DataLoader(
            self.train_dataset,
            batch_size=self._train_batch_size,
            sampler=self._get_train_sampler(),
            collate_fn=share,
        )
        return prepare_data_loader(
            loader,
            self.args.device,
            num_processes=1,  # so that accelerate shares out nothing of its own
            process_index=0,
            put_on_device=True,
            rng_types=list(self.accelerator.rng_types or ()),
            use_seedable_sampler=self.accelerator.use_seedable_sampler,
            data_seed=self.accelerator.dataloader_config.data_seed,
        )

    def training_step(
        self, model: torch.nn.Module, inputs: Packed, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Forward and backward of one process's share. Returns its part of the step's mean loss."""
        model.train()
        inputs = self._prepare_inputs(inputs)
        supervised = int(inputs["shift_labels"].ne(-100).sum())
        # gradients are averaged over processes, so the sum over all tokens needs the number of processes back
        scale = self.accelerator.num_processes / float(num_items_in_batch or supervised)
        while True:
            try:
                total = self._accumulate(model, inputs, scale)
                break
            except (MemoryError, RuntimeError) as error:
                alone = self.args.world_size == 1  # the others are in the middle of the same step
                whole = self.micro_tokens <= int(inputs["cu"].diff().max())
                if not _out_of_memory(error) or whole or not alone:
                    raise
                model.zero_grad()
                self.micro_tokens = max(self.micro_tokens // 2, 16)
                self.log({"micro_tokens": self.micro_tokens})
        counts = torch.tensor([real_tokens(inputs) if supervised else 0, supervised], device=self.args.device)
        tokens, supervised = self.accelerator.reduce(counts, "sum").tolist()
        self._step = {"tokens": tokens, "supervised": supervised}
        return total

    def _accumulate(self, model: torch.nn.Module, inputs: Packed, scale: float) -> torch.Tensor:
        total = torch.zeros((), device=self.args.device)
        parts = micro_batches(inputs, self.micro_tokens)
        for number, part in enumerate(parts):
            if self.apart:
                total += self._apart(model, part, scale)
                continue
            last = number == len(parts) - 1
            with nullcontext() if last else self.accelerator.no_sync(model):
                loss = self._loss(model, part, scale)
                self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def _apart(self, model: torch.nn.Module, part: Packed, scale: float) -> torch.Tensor:
        """One micro-batch, its rows shared out to the cores; gradients are added in the order of the rows."""
        weights = [weight for weight in model.parameters() if weight.requires_grad]

        def learn(rows: Packed) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
            loss = self._loss(model, rows, scale)
            return loss.detach(), torch.autograd.grad(loss, weights)

        total = torch.zeros(())
        for loss, gradients in in_threads(learn, even_parts(part, self.apart), self.apart):
            total += loss
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
        return total

    def _loss(self, model: torch.nn.Module, part: Packed, scale: float) -> torch.Tensor:
        loss = token_losses(model, part, self.head).sum() * scale
        if not torch.isfinite(loss):
            self._refuse_loss(part, float(loss.detach()))
        return loss

    def _refuse_loss(self, part: Packed, value: float) -> None:
        assert self.train_dataset is not None
        rows = [self.train_dataset[number][1].pair_id for number in part["rows"].tolist()]
        raise TrainingStopped(
            f"The loss became {value} at step {self.state.global_step + 1}, in a micro-batch with the pairs "
            f"{', '.join(rows)}. The last checkpoint is kept. Look at those pairs, lower learning_rate, or set "
            'precision = "fp32".'
        )

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, where a run had ended already and was interrupted before its version was there."""
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def log_aside(self, logs: dict[str, float], started: tuple[float, float]) -> None:
        """Log what is no part of a step's learning, with its own seconds; the step is not charged for them.

        ``started``: `time.monotonic` and `time.process_time` when it began.
        """
        wall, cpu = time.monotonic() - started[0], time.process_time() - started[1]
        self._clock = (self._clock[0] + wall, self._clock[1] + cpu)
        self.log({**logs, "seconds": round(wall, 4), "cpu_seconds": round(cpu, 4)})

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add tokens, seconds and CPU seconds to a step's entry; they add up over resumed runs."""
        if "loss" in logs:
            wall, cpu = time.monotonic(), time.process_time()
            logs |= {
                **self._step,
                "seconds": round(wall - self._clock[0], 4),
                "cpu_seconds": round(cpu - self._clock[1], 4),
            }
            self._clock = (wall, cpu)
        super().log(logs, start_time)

    # ---- checkpoints: safetensors and JSON only, complete or absent

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any = None) -> None:
        weights = self.weights()
        optimizer = _optimizer_tensors(self.optimizer)
        if not self.args.should_save:  # it took part in putting tensors together
            return
        folder = Path(str(self.args.output_dir))
        partial = folder / f".partial-{self.state.global_step}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(weights, partial / "weights.safetensors")
        save_file(optimizer, partial / "optimizer.safetensors")
        save_file(random_tensors(), partial / "random.safetensors")
        assert self.lr_scheduler is not None
        scheduler = {k: v for k, v in self.lr_scheduler.state_dict().items() if k != "lr_lambdas"}
        _write(partial / "scheduler.json", json.dumps(scheduler))
        callbacks: Any = self.state.stateful_callbacks  # a dict by now, whatever its annotation says
        callbacks["TrainerControl"] = self.control.state()
        self.state.save_to_json(str(partial / "trainer_state.json"))
        for path in partial.iterdir():
            _sync(path)
        final = folder / f"checkpoint-{self.state.global_step}"
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _sync(folder)
        best = folder / f"checkpoint-{self.state.best_global_step}"  # of a run that may stop early
        for old in checkpoints(folder)[:-2]:
            if old != best:
                shutil.rmtree(old, ignore_errors=True)

    def weights(self) -> dict[str, torch.Tensor]:
        """What learns, by name, put together from all processes."""
        model = self.accelerator.unwrap_model(self.model)
        return {
            name: whole(p.detach()).contiguous() for name, p in model.named_parameters() if p.requires_grad
        }

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        saved = load_file(Path(resume_from_checkpoint) / "weights.safetensors")
        own = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if saved.keys() != own.keys():
            raise TrainingStopped(f"{resume_from_checkpoint} belongs to another model; delete that folder.")
        with torch.no_grad():
            for name, value in saved.items():
                own[name].copy_(like(value, own[name]))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        tensors = load_file(Path(checkpoint) / "optimizer.safetensors")
        learned = [p for group in self.optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            number, key = name.split(".", 1)
            of = learned[int(number)]
            state.setdefault(int(number), {})[key] = like(value, of) if value.shape == of.shape else value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        assert self.lr_scheduler is not None
        scheduler = json.loads((Path(checkpoint) / "scheduler.json").read_text())
        self.lr_scheduler.load_state_dict({**self.lr_scheduler.state_dict(), **scheduler})
        for group, rate in zip(self.optimizer.param_groups, scheduler["_last_lr"], strict=True):
            group["lr"] = rate

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            restore_random(load_file(Path(checkpoint) / "random.safetensors"))


class Reporter(TrainerCallback):
    """Turns the trainer's log into progress calls, and ends a run whose minutes or steps are spent."""

    def __init__(
        self, progress: Progress | None, max_minutes: float | None, stop_after: int | None = None
    ) -> None:
        self.progress, self.max_minutes, self.stop_after = progress, max_minutes, stop_after
        self.started = time.monotonic()
        self.ended = ""  # why it ended here

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stop_after is not None and state.global_step >= self.stop_after:
            self.ended = "stop_after"  # ended here before, and was interrupted before it was published
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.max_minutes is not None:
            spent = time.monotonic() - self.started > self.max_minutes * 60
            if decided_by_first(spent, str(args.device)):
                self.ended = "max_minutes"
        if self.stop_after is not None and state.global_step >= self.stop_after:
            self.ended = "stop_after"
        if self.ended:
            control.should_training_stop = control.should_save = True

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if self.progress is None or not logs or "loss" not in logs:
            return
        recent = [entry for entry in state.log_history if "tokens" in entry][-8:]
        seconds = sum(entry["seconds"] for entry in recent)
        per_step = seconds / len(recent)
        last: dict[str, Any] = next((e for e in reversed(state.log_history) if "eval_loss" in e), {})
        look: dict[str, Any] = {key: last[key] for key in ("eval_loss", "eval_score") if key in last}
        self.progress(
            {
                "step": state.global_step,
                "steps": state.max_steps,
                "loss": logs["loss"],
                "tokens_per_s": sum(entry["tokens"] for entry in recent) / max(seconds, 1e-9),
                "eta_s": per_step * (state.max_steps - state.global_step),
                **look,
            }
        )


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints in a folder, oldest first."""
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "not enough memory" in str(error)


def _optimizer_tensors(optimizer: Any) -> dict[str, torch.Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{key}": whole(value) for number, entry in state.items() for key, value in entry.items()
    }


def random_tensors() -> dict[str, torch.Tensor]:
    """The state of every source of random numbers, as tensors: a checkpoint holds no pickle."""
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state(legacy=True)
    _kind, keys, position, has_gauss, cached = legacy
    found = {
        "torch": torch.random.get_rng_state(),
        "python": torch.tensor([version, *internal], dtype=torch.int64),
        "python_gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss], dtype=torch.int64),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def restore_random(saved: dict[str, torch.Tensor]) -> None:
    """Put back what `random_tensors` gave."""
    torch.random.set_rng_state(saved["torch"])
    version, *internal = saved["python"].tolist()
    gauss = float(saved["python_gauss"])
    random.setstate((version, tuple(internal), None if np.isnan(gauss) else gauss))
    *keys, position, has_gauss = saved["numpy"].tolist()
    np.random.set_state(
        ("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, float(saved["numpy_gauss"]))
    )
    if "cuda" in saved and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["cuda"])


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
