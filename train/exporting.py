"""Model versions for other tools: adapter, merged weights, GGUF, the command of a vLLM server.

Covers: the files, a card from the evidence, and proof that a merged or converted model still answers as the version
does. Does not cover: snapshots in other trainers' formats (`curate.export`), running a server, quantising by ourselves:
GGUF files are written by llama.cpp's own converter, and only where it is installed.

Parity: the same prompts, greedy, fp32. A merge that answers differently is kept but marked BROKEN. A conversion to
fewer bits may differ; how much is stated, by tokens and by the task's own scorers, which whoever knows them hands over.
"""

from __future__ import annotations

import gc
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from curate.contract import file_sha256
from curate.errors import GoldpairError, UsageError
from train import versions
from train.base import resolve
from train.card import model_card
from train.versions import ModelVersion

if TYPE_CHECKING:
    from train.validate import Judge

Form = Literal["adapter", "merged", "gguf"]
OutType = Literal["f32", "f16", "bf16", "q8_0"]
Conversation = Sequence[Mapping[str, str]]
CONVERTER = "convert_hf_to_gguf.py"
NEW_TOKENS = 32
#: asked when the snapshot's own prompts are not at hand
PROMPTS = (
    "Hello, who are you?",
    "Write one sentence about the weather.",
    "What should I do when a kettle boils?",
    "Count from one to five.",
)


class ExportError(GoldpairError):
    """A version cannot be written in that form on this machine."""


def export_model(
    model_dir: Path | str,
    form: Form,
    out: Path | str,
    *,
    conversations: Sequence[Conversation] = (),
    outtype: OutType = "f16",
    released: bool = False,
    judges: Sequence[Judge] = (),
    pairs: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write a version into the new or empty folder ``out``; it appears whole or not at all.

    ``conversations`` are asked for parity (turns {role, content}, the last one the user's; some plain questions when
    empty), ``outtype`` is the number format of a GGUF file, whose answers to ``pairs`` (rows of a snapshot) each of
    ``judges`` scores beside the version's own. ``export.json`` in the folder repeats the result:
    ``{form, model, hash, base, released, parity, files: {name: sha256}}`` plus ``folder`` here; ``parity`` is None
    for an adapter, which is the version itself, else ``{verdict: EQUAL | BROKEN | DIVERGES | NOT MEASURED,
    prompts, equal, tokens, differences: [{prompt, token}]}``, and for a GGUF file ``suites: [{suite, pairs, version,
    export}]``: mean scores, or ``why`` there are none.

    Raises `UsageError` for a folder in use, `ExportError` for the adapter of a full fine-tune, without a converter or
    when it fails, `NotFound` and `ModelVersionError` for a version that is absent or not what its record says.
    """
    version = versions.load(model_dir)
    if form == "adapter" and versions.is_whole(version.folder):
        raise ExportError(f"{version.name} is a full fine-tune and has no adapter. Use --form merged.")
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not an empty folder. Name a new one.")
    converter = find_converter() if form == "gguf" else None
    asked = list(conversations) or [[{"role": "user", "content": text}] for text in PROMPTS]
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.parent / f".{out.name}-{uuid4().hex}"
    made = scratch / "out"
    made.mkdir(parents=True)
    try:
        parity = None
        if form == "adapter":
            _copy(version, made)
        elif form == "merged":
            parity = _merge(version, made, asked)
        else:
            assert converter is not None
            parity = _convert(
                version, made, scratch / "merged", asked, converter, outtype, judges if pairs else (), pairs
            )
        gate = _gate(version)
        notes = [_parity_note(parity), *map(_suite_note, parity.get("suites", ()))] if parity else []
        notes.append(
            "Released by its evaluation gate."
            if released
            else "Not released: no evaluation gate let it out of its workspace."
        )
        card = model_card(version.name, version.record(), gate, merged=form != "adapter", notes=notes)
        (made / "README.md").write_text(card, "utf-8")
        result = {
            "form": form,
            "model": version.name,
            "hash": version.hash,
            "base": version.base,
            "released": released,
            "parity": parity,
            "files": {p.name: file_sha256(p) for p in sorted(made.iterdir())},
        }
        (made / "export.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
        if out.exists():
            out.rmdir()
        made.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {**result, "folder": str(out)}


def serving_command(model_dir: Path | str) -> str:
    """The shell command that serves a version by vLLM, OpenAI-compatible: its base and the adapter on it.

    Written by vLLM's documentation and quoted for a POSIX shell; vLLM itself is not needed here.
    """
    version = versions.load(model_dir)
    if versions.is_whole(version.folder):
        words = ["vllm", "serve", str(version.folder.resolve()), "--served-model-name", version.name]
        return shlex.join([*words, "--max-model-len", str(_context(version.folder))])
    recipe = version.record()["recipe"]
    # vLLM takes these ranks only; a smaller adapter fits into the next one
    rank = next((r for r in (8, 16, 32, 64, 128, 256, 320, 512) if r >= recipe["lora"]["r"]), 512)
    words = ["vllm", "serve", str(resolve(version.base)), "--enable-lora", "--max-lora-rank", str(rank)]
    words += ["--lora-modules", f"{version.name}={version.folder.resolve()}"]
    template = version.folder / "chat_template.jinja"
    if template.is_file():  # the one it was trained with, whatever the base has
        words += ["--chat-template", str(template.resolve())]
    return shlex.join([*words, "--max-model-len", str(_context(resolve(version.base)))])


def find_converter() -> Path:
    """llama.cpp's converter: in the folder ``GOLDPAIR_LLAMA_CPP`` names, else on PATH. Raises `ExportError`."""
    folder = os.environ.get("GOLDPAIR_LLAMA_CPP")
    if folder:
        path = Path(folder) / CONVERTER
        if path.is_file():
            return path
        raise ExportError(f"GOLDPAIR_LLAMA_CPP names {folder}, and there is no {CONVERTER} in it.")
    found = shutil.which(CONVERTER)
    if found is None:
        raise ExportError(
            f"GGUF files are written by llama.cpp's {CONVERTER}, which is not installed here. Clone llama.cpp, set "
            "GOLDPAIR_LLAMA_CPP to its folder, and try again; or use --form merged, which it reads elsewhere."
        )
    return Path(found)


# --- forms --------------------------------------------------------------------------------------------------


def _copy(version: ModelVersion, made: Path) -> None:
    for name in [*version.record()["files"], versions.RECORD, "gate.json"]:
        source = version.folder / name
        if source.is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, made / name)


