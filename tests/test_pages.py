"""Pages, run without a browser: what each shows for whom, what its buttons do, what stands there when nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from curate import jobs, ops, steps, users
from curate.views import overview, parts
from tests.serving import RECORDS, TASK, make_workspace, opened

# A loaded machine draws slowly; nothing here measures time.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
APP = str(Path(__file__).resolve().parent.parent / "app.py")
PAGES = (
    "overview",
    "gallery",
    "importing",
    "privacy",
    "duplicates",
    "review",
    "pairs",
    "facts",
    "insight",
    "snapshots",
    "runs",
    "versions",
    "playground",
    "jobs",
    "team",
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with opened(make_workspace(tmp_path_factory.mktemp("pages"))) as found:
        yield found


@pytest.fixture
def sign_in(state: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a real signed cookie where the browser's cookies would be."""

    def as_user(name: str) -> None:
        cookie = state.sessions.cookie_for(state.store, name)
        monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})

    return as_user


def page(name: str, task: str = TASK) -> AppTest:
    """One page without its frame."""
    script = (
        f"import streamlit as st\nfrom curate.views import {name}\n"
        f"st.session_state.setdefault('task', {task!r})\n{name}.render()"
    )
    return AppTest.from_string(script, default_timeout=120)


def shown(app: AppTest) -> str:
    """Every text on a page: our own blocks and Streamlit's."""
    assert not app.exception, [e.message for e in app.exception]
    return "\n".join(
        [str(e.value) for e in app.title]
        + [str(e.value) for e in app.header]
        + [h.proto.body for h in app.get("html")]
    )


def test_without_a_session_a_page_says_how_to_sign_in(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "cookies", dict)
    text = shown(AppTest.from_file(APP, default_timeout=120).run())
    assert "not signed in" in text and "/login" in text and "Overview" not in text


def test_the_frame_shows_who_and_which_task(state: Any, sign_in: Any) -> None:
    sign_in("rita")
    app = AppTest.from_file(APP, default_timeout=120).run()
    text = shown(app)
    assert "rita" in text and "reviewer" in text and "Overview" in text
    assert app.selectbox(key="task").value == TASK  # the task that has records


