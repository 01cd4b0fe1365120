"""Fast CPU kernels of the training step, as autograd functions over plain torch operations.

Covers: a frozen linear layer plus its LoRA in one function (no fp32 copies of activations, no stored
intermediates but the rank-r one), causal attention over packed rows with an explicit backward, and cross-entropy
straight from hidden states, without all logits at once.
Does not cover: accelerators, where the stock kernels are better: nothing here is used there.

All compute what the stock layers compute; `tests/test_train_packed.py` holds them to that. Reasons, measured:
torch's CPU flash attention spends most of its time in the bf16 backward of short rows, slices of a packed tensor
cost a full-size zero tensor each in backward, and PEFT's fp32 adapters make fp32 copies of every activation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

KEEP_BYTES = 32 * 2**20  # attention weights kept for backward, per layer
QUERIES = 64  # of one row whose attention weights exist at once
HEAD_ROWS = 128  # positions whose logits exist at once: 25 MB for a vocabulary of 49,152


class LoraLinear(torch.autograd.Function):
    """``x W^T + bias + scale (x A^T) B^T`` for frozen W; gradients for x, A and B (Hu et al. 2021).

    Shapes: x (..., in), W (out, in), A (r, in), B (out, r). A and B may be fp32 while x and W are bf16: products
    are then taken in bf16 and the gradients of A and B returned in fp32.
    """

    @staticmethod
    def forward(
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
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
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
    them and to itself. Returns (1, tokens, heads, dim). Scores are computed in fp32 whatever the input; the other
    products in the input's number format. `QUERIES` of one row at a time stay in the processor's cache, which beats
    padded batches of rows by half; and what lies after the last of them is never computed.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        bounds: Sequence[int],
        shared: int,
        scale: float,
    ) -> torch.Tensor:
        spans = [*([(0, shared)] if shared else []), *itertools.pairwise(bounds)]
        _, heads, tokens, dim = q.shape
        out = q.new_empty(1, tokens, heads, dim)
        size = q.element_size() * heads * sum((b - a) * (b - a + (shared if a else 0)) for a, b in spans)
        kept = []
        for a, b in spans:
            before = shared if a else 0
            ki, vi = _with_shared(k, a, b, before), _with_shared(v, a, b, before, v.dtype)
            for s, e in _cuts(a, b):
                last = before + e - a
                p = _weights(_queries(q, s, e, scale), ki[:, :last]).to(v.dtype)
                out[0, s:e] = (p @ vi[:, :last]).view(heads, e - s, dim).transpose(0, 1)
                if size <= KEEP_BYTES:  # long rows: computed again in backward instead
                    kept.append(p)
        ctx.save_for_backward(q, k, v, out, *kept)
        ctx.spans, ctx.shared, ctx.scale = spans, shared, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, out, *kept = ctx.saved_tensors
        known, low = iter(kept[::-1]), q.dtype
        _, heads, tokens, dim = q.shape
        kv = k.shape[1]
        # laid out as the projections before them, so that no copy follows
        dq, dk, dv = (t.new_empty(1, tokens, t.shape[1], dim) for t in (q, k, v))
        shared_dk, shared_dv = (
            torch.zeros(kv, ctx.shared, dim, dtype=torch.float32, device=q.device) for _ in range(2)
        )
        # sum(dp * p) over the keys is sum(do * out) over dim, which is far smaller
        mean = (grad.float() * out).sum(-1)[0].t()  # (heads, tokens)
        for a, b in reversed(ctx.spans):
            before = ctx.shared if a else 0
            ki, vi = (_with_shared(source, a, b, before, low) for source in (k, v))
            exact = ki if kept or low == torch.float32 else _with_shared(k, a, b, before)
            for s, e in reversed(_cuts(a, b)):
                last = before + e - a
                qi = _queries(q, s, e, ctx.scale)
                p = next(known) if kept else _weights(qi, exact[:, :last]).to(low)
                do = grad[0, s:e].transpose(0, 1).to(low).reshape(kv, -1, dim)
                dp = do @ vi[:, :last].transpose(1, 2)
                ds = dp.sub_(mean[:, s:e].reshape(kv, -1, 1)).mul_(p)
                by_key, to_key = ds.transpose(1, 2) @ qi.view(kv, -1, dim).to(low), p.transpose(1, 2) @ do
                if e == b:  # the last of its queries see all of a row
                    dki, dvi = by_key.float(), to_key.float()
                else:
                    dki[:, :last] += by_key
                    dvi[:, :last] += to_key
                dq[0, s:e] = (ds @ ki[:, :last]).mul_(ctx.scale).view(heads, e - s, dim).transpose(0, 1)
            dk[0, a:b] = dki[:, before:].transpose(0, 1)
            dv[0, a:b] = dvi[:, before:].transpose(0, 1)
            if before:
                shared_dk += dki[:, :before]
                shared_dv += dvi[:, :before]
        if ctx.shared:
            dk[0, : ctx.shared] += shared_dk.transpose(0, 1)
            dv[0, : ctx.shared] += shared_dv.transpose(0, 1)
        return dq.transpose(1, 2), dk.transpose(1, 2), dv.transpose(1, 2), None, None, None


def _cuts(a: int, b: int) -> list[tuple[int, int]]:
    """The row a:b in parts of at most `QUERIES` tokens."""
    return [(s, min(s + QUERIES, b)) for s in range(a, b, QUERIES)]


def _with_shared(
    source: torch.Tensor, a: int, b: int, before: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """A fresh copy of the keys or values of the first ``before`` tokens and of a:b, (key heads, tokens, dim)."""
    out = torch.empty(source.shape[1], before + b - a, source.shape[-1], dtype=dtype, device=source.device)
    out[:, :before] = source[0, :, :before]
    out[:, before:] = source[0, :, a:b]
    return out


def _queries(q: torch.Tensor, s: int, e: int, scale: float) -> torch.Tensor:
    """A fresh fp32 copy of the queries s:e times ``scale``, (heads, tokens, dim)."""
    return torch.mul(q[0, :, s:e].float(), scale).contiguous()


def _weights(qi: torch.Tensor, ki: torch.Tensor) -> torch.Tensor:
    """Attention weights of queries (heads, tokens, dim) that are the last of the keys; (key heads, ..., keys).

    Queries of one key head lie together.
    """
    kv, seen, dim = ki.shape
    heads, tokens, _ = qi.shape
    scores = qi.view(kv, -1, dim) @ ki.transpose(1, 2)
    scores.view(heads, tokens, seen)[:, :, seen - tokens :] += _future(tokens, ki.device)
    return scores.softmax(-1)


@lru_cache(maxsize=2 * QUERIES)
def _future(length: int, device: torch.device) -> torch.Tensor:
    """Minus infinity where a query must not look, (length, length); every layer asks the same."""
    return torch.full((length, length), float("-inf"), device=device).triu_(1)


class ProjectedLoss(torch.autograd.Function):
    """Cross-entropy of ``hidden @ weight.T`` without ever holding all its logits; gradient for ``hidden`` only.

    hidden (n, dim), weight (vocabulary, dim) frozen, target (n,). Returns (n,) losses in nats, fp32. The gradient is
    made chunk by chunk in forward, where the logits are still in the cache, and scaled in backward.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        losses = hidden.new_empty(len(hidden), dtype=torch.float32)
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wanted else None
        for a in range(0, len(hidden), HEAD_ROWS):
            part, goal = hidden[a : a + HEAD_ROWS], target[a : a + HEAD_ROWS, None]
            logits = (part @ weight.t()).float()
            logits -= logits.amax(1, keepdim=True)
            chosen = logits.gather(1, goal)
            total = logits.exp_().sum(1, keepdim=True)
            losses[a : a + HEAD_ROWS] = (total.log() - chosen).squeeze(1)
            if gradient is not None:
                logits.scatter_add_(
                    1, goal, -total
                )  # before rounding, or a learned token's gradient is noise
                gradient[a : a + HEAD_ROWS] = (logits.to(weight.dtype) @ weight) / total
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad[:, None].to(gradient.dtype), None, None


@contextmanager
def projected_head(model: Any, sample: dict[str, Any]) -> Iterator[torch.Tensor | None]:
    """Within this context a model's "logits" are the hidden states before its vocabulary projection.

    Gives the projection's weight, for `ProjectedLoss`; or None and an untouched model where that would not be the
    same: on accelerators, for a projection that is no plain frozen linear layer, and for models that do something to
    their logits afterwards. The last is not guessed but tried, on the model's own logits for ``sample`` (inputs).
    """
    head: Any = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    plain = (
        head is not None
        and type(head) is torch.nn.Linear
        and head.bias is None
        and not head.weight.requires_grad
        and head.weight.device.type == "cpu"
    )
    if not plain:
        yield None
        return
    training = model.training
    model.eval()
    with torch.no_grad():
        logits = model(**sample).logits
        head.forward = lambda hidden: hidden
        hidden = model(**sample).logits
        same = hidden.shape[-1] == head.weight.shape[1] and torch.equal(F.linear(hidden, head.weight), logits)
    model.train(training)
    try:
        if not same:
            del head.forward
        yield head.weight if same else None
    finally:
        head.__dict__.pop("forward", None)
