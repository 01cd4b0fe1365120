"""TRL is the oracle: the same tokens are learned, and every step has the same loss, for five templates.

Labels are compared over a thousand fuzzed pairs a template, step losses over three steps from the same adapters.
Does not cover: speed (`benchmarks/training.py`).

TRL 1.16 ignores the ``completion_mask`` of rows that are tokenised already unless ``completion_only_loss=True`` is
set: its default looks for a prompt column. It then learns the prompts as well, without a message, and its losses are
another number (6.2395 against 6.2319 in one comparison). The last test here holds on to that.
"""

from __future__ import annotations

import json
import random

import pytest

from tests.train_helpers import RECIPE, row
from train.base import CHATML, tiny_llama
from train.fit import add_lora, fit, load_base
from train.recipe import load_recipe
from train.render import load_tokenizer, messages_of, render_rows

TEMPLATES = {
    "chatml": CHATML,
    "llama3": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n\n' + (m.content | trim) + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n\n' }}{% endif %}"
    ),
    "zephyr": (
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
    ),
    "mistral": (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}"
        "{{ '[INST] ' + m.content + ' [/INST]' }}{% endif %}{% endfor %}"
    ),
    "defaulted": (  # puts a system message of its own when there is none
        "{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ 'System: be nice\n' }}{% endif %}"
        "{{ m.role + ' > ' + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant > ' }}{% endif %}"
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


def fuzzed(count: int, seed: int) -> list[dict]:
    rng = random.Random(seed)
    letters = "abc xyz,.?!\n\t  ÄöÜß नमस्ते 你好 🙂 <>|[]{}%0123456789 'the' \"quick\" "
    text = lambda longest: "".join(rng.choice(letters) for _ in range(rng.randint(1, longest)))  # noqa: E731
    rows = []
    for number in range(count):
        history = [{"role": role, "content": text(20)} for role in ("user", "assistant") * rng.randint(0, 2)]
        rows.append(
            row(
                f"p{number}",
                text(60),
                text(60),
                system=rng.choice(["", text(30)]),
                history=json.dumps(history),
            )
        )
    return rows


@pytest.mark.parametrize("name", TEMPLATES)
def test_labels_equal_those_of_trl(base, tmp_path, name: str) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = TEMPLATES[name]
    rows = fuzzed(1000, seed=len(name))
    made, findings = render_rows(tokenizer, rows, stops={tokenizer.eos_token_id}, max_length=2048)
    refused = {f.pair_id for f in findings}
    assert {f.problem for f in findings} <= {"empty", "prefix", "template"}
    assert len(made) + len(refused) == len(rows) and len(made) > 900
    kept = [r for r in rows if r["pair_id"] not in refused]
    table = Dataset.from_list(
        [
            {"prompt": messages_of(r), "completion": [{"role": "assistant", "content": r["completion"]}]}
            for r in kept
        ]
    )
    trainer = SFTTrainer(
        model=str(base),
        args=SFTConfig(output_dir=str(tmp_path), max_length=None, report_to="none", use_cpu=True),
        processing_class=tokenizer,
        train_dataset=table,
    )
    for ours, theirs in zip(made, trainer.train_dataset, strict=True):
        assert list(ours.input_ids) == theirs["input_ids"], ours.pair_id
        assert ours.labels == theirs["labels"], ours.pair_id


STEPS = load_recipe({**RECIPE, "batch": 5, "epochs": 1, "warmup": 0, "schedule": "constant"})


def losses_of_trl(base, tokenizer, table, out, **more) -> list[float]:
    from torch.utils.data import SequentialSampler
    from trl import SFTConfig, SFTTrainer

    class InOrder(SFTTrainer):
        def _get_train_sampler(self, *_):
            return SequentialSampler(self.train_dataset)

    model = add_lora(load_base(base, STEPS), STEPS)
    model.set_attn_implementation("sdpa")
    settings = SFTConfig(
        output_dir=str(out), per_device_train_batch_size=5, num_train_epochs=1, learning_rate=5e-3, max_length=None,
        lr_scheduler_type="constant", logging_steps=1, report_to="none", use_cpu=True, bf16=False, disable_tqdm=True,
        gradient_checkpointing=False, save_strategy="no", seed=0, **more,
    )  # fmt: skip
    trainer = InOrder(model=model, processing_class=tokenizer, train_dataset=table, args=settings)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def losses_of_ours(base, rows, out, monkeypatch) -> list[float]:
    from torch.utils.data import SequentialSampler

    from train.trainer import PackedTrainer

    monkeypatch.setattr(
        PackedTrainer, "_get_train_sampler", lambda self, *_: SequentialSampler(self.train_dataset)
    )
    return [entry["loss"] for entry in fit(rows, base, STEPS, out).log if "loss" in entry]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_step_has_the_loss_of_trl(base, tmp_path, monkeypatch, name: str) -> None:
    from datasets import Dataset

    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = TEMPLATES[name]
    pairs = fuzzed(40, seed=len(name))
    made, _ = render_rows(tokenizer, pairs, stops={tokenizer.eos_token_id}, max_length=2048)
    made = made[:15]
    by_id = {pair["pair_id"]: pair for pair in pairs}
    table = Dataset.from_list(
        [
            {
                "prompt": messages_of(by_id[r.pair_id]),
                "completion": [{"role": "assistant", "content": by_id[r.pair_id]["completion"]}],
            }
            for r in made
        ]
    )
    ours = losses_of_ours(base, made, tmp_path / "ours", monkeypatch)
    theirs = losses_of_trl(base, tokenizer, table, tmp_path / "theirs")
    assert len(ours) == 3 and ours == pytest.approx(theirs, abs=1e-4)
    assert max(ours) - min(ours) > 1e-3, "three different steps"


def test_trl_ignores_the_mask_of_tokenised_rows_unless_told(base, tmp_path, monkeypatch) -> None:
    from datasets import Dataset

    tokenizer = load_tokenizer(base)
    made, _ = render_rows(tokenizer, fuzzed(20, seed=1), stops={tokenizer.eos_token_id}, max_length=2048)
    made = made[:5]
    table = Dataset.from_list(
        [
            {
                "input_ids": list(r.input_ids),
                "completion_mask": [0] * r.prompt_tokens + [1] * r.supervised,
            }
            for r in made
        ]
    )
    ours = losses_of_ours(base, made, tmp_path / "ours", monkeypatch)
    told = losses_of_trl(base, tokenizer, table, tmp_path / "told", completion_only_loss=True)
    silent = losses_of_trl(base, tokenizer, table, tmp_path / "silent")
    assert ours == pytest.approx(told, abs=1e-4)
    assert abs(ours[0] - silent[0]) > 1e-3