@pytest.mark.parametrize("user", ["vic", "admin"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_renders_for_the_least_and_the_most_allowed(
    state: Any, sign_in: Any, name: str, user: str
) -> None:
    sign_in(user)
    app = page(name).run()
    shown(app)
    assert len(app.title) == 1 and not app.subheader  # one h1, then h2: the heading order is right
    assert all(heading.tag == "h2" for heading in app.header)


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_task_says_what_to_do(state: Any, sign_in: Any, name: str) -> None:
    sign_in("admin")
    text = shown(page(name, "sarcastic-bot").run())
    if name not in ("gallery", "team", "review", "jobs"):
        assert "gp-empty" in text


def test_numbers_of_the_overview_are_those_of_the_store(state: Any, sign_in: Any) -> None:
    sign_in("vic")
    found = ops.run(
        ops.Context(state.store, state.workspace, users.actor_for(state.store, "vic")),
        "overview",
        {"task": TASK},
    )
    stages = overview.funnel(found)
    assert [row["stage"] for row in stages] == ["Raw records", "Approved", "Newest snapshot", "Newest model"]
    assert stages[0]["pairs"] == found["records"] == RECORDS
    assert stages[1]["pairs"] == found["pairs"].get("approved", 0)
    text = shown(page("overview").run())
    assert f"<td class=n>{found['records']}</td>" in text  # the chart's text alternative


def test_the_next_step_follows_the_work() -> None:
    base: dict[str, Any] = {
        "pairs": {},
        "open_findings": 0,
        "open_clusters": 0,
        "snapshots": [],
        "models": [],
    }
    steps = [
        ({"pairs": {"raw": 2, "ready": 5}, "open_findings": 3}, "privacy"),
        ({"open_findings": 3, "open_clusters": 1}, "privacy"),
        ({"open_clusters": 1, "pairs": {"ready": 1}}, "duplicates"),
        ({"pairs": {"ready": 1, "approved": 9}}, "review"),
        ({"pairs": {"approved": 9}}, "snapshots"),
        ({"pairs": {"approved": 9}, "snapshots": [{}], "models": [{"released": False}]}, "runs"),
        ({"pairs": {"approved": 9}, "snapshots": [{}], "models": [{"released": True}]}, "import"),
    ]
    for change, wanted in steps:
        assert overview.next_step({**base, **change})[1] == wanted


def test_a_viewer_gets_no_button_that_decides(state: Any, sign_in: Any) -> None:
    sign_in("vic")
    for name in ("privacy", "duplicates", "snapshots"):
        app = page(name).run()
        live = [b.label for b in app.button if not b.disabled]
        assert not {"Scan", "Replace", "Keep", "Find duplicates", "Freeze", "Preflight"} & set(live), (
            name,
            live,
        )
        assert not any(label.startswith(("Keep this", "Not duplicates")) for label in live)


def test_a_group_is_decided_by_its_own_button(state: Any, sign_in: Any) -> None:
    sign_in("rita")
    store = state.store
    before = store.one("SELECT count(*) AS n FROM clusters WHERE status = 'open'")["n"]
    assert before >= 2
    app = page("duplicates").run()
    next(b for b in app.button if b.label.startswith("Not duplicates")).click().run()
    assert "Remembered" in shown(app)
    assert store.one("SELECT count(*) AS n FROM clusters WHERE status = 'open'")["n"] == before - 1


def test_keeping_one_pair_of_a_group_drops_the_others_and_the_page_says_which_is_better(
    state: Any, sign_in: Any
) -> None:
    sign_in("rita")
    app = page("duplicates").run()
    assert "Suggested: " in shown(app) or "alike in every respect" in shown(app)
    assert any(box.label == "Give the kept one the labels it lacks" for box in app.checkbox)
    next(b for b in app.button if b.label == "Keep this one").click().run()
    assert "Kept one" in shown(app)
    assert state.store.one("SELECT count(*) AS n FROM pair_state WHERE status = 'duplicate'")["n"] >= 1


def test_a_scan_started_here_runs_to_its_end(state: Any, sign_in: Any) -> None:
    sign_in("lea")
    app = page("privacy").run()
    next(b for b in app.button if b.label == "Scan").click().run()
    assert "has started" in shown(app)
    job = state.store.one("SELECT job_id FROM jobs WHERE kind = 'scan' ORDER BY created_ts DESC")["job_id"]
    assert jobs.wait(state.store, state.workspace, job)["state"] == "done"
    assert job in shown(page("jobs").run())


def test_a_run_that_trained_shows_its_losses(state: Any, sign_in: Any) -> None:
    sign_in("vic")
    job = state.store.one("SELECT job_id FROM jobs ORDER BY created_ts DESC")["job_id"]
    follow = steps.follow(state.workspace.jobs / job, lambda _: None)
    assert "Validation loss" not in shown(page("jobs").run())
    for number in range(1, 4):
        look = {"eval_loss": 2.5, "eval_score": 0.25} if number == 3 else {}
        follow({"step": number, "steps": 3, "loss": 4.0 - number, "tokens_per_s": 9.0, "eta_s": 0.0, **look})
    text = shown(page("jobs").run())
    assert "Validation loss" in text and "0.25" in text


def test_a_dry_run_by_path_changes_nothing(
    state: Any, sign_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = state.sessions.cookie_for(state.store, "admin", local=True)
    monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})
    file = tmp_path / "new.jsonl"
    file.write_text('{"prompt": "a fresh question", "completion": "a fresh answer"}\nnonsense\n', "utf-8")
    before = state.store.one("SELECT count(*) AS n FROM records")["n"]
    app = page("importing").run()
    app.get("button_group")[0].set_value("A path on this machine").run()
    app.text_input[0].set_value(str(file)).run()
    next(b for b in app.button if b.label == "Dry run").click().run()
    text = shown(app)
    assert (
        "Dry run, nothing was changed" in text
        and "1 would be imported" in text
        and "a fresh question" in text
    )
    assert state.store.one("SELECT count(*) AS n FROM records")["n"] == before


def test_a_session_by_password_gets_no_path_field(state: Any, sign_in: Any) -> None:
    sign_in("lea")
    app = page("importing").run()
    assert not app.exception and not app.get("button_group")


def test_search_marks_what_it_found_and_one_pair_shows_its_history(state: Any, sign_in: Any) -> None:
    sign_in("vic")
    app = page("pairs").run()
    app.text_input(key="pairs_search").set_value("HOSTILE").run()
    text = shown(app)
    assert "<mark>hostile</mark>" in text and "<script>" not in text and "&lt;script&gt;" in text
    pair = state.store.one("SELECT pair_id FROM revision_text WHERE prompt LIKE 'hostile%'")["pair_id"]
    app.text_input(key="pair").set_value(pair).run()
    text = shown(app)
    assert "History" in text and "&lt;img src=" in text and "<img" not in text


@PATIENT
@given(st.text(max_size=80), st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=6))
def test_marking_spans_keeps_every_character(text: str, places: list[tuple[int, int]]) -> None:
    import html
    import re

    spans = [{"start": a, "stop": b, "entity_type": "PERSON"} for a, b in places]
    marked = parts.marked(text, spans)
    assert html.unescape(re.sub(r"<i>person</i></mark>|<mark class=\"gp-pii\">", "", marked)) == text


@PATIENT
@given(st.text(max_size=60), st.text(max_size=60))
def test_differences_keep_both_texts(a: str, b: str) -> None:
    import html
    import re

    left, right = parts.differences(a, b)
    strip = r"</?(?:ins|del)(?: class=\"gp-(?:ins|del)\")?>"
    assert (html.unescape(re.sub(strip, "", left)), html.unescape(re.sub(strip, "", right))) == (a, b)


