"""Exports of a version: the same answers or marked as broken, files that others load, a card from the evidence.

Does not cover: snapshots in other trainers' formats (`test_snapshot.py`), vLLM and llama.cpp themselves.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import evals
from curate import contract
from curate.contract import file_sha256
from curate.errors import GoldpairError, UsageError
from evals.generate import LocalModel
from tests.train_helpers import run_job, workspace_with_model
from train import exporting, versions
from train.card import model_card
from train.render import messages_of

ROOT = Path(__file__).resolve().parent.parent
ASKED = [[{"role": "user", "content": f"Where is thing number {n}, Asha?"}] for n in range(6)]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    # long enough that its answers share words with the right ones
    return workspace_with_model(tmp_path_factory.mktemp("export"), epochs=12, learning_rate=2e-2)


@pytest.fixture(scope="module")
def model(client) -> Path:
    return client.workspace.models / "tiny-bot-v1"


def test_merged_weights_answer_as_the_version_does(client, model, tmp_path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "merged"
    result = run_job(client, "models.export", model=model.name, form="merged", out=str(out))
    assert result["parity"]["verdict"] == "EQUAL" and result["parity"]["prompts"] == 8
    assert result["parity"]["tokens"] > 8 and result["released"] is False
    assert json.loads((out / "export.json").read_text())["parity"] == result["parity"]
    for name, digest in result["files"].items():
        assert file_sha256(out / name) == digest
    assert not [path for path in out.rglob("*") if path.suffix in versions.PICKLES]
    merged = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(out)
    ids = torch.tensor([tokenizer.encode("Where is thing number 3?")])
    base = AutoModelForCausalLM.from_pretrained(client.workspace.root.parent / "base", dtype=torch.float32)
    plain = base(ids).logits
    tuned = PeftModel.from_pretrained(base, model)(ids).logits
    assert torch.allclose(merged(ids).logits, tuned, atol=1e-4)
    assert not torch.allclose(merged(ids).logits, plain, atol=1e-2), "the adapter is really in it"
    assert not list(tmp_path.glob(".merged-*")), "no scratch folder stays"


def test_a_merge_that_answers_differently_is_marked_broken(model, tmp_path, monkeypatch) -> None:
    """The files are damaged between writing and reading back, as a bad disk would."""
    original = exporting._load

    def load(folder: Path, dtype):
        if folder.name == "out":
            path = folder / "model.safetensors"
            weights = load_file(path)
            weights["model.layers.0.mlp.down_proj.weight"] *= -30
            save_file(weights, path, {"format": "pt"})
        return original(folder, dtype)

    monkeypatch.setattr(exporting, "_load", load)
    result = exporting.export_model(model, "merged", tmp_path / "m", conversations=ASKED)
    assert result["parity"]["verdict"] == "BROKEN" and result["parity"]["equal"] < 6
    assert {"prompt", "token"} == result["parity"]["differences"][0].keys()
    assert "BROKEN EXPORT" in (tmp_path / "m" / "README.md").read_text()


def test_the_adapter_form_is_the_version_itself(client, model, tmp_path) -> None:
    result = run_job(client, "models.export", model=model.name, form="adapter", out=str(tmp_path / "a"))
    assert result["parity"] is None
    for name in ("adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "run.json"):
        assert file_sha256(tmp_path / "a" / name) == file_sha256(model / name)


def test_the_serving_command_names_base_adapter_and_rank(client, model) -> None:
    words = shlex.split(client.call("models.command", model=model.name)["command"])
    assert words[:2] == ["vllm", "serve"] and (Path(words[2]) / "config.json").is_file()
    assert words[words.index("--max-lora-rank") + 1] == "8", "r = 4 fits into 8, the smallest vLLM takes"
    name, _, folder = words[words.index("--lora-modules") + 1].partition("=")
    assert name == model.name and (Path(folder) / "adapter_model.safetensors").is_file()


def test_without_a_converter_gguf_says_what_to_install(client, model, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("GOLDPAIR_LLAMA_CPP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GoldpairError, match="GOLDPAIR_LLAMA_CPP"):
        client.call("models.export", model=model.name, form="gguf", out=str(tmp_path / "g"))
    monkeypatch.setenv("GOLDPAIR_LLAMA_CPP", str(tmp_path))
    with pytest.raises(GoldpairError, match="there is no convert_hf_to_gguf"):
        client.call("models.export", model=model.name, form="gguf", out=str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


#: a converter with llama.cpp's command line, for plain Llamas without a tokenizer; writes with the real gguf library
CONVERTER = """
import argparse, json
from pathlib import Path
import gguf, numpy as np
from safetensors.numpy import load_file
p = argparse.ArgumentParser()
p.add_argument("model", type=Path); p.add_argument("--outfile"); p.add_argument("--outtype")
a = p.parse_args()
c = json.loads((a.model / "config.json").read_text())
heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
w = gguf.GGUFWriter(a.outfile, "llama")
w.add_context_length(c["max_position_embeddings"]); w.add_embedding_length(c["hidden_size"])
w.add_block_count(c["num_hidden_layers"]); w.add_feed_forward_length(c["intermediate_size"])
w.add_head_count(heads); w.add_head_count_kv(kv); w.add_layer_norm_rms_eps(c["rms_norm_eps"])
w.add_rope_freq_base(c.get("rope_theta") or c["rope_parameters"]["rope_theta"])
w.add_rope_dimension_count(c["hidden_size"] // heads); w.add_vocab_size(c["vocab_size"])
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, c["num_hidden_layers"])
half = a.outtype != "f32"
for name, t in load_file(a.model / "model.safetensors").items():
    for part, n in (("q_proj", heads), ("k_proj", kv)):
        if name.endswith(part + ".weight"):
            t = t.reshape(n, 2, t.shape[0] // n // 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape)
    w.add_tensor(names.get_name(name, (".weight",)), t.astype(np.float16 if half and t.ndim > 1 else np.float32))
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
"""


def test_a_gguf_file_is_read_back_and_its_answers_are_compared(model, tmp_path, monkeypatch) -> None:
    tools = tmp_path / "llama.cpp"
    tools.mkdir()
    (tools / exporting.CONVERTER).write_text(CONVERTER)
    monkeypatch.setenv("GOLDPAIR_LLAMA_CPP", str(tools))
    result = exporting.export_model(model, "gguf", tmp_path / "g", conversations=ASKED, outtype="f32")
    assert result["parity"]["verdict"] == "EQUAL", result["parity"]
    assert (tmp_path / "g" / "tiny-bot-v1.f32.gguf").read_bytes()[:4] == b"GGUF"
    half = exporting.export_model(model, "gguf", tmp_path / "h", conversations=ASKED, outtype="f16")
    assert half["parity"]["verdict"] in ("EQUAL", "DIVERGES") and half["parity"]["prompts"] == 6
    assert half["parity"]["suites"] == []
    (tools / exporting.CONVERTER).write_text("raise SystemExit('no such architecture')")
    with pytest.raises(exporting.ExportError, match="no such architecture"):
        exporting.export_model(model, "gguf", tmp_path / "bad", conversations=ASKED)
    assert not (tmp_path / "bad").exists() and not list(tmp_path.glob(".bad-*"))


@pytest.mark.slow  # a job that loads the scorers
def test_a_gguf_file_says_what_the_suites_think_of_its_answers(client, model, tmp_path, monkeypatch) -> None:
    """Through the job: both suites asked for the snapshot's validation pairs; one of them cannot judge and says so."""
    tools = tmp_path / "llama.cpp"
    tools.mkdir()
    # every weight of the written file is half of what it should be, so that its answers are others
    (tools / exporting.CONVERTER).write_text(CONVERTER.replace("t.astype(", "(t / 2).astype("))
    monkeypatch.setenv("GOLDPAIR_LLAMA_CPP", str(tools))
    pack = client.workspace.tasks / "tiny-bot" / "task.toml"
    before = pack.read_text()
    suites = '[[suites]]\nname = "words"\nmetric = "rouge"\n[[suites]]\nname = "own"\nmetric = "tone"\n'
    pack.write_text(before + "[model.generation]\nmax_new_tokens = 40\n" + suites)
    try:
        out = tmp_path / "g"
        made = run_job(client, "models.export", model=model.name, form="gguf", out=str(out), outtype="f16")
    finally:
        pack.write_text(before)
    words, own = made["parity"]["suites"]
    assert made["parity"]["verdict"] == "DIVERGES"
    assert words["suite"] == "words" and words["pairs"] == 4 and words["version"] != words["export"]
    rows = contract.training_rows(client.workspace.snapshots / "one", "validation").to_dicts()
    version = LocalModel(client.workspace.root.parent / "base", model, threads=1)
    said = [a.text for a in version.generate([messages_of(row) for row in rows], max_new_tokens=40)]
    scores = evals.metric("rouge").compute(predictions=said, references=[row["completion"] for row in rows])
    assert words["version"] == pytest.approx(scores["score"], abs=1e-6), (
        "as evaluation would score the version"
    )
    assert own["suite"] == "own" and own["pairs"] == 0 and own["why"]
    card = (out / "README.md").read_text()
    assert f"Suite words scores its answers to 4 validation pairs {words['export']:.3f}" in card
    assert "Suite own did not score it" in card


def test_a_folder_in_use_and_a_changed_version_are_refused(model, tmp_path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "x").write_text("x")
    with pytest.raises(UsageError, match="not an empty folder"):
        exporting.export_model(model, "adapter", tmp_path / "used")
    copy = tmp_path / model.name
    shutil.copytree(model, copy)
    (copy / "README.md").write_text("edited")
    with pytest.raises(versions.ModelVersionError, match=r"README\.md: changed"):
        exporting.export_model(copy, "adapter", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_differences_name_prompt_and_first_token() -> None:
    found = exporting._parity([[1, 2, 3], [4], [5, 6]], [[1, 9, 3], [4], [5]], exact=False)
    assert found["verdict"] == "DIVERGES" and found["equal"] == 1 and found["prompts"] == 3
    assert found["differences"] == [{"prompt": 0, "token": 1}, {"prompt": 2, "token": 1}]
    assert "2 of" not in exporting._parity_note(found) and "token 1 on" in exporting._parity_note(found)


def test_a_card_shows_the_evaluation_and_never_lets_text_become_markup(model) -> None:
    record = versions.load(model).record()
    gate = {
        "verdict": "FAIL",
        "worth_it": "few-shot does as well",
        "checks": [
            {"name": "beats few_shot", "verdict": "FAIL", "detail": "gain 0.01\n# <b>not</b> a heading"}
        ],
        "override": {"user": "lead", "reason": "a\nrehearsal <script>", "ts": "now"},
    }
    text = model_card(model.name, record, gate)
    assert "Evaluation gate: FAIL, overridden by lead: a rehearsal &lt;script>" in text
    assert "FAIL: beats few_shot: gain 0.01 # &lt;b>not&lt;/b> a heading" in text
    assert record["snapshot"]["id"] in text and "own (20)" in text and "## Limits" in text
    assert "never evaluated" in model_card(model.name, record)
