"""Answers from a model: in this process, or from any OpenAI-compatible server.

Covers: the `Generator` protocol, `LocalModel` (one loaded base, any number of adapters on it), `Endpoint`, a
response cache that never expires (`CachedGenerator`), log-probabilities of given completions.
Does not cover: the prompts of arms and suites (`evals.run`), scoring.

Decoding is greedy with a repetition penalty (Keskar et al. 2019, as in transformers: over prompt and answer), so
that a report can be repeated. In fp32 a batch gives the same text as one prompt at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from curate.contract import canonical_json, file_sha256, sha256_hex
from curate.errors import GoldpairError, NotFound, UsageError

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


CPU_BATCH, DEVICE_BATCH = 32768, 65536


def greedy_answers(
    model: Any,
    tokenizer: Any,
    stops: set[int],
    conversations: Sequence[Conversation],
    *,
    max_new_tokens: int,
    repetition_penalty: float,
    batch_tokens: int | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> list[Generation]:
    """Greedy answers of a model in memory, loaded or still learning; ``stops`` are the tokens that end one."""
    from evals._decode import greedy
    from train.render import encode_prompts

    prompts = encode_prompts(tokenizer, conversations)
    answers = greedy(
        model,
        prompts,
        stops=stops,
        max_new_tokens=max_new_tokens,
        repetition_penalty=repetition_penalty,
        batch_tokens=batch_tokens or default_batch(model.device.type),
        threads=threads,
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


def default_batch(device: str) -> int:
    """Tokens, prompt and answer, that are in memory at once on a kind of device."""
    return CPU_BATCH if device == "cpu" else DEVICE_BATCH


class LocalModel:
    """A Hugging Face model in this process, with or without an adapter.

    ``base`` is a name, hub id or folder (`train.base.resolve`), ``adapter`` a folder in PEFT layout, or that of a full
    fine-tune, which then stands in for the base.
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
        batch_tokens: int | None = None,
        template: str = "model",
    ) -> None:
        from train.versions import is_whole

        self._beneath: Callable[[], LocalModel] | None = None  # the base that a full fine-tune stands in for
        if adapter is not None and is_whole(adapter):
            plain = base
            self._beneath = lambda: LocalModel(
                plain, threads=threads, precision=precision, batch_tokens=batch_tokens, template=template
            )
            base, adapter = adapter, None
        self._loaded = _Loaded(base, threads, precision, template)
        self._adapter = None if adapter is None else self._loaded.register(Path(adapter))
        self.batch_tokens = batch_tokens or default_batch(self._loaded.device)

    def with_adapter(self, adapter: str | Path | None) -> LocalModel:
        """The same base in memory with another adapter, or with none; a full fine-tune is loaded beside it."""
        from train.versions import is_whole

        if adapter is not None and is_whole(adapter):
            whole = LocalModel(adapter, batch_tokens=self.batch_tokens, **self._loaded.settings)
            whole._beneath = lambda: self.with_adapter(None)
            return whole
        if self._beneath is not None:  # a full fine-tune is loaded beside its base, which has not changed
            return self._beneath().with_adapter(adapter)
        other = object.__new__(LocalModel)
        other.batch_tokens, other._loaded, other._beneath = self.batch_tokens, self._loaded, None
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
        with self._loaded.using(self._adapter, self._loaded.decoding) as model:
            return greedy_answers(
                model,
                self._loaded.tokenizer,
                self._loaded.stops,
                conversations,
                max_new_tokens=max_new_tokens,
                repetition_penalty=repetition_penalty,
                batch_tokens=self.batch_tokens,
                threads=self._loaded.threads,
                progress=progress,
            )

    @property
    def context_tokens(self) -> int:
        """Tokens, prompt and answer together, that the base was made for."""
        return self._loaded.context_tokens

    def count_tokens(self, conversations: Sequence[Conversation]) -> list[int]:
        """Prompt tokens of each conversation, template included."""
        from train.render import encode_prompts

        return [len(ids) for ids in encode_prompts(self._loaded.tokenizer, conversations)]

    def score_logprob(
        self, conversations: Sequence[Conversation], completions: Sequence[str]
    ) -> list[tuple[float, int]]:
        """(mean log-probability per token in nats, number of tokens) of each completion after its conversation.

        The token that ends the turn counts, as in training. An empty conversation scores the completion as plain
        text, every token after those before it (so the first is free); an empty text gives (0.0, 0).
        """
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
        for number, loss, count in self._losses(rows):
            found[number] = (-loss, count)
        return found

    def _losses(self, rows: Sequence[tuple[int, Any]]) -> list[tuple[int, float, int]]:
        """(number, mean loss in nats, supervised tokens) of numbered rows, each core taking some of them."""
        from train.capabilities import in_threads
        from train.packed import ATTENTION, even_parts, micro_batches, pack, row_losses

        if not rows:
            return []
        threads = self._loaded.threads if self._loaded.device == "cpu" else 1
        with self._loaded.using(self._adapter, attention=ATTENTION) as model:
            packed = {key: value.to(model.device) for key, value in pack(rows).items()}
            parts = [
                part
                for whole in micro_batches(packed, self.batch_tokens // 4)
                for part in even_parts(whole, threads)
            ]
            done = in_threads(lambda part: row_losses(model, part), parts, threads)
            return [row for part in done for row in part]

    @property
    def learned(self) -> str | None:
        """Where `learned_gradients` looks: "adapter", "last block" of a full fine-tune, None for a plain base."""
        if self._adapter is not None:
            return "adapter"
        return None if self._beneath is None else "last block"

    def learned_gradients(
        self,
        conversations: Sequence[Conversation],
        completions: Sequence[str],
        dimensions: int = 4096,
        seed: int = 0,
    ) -> Any:
        """Sketch of the loss gradient with respect to what learned (`learned`), a float32 array (n, dimensions).

        Cosines of rows are about those of the gradients (`evals._gradients`). Raises `UsageError` for a plain base.
        """
        from evals._gradients import last_block, sketches
        from train.render import encode_prompts

        if self.learned is None:
            raise UsageError(
                "Gradients are of what a model learned with; this one is a base and has no adapter."
            )
        tokenizer = self._loaded.tokenizer
        prompts = encode_prompts(tokenizer, conversations)
        texts = tokenizer(list(completions), add_special_tokens=False)["input_ids"] if completions else []
        with self._loaded.using(self._adapter) as model:
            weights = (
                last_block(model)
                if self._adapter is None
                else [w for name, w in model.named_parameters() if f".{self._adapter}." in name]
            )
            return sketches(model, weights, prompts, texts, tokenizer.eos_token_id, dimensions, seed)

    def try_endings(
        self, conversation: Conversation, prefix: str, endings: Sequence[str]
    ) -> tuple[list[float], list[int]]:
        """How each ending of an answer that began with ``prefix`` stands with the model; endings must differ.

        First its log-probability (nats), its end left open: tokens that all ``prefix + ending`` begin with are
        context, what is left is summed, so values compare among the endings of one call. Then its number of tokens
        when greedy decoding after ``prefix`` says exactly these, else 0.
        """
        from evals._decode import ending_scores

        rows, known = self._endings(conversation, prefix, endings)
        with self._loaded.using(self._adapter, self._loaded.decoding) as model:
            scores, said = ending_scores(model, rows, min(known))
        own = [len(row) - first for row, first in zip(rows, known, strict=True)]
        return scores, [length * (run >= length) for length, run in zip(own, said, strict=True)]

    def _endings(
        self, conversation: Conversation, prefix: str, endings: Sequence[str]
    ) -> tuple[list[list[int]], list[int]]:
        """Token ids of prompt, prefix and each ending, and how many of them are prompt and prefix."""
        from train.render import encode_prompts

        tokenizer = self._loaded.tokenizer
        [prompt] = encode_prompts(tokenizer, [conversation])
        begun = tokenizer(prefix, add_special_tokens=False)["input_ids"]
        texts = tokenizer([prefix + ending for ending in endings], add_special_tokens=False)["input_ids"]
        # a word may swallow the prefix's last token, and then its own first token is part of the ending
        same = (
            next((i for i, (a, b) in enumerate(zip(begun, text, strict=False)) if a != b), len(begun))
            for text in texts
        )
        return [[*prompt, *text] for text in texts], [len(prompt) + count for count in same]


class Endpoint:
    """Any OpenAI-compatible chat server: ``POST {url}/chat/completions``.

    ``api_key_env`` names the environment variable that holds the key; the key itself is never stored or logged.
    At most ``concurrency`` requests are open at once. A request that fails for a reason that can pass (connection,
    time-out, 408, 409, 425, 429, 5xx) is repeated up to ``retries`` times with exponential back-off and jitter, or
    after the server's Retry-After. Raises `GenerationError` naming the server's answer otherwise.

    Servers differ in what they call a repetition penalty; ``repetition_penalty`` is sent under that name (vLLM,
    `transformers serve`, llama.cpp read it as such) unless it is 1.
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key_env: str | None = None,
        *,
        concurrency: int = 8,
        retries: int = 5,
        timeout: float = 120.0,
        backoff: float = 0.5,
        revision: str = "",
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"Endpoint {url!r}: give a URL such as http://localhost:8000/v1.")
        self.url, self.model, self.revision = url.rstrip("/"), model, revision
        self.api_key_env, self.concurrency = api_key_env, concurrency
        self.retries, self.timeout, self.backoff = retries, timeout, backoff

    def identity(self) -> dict[str, Any]:
        """``revision`` is the caller's name for the weights behind the URL, which it cannot see by itself."""
        return {"endpoint": self.url, "model": self.model, "revision": self.revision}

    def generate(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int = 64,
        repetition_penalty: float = 1.1,
        progress: Progress | None = None,
    ) -> list[Generation]:
        from concurrent.futures import ThreadPoolExecutor, as_completed

        import httpx

        found: list[Generation | None] = [None] * len(conversations)
        decoding: dict[str, Any] = {"model": self.model, "max_tokens": max_new_tokens, "temperature": 0}
        if repetition_penalty != 1.0:
            decoding["repetition_penalty"] = repetition_penalty
        headers = self._headers()
        with (
            httpx.Client(timeout=self.timeout, headers=headers) as client,
            ThreadPoolExecutor(max_workers=self.concurrency) as pool,
        ):
            waiting = {
                pool.submit(
                    self._ask, client, {**decoding, "messages": [dict(turn) for turn in turns]}
                ): number
                for number, turns in enumerate(conversations)
            }
            try:
                for done, future in enumerate(as_completed(waiting), 1):
                    found[waiting[future]] = future.result()
                    if progress is not None:
                        progress(done, len(conversations))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [answer for answer in found if answer is not None]

    def _headers(self) -> dict[str, str]:
        if self.api_key_env is None:
            return {}
        key = os.environ.get(self.api_key_env)
        if not key:
            raise UsageError(
                f"Endpoint {self.url}: the environment variable {self.api_key_env} holds no key."
            )
        return {"Authorization": f"Bearer {key}"}

    def _ask(self, client: Any, body: dict[str, Any]) -> Generation:
        import httpx

        started = time.perf_counter()
        for attempt in range(self.retries + 1):
            wait = self.backoff * 2**attempt * random.uniform(0.5, 1.0)
            try:
                answer = client.post(f"{self.url}/chat/completions", json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    return self._read(answer, time.perf_counter() - started)
                problem = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code not in (408, 409, 425, 429) and answer.status_code < 500:
                    break
                with contextlib.suppress(ValueError):
                    wait = max(wait, min(float(answer.headers.get("retry-after", "0")), 60.0))
            if attempt < self.retries:
                time.sleep(wait)
        raise GenerationError(
            f"{self.url} gave no answer: {problem}. Answers so far are in the cache; run it again."
        )

    def _read(self, answer: Any, seconds: float) -> Generation:
        try:
            body = answer.json()
            text = body["choices"][0]["message"]["content"] or ""
            usage = body.get("usage") or {}
            return Generation(
                str(text).strip(),
                int(usage.get("prompt_tokens") or 0),
                int(usage.get("completion_tokens") or 0),
                seconds,
            )
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise GenerationError(
                f"{self.url} answered with something that is no chat completion ({error!r}): {answer.text[:300]}"
            ) from error


class CachedGenerator:
    """Remembers every answer in a folder, for ever: the same question to the same model costs nothing again.

    The key is the hash of the generator's identity (base files, adapter, template, number format), the decoding and
    the messages, so nothing ever has to expire. Answers are written in chunks as they come, each by one rename:
    an interrupted run continues where it was, and two processes may share a folder.
    """

    def __init__(self, generator: Generator, folder: Path | str, *, chunk: int = 128) -> None:
        self.generator, self.folder, self.chunk = generator, Path(folder), chunk
        self.generated = 0  # answers that really had to be made
        self.reused = 0

    def identity(self) -> dict[str, Any]:
        return self.generator.identity()

    def generate(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int = 64,
        repetition_penalty: float = 1.1,
        progress: Progress | None = None,
    ) -> list[Generation]:
        identity = self.identity()
        decoding = {
            "greedy": True,
            "max_new_tokens": max_new_tokens,
            "repetition_penalty": repetition_penalty,
        }
        keys = [
            sha256_hex(
                canonical_json(
                    {"model": identity, "decoding": decoding, "messages": [dict(turn) for turn in turns]}
                )
            )
            for turns in conversations
        ]
        found = {key: kept for key in set(keys) if (kept := self._read(key)) is not None}
        self.reused += sum(key in found for key in keys)
        first = {key: number for number, key in reversed(list(enumerate(keys)))}
        # similar lengths together, as the batches inside will be
        missing = sorted(
            (key for key in first if key not in found),
            key=lambda key: -sum(len(turn["content"]) for turn in conversations[first[key]]),
        )
        for start in range(0, len(missing), self.chunk):
            part = missing[start : start + self.chunk]
            before = sum(key in found for key in keys)

            def report(done: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(min(before + done, len(keys)), len(keys))

            answers = self.generator.generate(
                [conversations[first[key]] for key in part],
                max_new_tokens=max_new_tokens,
                repetition_penalty=repetition_penalty,
                progress=report,
            )
            for key, answer in zip(part, answers, strict=True):
                self._write(key, answer)
                found[key] = answer
            self.generated += len(part)
        if progress is not None:
            progress(len(keys), len(keys))
        return [found[key] for key in keys]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _read(self, key: str) -> Generation | None:
        try:
            return Generation(**json.loads(self._path(key).read_text("utf-8")))
        except (OSError, ValueError, TypeError):  # absent or damaged: it is made again
            return None

    def _write(self, key: str, answer: Generation) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{key}.{os.getpid()}")
        scratch.write_text(json.dumps(asdict(answer), ensure_ascii=False), "utf-8")
        scratch.replace(path)


class _Loaded:
    """A base in memory and what belongs to it: tokenizer, stop tokens, adapters by content hash."""

    def __init__(
        self, base: str | Path, threads: int, precision: Literal["auto", "fp32", "bf16"], template: str
    ) -> None:
        from train.base import file_hashes, portable_name, resolve
        from train.capabilities import capabilities, use_threads
        from train.render import load_tokenizer, stop_ids

        self.settings: dict[str, Any] = {"threads": threads, "precision": precision, "template": template}
        self.folder = resolve(base)
        self.threads = use_threads(threads)
        self.device = capabilities().device
        self.dtype = capabilities().dtype(precision)
        self.tokenizer = load_tokenizer(self.folder, template)
        self.stops = stop_ids(self.folder, self.tokenizer)
        config = json.loads((self.folder / "config.json").read_text("utf-8"))
        self.context_tokens = int(config.get("max_position_embeddings") or 2**31)
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

    @property
    def decoding(self) -> str:
        """The attention for answers."""
        from evals._prefix import ATTENTION, fits

        return ATTENTION if fits(self._with(None)) else "sdpa"

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
