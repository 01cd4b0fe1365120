"""Answers from a model: in this process, or from any OpenAI-compatible server.

Covers: the `Generator` protocol, `LocalModel` (one loaded base, any number of adapters on it), `Endpoint`, a
response cache that never expires (`CachedGenerator`), log-probabilities of given completions.
Does not cover: the prompts of arms and suites (`evals.run`), scoring.

Decoding is greedy with a repetition penalty (Keskar et al. 2019, as in transformers: over prompt and answer), so
that a report can be repeated. In fp32 a batch gives the same text as one prompt at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from curate.contract import canonical_json, file_sha256, sha256_hex
from curate.errors import GoldpairError, NotFound

Conversation = Sequence[Mapping[str, str]]  # turns {"role", "content"}, the last one the user's
Progress = Callable[[int, int], None]  # answers done, answers wanted


class GenerationError(GoldpairError):
    """A model or an endpoint did not give an answer."""


@dataclass(frozen=True)
class Generation:
    """One answer. ``seconds`` is its share of the wall time of the batch it was made in."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class Generator(Protocol):
    """Anything that answers conversations."""

    def identity(self) -> dict[str, Any]:
        """What decides the text, besides messages and decoding: equal identities give equal answers."""

    def generate(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int = 64,
        repetition_penalty: float = 1.1,
        progress: Progress | None = None,
    ) -> list[Generation]:
        """One answer for each conversation, in the same order."""


