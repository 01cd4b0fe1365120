"""Answers: batches equal single prompts, adapters share a base, the cache and endpoints survive interruptions.

Does not cover: arms, suites and scores (`test_eval_run.py`).
"""

from __future__ import annotations

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from curate.errors import NotFound, UsageError
from evals import _own_part
from evals._decode import batches
from evals.generate import CachedGenerator, Endpoint, GenerationError, LocalModel
from train.base import tiny_llama
from train.fit import add_lora, load_base
from train.recipe import load_recipe

ASKED = [
    [{"role": "user", "content": text}]
    for text in (
        "Where?",
        "Please tell me the time, the price, the weather and the way home, and then all of it again.",
        "And now?",
        "The quick brown fox",
        "How does one boil an egg without water, fire or an egg?",
        "x",
    )
] + [
    [
        {"role": "system", "content": "Shrug."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Why?"},
    ]
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny", seed=5)


@pytest.fixture(scope="module")
def model(base):
    return LocalModel(base, threads=1)


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    folders = []
    for seed in (1, 2):
        recipe = load_recipe({"precision": "fp32", "seed": seed, "lora": {"r": 4, "alpha": 8}})
        tuned = add_lora(load_base(base, recipe), recipe)
        for name, p in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.3)
        folders.append(tmp_path_factory.mktemp("adapter") / f"a{seed}")
        tuned.save_pretrained(folders[-1])
    return folders


def one_by_one(base, conversations, adapter=None, penalty=1.1, new=24) -> list[str]:
    """The oracle: transformers' own generate, one prompt at a time."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    texts = []
    for turns in conversations:
        ids = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**ids, max_new_tokens=new, do_sample=False, repetition_penalty=penalty)
        texts.append(tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return texts


@pytest.mark.parametrize("penalty", [1.0, 1.1, 1.8])
@pytest.mark.parametrize(("batch_tokens", "threads"), [(1, 1), (120, 1), (8192, 1), (8192, 2)])
def test_batches_give_the_text_of_one_by_one(
    base, adapters, penalty: float, batch_tokens: int, threads: int
) -> None:
    view = LocalModel(base, adapters[0], threads=threads, batch_tokens=batch_tokens)
    found = view.generate(ASKED, max_new_tokens=24, repetition_penalty=penalty)
    assert [answer.text for answer in found] == one_by_one(base, ASKED, adapters[0], penalty=penalty)
    assert [answer.prompt_tokens for answer in found] == view.count_tokens(ASKED)
    assert all(0 <= answer.completion_tokens <= 24 and answer.seconds > 0 for answer in found)


def test_rows_that_finish_early_leave_and_the_others_go_on(model, adapters) -> None:
    from evals._decode import greedy
    from train.render import encode_prompts

    tuned = model.with_adapter(adapters[0])  # the random base says the same to everything
    prompts = encode_prompts(model._loaded.tokenizer, ASKED)

    def decode(which: list, stops: set[int], new: int = 24) -> list[list[int]]:
        options = {"stops": stops, "max_new_tokens": new, "repetition_penalty": 1.3, "batch_tokens": 8192}
        with tuned._loaded.using(tuned._adapter) as loaded:
            return [answer.tokens for answer in greedy(loaded, which, **options)]

    free = decode(prompts, set())
    assert all(len(tokens) == 24 for tokens in free)

    # a stop token that the rows reach at different steps, or not at all
    def ends_at(token: int) -> list[int]:
        return [tokens.index(token) if token in tokens else 24 for tokens in free]

    stop = max({token for tokens in free for token in tokens}, key=lambda token: len(set(ends_at(token))))
    stops, ends = {stop}, ends_at(stop)
    assert len(set(ends)) > 1
    together = decode(prompts, stops)
    assert together == [tokens for prompt in prompts for tokens in decode([prompt], stops)]
    assert together == [tokens[:end] for tokens, end in zip(free, ends, strict=True)]


@pytest.mark.parametrize("alike", [True, False])
def test_what_rows_share_is_read_once_and_changes_no_token(model, alike: bool, monkeypatch) -> None:
    """Against transformers' own cache and attention, which copy it to every row."""
    from evals import _decode, _prefix
    from train.render import encode_prompts

    turns = [{"role": "system", "content": "Say it short, say it twice, and never say please. " * 6}]
    asked = [(turns if alike else turns[:0]) + list(conversation) for conversation in ASKED[:-1]]
    prompts = encode_prompts(model._loaded.tokenizer, asked)
    monkeypatch.setattr(_prefix, "BLOCK", 7)  # so that prompts are read in several blocks
    read: list[int] = []
    whole = _decode.read_shared
    monkeypatch.setattr(_decode, "read_shared", lambda m, ids: (read.append(len(ids)), whole(m, ids))[1])
    found = []
    for attention in (_prefix.ATTENTION, "sdpa"):
        with model._loaded.using(None, attention) as loaded:
            answers = _decode.greedy(
                loaded, prompts, stops=set(), max_new_tokens=12, repetition_penalty=1.1, batch_tokens=8192
            )
            found.append([answer.tokens for answer in answers])
    assert found[0] == found[1]
    assert len(read) == 1 and (read[0] > 40) == alike


@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 8), (3, 2, 4, 9, 16), (5, 3, 3, 33, 64)])
def test_one_token_attends_to_its_rows_own_part_as_a_product_would(shape) -> None:
    """Padding is left out, what stands behind a row's tokens in its buffer is not read, and what is shared stays."""
    rows, heads, group, own, dim = shape
    torch.manual_seed(own)
    query, (keys, values) = torch.randn(rows, heads, group, dim), torch.randn(2, rows, heads, own + 7, dim)
    key, value = keys[:, :, :own], values[:, :, :own]
    mask = torch.zeros(rows, own)
    for row in range(1, rows):
        mask[row, : own // (row + 1)] = float("-inf")
    assert _own_part.fits(query, key, value) and not _own_part.fits(query, key.bfloat16(), value)
    found = torch.full((rows, heads, group, 5 + own), 9.0)
    _own_part.scores(query, key, mask, found, 5)
    torch.testing.assert_close(found[..., 5:], query @ key.transpose(2, 3) + mask[:, None, None])
    assert bool((found[..., :5] == 9).all())
    weights = found.softmax(-1)
    torch.testing.assert_close(
        _own_part.weighted(weights, value, mask, 5), weights[..., 5:].nan_to_num() @ value
    )


def test_adapters_share_one_base_and_do_not_leak_into_it(base, model, adapters) -> None:
    first, second = (model.with_adapter(folder) for folder in adapters)
    plain = [a.text for a in model.generate(ASKED, max_new_tokens=12)]
    tuned = [a.text for a in first.generate(ASKED, max_new_tokens=12)]
    other = [a.text for a in second.generate(ASKED, max_new_tokens=12)]
    assert tuned == one_by_one(base, ASKED, adapters[0], new=12)
    assert other == one_by_one(base, ASKED, adapters[1], new=12)
    assert (
        plain == [a.text for a in model.generate(ASKED, max_new_tokens=12)] == one_by_one(base, ASKED, new=12)
    )
    assert len({json.dumps(x) for x in (plain, tuned, other)}) == 3
    assert first._loaded is model._loaded
    identities = [m.identity() for m in (model, first, second)]
    assert len({json.dumps(i, sort_keys=True) for i in identities}) == 3


def test_what_is_missing_is_named(base, tmp_path) -> None:
    with pytest.raises(NotFound, match="adapter_model"):
        LocalModel(base, tmp_path)
    with pytest.raises(NotFound, match="no such folder"):
        LocalModel(tmp_path / "nothing")


def test_log_probabilities_are_those_of_a_plain_forward(base, model, adapters) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from train.render import encode_prompts

    tokenizer = AutoTokenizer.from_pretrained(base)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    texts = ["Gone.", "It is where the trains stop.", "no", "Please", "e", "Ask the fox.", "Because."]
    found = model.score_logprob([*ASKED, [], ASKED[0]], [*texts, "Where is the station?", ""])
    prompts = [*encode_prompts(tokenizer, ASKED), []]
    for (value, count), prompt, text in zip(found, prompts, [*texts, "Where is the station?"], strict=False):
        answer = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*prompt, *answer, *([tokenizer.eos_token_id] if prompt else [])]])
        first = len(prompt) or 1
        logs = plain(ids).logits.log_softmax(-1)[0, first - 1 : -1].gather(1, ids[0, first:, None]).squeeze(1)
        assert count == len(logs)
        assert value == pytest.approx(float(logs.mean().detach()), abs=1e-4)
    assert found[-1] == (0.0, 0)
    assert model.with_adapter(adapters[0]).score_logprob(ASKED, texts) != found[:-2]
    assert model.score_logprob([], []) == []


