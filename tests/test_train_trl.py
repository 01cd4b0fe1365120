"""TRL is the oracle: the same tokens are learned, and the same steps give the same losses.

Does not cover: speed (`benchmarks/training.py`).
"""

from __future__ import annotations

import json
import random

import pytest

from tests.train_helpers import PAIRS, row
from train.base import CHATML, tiny_llama
from train.fit import fit
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


def test_step_losses_equal_those_of_trl(base, tmp_path) -> None:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    tokenizer = load_tokenizer(base)
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS)] + fuzzed(8, seed=1)
    made, findings = render_rows(tokenizer, rows, stops={tokenizer.eos_token_id}, max_length=512)
    assert not findings
    recipe = load_recipe(
        {"precision": "fp32", "threads": 1, "batch": 8, "epochs": 2, "learning_rate": 1e-2, "warmup": 0,
         "lora": {"r": 4, "alpha": 8}, "micro_tokens": 300}
    )  # fmt: skip
    ours = [e["loss"] for e in fit(made, base, recipe, tmp_path / "ours").log if "loss" in e]
    table = Dataset.from_list(
        [
            {
                "input_ids": list(m.input_ids),
                "completion_mask": [0] * m.prompt_tokens + [1] * (len(m.input_ids) - m.prompt_tokens),
            }
            for m in made
        ]
    )
    set_seed(recipe.seed)
    trainer = SFTTrainer(
        model=str(base),
        args=SFTConfig(
            output_dir=str(tmp_path / "trl"),
            model_init_kwargs={"dtype": "float32"},
            per_device_train_batch_size=8,
            num_train_epochs=2,
            learning_rate=1e-2,
            lr_scheduler_type="cosine",
            max_grad_norm=1.0,
            logging_steps=1,
            report_to="none",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            max_length=None,
            seed=recipe.seed,
            data_seed=recipe.seed,
            disable_tqdm=True,
        ),
        processing_class=tokenizer,
        train_dataset=table,
        peft_config=LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    ours_start = {n: p for n, p in fit_start(base, recipe).items() if "lora_A" in n}
    for name, value in trainer.model.named_parameters():
        if "lora_A" in name:
            value.data.copy_(ours_start[name])
    trainer.train()
    theirs = [e["loss"] for e in trainer.state.log_history if "loss" in e]
    assert len(ours) == len(theirs) == 8
    assert ours == pytest.approx(theirs, abs=1e-4)


def fit_start(base, recipe) -> dict:
    """Parameters as our run starts with them."""
    from train.fit import add_lora, load_base

    return dict(add_lora(load_base(base, recipe), recipe).named_parameters())
