"""Fit adapters to rendered rows: the model, the optimizer, the loop, and nothing about snapshots.

Covers: loading the base (whole or in four bits), adding LoRA or letting every weight learn, training with resume,
looks at the validation split with early stop (`train.validate`), the weights of the best one.
Does not cover: where rows come from and whether they may be trained on (`train.run`), what is saved.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from curate.errors import UsageError
from train.capabilities import capabilities, quiet, use_threads
from train.fused import fuse_lora, projected_head
from train.memory import SHARE, estimate, free_memory_mb
from train.packed import ATTENTION
from train.processes import local_device, sharded, world_size
from train.recipe import Recipe
from train.render import Rendered
from train.samples import Sampler
from train.trainer import PackedTrainer, Progress, Reporter, Rows, TrainingStopped, checkpoints
from train.validate import Exam, Validator, looks


@dataclass
class Fit:
    """A trained model and what happened on the way. ``log`` has one entry per step and per validation."""

    model: Any  # a PeftModel, or the whole model of a full fine-tune
    weights: dict[str, torch.Tensor] | None  # put together from all processes where they were spread
    log: list[dict[str, Any]]
    steps: int
    planned_steps: int
    ended: str  # "complete", "max_minutes", "early_stop" or "stop_after"
    threads: int
    dtype: str
    resumed_from: int = 0
    memory: dict[str, Any] = field(default_factory=dict)  # `train.memory`'s estimate, before it started
    checkpointing: bool = False  # of activations
    kept: dict[str, Any] | None = None  # the look whose weights these are; None: those of the last step


def load_base(folder: Path, recipe: Recipe, device: str | None = None) -> Any:
    """The base model in the recipe's number format, with packed attention.

    ``quantize = "nf4"`` holds the linear layers in four bits (QLoRA: Dettmers et al. 2023) with doubly quantised
    constants, multiplied in the recipe's number format. Raises `UsageError` without bitsandbytes.
    """
    quiet()
    caps = capabilities()
    device = device or local_device(caps.device)
    more: dict[str, Any] = {}
    if recipe.quantize == "nf4":
        more = {"quantization_config": _four_bits(caps.dtype(recipe.precision)), "device_map": {"": device}}
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32 if recipe.method == "full" else caps.dtype(recipe.precision),
        attn_implementation=ATTENTION,
        trust_remote_code=False,
        use_safetensors=True,
        **more,
    )
    return model if more else model.to(device)


def _four_bits(dtype: torch.dtype) -> Any:
    import importlib.util

    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(
            'quantize = "nf4" needs bitsandbytes, which is not installed: pip install "goldpair[gpu]".'
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def prepare(base: Path, recipe: Recipe, base_name: str | None = None) -> Any:
    """The model a run learns with: base and fresh adapters, or the base itself, every weight of it learning."""
    model = load_base(base, recipe)
    if recipe.method == "full":
        set_seed(recipe.seed)
        return model
    return add_lora(model, recipe, base_name)


def add_lora(model: Any, recipe: Recipe, base_name: str | None = None) -> PeftModel:
    """LoRA on the recipe's layers, fp32, initialised from its seed (so that a rerun starts the same)."""
    set_seed(recipe.seed)
    targets = recipe.lora.targets
    config = LoraConfig(
        r=recipe.lora.r,
        lora_alpha=recipe.lora.alpha,  # type: ignore[arg-type]
        lora_dropout=recipe.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_name,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The PEFT config's `base_model_name_or_path`")
        tuned = get_peft_model(model, config, autocast_adapter_dtype=True)
    if base_name is not None:  # get_peft_model puts the path of this machine there
        tuned.peft_config["default"].base_model_name_or_path = base_name
    return tuned


def fit(
    rows: Sequence[Rendered],
    base: Path,
    recipe: Recipe,
    work: Path,
    *,
    base_name: str | None = None,
    validation: Sequence[Rendered] = (),
    progress: Progress | None = None,
    model: Any = None,
    stop_after: int | None = None,
    exam: Exam | None = None,
) -> Fit:
    """Train on ``rows``; continues from the last checkpoint in ``work`` if there is one. ``model`` is `prepare`'s.

    ``exam`` scores the model at every look at ``validation``. A recipe with ``early_stop`` ends with the weights of the
    best look.

    Raises `train.trainer.TrainingStopped` when the loss is no number.
    """
    threads = use_threads(recipe.threads)
    if model is None:
        model = prepare(base, recipe, base_name)
    if capabilities().device == "cpu" and not sharded():
        fuse_lora(model)
    memory, checkpointing = _plan_memory(model, base, rows, recipe)
    reporter = Reporter(progress, recipe.max_minutes, stop_after)
    callbacks: list[TrainerCallback] = [reporter]
    validator = Validator(validation, recipe, exam) if validation else None
    if validator is not None:
        callbacks.append(validator)
    if recipe.sample_steps is not None:
        callbacks.append(Sampler(validation or rows, base, recipe, work))
    found = checkpoints(work)
    with nullcontext() if sharded() else projected_head(model, _few_tokens(rows[0])) as head:
        trainer = PackedTrainer(
            model=model,
            args=_arguments(recipe, work, capabilities().device),
            train_dataset=Rows(rows),
            callbacks=callbacks,
            micro_tokens=recipe.micro_tokens,
            head=head,
            apart=threads if _rows_apart(recipe, checkpointing) else 0,
        )
        trainer.remove_callback(PrinterCallback)
        if validator is not None:
            validator.trainer, validator.head = trainer, head
        trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
        kept = _keep_best(trainer, work) if validator and recipe.early_stop is not None else None
        weights = trainer.weights() if sharded() else None
    ended = "complete"
    if trainer.state.global_step < trainer.state.max_steps:
        ended = reporter.ended or "early_stop"
    return Fit(
        model=model,
        weights=weights,
        log=[entry for entry in trainer.state.log_history if "train_runtime" not in entry],
        steps=trainer.state.global_step,
        planned_steps=trainer.state.max_steps,
        ended=ended,
        threads=threads,
        dtype=str(_dtype(model)).removeprefix("torch."),
        resumed_from=int(found[-1].name.rpartition("-")[2]) if found else 0,
        memory=memory,
        checkpointing=checkpointing,
        kept=kept,
    )


def _few_tokens(row: Rendered) -> dict[str, Any]:
    """Inputs of a model for what a row begins with: to try the projection on, the row itself takes seconds."""
    ids = torch.tensor([row.input_ids[:16]])
    count = ids.shape[1]
    return {"input_ids": ids, "position_ids": torch.arange(count)[None], "cu": [0, count], "use_cache": False}


def _keep_best(trainer: PackedTrainer, work: Path) -> dict[str, Any] | None:
    """Give the model the weights of its best look at the validation split; returns that entry of the log."""
    history = looks(trainer.state.log_history)
    step = trainer.state.best_global_step
    if not history or step is None:
        return None
    if step != trainer.state.global_step:
        folder = work / f"checkpoint-{step}"
        if not folder.is_dir():
            raise TrainingStopped(f"{folder} with the best weights is gone. Delete {work} and train again.")
        trainer._load_from_checkpoint(str(folder))
    best = next(entry for entry in reversed(history) if entry["step"] == step)
    return {key: best[key] for key in ("step", "eval_loss", "eval_score", "eval_judged") if key in best}


def _rows_apart(recipe: Recipe, checkpointing: bool) -> bool:
    """Whether cores take rows of their own: alone on a CPU, with few gradients to add, and nothing drawn at random."""
    return (
        capabilities().device == "cpu"
        and world_size() == 1
        and recipe.method == "lora"
        and not recipe.lora.dropout
        and not checkpointing
    )


def _dtype(model: Any) -> torch.dtype:
    """Number format of the base's weights; of its unquantised ones where the others are in four bits."""
    base = [p.dtype for p in model.parameters() if not p.requires_grad and p.dtype.is_floating_point]
    return (base or [p.dtype for p in model.parameters()])[0]


def _plan_memory(
    model: Any, base: Path, rows: Sequence[Rendered], recipe: Recipe
) -> tuple[dict[str, Any], bool]:
    """Estimate a run's memory and switch checkpointing of activations on where the recipe or the estimate says so."""
    longest = max(len(row.input_ids) for row in rows)
    free = free_memory_mb()
    found = estimate(base, recipe, longest)
    wanted = recipe.checkpointing == "on" or (
        recipe.checkpointing == "auto" and found.total_mb > SHARE * free
    )
    if wanted:
        found = estimate(base, recipe, longest, checkpointing=True)
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return {**found.record(), "free_mb": round(free, 1)}, wanted


def _trackers(names: Sequence[str]) -> list[str]:
    """Trackers that transformers can report to. Raises `UsageError` for one that is unknown or not installed."""
    from transformers.integrations import get_available_reporting_integrations

    installed = get_available_reporting_integrations()
    missing = sorted(set(names) - set(installed))
    if missing:
        raise UsageError(
            f"report_to: {', '.join(missing)} is not installed here or unknown. Install it, or leave it out; "
            f"there is: {', '.join(sorted(installed)) or 'none'}."
        )
    return list(names)


def _arguments(recipe: Recipe, work: Path, device: str) -> TrainingArguments:
    steps: dict[str, Any] = {"num_train_epochs": recipe.epochs}
    if recipe.max_steps is not None:
        steps["max_steps"] = recipe.max_steps
    return TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=recipe.batch,  # of all processes together, see train.processes
        gradient_accumulation_steps=1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup,  # below 1: a share of all steps
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim="adamw_torch_fused",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=recipe.checkpoint_steps,
        report_to=_trackers(recipe.report_to) or "none",
        seed=recipe.seed,
        data_seed=recipe.seed,
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=device == "cpu",
        dataloader_pin_memory=device != "cpu",
        dataloader_num_workers=0,
        ddp_backend="gloo" if device == "cpu" and world_size() > 1 else None,
        ddp_find_unused_parameters=False,
        **steps,
    )