@pytest.mark.parametrize("tokens", [1, 50, 10**6])
def test_batches_hold_every_row_once_within_the_budget(tokens: int) -> None:
    lengths = [5, 40, 7, 7, 100, 3, 12]
    made = batches(lengths, tokens)
    assert sorted(number for batch in made for number in batch) == list(range(7))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= tokens


# --- cache --------------------------------------------------------------------------------------------------


class Counting:
    """A real generator that counts what it is asked, and may fail after some answers."""

    def __init__(self, model: LocalModel, limit: int | None = None) -> None:
        self.model, self.asked, self.limit = model, 0, limit

    def identity(self):
        return self.model.identity()

    def generate(self, conversations, **options):
        if self.limit is not None and self.asked + len(conversations) > self.limit:
            raise GenerationError("the machine went away")
        self.asked += len(conversations)
        return self.model.generate(conversations, **options)


def test_a_second_report_generates_nothing(model, tmp_path) -> None:
    counting = Counting(model)
    cached = CachedGenerator(counting, tmp_path)
    told: list[tuple[int, int]] = []
    first = cached.generate(ASKED + ASKED[:2], max_new_tokens=6, progress=lambda *now: told.append(now))
    assert counting.asked == len(ASKED) == cached.generated, "the same question is asked once"
    assert first[:2] == first[-2:] and told[-1] == (len(ASKED) + 2,) * 2
    again = CachedGenerator(counting, tmp_path)
    assert again.generate(ASKED, max_new_tokens=6) == first[: len(ASKED)]
    assert counting.asked == len(ASKED) and again.generated == 0 and again.reused == len(ASKED)


