"""Live checks and preferences: real scorers in the helper process, what a person keeps for themselves.

Does not cover: how the card shows them (`test_pages_browser`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from curate import checks, preferences
from curate.errors import UsageError
from tests.storekit import actor, open_store

ROW = {
    "pair_id": "p-1",
    "source": "s",
    "system": "",
    "history": [],
    "prompt": "Doctor: Any pain?\nPatient: A headache since Monday.\nDoctor: Take paracetamol 500 mg twice a day.",
    "completion": "Subjective: Headache since Monday.\nObjective: None.\nAssessment: Headache.\n"
    "Plan: Paracetamol 500 mg twice a day.",
}


@pytest.fixture(scope="module")
def checker() -> checks.Checker:
    return checks.Checker()


@pytest.mark.slow  # the scorers' libraries take their time to load
def test_an_ungrounded_dose_shows_and_the_helper_survives_what_kills_a_check(
    checker: checks.Checker, tmp_path: Path
) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "task.toml").write_text(
        'name = "notes"\ntitle = "Notes"\n[[suites]]\nname = "notes"\nmetric = "soap_note"\n', "utf-8"
    )
    assert checker.ask(pack, ROW, wait_s=0.0) == {"checks": [], "busy": True}  # nobody waits for its start
    fine = {one["name"]: one for one in checker.ask(pack, ROW, wait_s=400)["checks"]}
    wrong = ROW | {"completion": ROW["completion"].replace("500 mg", "5000 mg")}
    found = {one["name"]: one for one in checker.ask(pack, wrong, wait_s=400)["checks"]}
    scored = [name for name in fine if fine[name].get("score") is not None]
    assert scored and any(found[name]["score"] < fine[name]["score"] for name in scored)
    assert any("5000" in what["span"] for one in found.values() for what in one["findings"])
    length = found["training length"]
    assert (
        length["state"] == "not_run" or length["tokens"] > 20
    )  # no base model here is said, not passed over
    broken = checker.ask(tmp_path / "none", ROW, wait_s=400)["checks"]
    assert broken[0]["state"] == "not_run"
    process = checker._process
    assert process is not None
    process.kill()
    process.wait()
    assert checker.ask(pack, ROW, wait_s=0.0)["busy"]  # a new one starts
    checker.close()


def test_preferences_are_ones_own(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        one, other = actor(store, "reviewer"), actor(store, "viewer")
        preferences.put(store, one, "card_keys", {"approve": "k"})
        preferences.put(store, one, "view:t:mine", {"status": "ready"})
        preferences.put(store, one, "card_keys", {"approve": "l"})
        assert preferences.all_of(store, one) == {
            "card_keys": {"approve": "l"},
            "view:t:mine": {"status": "ready"},
        }
        assert preferences.all_of(store, one, "view:") == {"view:t:mine": {"status": "ready"}}
        assert preferences.all_of(store, other) == {}
        preferences.put(store, one, "card_keys", None)
        assert "card_keys" not in preferences.all_of(store, one)
        for name, value in (("no/slash", 1), ("x", "y" * 20_000)):
            with pytest.raises(UsageError):
                preferences.put(store, one, name, value)


@pytest.mark.slow  # the helper loads the tokenizer's libraries
def test_the_first_rows_are_shown_as_they_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the Snapshots page, out of the helper process: the template around them, exactly the completions marked."""
    from curate.views import parts
    from tests.serving import opened
    from tests.test_pages import page, shown
    from tests.train_helpers import PACK, PAIRS, workspace_with_model

    client = workspace_with_model(tmp_path)
    with opened(client.workspace) as state:
        cookie = state.sessions.cookie_for(state.store, "admin")
        monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})
        app = page("snapshots", PACK.name).run()
        assert "As learned" in [tab.label for tab in app.tabs] and "<mark" not in shown(app)
        [toggle] = [one for one in app.toggle if one.label == "Show the first rows"]
        text = shown(toggle.set_value(True).run())
        assert "The tokenizer is loading" in text
        helper = checks.Checker.of(state.store)
        assert helper._warm.wait(300)
        while "The tokenizer is loading" in text:
            text = shown(app.run())
        helper.close()
    assert text.count("<mark") == 16, "as many as a step learns from"
    for prompt, completion in PAIRS[:16]:
        assert f"{prompt}&lt;|im_end|&gt;" in text.replace("&#x27;", "'")
        assert f'<mark class="gp-sub">{completion}&lt;|im_end|&gt;' in text.replace("&#x27;", "'")
