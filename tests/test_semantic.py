"""The optional semantic tier: off without a model, guesses that block nothing, clear words about what is missing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from curate import clusters, rules
from curate.dedupe import DedupeError
from curate.dedupe.semantic import embed, find_paraphrases
from curate.tasks import Paraphrases
from tests import storekit
from tests.storekit import TASK, actor, add_pairs

TEXTS = ["how do i get a new card", "my card is gone send another", "what is the rate for euros", ""]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny encoder with random weights: real layers and files, no meaning."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({w for t in TEXTS for w in t.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)
    return folder


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(model):
    vectors = embed(TEXTS, model)
    assert vectors.shape == (4, 16)
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5) and not vectors[3].any()
    alone = np.concatenate([embed([text], model) for text in TEXTS[:3]])
    assert np.allclose(vectors[:3], alone, atol=1e-5)


def test_pairs_are_those_above_the_similarity(model):
    vectors = embed(TEXTS, model)
    cosine = vectors @ vectors.T
    wanted = {(a, b): cosine[a, b] for a in range(3) for b in range(a + 1, 3)}
    border = sorted(wanted.values())[1]
    found = find_paraphrases(TEXTS, model, min_similarity=float(border) - 1e-4)
    assert set(found.select("left", "right").iter_rows()) == {
        p for p, s in wanted.items() if s >= border - 1e-4
    }
    assert len(found) == 2


@pytest.mark.parametrize("make", [lambda f: None, lambda f: (f / "config.json").write_text("{}")])
def test_a_folder_without_a_model_is_refused_with_what_to_do(tmp_path, make):
    make(tmp_path)
    with pytest.raises(DedupeError, match=r"holds no embedding model|cannot be loaded as a sentence encoder"):
        find_paraphrases(["a"], tmp_path)


def test_a_static_model_without_its_reader_says_what_to_install(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "config.json").write_text('{"model_type": "model2vec"}')
    try:
        import model2vec  # noqa: F401
    except ImportError:
        with pytest.raises(DedupeError, match="pip install model2vec"):
            embed(["a"], tmp_path)
    else:
        pytest.skip("model2vec is installed here")


def test_without_a_model_there_are_no_paraphrases():
    frame = pl.DataFrame(
        [
            {
                "pair_id": "a",
                "approved": False,
                "prompt": "x",
                "completion": "y",
                "masked": "[]",
                "different_from": "[]",
            }
        ],
        schema=clusters.EXPORT_SCHEMA,
    )
    none = pl.DataFrame(schema=clusters.RESULT_SCHEMA)
    assert clusters.group_paraphrases(frame, none, Paraphrases()).is_empty()


def test_a_guess_blocks_nothing_and_a_decision_on_it_counts(model, tmp_path):
    with storekit.open_store(tmp_path) as store:
        ids = add_pairs(store, [(text, text) for text in TEXTS[:3]])
        frame = clusters.export_for_dedupe(store, TASK)
        found = clusters.group(frame, {})
        options = Paraphrases(model=str(model), min_similarity=0.01)
        guesses = clusters.group_paraphrases(frame, found, options)
        assert set(guesses["kind"]) == {"paraphrase"}
        store.write(lambda tx: clusters.ingest_groups(tx, TASK, "run", guesses))
        status = {
            row["pair_id"]: row["status"] for row in store.rows("SELECT pair_id, status FROM pair_state")
        }
        assert set(status.values()) == {"ready"}
        # a check of a save looks for no paraphrases and must not take them away
        empty = pl.DataFrame(schema=clusters.RESULT_SCHEMA)
        store.write(lambda tx: clusters.ingest_groups(tx, TASK, "check", empty, ids))
        group, *others = clusters.list_clusters(store, TASK)
        assert len(others) == guesses["cluster_id"].n_unique() - 1
        keep, drop = sorted(m["pair_id"] for m in group["members"])
        clusters.decide_cluster(store, actor(store, "reviewer"), group["cluster_id"], "keep", [keep])
        assert rules.facts(store, [drop])[drop]["status"] == "duplicate"
        # what people called different is no guess any more
        [other] = [c for c in others if drop not in {m["pair_id"] for m in c["members"]}][:1]
        clusters.decide_cluster(store, actor(store, "reviewer"), other["cluster_id"], "not_duplicates")
        again = clusters.group_paraphrases(clusters.export_for_dedupe(store, TASK), found, options)
        assert other["cluster_id"] not in again["cluster_id"].to_list()
