"""Fast CPU kernels of the training step, as autograd functions over plain torch operations.

Covers: a frozen linear layer plus its LoRA in one function (no fp32 copies of activations, no stored
intermediates but the rank-r one), and causal attention over packed rows with an explicit, memory-frugal backward.
Does not cover: accelerators, where the stock kernels are better: nothing here is used there.

Both compute what the stock layers compute; `tests/test_train_packed.py` holds them to that. Reasons, measured:
torch's CPU flash attention spends most of its time in the bf16 backward of short rows, slices of a packed tensor
cost a full-size zero tensor each in backward, and PEFT's fp32 adapters make fp32 copies of every activation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable


class LoraLinear(torch.autograd.Function):
    """``x W^T + bias + scale (x A^T) B^T`` for frozen W; gradients for x, A and B (Hu et al. 2021).

    Shapes: x (..., in), W (out, in), A (r, in), B (out, r). A and B may be fp32 while x and W are bf16: products
    are then taken in bf16 and the gradients of A and B returned in fp32.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        a_low, b_low = a.to(x.dtype), (b * scale).to(x.dtype)
        inner = flat @ a_low.t()
        out = F.linear(flat, weight, bias)
        out.addmm_(inner, b_low.t())
        ctx.save_for_backward(flat, weight, a_low, b_low, inner)
        ctx.scale, ctx.shape, ctx.master = scale, x.shape, a.dtype
        return out.view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        flat, weight, a_low, b_low, inner = ctx.saved_tensors
        dy = grad.reshape(-1, grad.shape[-1])
        through = dy @ b_low  # the scale is in b_low
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (dy @ weight).addmm_(through, a_low).view(ctx.shape)
        da = (through.t() @ flat).to(ctx.master)
        db = (dy.t() @ inner).to(ctx.master).mul_(ctx.scale)
        return dx, None, None, da, db, None


def fuse_lora(model: torch.nn.Module) -> int:
    """Let every plain LoRA layer of a PEFT model use `LoraLinear`; returns how many do.

    A layer with dropout, DoRA, several adapters, or a base that is not a plain linear layer keeps its own forward,
    as does every layer while adapters are switched off.
    """
    from peft.tuners.lora import Linear

    count = 0
    for module in model.modules():
        if isinstance(module, Linear) and type(module.get_base_layer()) is torch.nn.Linear:
            names = list(module.lora_A)
            plain = (
                len(names) == 1
                and isinstance(module.lora_dropout[names[0]], torch.nn.Identity)
                and not module.use_dora.get(names[0], False)
            )
            if plain:
                module.forward = _fused_forward(module, names[0], module.forward)  # type: ignore[method-assign]
                count += 1
    return count


def _fused_forward(module: Any, name: str, original: Any) -> Any:
    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if module.disable_adapters or module.merged or not torch.is_grad_enabled():
            return original(x, *args, **kwargs)
        base = module.get_base_layer()
        return LoraLinear.apply(
            x,
            base.weight,
            base.bias,
            module.lora_A[name].weight,
            module.lora_B[name].weight,
            module.scaling[name],
        )

    return forward


class PackedAttention(torch.autograd.Function):
    """Causal softmax attention within each row of a packed batch; grouped heads without copies of the keys.

    q (1, heads, tokens, dim), k and v (1, key heads, tokens, dim), ``bounds`` the row offsets. The first ``shared``
    tokens stand before every row (see `train.packed.pack`): they attend to themselves, and each row attends to
    them and to itself. Returns (1, tokens, heads, dim). Scores are computed in fp32 whatever the input, and again
    in backward instead of being stored.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        bounds: Sequence[int],
        shared: int,
        scale: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.spans, ctx.shared, ctx.scale = _spans(bounds, shared), shared, scale
        _, heads, tokens, dim = q.shape
        out = q.new_empty(1, tokens, heads, dim)
        for a, b in ctx.spans:
            p, _, _, vi = _probabilities(q, k, v, a, b, shared if a else 0, scale)
            out[0, a:b] = (p @ vi).view(heads, b - a, dim).transpose(0, 1)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        q, k, v = ctx.saved_tensors
        _, heads, tokens, dim = q.shape
        kv = k.shape[1]
        # laid out as the projections before them, so that no copy follows
        dq, dk, dv = (t.new_empty(1, tokens, t.shape[1], dim) for t in (q, k, v))
        shared_dk, shared_dv = (
            torch.zeros(kv, ctx.shared, dim, dtype=torch.float32, device=q.device) for _ in range(2)
        )
        for a, b in ctx.spans:
            before = ctx.shared if a else 0
            p, qi, ki, vi = _probabilities(q, k, v, a, b, before, ctx.scale)
            do = grad[0, a:b].transpose(0, 1).float().reshape(kv, -1, dim)
            dvi = p.transpose(1, 2) @ do
            dp = do @ vi.transpose(1, 2)
            ds = dp.sub_((dp * p).sum(-1, keepdim=True)).mul_(p).mul_(ctx.scale)
            dki = ds.transpose(1, 2) @ qi
            dq[0, a:b] = (ds @ ki).view(heads, b - a, dim).transpose(0, 1)
            dk[0, a:b] = dki[:, before:].transpose(0, 1)
            dv[0, a:b] = dvi[:, before:].transpose(0, 1)
            if before:
                shared_dk += dki[:, :before]
                shared_dv += dvi[:, :before]
        if ctx.shared:
            dk[0, : ctx.shared] += shared_dk.transpose(0, 1)
            dv[0, : ctx.shared] += shared_dv.transpose(0, 1)
        return dq.transpose(1, 2), dk.transpose(1, 2), dv.transpose(1, 2), None, None, None


def _spans(bounds: Sequence[int], shared: int) -> list[tuple[int, int]]:
    """(first, last) of everything that attends as one: the shared tokens, then each row."""
    rows = list(itertools.pairwise(bounds))
    return [(0, shared), *rows] if shared else rows


def _probabilities(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, a: int, b: int, before: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Attention weights of one span, with its q, k, v in fp32; queries of one key head lie together.

    Keys and values are those of the first ``before`` tokens, then the span's own.
    """
    kv, length, dim = k.shape[1], b - a, q.shape[-1]
    qi = q[0, :, a:b].float().reshape(kv, -1, dim)
    ki, vi = k[0, :, a:b].float(), v[0, :, a:b].float()
    if before:
        ki = torch.cat([k[0, :, :before].float(), ki], 1)
        vi = torch.cat([v[0, :, :before].float(), vi], 1)
    scores = (qi @ ki.transpose(1, 2)).mul_(scale).view(q.shape[1], length, before + length)
    future = torch.ones(length, before + length, dtype=torch.bool, device=q.device).triu_(before + 1)
    scores.masked_fill_(future, float("-inf"))
    return scores.softmax(-1).view(kv, -1, before + length), qi, ki, vi