def test_anything_that_decides_the_text_is_in_the_key(model, adapters, tmp_path) -> None:
    for generator, options in (
        (model, {}),
        (model, {"max_new_tokens": 5}),
        (model, {"repetition_penalty": 1.2}),
        (model.with_adapter(adapters[0]), {}),
        (model.with_adapter(adapters[1]), {}),
    ):
        counting = Counting(generator)
        CachedGenerator(counting, tmp_path).generate(ASKED[:2], **{"max_new_tokens": 4, **options})
        assert counting.asked == 2, options
    asked = Counting(model)
    changed = [[{"role": "system", "content": "Be kind."}, *ASKED[0]]]
    CachedGenerator(asked, tmp_path).generate(changed, max_new_tokens=4)
    assert asked.asked == 1


def test_an_interrupted_run_continues_where_it_was(model, tmp_path) -> None:
    with pytest.raises(GenerationError):
        CachedGenerator(Counting(model, limit=5), tmp_path, chunk=2).generate(ASKED, max_new_tokens=4)
    rest = Counting(model)
    found = CachedGenerator(rest, tmp_path, chunk=2).generate(ASKED, max_new_tokens=4)
    assert rest.asked == len(ASKED) - 4
    assert [a.text for a in found] == [a.text for a in model.generate(ASKED, max_new_tokens=4)]


def test_a_damaged_entry_is_made_again(model, tmp_path) -> None:
    cached = CachedGenerator(model, tmp_path)
    first = cached.generate(ASKED[:1], max_new_tokens=4)
    (entry,) = tmp_path.rglob("*.json")
    entry.write_text(entry.read_text()[:10])
    assert CachedGenerator(model, tmp_path).generate(ASKED[:1], max_new_tokens=4)[0].text == first[0].text


# --- endpoints ----------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A chat server that answers with the question in capitals, after the failures it was told to have."""
    state: dict = {"fail": [], "seen": [], "open": 0, "most": 0, "lock": threading.Lock(), "hold": 0.0}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with state["lock"]:
                state["seen"].append((body, dict(self.headers), self.path))
                failure = state["fail"].pop(0) if state["fail"] else None
                state["open"] += 1
                state["most"] = max(state["most"], state["open"])
            if state["hold"]:
                threading.Event().wait(state["hold"])
            with state["lock"]:
                state["open"] -= 1
            if failure == "drop":
                self.connection.close()
                return
            code, content = failure if failure else (200, None)
            if content is None:
                text = body["messages"][-1]["content"].upper()
                usage = {"prompt_tokens": 3, "completion_tokens": 2}
                content = json.dumps({"choices": [{"message": {"content": f" {text} "}}], "usage": usage})
            payload = content.encode()
            self.send_response(code)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_):
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    state["url"] = f"http://127.0.0.1:{service.server_port}/v1"
    yield state
    service.shutdown()
    service.server_close()