def _merge(version: ModelVersion, made: Path, asked: Sequence[Conversation]) -> dict[str, Any]:
    """Merge in fp32, write, load what was written, and compare its answers with those of base plus adapter.

    A full fine-tune has nothing to merge: it is written as it is, and compared all the same."""
    import torch
    from peft import PeftModel

    from train.render import encode_prompts, load_tokenizer, stop_ids

    base = resolve(version.base)
    tokenizer = load_tokenizer(version.folder)
    prompts, stops = encode_prompts(tokenizer, asked), sorted(stop_ids(base, tokenizer))
    tuned: Any
    if versions.is_whole(version.folder):
        tuned = whole = _load(version.folder, torch.float32)
        wanted = _answers(tuned, prompts, stops)
    else:
        tuned = PeftModel.from_pretrained(_load(base, torch.float32), version.folder)
        wanted = _answers(tuned, prompts, stops)
        whole = tuned.merge_and_unload(safe_merge=True)
    whole.save_pretrained(made, safe_serialization=True)
    tokenizer.save_pretrained(made)
    del tuned, whole
    gc.collect()
    return _parity(wanted, _answers(_load(made, torch.float32), prompts, stops), exact=True)


def _convert(
    version: ModelVersion,
    made: Path,
    merged: Path,
    asked: Sequence[Conversation],
    converter: Path,
    outtype: OutType,
    judges: Sequence[Judge],
    pairs: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    from train.render import encode_prompts, load_tokenizer, stop_ids

    merged.mkdir()
    before = _merge(version, merged, asked)
    if before["verdict"] != "EQUAL":
        raise ExportError(
            f"The merged weights of {version.name} answer {before['prompts'] - before['equal']} of "
            f"{before['prompts']} prompts differently, so nothing was converted. --form merged shows where."
        )
    target = made / f"{version.name}.{outtype}.gguf"
    done = subprocess.run(
        [sys.executable, str(converter), str(merged), "--outfile", str(target), "--outtype", outtype],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not target.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ExportError(f"{converter.name} ended with {done.returncode}: {last}")
    tokenizer = load_tokenizer(version.folder)
    prompts, stops = encode_prompts(tokenizer, asked), sorted(stop_ids(resolve(version.base), tokenizer))
    whole = _load(merged, torch.float32)
    wanted = _answers(whole, prompts, stops)
    try:
        read: Any = AutoModelForCausalLM.from_pretrained(made, gguf_file=target.name, dtype=torch.float32)
    except (ValueError, KeyError, RuntimeError, NotImplementedError, ImportError) as error:
        # transformers reads some architectures only; the file may be right all the same
        return {"verdict": "NOT MEASURED", "prompts": 0, "equal": 0, "tokens": 0, "differences": [],
                "reason": f"transformers cannot read it: {error}"}  # fmt: skip
    read.to(whole.device).eval()
    suites = [_suite_scores(judge, pairs, (whole, read), tokenizer, set(stops)) for judge in judges]
    return {**_parity(wanted, _answers(read, prompts, stops), exact=outtype == "f32"), "suites": suites}


def _suite_scores(
    judge: Judge, pairs: Sequence[Mapping[str, Any]], models: tuple[Any, Any], tokenizer: Any, stops: set[int]
) -> dict[str, Any]:
    """Mean score of the version and of what was written, over the pairs that could be judged for both."""
    found: dict[str, Any] = {"suite": judge.identity["suite"], "pairs": 0}
    try:
        ours, theirs = (judge(pairs, model, tokenizer, stops) for model in models)
    except GoldpairError as error:  # the file is as good without: what a scorer lacks here is said
        return found | {"why": str(error).split("\n", 1)[0][:300]}
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if not both:
        return found | {"why": "its scorer could judge none of the answers"}
    means = {
        name: round(fmean(part), 6)
        for name, part in zip(("version", "export"), zip(*both, strict=True), strict=True)
    }
    return found | {"pairs": len(both), **means}


# --- parity -------------------------------------------------------------------------------------------------


def _load(folder: Path, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    from train.capabilities import capabilities, quiet

    quiet()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, trust_remote_code=False, use_safetensors=True
    )
    return model.to(capabilities().device).eval()


def _answers(model: Any, prompts: Sequence[Sequence[int]], stops: Sequence[int]) -> list[list[int]]:
    """Greedy continuations, one prompt at a time: nothing of a batch can come between two models."""
    import torch

    found = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)], device=model.device)
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                repetition_penalty=1.0,
                eos_token_id=list(stops) or None,
                pad_token_id=stops[0] if stops else 0,
            )
        found.append(out[0, len(prompt) :].tolist())
    return found


