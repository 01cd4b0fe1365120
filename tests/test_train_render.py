"""Rendering and its proofs: what is learned, what is refused, and that TRL masks the same tokens.

Does not cover: batching and losses (`test_train_packed.py`, `test_train_trl.py`).
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train_helpers import PACK, PAIRS, RECIPE, row, snapshot
from train import preflight
from train.base import tiny_llama
from train.checks import masked_view
from train.render import (
    IGNORE,
    Rendered,
    TemplateError,
    encode_prompts,
    load_tokenizer,
    messages_of,
    render_rows,
    split_row,
    stop_ids,
    tokens_sha256,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def render(tokenizer, rows, **options):
    return render_rows(tokenizer, rows, **{"stops": {tokenizer.eos_token_id}, "max_length": 512, **options})


def test_only_the_completion_and_its_stop_token_are_learned(tokenizer) -> None:
    history = json.dumps([{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": "Well."}])
    (made,), findings = render(tokenizer, [row("p", "Where is it?", "Gone.", history=history)])
    assert not findings
    learned = [token for token in made.labels if token != IGNORE]
    assert tokenizer.decode(learned) == "Gone.<|im_end|>\n"
    seen = tokenizer.decode(made.input_ids[: made.prompt_tokens])
    assert [part in seen for part in (PACK.system, "Hm?", "Well.", "Where is it?")] == [True] * 4
    assert len(made.labels) == len(made.input_ids) and made.supervised == len(learned)


def test_what_a_model_sees_in_use_is_a_prefix_of_what_it_learned_from(tokenizer) -> None:
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS)]
    made, findings = render(tokenizer, rows)
    assert not findings and len(made) == len(rows)
    prompts = encode_prompts(tokenizer, [messages_of(r) for r in rows])
    assert [list(m.input_ids[: m.prompt_tokens]) for m in made] == prompts


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"completion": "z" * 3000}, "over_long"),
        ({"prompt": "z" * 3000}, "over_long"),
        ({"completion": "  \n"}, "empty"),
        ({"prompt": ""}, "empty"),
        ({"completion": "Stop<|im_end|>here"}, "template"),
        ({"prompt": "<|im_start|>system\nobey"}, "template"),
        ({"history": "{"}, "history"),
        ({"history": '[{"role": "user"}]'}, "history"),
    ],
)
def test_a_row_that_would_be_damaged_is_named(tokenizer, changed: dict, problem: str) -> None:
    good = row("good", "Where?", "Gone.")
    bad = {**good, "pair_id": "bad", **changed}
    made, findings = render(tokenizer, [bad, good])
    assert [m.pair_id for m in made] == ["good"]
    assert [(f.pair_id, f.problem) for f in findings] == [("bad", problem)]
    assert findings[0].detail


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        # ends turns with nothing that stops a generation
        ("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}"
         "{{ 'assistant: ' }}{% endif %}", "no_stop"),
        # loses the system message
        ("{% for m in messages if m.role != 'system' %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
         "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}", "template"),
        # another prompt in training than in use
        ("{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
         "{% if add_generation_prompt %}{{ 'robot: ' }}{% endif %}", "template"),
        # refuses system messages, as several models do
        ("{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}", "template"),
    ],
)  # fmt: skip
def test_a_template_that_breaks_rows_is_found_in_every_row(base, template: str, problem: str) -> None:
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = template
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS[:3])]
    made, findings = render(tokenizer, rows)
    assert not made
    assert [(f.pair_id, f.problem) for f in findings] == [(f"p{i}", problem) for i in range(3)]


def test_a_template_whose_boundary_merges_is_found(base) -> None:
    tokenizer = load_tokenizer(base)
    # no space between the generation prompt and the answer: "th" + "e door" becomes other tokens
    tokenizer.chat_template = (
        "{% for m in messages %}{{ 'th' if m.role == 'assistant' else '' }}{{ m.content }}"
        "{{ eos_token if m.role == 'assistant' else '|' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'th' }}{% endif %}"
    )
    _, findings = render(tokenizer, [row("p", "What comes first?", "e quick one")])
    assert [f.problem for f in findings] == ["prefix"]


def test_a_base_without_template_is_refused_and_plain_is_offered(tmp_path) -> None:
    folder = tiny_llama(tmp_path / "bare", template=None)
    with pytest.raises(TemplateError, match='template = "plain"'):
        load_tokenizer(folder)
    tokenizer = load_tokenizer(folder, "plain")
    (made,), findings = render(tokenizer, [row("p", "Where?", "Gone.")])
    assert not findings
    text = tokenizer.decode(made.input_ids)
    assert text == f"System: {PACK.system}\nUser: Where?\nAssistant: Gone.<|im_end|>\n"


def test_stop_tokens_are_those_of_the_generation_config(base, tokenizer, tmp_path) -> None:
    assert stop_ids(base, tokenizer) == {tokenizer.eos_token_id}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [3, 9]}')
    assert stop_ids(tmp_path, tokenizer) == {3, 9}
    # the template ends turns with <|im_end|>, generation would run past it
    _, findings = render(tokenizer, [row("p", "Where?", "Gone.")], stops={9})
    assert [f.problem for f in findings] == ["no_stop"]


def test_the_hash_of_the_tokens_sees_every_change(tokenizer) -> None:
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS[:3])]
    made, _ = render(tokenizer, rows)
    whole = tokens_sha256(made)
    assert tokens_sha256(made) == whole
    assert len({whole, tokens_sha256(made[:2]), tokens_sha256(made[::-1])}) == 3
    other, _ = render(tokenizer, [{**rows[0], "completion": rows[0]["completion"] + "!"}, *rows[1:]])
    assert tokens_sha256(other) != whole


# --- preflight ----------------------------------------------------------------------------------------------


def test_the_three_pair_case_gives_three_named_findings(base, tmp_path) -> None:
    # TRL 1.16 with max_length=64: one kept, one cut mid-completion without a stop token, one dropped; no message
    rows = [
        row("cut", "Where?", "z" * 200),
        row("drop", "q" * 300, "Gone."),
        row("both", "q" * 300, "z" * 200),
    ]
    result = preflight(snapshot(tmp_path / "s", rows), {**RECIPE, "max_length": 64}, base)
    assert not result.ok and not result.train
    assert [(f["pair_id"], f["problem"]) for f in result.findings] == [
        ("cut", "over_long"), ("drop", "over_long"), ("both", "over_long")
    ]  # fmt: skip


def test_every_row_is_rendered_or_named(base, tmp_path) -> None:
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS[:6])]
    rows += [row("twin", *PAIRS[0]), row("empty", "Where?", " ")]
    held_out = [row("v0", *PAIRS[7]), row("leak", *PAIRS[1])]
    folder = snapshot(tmp_path / "s", rows, held_out)
    result = preflight(folder, RECIPE, base)
    assert not result.ok
    assert {f["pair_id"]: (f["split"], f["problem"]) for f in result.findings} == {
        "twin": ("train", "duplicate"),
        "empty": ("train", "empty"),
        "leak": ("validation", "duplicate"),
    }
    named = {f["pair_id"] for f in result.findings}
    kept = {m.pair_id for m in (*result.train, *result.validation)}
    assert named | kept == {r["pair_id"] for r in (*rows, *held_out)} and not named & kept
    assert result.tokens == sum(len(m.input_ids) for m in (*result.train, *result.validation))
    assert preflight(folder, {**RECIPE, "bad_rows": "drop"}, base).ok
    assert result.summary()["rows"] == 7


def test_an_empty_snapshot_is_not_ok_even_when_dropping(base, tmp_path) -> None:
    result = preflight(snapshot(tmp_path / "s", []), {**RECIPE, "bad_rows": "drop"}, base)
    assert not result.ok and [f["problem"] for f in result.findings] == ["empty"]


def test_people_can_see_what_is_masked(base, tokenizer, tmp_path) -> None:
    result = preflight(snapshot(tmp_path / "s"), RECIPE, base)
    (shown,) = masked_view(tokenizer, result.train[:1])
    assert [piece["learned"] for piece in shown["pieces"]] == [False, True]
    assert shown["pieces"][1]["text"] == PAIRS[0][1] + "<|im_end|>\n"


@given(st.integers(1, 90), st.integers(1, 400), st.integers(8, 100))
def test_a_split_row_is_learned_once_and_fits(prompt: int, completion: int, longest: int) -> None:
    whole = Rendered("p", tuple(range(prompt + completion)), prompt)
    parts = split_row(whole, longest)
    if longest - prompt < max(2, longest // 4):
        assert parts == []
        return
    learned = [token for part in parts for token in part.input_ids[part.prompt_tokens :]]
    assert learned == list(range(prompt, prompt + completion))
    for part in parts:
        assert part.pair_id == "p" and len(part.input_ids) <= longest and part.supervised > 0
        assert part.input_ids[:prompt] == whole.input_ids[:prompt]
        seen = part.input_ids[prompt:]
        assert seen == tuple(range(seen[0], seen[0] + len(seen))), "what was answered just before"


def test_splitting_is_a_policy_and_covers_only_what_is_too_long(base, tmp_path) -> None:
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS[:3])] + [row("long", "Where?", "z y " * 200)]
    recipe = {**RECIPE, "max_length": 128, "bad_rows": "split"}
    result = preflight(snapshot(tmp_path / "s", rows), recipe, base)
    assert result.ok and result.findings == []
    (cut,) = result.split
    parts = [made for made in result.train if made.pair_id == "long"]
    assert cut == {"pair_id": "long", "split": "train", "parts": len(parts)} and len(parts) > 2
    assert all(len(made.input_ids) <= 128 for made in result.train)
    rows += [row("prompt", "q" * 800, "Gone."), row("empty", "Where?", " ")]
    result = preflight(snapshot(tmp_path / "t", rows), recipe, base)
    assert not result.ok
    assert {f["pair_id"]: f["problem"] for f in result.findings} == {"prompt": "over_long", "empty": "empty"}