def test_an_endpoint_answers_in_order_with_greedy_decoding(server, monkeypatch) -> None:
    monkeypatch.setenv("CHAT_KEY", "secret-key")
    server["hold"] = 0.05
    endpoint = Endpoint(server["url"] + "/", "some-model", "CHAT_KEY", concurrency=3)
    told: list[int] = []
    found = endpoint.generate(
        ASKED, max_new_tokens=9, repetition_penalty=1.2, progress=lambda n, _: told.append(n)
    )
    assert [answer.text for answer in found] == [turns[-1]["content"].upper() for turns in ASKED]
    assert (found[0].prompt_tokens, found[0].completion_tokens) == (3, 2) and found[0].seconds > 0
    assert told == list(range(1, len(ASKED) + 1))
    assert 1 < server["most"] <= 3, "concurrency is bounded"
    body, headers, path = server["seen"][0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret-key"
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("some-model", 9, 0)
    assert body["repetition_penalty"] == 1.2
    assert "secret-key" not in json.dumps(endpoint.identity())


def test_failures_that_pass_are_retried(server) -> None:
    server["fail"] = [(503, "busy"), "drop", (429, "slow down")]
    endpoint = Endpoint(server["url"], "m", backoff=0.01, concurrency=1)
    assert [a.text for a in endpoint.generate(ASKED[:2])] == ["WHERE?", ASKED[1][0]["content"].upper()]
    assert len(server["seen"]) == 5


def test_failures_that_stay_are_reported_with_the_servers_words(server) -> None:
    server["fail"] = [(400, "no such model")] * 3
    with pytest.raises(GenerationError, match="400 no such model"):
        Endpoint(server["url"], "m", backoff=0.01, concurrency=1).generate(ASKED[:1])
    assert len(server["seen"]) == 1, "a wrong request is not repeated"
    server["fail"] = [(500, "broken")] * 9
    with pytest.raises(GenerationError, match="500 broken"):
        Endpoint(server["url"], "m", backoff=0.001, retries=2).generate(ASKED[:1])
    server["fail"] = [(200, '{"choices": []}')]
    with pytest.raises(GenerationError, match="no chat completion"):
        Endpoint(server["url"], "m").generate(ASKED[:1])


def test_answers_before_a_failure_are_kept(server, tmp_path) -> None:
    endpoint = Endpoint(server["url"], "m", backoff=0.001, retries=0, concurrency=1)
    server["fail"] = [(200, None), (200, None), (500, "gone")]
    with pytest.raises(GenerationError, match="gone"):
        CachedGenerator(endpoint, tmp_path, chunk=1).generate(ASKED)
    server["seen"].clear()
    assert len(CachedGenerator(endpoint, tmp_path, chunk=1).generate(ASKED)) == len(ASKED)
    assert len(server["seen"]) == len(ASKED) - 2


def test_a_missing_key_or_url_is_said_before_anything_is_sent(server, monkeypatch) -> None:
    monkeypatch.delenv("CHAT_KEY", raising=False)
    with pytest.raises(UsageError, match="CHAT_KEY"):
        Endpoint(server["url"], "m", "CHAT_KEY").generate(ASKED[:1])
    with pytest.raises(UsageError, match="URL"):
        Endpoint("localhost:8000", "m")
    assert not server["seen"]


@pytest.mark.slow
def test_the_real_base_answers_the_same_in_batches() -> None:
    from train.base import DEFAULT, resolve

    try:
        folder = resolve(DEFAULT)
    except NotFound as error:
        pytest.skip(str(error))
    asked = [
        [{"role": "user", "content": text}] for text in ("What is the capital of France?", "Count to five.")
    ]
    found = LocalModel(DEFAULT, threads=1).generate(asked, max_new_tokens=16)
    assert [answer.text for answer in found] == one_by_one(folder, asked, new=16)
    assert "Paris" in found[0].text
    (value, _), (worse, _) = LocalModel(DEFAULT, threads=1).score_logprob(
        [asked[0]] * 2, ["Paris.", "Cheese."]
    )
    assert value > worse and math.isfinite(worse)