@PATIENT
@given(st.text(min_size=1, max_size=900), st.data())
def test_an_excerpt_keeps_the_span_in_place(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start, len(text)))
    short, at, end = parts.excerpt(text, start, stop)
    assert short[at:end] == text[start:stop]


def test_the_gallery_shows_packs_as_text_and_starts_a_task_of_ones_own(
    state: Any, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curate import packs
    from curate.tasks import shipped_packs

    real = packs.gallery

    def hostile(*args: Any) -> list[dict[str, Any]]:
        found = real(*args)
        return [
            p | {"guidelines": "<script>x</script> {{7*7}}", "title": "A <b>bold</b> pack"} for p in found
        ]

    monkeypatch.setattr(packs, "gallery", hostile)
    sign_in("vic")
    assert "Start my own" not in str(page("gallery").run())
    sign_in("lea")
    app = page("gallery").run()
    text = shown(app)
    assert "&lt;script&gt;x&lt;/script&gt; {{7*7}}" in text and "<script>" not in text
    app.text_input(key="name-sarcastic-bot").set_value("Wrong Name")
    number = sorted(shipped_packs()).index("sarcastic-bot")  # one form a pack
    app = [b for b in app.button if b.label == "Start my own from this"][number].click().run()
    assert "cannot be the name of a task" in shown(app)
    app.text_input(key="name-sarcastic-bot").set_value("house-bot")
    app = [b for b in app.button if b.label == "Start my own from this"][number].click().run()
    assert "Task house-bot is ready" in shown(app)
    assert (state.workspace.tasks / "house-bot" / "task.toml").is_file()
    assert app.session_state["wanted"] == "house-bot"


@pytest.fixture
def two_versions(state: Any) -> Any:
    """Two evaluated versions of the task in the register, the first from a short demo."""
    import json

    from curate.store import utcnow
    from evals.arms import Arm
    from evals.run import run_suite
    from tests.eval_helpers import outputs, pack_folder, rows, snapshot_folder

    root, eval_rows = state.workspace.root / "made", rows(40)
    pack = pack_folder(root / "pack", eval_rows)
    snapshot = snapshot_folder(state.workspace.snapshots / "hand", [("say", "x")], pack)
    manifest = json.loads((snapshot / "manifest.json").read_text())
    for version, share in (("v1", 0.3), ("v2", 0.9)):
        name = f"{TASK}-{version}"
        (state.workspace.models / name).mkdir(parents=True)
        record = {
            "task": TASK, "created": "2026-01-01", "base": {"name": "tiny"}, "seeds": {"all": 1},
            "recipe": {"epochs": share}, "snapshot": {"id": manifest["id"]},
        }  # fmt: skip
        record |= {"demo": {"signed_by": "a lead", "reason": "short machine"}} if version == "v1" else {}
        (state.workspace.models / name / "run.json").write_text(json.dumps(record))
        arms = [Arm("tuned", "file", outputs=outputs(eval_rows, share, seed=3))]
        run_suite(root / "pack", pack, "main", arms, state.workspace.evals / TASK / f"{name}--main")
        state.store.write(
            lambda tx, name=name: tx.execute(
                "INSERT INTO models (name, task, hash, snapshot_id, path, created_ts, created_by)"
                " VALUES (?, ?, 'h', ?, ?, ?, 'admin')",
                [name, TASK, manifest["id"], name, utcnow()],
            )
        )
    yield
    state.store.write(lambda tx: tx.execute("DELETE FROM models WHERE task = ?", [TASK]))


def test_versions_are_drawn_listed_and_compared(state: Any, sign_in: Any, two_versions: None) -> None:
    from curate.views import versions

    sign_in("vic")
    app = page("versions").run()
    text = shown(app)
    assert f"{TASK}-v1" in text and "short demo" in text and "Suite main" in text
    assert "0 same" not in text and "Fixed" in text and "rows fixed" in str([e.label for e in app.expander])
    assert "Both learned from the same snapshot." in text and "epochs" in text
    found = ops.run(
        ops.Context(state.store, state.workspace, users.actor_for(state.store, "vic")),
        "models.versions",
        {"task": TASK},
    )["versions"]
    marks = versions.points(found, "main")
    assert [mark["version"] for mark in marks] == [f"{TASK}-v1", f"{TASK}-v2"]
    assert {mark["set"] for mark in marks} == {"as the newest"}
    drawn = versions.sparkline(marks, "main", "dark").to_dict()
    assert f"{TASK}-v2: {marks[1]['mean']:.3f}" in drawn["description"]
    app.selectbox(key=f"older-{TASK}").set_value(f"{TASK}-v2")
    assert "The same version twice" in shown(app.run())
