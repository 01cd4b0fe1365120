"""The step without padding computes what a padded batch computes: losses, gradients, row by row.

Does not cover: the loop around it (`test_train_run.py`).
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from train.base import tiny_llama
from train.fit import _few_tokens, add_lora, load_base
from train.fused import QUERIES, PackedAttention, ProjectedLoss, fuse_lora, projected_head
from train.packed import (
    attention_loop,
    even_parts,
    inputs_of,
    micro_batches,
    pack,
    real_tokens,
    row_losses,
    token_losses,
)
from train.recipe import load_recipe
from train.render import Rendered

RECIPE = load_recipe({"precision": "fp32", "threads": 1})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


def some_rows(prefix: int = 7) -> list[Rendered]:
    generator = torch.Generator().manual_seed(3)
    draw = lambda n: tuple(torch.randint(3, 300, (n,), generator=generator).tolist())  # noqa: E731
    common = draw(prefix)
    lengths = [(9, 5), (3, 11), (20, 2), (4, 4), (6, 1)]
    return [Rendered(f"p{i}", common + draw(a) + draw(b), prefix + a) for i, (a, b) in enumerate(lengths)]


def padded_losses(model, rows: list[Rendered]) -> list[torch.Tensor]:
    """The textbook way: right-padded batch, full logits, shifted labels."""
    width = max(len(r.input_ids) for r in rows)
    ids = torch.tensor([[*r.input_ids, *[0] * (width - len(r.input_ids))] for r in rows])
    mask = torch.tensor([[1] * len(r.input_ids) + [0] * (width - len(r.input_ids)) for r in rows])
    model.set_attn_implementation("eager")
    logits = model(input_ids=ids, attention_mask=mask).logits
    model.set_attn_implementation("goldpair_varlen")
    found = []
    for number, row in enumerate(rows):
        n = len(row.input_ids)
        losses = F.cross_entropy(logits[number, : n - 1], ids[number, 1:n], reduction="none")
        found.append(losses[row.prompt_tokens - 1 :])
    return found


def tuned(base):
    model = add_lora(load_base(base, RECIPE), RECIPE)
    for name, p in model.named_parameters():
        if "lora_B" in name:  # zero at the start, which would hide half of the gradients
            torch.manual_seed(len(name))
            p.data.normal_(std=0.1)
    return model


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_losses_and_gradients_equal_a_padded_batch(base) -> None:
    rows = some_rows()
    model = tuned(base)
    expected = torch.cat(padded_losses(model, rows))
    expected.sum().backward()
    wanted = gradients(model)
    model.zero_grad()
    assert fuse_lora(model) > 0
    packed = pack(list(enumerate(rows)))
    assert int(packed["shared"]) == 7
    assert packed["input_ids"].numel() == sum(len(r.input_ids) - 7 for r in rows) + 7
    token_losses(model, packed).sum().backward()
    found = gradients(model)
    assert wanted.keys() == found.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5, msg=name)


def test_each_row_has_its_own_loss(base) -> None:
    rows = some_rows()
    model = tuned(base).eval()
    expected = [float(losses.mean()) for losses in padded_losses(model, rows)]
    found = {number: (loss, count) for number, loss, count in row_losses(model, pack(list(enumerate(rows))))}
    for number, row in enumerate(rows):
        assert found[number] == (pytest.approx(expected[number], abs=1e-5), row.supervised)


def test_a_row_does_not_see_its_neighbours(base) -> None:
    rows = some_rows(prefix=0)
    model = tuned(base).eval()
    together = dict((n, loss) for n, loss, _ in row_losses(model, pack(list(enumerate(rows)))))
    for number, row in enumerate(rows):
        (_, alone, _), *rest = row_losses(model, pack([(0, row)]))
        assert not rest
        assert together[number] == pytest.approx(alone, abs=1e-5)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=9),
    prefix=st.integers(0, 6),
    tokens=st.integers(1, 80),
    count=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_parts_of_a_step_lose_no_row_and_no_label(lengths, prefix: int, tokens: int, count: int) -> None:
    rows = [Rendered(f"p{i}", tuple(range(prefix + a + b)), prefix + a) for i, (a, b) in enumerate(lengths)]
    packed = pack(list(enumerate(rows)))
    assert real_tokens(packed) == sum(len(r.input_ids) for r in rows)
    parts = micro_batches(packed, tokens)
    assert all(part["input_ids"].shape[1] <= tokens or len(part["rows"]) == 1 for part in parts)
    _hold_every_row(parts, rows)
    shares = even_parts(packed, count)
    assert len(shares) <= count
    _hold_every_row(shares, rows)


def _hold_every_row(parts, rows: list[Rendered]) -> None:
    seen: list[int] = []
    for part in parts:
        bounds = part["cu"].tolist()
        shared = int(part["shared"])
        assert bounds[0] == shared and bounds[-1] == part["input_ids"].shape[1]
        for number, a, b in zip(part["rows"].tolist(), bounds, bounds[1:], strict=False):
            ids = [*part["input_ids"][0, :shared].tolist(), *part["input_ids"][0, a:b].tolist()]
            assert tuple(ids) == rows[number].input_ids
            assert part["position_ids"][0, a:b].tolist() == list(range(shared, len(ids)))
            assert int((part["shift_labels"][0, a:b] != -100).sum()) == rows[number].supervised
            seen.append(number)
    assert sorted(seen) == list(range(len(rows)))


@pytest.mark.parametrize("shared", [0, 5])
@pytest.mark.parametrize("heads", [(4, 2), (3, 3)])
def test_attention_equals_the_loop_forward_and_backward(shared: int, heads: tuple[int, int]) -> None:
    torch.manual_seed(0)
    tokens = shared + 19 + 2 * QUERIES + 3  # the last row is computed in three parts
    q, k, v = (torch.randn(1, h, tokens, 8, requires_grad=True) for h in (heads[0], heads[1], heads[1]))
    bounds = [shared, shared + 8, shared + 9, shared + 19, tokens]
    weight = torch.randn(1, tokens, heads[0], 8)
    results = []
    for function in (PackedAttention.apply, attention_loop):
        out = function(q, k, v, bounds, shared, 0.3)
        results.append((out, *torch.autograd.grad((out * weight).sum(), (q, k, v))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [True, False])
def test_attention_in_bf16_is_within_its_rounding_of_fp32(kept: bool, monkeypatch) -> None:
    monkeypatch.setattr("train.fused.KEEP_BYTES", 2**30 if kept else 0)
    torch.manual_seed(0)
    tokens = 5 + 2 * QUERIES + 3
    exact = [torch.randn(1, h, tokens, 8).bfloat16().float().requires_grad_() for h in (4, 2, 2)]
    rounded = [t.detach().bfloat16().requires_grad_() for t in exact]
    weight = torch.randn(1, tokens, 4, 8).bfloat16()
    results = []
    for taken in (exact, rounded):
        out = PackedAttention.apply(*taken, [5, 12, tokens], 5, 0.3)
        gradients = torch.autograd.grad((out * weight.to(out.dtype)).sum(), taken)
        results.append([t.float() for t in (out, *gradients)])
    for fp32, bf16 in zip(*results, strict=True):
        assert float((fp32 - bf16).norm() / fp32.norm()) < 0.01  # bf16 keeps eight bits: 0.004 a number


def test_attention_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(1)
    q, k, v = (torch.randn(1, h, 6, 4, dtype=torch.float64, requires_grad=True) for h in (2, 1, 1))
    # computed in fp32 inside, hence the wide tolerance
    assert torch.autograd.gradcheck(
        lambda *t: PackedAttention.apply(*t, [2, 4, 6], 2, 0.5), (q, k, v), eps=1e-2, atol=1e-2
    )


def test_fused_lora_leaves_layers_alone_that_it_cannot_copy(base) -> None:
    with_dropout = load_recipe({"lora": {"dropout": 0.1}, "precision": "fp32"})
    assert fuse_lora(add_lora(load_base(base, with_dropout), with_dropout)) == 0
    model = tuned(base)
    rows = pack(list(enumerate(some_rows())))
    fuse_lora(model)
    with model.disable_adapter():
        off = token_losses(model, rows)
    plain = token_losses(load_base(base, RECIPE), rows)
    torch.testing.assert_close(off, plain)


def test_loss_from_hidden_states_equals_cross_entropy_of_all_logits() -> None:
    torch.manual_seed(2)
    hidden, weight = torch.randn(150, 8, requires_grad=True), torch.randn(40, 8) * 3
    target, scale = torch.randint(0, 40, (150,)), torch.rand(150)
    ours = ProjectedLoss.apply(hidden, weight, target)
    theirs = F.cross_entropy(hidden @ weight.t(), target, reduction="none")
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    (found,) = torch.autograd.grad((ours * scale).sum(), hidden)
    (wanted,) = torch.autograd.grad((theirs * scale).sum(), hidden)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradient_of_a_token_learned_already_is_no_rounding_noise_in_bf16() -> None:
    torch.manual_seed(3)
    weight = torch.randn(40, 64).bfloat16()
    target = torch.arange(40)
    hidden = (weight * 0.2).requires_grad_()  # every token's own row answers loudest
    exact = hidden.detach().double().requires_grad_()
    losses = F.cross_entropy(exact @ weight.double().t(), target, reduction="none")
    assert float(losses.median()) < 0.01
    (wanted,) = torch.autograd.grad(losses.sum(), exact)
    (found,) = torch.autograd.grad(ProjectedLoss.apply(hidden, weight, target).sum(), hidden)
    apart = (found.double() - wanted).norm(dim=1) / wanted.norm(dim=1)
    assert (
        float(apart.median()) < 0.05
    )  # its logits are rounded to bf16, which moves a small chance by this much


def test_the_projected_head_is_used_only_where_it_is_the_same(base) -> None:
    model = tuned(base)
    rows = pack(list(enumerate(some_rows())))
    plain = token_losses(model, rows)
    with projected_head(model, _few_tokens(some_rows()[0])) as head:  # what a run tries it on
        assert head is not None
        torch.testing.assert_close(token_losses(model, rows, head), plain)
    torch.testing.assert_close(token_losses(model, rows), plain)

    inner = model.get_base_model()
    forward = inner.forward

    def capped(*args, **kwargs):  # as models do that squash their logits
        out = forward(*args, **kwargs)
        out.logits = 5 * torch.tanh(out.logits / 5)
        return out

    inner.forward = capped
    squashed = token_losses(model, rows)
    with projected_head(model, _few_tokens(some_rows()[0])) as head:
        assert head is None
    with projected_head(model, inputs_of(rows)) as head:
        assert head is None
        torch.testing.assert_close(token_losses(model, rows), squashed)
