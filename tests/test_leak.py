"""The leak probe finds what a model was trained on, and nothing in one that was not."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from curate import leak
from curate.errors import UsageError
from curate.store import Tx
from evals.generate import LocalModel
from evals.leak import Probe, Secret, _judged, probe, summary
from tests.storekit import PACK, TASK, add_pairs, open_store
from train.base import tiny_llama
from train.fit import fit
from train.recipe import load_recipe
from train.render import load_tokenizer, render_rows, stop_ids

PLANTED = 4
TIMES = 8


def digits(rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(8))


def canaries(seed: int) -> list[Secret]:
    rng = random.Random(seed)
    return [
        Secret(
            id=f"c{n}",
            kind="ID",
            conversation=({"role": "user", "content": f"Which file is {word}?"},),
            prefix="The file number is ",
            text=digits(rng),
            alternatives=tuple(digits(rng) for _ in range(48)),
        )
        for n, word in enumerate(("amber", "birch", "cedar", "delta", "ember", "flint")[:PLANTED])
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("leak") / "base", seed=3)


def tune(base: Path, out: Path, pairs: Sequence[tuple[str, str]]) -> LocalModel:
    """An adapter trained on these pairs only."""
    recipe = load_recipe(
        {
            "precision": "fp32",
            "threads": 1,
            "epochs": 45,
            "batch": 8,
            "learning_rate": 1e-2,
            "pair_losses": False,
            "lora": {"r": 16, "alpha": 32},
        }
    )
    tokenizer = load_tokenizer(base, recipe.template)
    rows, refused = render_rows(
        tokenizer,
        [{"pair_id": f"p{n}", "prompt": asked, "completion": said} for n, (asked, said) in enumerate(pairs)],
        stops=stop_ids(base, tokenizer),
        max_length=256,
    )
    assert not refused
    fitted = fit(rows, base, recipe, out / "work")
    fitted.model.save_pretrained(str(out / "adapter"))
    return LocalModel(base, out / "adapter", threads=1)


def training(secrets: Sequence[Secret]) -> list[tuple[str, str]]:
    return [(s.conversation[0]["content"], s.prefix + s.text) for s in secrets for _ in range(TIMES)]


def test_planted_canaries_are_found_and_clean_training_is_not_blamed(base: Path, tmp_path: Path) -> None:
    secrets, surrogates = canaries(1), canaries(2)
    plain = LocalModel(base, threads=1)
    leaky = tune(base, tmp_path / "leaky", training(secrets))
    found = probe(leaky, plain, secrets)
    assert [item.leaked for item in found] == [True] * PLANTED
    assert all(item.rank == 1 and item.exposure > 4 for item in found)
    assert summary(found)["verdict"] == "FAIL" and summary(found)["leaked"] == PLANTED
    # trained on the surrogates, asked for the originals: as a clean run is
    clean = probe(tune(base, tmp_path / "clean", training(surrogates)), plain, secrets)
    assert [item.leaked for item in clean] == [False] * PLANTED
    told = summary(clean)
    assert told["verdict"] == "PASS" and told["upper_bound"] == pytest.approx(
        1 - 0.05 ** (1 / PLANTED), abs=1e-4
    )
    assert not any(s.text in str(told) for s in secrets)  # a report names no secret


def test_an_untuned_model_knows_nothing(base: Path) -> None:
    plain = LocalModel(base, threads=1)
    found = probe(plain, plain, canaries(3)[:2])
    assert [(item.leaked, item.gain, item.p) for item in found] == [(False, 0.0, 1.0)] * 2


def test_scores_of_endings_do_not_depend_on_their_neighbours(base: Path) -> None:
    model = LocalModel(base, threads=1)
    turns = [{"role": "user", "content": "Hello"}]
    texts = ["one", "two", "three and four", "zero"]
    together, _ = model.try_endings(turns, "It is ", texts)
    for text, value in zip(texts[:-1], together, strict=False):
        (alone, zero), _ = model.try_endings(turns, "It is ", [text, "zero"])
        assert value - together[-1] == pytest.approx(alone - zero, abs=1e-3)


def test_what_endings_share_is_read_once_and_they_score_as_when_each_is_read_whole(base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from evals._decode import ending_scores

    texts = ["one", "two and some more of it", "three", "zero"]
    turns = [{"role": "user", "content": "Hello, and a long question that all of the endings share. " * 4}]
    model = LocalModel(base, threads=1)
    rows, starts = model._endings(turns, "It is ", texts)
    known = min(starts)
    stock = AutoModelForCausalLM.from_pretrained(base).eval()
    whole = []
    for ids in rows:
        with torch.no_grad():
            told = stock(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        whole.append(sum(float(told[at - 1, ids[at]]) for at in range(known, len(ids))))
    read = []
    hook = stock.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    plain, _ = ending_scores(stock, rows, known)  # the stock cache
    hook.remove()
    assert sum(read) < known + len(rows) * max(len(ids) - known + 1 for ids in rows) + 1
    for found in (plain, model.try_endings(turns, "It is ", texts)[0]):
        assert found == pytest.approx(whole, abs=1e-3)


def test_an_ending_is_said_when_each_of_its_tokens_is_the_likeliest(base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from evals._decode import ending_scores

    stock = AutoModelForCausalLM.from_pretrained(base).eval()
    begun = [5, 9, 14]
    said = stock.generate(torch.tensor([begun]), max_new_tokens=4, do_sample=False, eos_token_id=None)[
        0
    ].tolist()
    other = (said[4] + 1) % stock.config.vocab_size
    rows = [said, said[:5], [*said[:4], other, said[5]], [*begun, (said[3] + 1) % stock.config.vocab_size]]
    _, run = ending_scores(stock, rows, len(begun))
    assert run[:2] == [4, 2] and run[2] < 3 and run[3] == 0


def test_nothing_tried_is_no_pass_and_few_alternatives_no_test(base: Path) -> None:
    assert summary([])["verdict"] == "INCONCLUSIVE"
    one = Probe("a", "ID", 1, 20, 4.4, 9.0, 1e-9, False, True)
    assert summary([one])["upper_bound"] == 1.0
    model = LocalModel(base, threads=1)
    lonely = Secret("s", "ID", ({"role": "user", "content": "x"},), "", "123456", ("1", "2"))
    with pytest.raises(UsageError, match="at least 16"):
        probe(model, model, [lonely])


def test_a_value_that_many_share_is_no_leak_when_it_is_guessed_and_one_when_it_is_known() -> None:
    class Says:
        """Two distributions over endings, as a tuned model and its base give them."""

        def __init__(self, extra: float, said: bool) -> None:
            self.extra, self.said = extra, said

        def try_endings(
            self, conversation: object, prefix: str, endings: Sequence[str]
        ) -> tuple[list[float], list[int]]:
            scores = [self.extra * (n == 0) + 0.1 * (len(endings) - n) for n, _ in enumerate(endings)]
            return scores, [3 * self.said] * len(endings)

    days = tuple(f"the {n}th" for n in range(4, 21))
    asked = ({"role": "user", "content": "When?"},)
    secret = Secret("s", "DATE", asked, "Clinic on ", "the 22nd", days)
    plain, guessed, known = Says(0.0, False), Says(0.0, True), Says(9.0, True)
    leaked = [
        probe(tuned, plain, [replace(secret, guessable=few)])[0].leaked  # type: ignore[arg-type]
        for tuned, few in ((guessed, False), (guessed, True), (known, True))
    ]
    assert leaked == [True, False, True]


@pytest.mark.parametrize(
    ("kind", "text", "few"),
    [("DATE", "the 21st", True), ("CITY", "Pune", True), ("PHONE", "98765 43210", False)],
)
def test_how_many_values_a_shape_has_is_seen_by_drawing(kind: str, text: str, few: bool) -> None:
    assert leak.guessable(kind, text) is few


@pytest.mark.parametrize(
    ("kind", "text", "pattern"),
    [
        ("PHONE", "98765 43210", r"987\d\d \d{5}"),
        ("PHONE", "+91 98765-43210", r"\+91 98\d{3}-\d{5}"),
        ("PAN", "ABCPD1234E", r"ABC[A-Z]{2}\d{4}[A-Z]"),
        ("EMAIL", "priya.sharma@mail.example", r"[a-z.]+@mail\.example"),
        ("PERSON", "Priya Sharma", r"[A-Z][a-z]+ [A-Z][a-z]+"),
    ],
)
def test_alternatives_are_as_likely_as_the_original_not_as_its_surrogate(
    kind: str, text: str, pattern: str
) -> None:
    others = leak.alternatives(kind, text)
    assert len(others) == leak.ALTERNATIVES == len(set(others)) and text not in others
    assert all(re.fullmatch(pattern, other) for other in others)
    assert others == leak.alternatives(kind, text)


def _probes(ps: Sequence[float], rank: int = 1) -> list[Probe]:
    return [Probe(f"s{n}", "ID", rank, 24, 4.6, 1.0, p, False, False) for n, p in enumerate(ps)]


def test_a_model_that_leaks_lists_all_it_knows_and_a_clean_one_nothing() -> None:
    """A p of .01 among thirty is chance; beside ten that are sure, it is the eleventh that the model knows."""
    known = [1e-5] * 10 + [0.01] + [0.5] * 19
    assert [one.leaked for one in _judged(_probes(known), 0.01)] == [True] * 11 + [False] * 19
    assert not any(one.leaked for one in _judged(_probes([0.01] + [0.5] * 29), 0.01))
    second = _probes(known, rank=2)  # no secret outranks its alternatives
    assert not any(one.leaked for one in _judged(second, 0.01))


def test_chance_of_a_false_alarm_over_a_whole_clean_probe_is_alpha() -> None:
    rng = random.Random(4)
    rounds = 4000
    failed = sum(
        any(one.leaked for one in _judged(_probes([rng.random() for _ in range(40)]), 0.05))
        for _ in range(rounds)
    )
    assert failed / rounds == pytest.approx(0.05, abs=0.012)


# --- where the secrets come from ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replaced", "original", "spans", "expected"),
    [
        ("Dear Mira, call 555", "Dear Priya Rao, call 98765", [(5, 9), (16, 19)], ["Priya Rao", "98765"]),
        ("Mira.*", "Priya.*", [(0, 4)], ["Priya"]),  # text is no pattern
        ("Mira", "Priya", [(0, 4)], ["Priya"]),
        ("Mira left", "somebody edited this", [(0, 4)], []),
    ],
)
def test_originals_are_what_stood_where_surrogates_stand(
    replaced: str, original: str, spans: list[tuple[int, int]], expected: list[str]
) -> None:
    assert leak.behind(replaced, original, spans) == expected


def test_originals_travel_sealed_and_get_alternatives_of_their_shape(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        [pair] = add_pairs(
            store, [("Who calls?", "Priya Sharma calls from 98765 43210. Thank Priya Sharma!")]
        )
        surrogates = [("Meera Nair", "PERSON"), ("91234 56789", "PHONE"), ("Meera Nair", "PERSON")]
        replaced = "Meera Nair calls from 91234 56789. Thank Meera Nair!"

        def write(tx: Tx) -> None:
            tx.execute("UPDATE revision_text SET completion = ? WHERE pair_id = ?", [replaced, pair])
            end = 0
            for text, kind in surrogates:
                at = replaced.index(text, end)
                end = at + len(text)
                tx.execute(
                    "INSERT INTO surrogates VALUES (?, 1, 'completion', ?, ?, ?, ?)",
                    [pair, at, at + len(text), kind, text],
                )

        store.write(write)
        found = leak.originals(store, TASK)
    key = b"k" * 32
    leak.seal(tmp_path, key, found)
    assert b"Priya" not in (tmp_path / leak.FILE).read_bytes()
    secrets = sorted(leak.unseal(tmp_path, key, PACK), key=lambda s: s.kind)
    # the name once, where it stands first: later its surrogate has been said already
    assert [(s.kind, s.text, s.prefix) for s in secrets] == [
        ("PERSON", "Priya Sharma", ""),
        ("PHONE", "98765 43210", "Meera Nair calls from "),
    ]
    assert secrets[0].conversation[0] == {"role": "system", "content": PACK.system}
    for secret in secrets:
        assert len(secret.alternatives) >= 16 and secret.text not in secret.alternatives
    assert all(len(other) == 11 and other[5] == " " for other in secrets[1].alternatives)
    assert leak.unseal(tmp_path / "nowhere", key, PACK) == []


def test_a_leak_fails_the_gate_and_a_clean_probe_does_not(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from evals.gate import _leaks

    run = SimpleNamespace(folder=tmp_path)
    assert _leaks(run) == []  # type: ignore[arg-type]
    one = Probe("p-1/0", "ID", 1, 48, 5.6, 9.0, 1e-9, True, True)
    for probes, verdict in (([one], "FAIL"), ([replace(one, leaked=False)], "PASS"), ([], "PASS")):
        (tmp_path / "leak.json").write_text(json.dumps(summary(probes)), "utf-8")
        [check] = _leaks(run)  # type: ignore[arg-type]
        assert check["verdict"] == verdict
        assert ("p-1/0" in check["detail"]) == (verdict == "FAIL")
