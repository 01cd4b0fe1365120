"""How much memory a run will need, before it starts: weights, what the optimizer keeps, activations.

Covers: an estimate that runs the model's own forward on tensors without storage (torch's meta device) and counts what
autograd keeps; memory that is free on the device. Does not cover: fragmentation and other processes.

Exact: weights, adapters, gradients, the two moments of AdamW, saved activations. By rule: what backward holds on top
of them for a moment (`WORKING` copies of the widest activation), what a CPU's allocator keeps of freed blocks (`HEAP`),
and what the process weighs without a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from train.capabilities import capabilities
from train.recipe import Recipe

MB = 2**20
SHARE = 0.9  # of the free memory that a run may plan with
WORKING = 4  # gradients and products of one MLP block, which live while backward is in it
HEAP = 1.3  # fitted to the resident memory of SmolLM2-135M runs: bf16, fp32, checkpointed, full
NF4_BITS = 4.127  # a weight in four bits with doubly quantised constants (Dettmers et al. 2023, section 3)
ADAMW = 16  # bytes a learned fp32 weight costs: itself, its gradient, two moments


@dataclass(frozen=True)
class Memory:
    """Megabytes (2**20 bytes). ``process_mb`` is python with torch, or the context of an accelerator."""

    process_mb: float
    weights_mb: float  # frozen
    learned_mb: float  # weights that learn, their gradients and the optimizer's moments
    activations_mb: float
    learned_weights: int
    tokens: int  # in memory at once

    @property
    def total_mb(self) -> float:
        return self.process_mb + self.weights_mb + self.learned_mb + self.activations_mb

    def record(self) -> dict[str, Any]:
        return {key: round(value, 1) for key, value in {**asdict(self), "total_mb": self.total_mb}.items()}


def estimate(
    base: Path, recipe: Recipe, longest: int, *, checkpointing: bool = False, device: str | None = None
) -> Memory:
    """Memory of training on the base in folder ``base``; only its ``config.json`` is read.

    ``longest`` is the tokens of the longest row. As many rows of that length are assumed to lie in memory at once as
    ``recipe.micro_tokens`` allows, all their tokens supervised: the most that a step can need. ``device`` defaults to
    this machine's.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    from train.fit import add_lora
    from train.fused import fuse_lora
    from train.packed import ATTENTION

    device = device or capabilities().device
    dtype = torch.float32 if recipe.method == "full" else capabilities().dtype(recipe.precision)
    rows = min(recipe.batch, max(1, recipe.micro_tokens // max(1, longest)))
    with torch.device("meta"):
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=ATTENTION)
        in_four_bits = _linear_weights(model) if recipe.quantize == "nf4" else 0
        if recipe.method == "lora":
            model = add_lora(model, recipe)
            if device == "cpu":
                fuse_lora(model)
        projected = device == "cpu" and recipe.method == "lora"  # `train.fused.projected_head`
        saved = _saved_bytes(model, config, rows, longest, projected)
        if checkpointing:
            one_layer = saved // config.num_hidden_layers  # computed again while backward is in it
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            saved = one_layer + _saved_bytes(model, config, rows, longest, projected)
        learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
        frozen = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
        frozen += int(in_four_bits * (NF4_BITS / 8 - dtype.itemsize))
    return Memory(
        process_mb=_process_mb(device),
        weights_mb=frozen / MB,
        learned_mb=learned * ADAMW / MB,
        activations_mb=saved / MB * (HEAP if device == "cpu" else 1.0),
        learned_weights=learned,
        tokens=rows * longest,
    )


def free_memory_mb() -> float:
    """What this process may still take on the device, its own included where that is the machine's memory."""
    import psutil

    if capabilities().device == "cuda":
        return torch.cuda.mem_get_info()[0] / MB
    return (psutil.virtual_memory().available + psutil.Process().memory_info().rss) / MB


def _process_mb(device: str) -> float:
    import psutil

    return 0.0 if device != "cpu" else psutil.Process().memory_info().rss / MB


def _linear_weights(model: Any) -> int:
    """Weights that four-bit loading quantises: every linear layer but the vocabulary projection."""
    head = model.get_output_embeddings()
    return sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )


def _saved_bytes(model: Any, config: Any, rows: int, longest: int, projected: bool) -> int:
    """Bytes that autograd keeps for backward of one micro-batch, and what backward works in."""
    tokens = rows * longest
    model.train()
    with _counting(model) as kept:
        hidden = {
            "input_ids": torch.zeros(1, tokens, dtype=torch.long),
            "attention_mask": torch.ones(
                1, tokens
            ),  # else transformers reads positions, which have no values here
            "cu": [longest * n for n in range(rows + 1)],
            "shared": 0,
            "use_cache": False,
        }
        if projected:  # the logits are never there all at once
            model.get_output_embeddings().forward = lambda hidden: hidden
            model(**hidden)
        else:
            logits = model(**hidden).logits[0]
            torch.nn.functional.cross_entropy(logits.float(), torch.zeros(tokens, dtype=torch.long))
    widest = max(getattr(config, "intermediate_size", 0), config.hidden_size)
    size = torch.empty((), dtype=model.dtype).element_size()
    head = (
        0 if projected else 2 * tokens * config.vocab_size * 4
    )  # gradients of the logits, twice for a moment
    return sum(kept.values()) + max(WORKING * tokens * widest * size, head)


@contextmanager
def _counting(model: Any) -> Iterator[dict[int, int]]:
    """Storages that autograd saves while the context lasts, in bytes, parameters left out."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, int] = {}
    alive = []  # an address must not be used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept
