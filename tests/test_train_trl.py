"""TRL is the oracle: the same tokens are learned, for five templates and a thousand fuzzed pairs each.

Does not cover: step losses (`test_train_packed.py` holds them to a padded batch), speed (`benchmarks/training.py`).
"""

from __future__ import annotations

import json
import random

import pytest

from tests.train_helpers import row
from train.base import CHATML, tiny_llama
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
