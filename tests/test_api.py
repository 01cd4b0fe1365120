"""REST routes, sign-in and the server process: who may ask, what comes back, what is refused."""

from __future__ import annotations

import io
import json
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from curate import api, login, ops, server, users
from curate.client import Client
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from tests.serving import PASSWORD, RECORDS, TASK, make_workspace, opened, serving, write_records

# A loaded machine draws slowly; nothing here measures time.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_workspace(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def state(workspace: Any) -> Any:
    with opened(workspace) as found:
        yield found


@pytest.fixture
def http(state: Any) -> Any:
    app = Starlette(
        routes=[*api.routes(), *login.routes()],
        middleware=[Middleware(server.Guard, hosts=server.allowed_hosts("127.0.0.1"))],
    )
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(state: Any) -> dict[str, str]:
    admin = users.actor_for(state.store, "admin")
    return {
        name: users.issue_token(state.store, admin, name) for name in ("admin", "lea", "rita", "ann", "vic")
    }


def post(http: Any, operation: str, token: str | None = None, **fields: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return http.post("/api/v1/" + operation.replace(".", "/"), json=fields, headers=headers)


# --- the document and the table -----------------------------------------------------------------------------


def test_health_says_that_the_store_is_open(http: Any) -> None:
    answer = http.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["store"]["open"] is True and answer.json()["store"]["schema_version"] >= 1


def test_openapi_lists_every_operation_and_every_reference_leads_somewhere(http: Any) -> None:
    document = http.get("/api/v1/openapi.json").json()
    listed = {part["post"]["operationId"] for part in document["paths"].values()} - {"upload"}
    assert listed == set(ops.OPERATIONS)
    for reference in re.findall(r'"#/([^"]+)"', json.dumps(document)):
        place: Any = document
        for key in reference.split("/"):
            place = place[key]
        assert place
    for name, operation in ops.OPERATIONS.items():
        path = document["paths"]["/api/v1/" + name.replace(".", "/")]
        assert ("get" in path) == (operation.permission == "read")
        assert path["post"]["summary"] == operation.summary


@pytest.mark.parametrize("name", sorted(ops.OPERATIONS))
def test_every_operation_is_reachable(http: Any, tokens: dict[str, str], name: str) -> None:
    if name in ("review.undo", "forget"):
        pytest.skip("no single field is required, and no field at all is a refusal; tested elsewhere")
    answer = post(http, name, tokens["admin"])
    required = ops.OPERATIONS[name].request.model_json_schema().get("required", [])
    assert answer.status_code == (422 if required else 200), answer.text
    if required:
        assert (
            answer.json()["error"]["kind"] == "UsageError"
            and required[0] in answer.json()["error"]["message"]
        )


def test_forgetting_wants_words_and_an_admin_and_lists_before_it_deletes(
    http: Any, tokens: dict[str, str]
) -> None:
    nothing = post(http, "forget", tokens["admin"])
    assert nothing.status_code == 422 and "Give the person's names" in nothing.json()["error"]["message"]
    assert post(http, "forget", tokens["vic"], words=["Nobody Here"]).status_code == 403
    looked = post(http, "forget", tokens["admin"], words=["Nobody Here"]).json()
    assert looked["applied"] is False and looked["found"]["pairs"] == []


def test_reads_take_query_parameters(http: Any, tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['vic']}"}
    answer = http.get(
        "/api/v1/pairs/list", params={"task": TASK, "limit": "2", "status": ""}, headers=headers
    )
    assert answer.status_code == 200 and len(answer.json()["pairs"]) == 2
    refused = http.get("/api/v1/review/next", params={"task": TASK}, headers=headers)
    assert refused.status_code == 400  # not a read: a link must not lease anything


# --- who may ----------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_answered(http: Any) -> None:
    for headers in ({}, {"Authorization": "Bearer gp_x_y"}, {"Authorization": "Basic YTpi"}):
        answer = http.post("/api/v1/tasks/list", json={}, headers=headers)
        assert answer.status_code == 401 and answer.json()["error"]["kind"] == "NotSignedIn"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_roles_hold_for_every_operation(http: Any, tokens: dict[str, str]) -> None:
    roles = {"vic": "viewer", "ann": "annotator", "rita": "reviewer", "lea": "lead"}
    for name, operation in ops.OPERATIONS.items():
        for user, role in roles.items():
            if role not in users.PERMISSIONS[operation.permission]:
                answer = post(http, name, tokens[user])
                assert (answer.status_code, answer.json()["error"]["kind"]) == (403, "PermissionDenied"), (
                    name,
                    user,
                )


def test_a_path_of_the_server_is_for_its_own_machine(
    http: Any, state: Any, tokens: dict[str, str], tmp_path: Path
) -> None:
    fields = {"task": TASK, "path": str(write_records(tmp_path / "again.jsonl")), "dry_run": True}
    assert post(http, "import", tokens["lea"], **fields).status_code == 403
    mine = post(http, "import", state.token, **fields)
    assert mine.status_code == 200 and mine.json()["already_there"] > 0


def test_the_owner_of_the_files_may_act_as_a_named_user(http: Any, state: Any) -> None:
    headers = {"Authorization": f"Bearer {state.token}", "X-Goldpair-User": "vic"}
    assert http.post("/api/v1/scan", json={"task": TASK}, headers=headers).status_code == 403
    headers["X-Goldpair-User"] = "nobody"
    assert http.post("/api/v1/overview", json={"task": TASK}, headers=headers).status_code == 404


# --- errors -----------------------------------------------------------------------------------------------


def test_errors_have_one_shape_and_a_fitting_status(http: Any, tokens: dict[str, str]) -> None:
    admin = tokens["admin"]
    bearer = {"Authorization": f"Bearer {admin}"}
    cases = [
        (post(http, "no.such.thing", admin), 404, "NotFound"),
        (post(http, "review.item", admin, pair_id="p-none"), 404, "NotFound"),
        (post(http, "overview", admin, task=TASK, extra=1), 422, "UsageError"),
        (http.post("/api/v1/overview", content=b"{", headers=bearer), 400, "Malformed"),
        (http.post("/api/v1/overview", content=b"[1]", headers=bearer), 400, "Malformed"),
        (
            http.post(
                "/api/v1/overview", content=b"x", headers={**bearer, "Content-Length": str(api.MAX_BODY + 1)}
            ),
            413,
            "TooLarge",
        ),
    ]
    for answer, status, kind in cases:
        error = answer.json()["error"]
        assert (answer.status_code, error["kind"]) == (status, kind), answer.text
        assert error["message"] and isinstance(error["reasons"], list)


def test_a_rule_that_refuses_gives_its_reasons(http: Any, tokens: dict[str, str]) -> None:
    held = post(http, "pairs.list", tokens["rita"], task=TASK, status="held").json()["pairs"][0]
    answer = post(
        http, "review.decide", tokens["rita"], pair_id=held["pair_id"], rev=held["rev"], verdict="approve"
    )
    assert answer.status_code == 409 and answer.json()["error"]["kind"] == "RefusedError"
    assert answer.json()["error"]["reasons"]
    stale = post(http, "review.decide", tokens["rita"], pair_id=held["pair_id"], rev=99, verdict="skip")
    assert (stale.status_code, stale.json()["error"]["kind"]) == (409, "StaleEdit")


def test_a_repeated_decision_is_applied_once(http: Any, tokens: dict[str, str]) -> None:
    item = post(http, "review.next", tokens["rita"], task=TASK).json()["items"][0]
    fields = {"pair_id": item["pair_id"], "rev": item["rev"], "verdict": "approve", "client_id": "c-1"}
    first, second = (post(http, "review.decide", tokens["rita"], **fields).json() for _ in range(2))
    assert first["seq"] == second["seq"] and second["repeated"] is True
    assert post(http, "review.undo", tokens["rita"]).json()["pair_id"] == item["pair_id"]


def test_an_unexpected_failure_says_nothing_of_what_it_held(
    http: Any, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(context: Any, request: Any) -> dict[str, Any]:
        raise RuntimeError("asha.rao@corp.example.org")

    operation = ops.OPERATIONS["overview"]
    monkeypatch.setitem(
        ops.OPERATIONS, "overview", ops.Operation("overview", "read", operation.request, broken, "")
    )
    answer = post(http, "overview", tokens["vic"], task=TASK)
    assert (
        answer.status_code == 500
        and "asha" not in answer.text
        and answer.json()["error"]["kind"] == "InternalError"
    )


# --- uploads ----------------------------------------------------------------------------------------------


def test_an_uploaded_file_is_imported_and_gone(http: Any, state: Any, tokens: dict[str, str]) -> None:
    body = b'{"prompt": "uploaded question about lighthouses", "completion": "uploaded answer"}\n{oops\n'
    answer = http.post(
        "/api/v1/upload",
        files={"file": ("../../evil name.jsonl", io.BytesIO(body))},
        data={"task": TASK, "licence": "CC0-1.0"},
        headers={"Authorization": f"Bearer {tokens['lea']}"},
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["imported"], answer.json()["quarantined"]) == (1, 1)
    assert list((state.workspace.cache / "uploads").glob("*/*")) == []
    found = post(http, "quarantine.list", tokens["vic"], task=TASK, limit=1000).json()["rows"]
    assert "evil_name.jsonl" in {row["file"] for row in found}


def test_an_upload_needs_permission_a_file_and_a_length(http: Any, tokens: dict[str, str]) -> None:
    files = {"file": ("a.jsonl", io.BytesIO(b"{}"))}
    refused = http.post(
        "/api/v1/upload",
        files=files,
        data={"task": TASK},
        headers={"Authorization": f"Bearer {tokens['rita']}"},
    )
    assert refused.status_code == 403
    lead = {"Authorization": f"Bearer {tokens['lea']}"}
    assert http.post("/api/v1/upload", data={"task": TASK}, headers=lead).status_code == 400
    endless = http.post("/api/v1/upload", content=iter([b"x"]), headers=lead)
    assert endless.status_code == 411
    huge = http.post(
        "/api/v1/upload", content=b"x", headers={**lead, "Content-Length": str(api.MAX_UPLOAD + 1)}
    )
    assert huge.status_code == 413


@PATIENT
@given(st.text(max_size=120))
def test_a_safe_name_is_only_a_name(name: str) -> None:
    safe = api.safe_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_-]+(\.[a-z]+)*", safe) and len(safe) < 100
    assert Path(safe).name == safe


def test_a_safe_name_keeps_a_known_ending() -> None:
    assert api.safe_name("C:\\visits\\Ärzte 2026.CSV") == "rzte_2026.csv"
    assert api.safe_name("x.jsonl.gz") == "x.jsonl.gz"
    assert api.safe_name("..") == "upload"


# --- signing in -------------------------------------------------------------------------------------------


def sign_in(http: Any, name: str, password: str = PASSWORD, **headers: str) -> Any:
    return http.post("/login", data={"name": name, "password": password}, headers=headers)


def test_a_password_gives_a_cookie_that_scripts_cannot_read(http: Any) -> None:
    answer = sign_in(http, "rita")
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303 and "HttpOnly" in cookie and "SameSite=lax" in cookie
    asked = http.post("/api/v1/review/counts", json={"task": TASK}, headers={"x-goldpair-page": "1"})
    assert asked.status_code == 200
    # The cookie alone is not enough: another site's form could make the browser send it.
    assert http.post("/api/v1/review/counts", json={"task": TASK}).status_code == 401


def test_a_tampered_cookie_is_nobody(http: Any, state: Any) -> None:
    good = state.sessions.cookie_for(state.store, "rita")
    for bad in (good[:-2] + "xx", "", "a.b.c", good.replace(".", "..")):
        http.cookies.set(state.sessions.cookie, bad)
        assert http.post("/api/v1/tasks/list", json={}, headers={"x-goldpair-page": "1"}).status_code == 401


def test_wrong_passwords_are_told_apart_by_nothing_and_stop_after_five(http: Any) -> None:
    unknown, wrong = sign_in(http, "no-such-user", "x"), sign_in(http, "vic", "x")
    assert unknown.status_code == wrong.status_code == 401
    assert re.sub("no-such-user|vic", "", unknown.text) == re.sub("no-such-user|vic", "", wrong.text)
    for _ in range(5):
        last = sign_in(http, "vic", "x")
    assert last.status_code == 429 and int(last.headers["retry-after"]) > 0
    assert sign_in(http, "vic").status_code == 429  # the right one, too: guessing must not learn


def test_a_form_of_another_site_signs_nobody_in(http: Any) -> None:
    assert sign_in(http, "rita", Origin="http://evil.example").status_code == 403


def test_what_was_typed_comes_back_as_text(http: Any) -> None:
    answer = sign_in(http, '"><script>alert(1)</script>', "x", Origin="http://127.0.0.1")
    assert "<script>alert" not in answer.text


def test_the_link_of_the_console_works_once(
    http: Any, state: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    token = state.sessions.link_for("admin")
    assert http.get("/login", params={"token": token}).status_code == 303
    assert "/login?token=" in capsys.readouterr().out  # the next one is on the console
    assert http.get("/login", params={"token": token}).status_code == 401


def test_signing_out_ends_the_session_wherever_it_is_open(http: Any, state: Any) -> None:
    sign_in(http, "rita")
    cookie = http.cookies[state.sessions.cookie]
    assert http.get("/logout").status_code == 303
    with pytest.raises(login.NotSignedIn, match="signed out"):
        state.sessions.read(state.store, cookie)


def test_a_changed_password_and_a_deactivated_user_end_sessions(state: Any) -> None:
    admin = users.actor_for(state.store, "admin")
    users.create_user(state.store, admin, "gone", "viewer", PASSWORD)
    cookie = state.sessions.cookie_for(state.store, "gone")
    assert state.sessions.read(state.store, cookie).actor.user == "gone"
    users.set_user(state.store, admin, "gone", password="another one entirely")
    with pytest.raises(login.NotSignedIn):
        state.sessions.read(state.store, cookie)
    cookie = state.sessions.cookie_for(state.store, "gone")
    users.set_user(state.store, admin, "gone", active=False)
    with pytest.raises(login.NotSignedIn):
        state.sessions.read(state.store, cookie)


# --- headers, hosts, reports ------------------------------------------------------------------------------


def test_a_rebound_name_reaches_nothing(http: Any) -> None:
    assert http.get("/healthz", headers={"Host": "evil.example"}).status_code == 400
    assert http.get("/healthz", headers={"Host": "127.0.0.1:9"}).status_code == 200


def test_every_answer_forbids_other_origins(http: Any) -> None:
    policy = http.get("/healthz").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "connect-src 'self'" in policy and "http:" not in policy


def test_a_report_is_for_signed_in_people_and_sandboxed(http: Any, state: Any) -> None:
    run = state.workspace.evals / TASK / "m-v1--s"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"arms": {}}', "utf-8")
    (run / "report.html").write_text("<h1>Report</h1><script>alert(1)</script>", "utf-8")
    assert http.get("/reports/m-v1--s/report.html").status_code == 401
    http.cookies.set(state.sessions.cookie, state.sessions.cookie_for(state.store, "rita"))
    answer = http.get("/reports/m-v1--s/report.html")
    assert answer.status_code == 200 and "Report" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "allow-scripts" not in policy and "default-src 'none'" in policy
    assert http.get("/reports/none/report.html").status_code == 404
    assert http.get("/reports/..%2F..%2Fstore.duckdb/report.html").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_the_door_stays_shut_without_a_password(state: Any, host: str) -> None:
    with pytest.raises(RefusedError, match="no admin has a password"):
        server._refuse_open_door(state.store, host)
    server._refuse_open_door(state.store, "127.0.0.1")


# --- the process ------------------------------------------------------------------------------------------


def test_the_command_line_works_through_a_running_server(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with serving(workspace) as running:
        marker = json.loads(workspace.server.read_text("utf-8"))
        assert stat.S_IMODE(workspace.server.stat().st_mode) == 0o600
        assert marker["url"] == running.base and marker["pid"] == running.process.pid
        assert httpx.get(f"{running.base}/healthz", trust_env=False).json()["status"] == "ok"

        client = Client(workspace)
        assert client.call("overview", task=TASK)["records"] == RECORDS
        more = tmp_path / "more.jsonl"
        more.write_text(
            '{"prompt": "a question nobody asked before", "completion": "and its answer"}\n', "utf-8"
        )
        assert client.call("import", task=TASK, path=str(more))["imported"] == 1
        assert client.wait(client.call("scan", task=TASK)["job"])["state"] == "done"
        assert client.call("overview", task=TASK)["pairs"].get("raw", 0) == 0
        for error, call in (
            (NotFound, lambda: client.call("review.item", pair_id="p-none")),
            (UsageError, lambda: client.call("overview", tusk=TASK)),
            (PermissionDenied, lambda: Client(workspace, "vic").call("scan", task=TASK)),
        ):
            with pytest.raises(error):
                call()

        command = [
            sys.executable,
            "-m",
            "curate.cli",
            "review",
            "next",
            TASK,
            "-w",
            str(workspace.root),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0 and len(json.loads(done.stdout)["items"]) == 1, done.stderr

        second = [sys.executable, "-m", "curate.cli", "serve", "-w", str(workspace.root), "--port", "0"]
        refused = subprocess.run(second, capture_output=True, text=True, timeout=180)
        assert refused.returncode == 2 and running.base in refused.stderr

        running.process.send_signal(signal.SIGTERM)
        running.process.wait(timeout=60)
        assert not workspace.server.exists()
    assert (
        Client(workspace).call("overview", task=TASK)["records"] == RECORDS + 1
    )  # the store was closed, all is there


def test_a_killed_server_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with serving(workspace) as running:
        running.process.kill()
        running.process.wait(timeout=60)
        assert workspace.server.exists()
        assert Client(workspace).call("overview", task=TASK)["records"] == RECORDS
        with serving(workspace) as again:
            give_up = time.monotonic() + 60
            while httpx.get(f"{again.base}/healthz", trust_env=False).status_code != 200:
                assert time.monotonic() < give_up