def _parity(wanted: list[list[int]], found: list[list[int]], *, exact: bool) -> dict[str, Any]:
    """Two lists of answers compared; ``differences`` gives the first token (from 0) at which a prompt's differ."""
    differences = [
        {"prompt": number, "token": next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
                                         min(len(a), len(b)))}
        for number, (a, b) in enumerate(zip(wanted, found, strict=True))
        if a != b
    ]  # fmt: skip
    verdict = "EQUAL" if not differences else "BROKEN" if exact else "DIVERGES"
    return {
        "verdict": verdict,
        "prompts": len(wanted),
        "equal": len(wanted) - len(differences),
        "tokens": sum(map(len, wanted)),
        "differences": differences,
    }


def _parity_note(parity: Mapping[str, Any]) -> str:
    if parity["verdict"] == "NOT MEASURED":
        return f"Its answers were not compared with the version's: {parity['reason']}."
    said = f"{parity['equal']} of {parity['prompts']} greedy answers equal those of base plus adapter"
    if parity["verdict"] == "BROKEN":
        return f"**BROKEN EXPORT, do not use: only {said}.**"
    if parity["verdict"] == "DIVERGES":
        first = sorted(entry["token"] for entry in parity["differences"])
        return f"{said}; the others differ from token {first[0]} on (median {first[len(first) // 2]})."
    return f"{said}, token by token."


def _suite_note(found: Mapping[str, Any]) -> str:
    if "why" in found:
        return f"Suite {found['suite']} did not score it: {found['why']}."
    return (
        f"Suite {found['suite']} scores its answers to {found['pairs']} validation pairs {found['export']:.3f}, the "
        f"version's own {found['version']:.3f}."
    )


def _gate(version: ModelVersion) -> dict[str, Any] | None:
    path = version.folder / "gate.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _context(base: Path) -> int:
    return int(json.loads((base / "config.json").read_text("utf-8")).get("max_position_embeddings") or 2048)