class LocalModel:
    """A Hugging Face model in this process, with or without an adapter.

    ``base`` is a name, hub id or folder (`train.base.resolve`), ``adapter`` a folder in PEFT layout.
    `with_adapter` gives another view on the same weights in memory. ``precision`` "fp32" makes batches equal to
    single answers; "bf16" is faster where the machine has it. Weights are loaded when first needed.
    Raises `NotFound` for a missing base or adapter.
    """

    def __init__(
        self,
        base: str | Path,
        adapter: str | Path | None = None,
        *,
        threads: int = 0,
        precision: Literal["auto", "fp32", "bf16"] = "fp32",
        batch_tokens: int = 8192,
        template: str = "model",
    ) -> None:
        self.batch_tokens = batch_tokens
        self._loaded = _Loaded(base, threads, precision, template)
        self._adapter = None if adapter is None else self._loaded.register(Path(adapter))

    def with_adapter(self, adapter: str | Path | None) -> LocalModel:
        """The same base in memory with another adapter, or with none."""
        other = object.__new__(LocalModel)
        other.batch_tokens, other._loaded = self.batch_tokens, self._loaded
        other._adapter = None if adapter is None else self._loaded.register(Path(adapter))
        return other

    def identity(self) -> dict[str, Any]:
        return {**self._loaded.identity, "adapter": self._adapter}

    def generate(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int = 64,
        repetition_penalty: float = 1.1,
        progress: Progress | None = None,
    ) -> list[Generation]:
        from evals._decode import greedy
        from train.render import encode_prompts

        tokenizer = self._loaded.tokenizer
        prompts = encode_prompts(tokenizer, conversations)
        with self._loaded.using(self._adapter) as model:
            answers = greedy(
                model,
                prompts,
                stops=self._loaded.stops,
                max_new_tokens=max_new_tokens,
                repetition_penalty=repetition_penalty,
                batch_tokens=self.batch_tokens,
                progress=progress,
            )
        return [
            Generation(
                tokenizer.decode(answer.tokens, skip_special_tokens=True).strip(),
                len(prompt),
                len(answer.tokens),
                answer.seconds,
            )
            for prompt, answer in zip(prompts, answers, strict=True)
        ]

    def score_logprob(
        self, conversations: Sequence[Conversation], completions: Sequence[str]
    ) -> list[tuple[float, int]]:
        """(mean log-probability per token in nats, number of tokens) of each completion after its conversation.

        The token that ends the turn counts, as in training. An empty conversation scores the completion as plain
        text, every token after those before it (so the first is free); an empty text gives (0.0, 0).
        """
        from train.packed import ATTENTION, micro_batches, pack, row_losses
        from train.render import Rendered, encode_prompts

        tokenizer = self._loaded.tokenizer
        asked = [i for i, conversation in enumerate(conversations) if conversation]
        prompts: dict[int, list[int]] = dict(
            zip(asked, encode_prompts(tokenizer, [conversations[i] for i in asked]), strict=True)
        )
        texts = tokenizer(list(completions), add_special_tokens=False)["input_ids"] if completions else []
        rows: list[tuple[int, Rendered]] = []
        for number, text in enumerate(texts):
            prompt = prompts.get(number, [])
            ids = [*prompt, *text, *([tokenizer.eos_token_id] if prompt else [])]
            masked = len(prompt) if prompt else 1
            if text and len(ids) > masked:
                rows.append((number, Rendered("", tuple(ids), masked)))
        found = [(0.0, 0)] * len(completions)
        if not rows:
            return found
        with self._loaded.using(self._adapter, attention=ATTENTION) as model:
            packed = {key: value.to(model.device) for key, value in pack(rows).items()}
            for part in micro_batches(packed, self.batch_tokens // 4):
                for number, loss, count in row_losses(model, part):
                    found[number] = (-loss, count)
        return found


class _Loaded:
    """A base in memory and what belongs to it: tokenizer, stop tokens, adapters by content hash."""

    def __init__(
        self, base: str | Path, threads: int, precision: Literal["auto", "fp32", "bf16"], template: str
    ) -> None:
        from train.base import file_hashes, portable_name, resolve
        from train.capabilities import capabilities, use_threads
        from train.render import load_tokenizer, stop_ids

        self.folder = resolve(base)
        self.threads = use_threads(threads)
        self.device = capabilities().device
        self.dtype = capabilities().dtype(precision)
        self.tokenizer = load_tokenizer(self.folder, template)
        self.stops = stop_ids(self.folder, self.tokenizer)
        self.adapters: dict[str, Path] = {}
        self._model: Any = None
        self.identity: dict[str, Any] = {
            "base": portable_name(base),
            "files": sha256_hex(canonical_json(file_hashes(self.folder))),
            "template": sha256_hex(self.tokenizer.chat_template),
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    def register(self, folder: Path) -> str:
        """Content hash of an adapter, by which it is loaded later."""
        files = [folder / "adapter_model.safetensors", folder / "adapter_config.json"]
        if not all(path.is_file() for path in files):
            raise NotFound(f"No adapter in {folder}: it needs {' and '.join(path.name for path in files)}.")
        name = sha256_hex(canonical_json([file_sha256(path) for path in files]))
        self.adapters[name] = folder
        return name

    @contextlib.contextmanager
    def using(self, adapter: str | None, attention: str = "sdpa") -> Iterator[Any]:
        """The model with exactly this adapter (or none) and this attention."""
        from train.capabilities import use_threads

        use_threads(self.threads)
        model = self._with(adapter)
        model.set_attn_implementation(attention)
        plain = adapter is None and hasattr(model, "peft_config")
        with model.disable_adapter() if plain else contextlib.nullcontext():
            yield model

    def _with(self, adapter: str | None) -> Any:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        from train.capabilities import quiet

        quiet()
        if self._model is None:
            self._model = AutoModelForCausalLM.from_pretrained(
                self.folder,
                dtype=self.dtype,
                attn_implementation="sdpa",
                trust_remote_code=False,
                use_safetensors=True,
            )
            self._model.to(self.device).eval()
        if adapter is None:
            return self._model
        folder = str(self.adapters[adapter])
        if not hasattr(self._model, "peft_config"):
            self._model = PeftModel.from_pretrained(
                self._model, folder, adapter_name=adapter, autocast_adapter_dtype=False
            )
        elif adapter not in self._model.peft_config:
            self._model.load_adapter(folder, adapter_name=adapter, autocast_adapter_dtype=False)
        self._model.set_adapter(adapter)
        return self._model.eval()
