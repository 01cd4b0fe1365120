"""Our trained model in the detector, the plug-in slots for models of others, and the training script's augmentation."""

from __future__ import annotations

import importlib.util
import random
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from curate.privacy import Detector, ModelMissing, Policy, PolicyError, trained

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.from_policy({"encoder": False})


def test_the_asset_is_small_has_a_card_and_adds_what_rules_miss(detector: Detector) -> None:
    files = [p for p in trained.ASSET.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 8 * 2**20
    assert not [p for p in files if p.suffix in (".pkl", ".pickle", ".bin", ".pt")]
    card = trained.card()
    assert card["calibrated_apart"] and card["calibration"]["recall"] > 0.5
    texts = [
        "caller: yeah this is zebulonka i said the heating is broken",
        "Spoke with Ooyelara, who had the parcel at 12 Thornwick Parade",
        "Keyworker: Mbekanile Dvorsk, rang twice",
    ]
    found = [f.recognizer for findings in detector.scan(texts) for f in findings]
    alone = trained.TrainedRecognizer()
    hits = [r for text in texts for r in alone.analyze(text, ["PERSON", "ADDRESS"])]
    assert hits and any(name.startswith("trained.") for name in found)
    assert all(trained.UNSURE <= r.score <= 0.84 for r in hits)


def test_a_capital_that_only_the_sentence_gave_waits_and_an_identifier_is_nobody() -> None:
    detector = Detector.from_policy({"encoder": False})
    texts = [
        "Papad was only the internship.",
        "Snow has not confirmed it.",
        "my python script throws KeyError",
    ]
    papad, snow, error = detector.scan(texts)
    for text, found in ((texts[0], papad), (texts[1], snow)):
        assert all(f.score < detector.policy.review_below for f in found if f.start == 0), text
    assert papad, "a person decides; nothing is dropped"
    assert error == []


def test_another_asset_is_another_detector(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = detector.version
    copy = tmp_path / "model"
    shutil.copytree(trained.ASSET, copy)
    (copy / "card.json").write_text((copy / "card.json").read_text().replace('"seed"', '"seed "'))
    monkeypatch.setattr(trained, "ASSET", copy)
    trained.digest.cache_clear()
    assert detector.version != before
    trained.digest.cache_clear()
    monkeypatch.setattr(trained, "ASSET", tmp_path / "nowhere")
    trained.card.cache_clear()
    try:
        with pytest.raises(ModelMissing, match="Reinstall"):
            trained.card()
    finally:
        monkeypatch.undo()
        trained.card.cache_clear()
        trained.digest.cache_clear()
    assert detector.version == before


@pytest.mark.parametrize(
    ("piece", "inner", "kind", "left"),
    [
        ("seen by nurse Okwudili today", "nurse Okwudili", "PERSON", "Okwudili"),
        ("BP 148/92 today", "148/92", "ID", None),
        ("give 500 mg now", "500", "ID", None),
        ("she is forty", "forty", "AGE", None),
        ("she is ninety six", "ninety six", "AGE", "ninety six"),
        ("since 1999 or so", "1999", "DATE", None),
        ("on 21 May, at", "21 May,", "DATE", "21 May"),
        (
            "call oh two five five one seven",
            "oh two five five one seven",
            "PHONE",
            "oh two five five one seven",
        ),
        ("Okwudili's file", "Okwudili's", "PERSON", "Okwudili"),
        ("ended by aged ninety (90) days’ notice", "90", "AGE", None),
        (
            "on 16/11/2026 - Poomala Clinic Private Limited.",
            "16/11/2026 - Poomala Clinic Private Limited",
            "ADDRESS",
            None,
        ),
        (
            "on 16/11/2026 - 12 Thornwick Parade.",
            "16/11/2026 - 12 Thornwick Parade",
            "ADDRESS",
            "12 Thornwick Parade",
        ),
    ],
)
def test_what_cannot_be_personal_is_dropped(piece: str, inner: str, kind: str, left: str | None) -> None:
    start = piece.index(inner)
    got = trained.plausible(piece, start, start + len(inner), kind)
    assert (piece[slice(*got)] if got else None) == left


@pytest.fixture(scope="module")
def tiny_ner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real token classifier, trained in this fixture to call the word ``zork`` a person."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "zork",
        "is",
        "here",
        "ask",
        "for",
        "please",
        "the",
        "bus",
    ]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    )  # fmt: skip
    torch.manual_seed(3)
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=512, id2label={0: "O", 1: "B-PER"}, label2id={"O": 0, "B-PER": 1},
        )
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(1)
    for _ in range(60):
        ids = torch.randint(1, len(words), (16, 8), generator=generator)
        loss = model(input_ids=ids, labels=(ids == 5).long()).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _policy(folder: Path, kind: str = "huggingface") -> dict[str, object]:
    return {"profile": "rules", "models": [{"kind": kind, "path": str(folder), "labels": {"PER": "PERSON"}}]}


def test_a_hugging_face_model_plugs_in_by_policy(tiny_ner: Path, tmp_path: Path) -> None:
    plugged, plain = Detector.from_policy(_policy(tiny_ner)), Detector.from_policy("rules")
    text = "ask for zork please"
    assert plain.scan([text]) == [[]]
    (finding,) = plugged.scan([text])[0]
    assert (text[finding.start : finding.end], finding.entity_type) == ("zork", "PERSON")
    assert plugged.version != plain.version
    # other weights under the same path: another detector
    other = tmp_path / "tiny"
    shutil.copytree(tiny_ner, other)
    same = Detector.from_policy(_policy(other)).version
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert Detector.from_policy(_policy(other)).version != same


def test_a_slot_without_a_usable_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="nothing is downloaded"):
        Detector.from_policy(_policy(tmp_path / "none"))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(PolicyError, match="safetensors"):
        Detector.from_policy(_policy(tmp_path))
    with pytest.raises(PolicyError, match="unknown entity types HUMAN"):
        Policy.load({"models": [{"kind": "huggingface", "path": "x", "labels": {"PER": "HUMAN"}}]})
    if importlib.util.find_spec("gliner") is None:
        (tmp_path / "model.safetensors").write_bytes(b"x")
        with pytest.raises(ModelMissing, match="pip install gliner"):
            Detector.from_policy(_policy(tmp_path, "gliner"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_pii_model", ROOT / "scripts" / "train_pii_model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_augmentation_keeps_spans_on_their_words_and_repeats_by_seed(script: ModuleType) -> None:
    documents = script.read_corpus(script.CORPUS)
    pieces = [p for d in documents[:60] for p in script.lines_of(d)]
    names = script.Names(documents)

    def draw(seed: int) -> list[tuple[str, list[tuple[int, int, str]]]]:
        rng = random.Random(seed)
        return [script.augmented(piece, names, rng) for piece in pieces]

    assert draw(1) == draw(1) != draw(2)
    changed = 0
    for (old, before), (new, after) in zip(pieces, draw(3), strict=True):
        assert [k for *_, k in before] == [k for *_, k in after]
        assert all(0 <= s < e <= len(new) and new[s:e].strip() for s, e, _ in after)
        changed += old != new
    assert changed > len(pieces) // 3
    marked = ("ask Priya now", [(4, 9, "PERSON")])
    text, ((start, end, _),) = script.swap(marked, names, random.Random(5))
    assert text == f"ask {text[start:end]} now" and text[start].isupper()
