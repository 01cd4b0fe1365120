"""Sketches of loss gradients: which way each pair pushes what a model learned with.

Covers: the gradient of an answer's loss with respect to some weights, put into few numbers that keep angles about as
they were. Does not cover: which weights (`evals.generate`), what follows from two that agree (`evals.blame`).

Signed count sketch (Charikar and others 2002): every weight goes to one seeded place with a seeded sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def last_block(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Weights of a transformer's last block, where a full fine-tune's gradients are taken.

    All of its weights would cost a backward pass through the whole model for every pair, and memory for as many places.
    """
    # `modules` goes from the outside in, so the first list of modules is that of the blocks
    blocks = next((m for m in model.modules() if isinstance(m, torch.nn.ModuleList)), None)
    return list((blocks[-1] if blocks else model).parameters())


def sketches(
    model: Any,
    weights: Sequence[torch.nn.Parameter],
    prompts: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
    end: int,
    dimensions: int,
    seed: int,
) -> NDArray[np.float32]:
    """Sketch of each answer's loss gradient, shape (answers, dimensions); ``end`` is the token that ends a turn."""
    found = np.zeros((len(texts), dimensions), np.float32)
    random_ = torch.Generator().manual_seed(seed)
    places = [torch.randint(dimensions, (w.numel(),), generator=random_) for w in weights]
    signs = [torch.randint(2, (w.numel(),), generator=random_).float() * 2 - 1 for w in weights]
    learning = [(weight, weight.requires_grad) for weight in model.parameters()]
    model.requires_grad_(False)  # so that backward ends where the first of the weights is
    for weight in weights:
        weight.requires_grad_(True)
    try:
        for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            ids = torch.tensor([[*prompt, *text, end]], device=model.device)
            labels = ids.clone()
            labels[0, : len(prompt)] = -100
            with torch.enable_grad():
                loss = model(input_ids=ids, labels=labels).loss
                gradients = torch.autograd.grad(loss, list(weights))
            sketch = torch.zeros(dimensions)
            for gradient, place, sign in zip(gradients, places, signs, strict=True):
                sketch.index_add_(0, place, gradient.float().cpu().flatten() * sign)
            found[number] = sketch.numpy()
    finally:
        for weight, before in learning:
            weight.requires_grad_(before)
    return found
