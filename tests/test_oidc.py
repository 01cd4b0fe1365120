"""Signing in through an OpenID Connect provider: a real one, small, on a port of this machine.

Does not cover: passwords and sessions (`test_api.py`), what roles may do (`test_users.py`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

pytest.importorskip("authlib", reason="the extra sso is not installed")
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey

from curate import api, login, server, users
from curate.errors import PermissionDenied, UsageError
from curate.store import Store
from curate.workspace import Workspace

SECRET = "between-provider-and-us"
GROUPS = {"labelling": "annotator", "quality": "reviewer", "heads": "lead", "owners": "admin"}


class Provider:
    """An OpenID Connect provider that signs in ``person`` without asking; ``wrong`` makes it misbehave."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)
        self.person: dict[str, Any] = {}
        self.wrong: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/jwks", self.jwks),
                Route("/userinfo", self.userinfo),
            ]
        )
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        give_up = time.monotonic() + 60
        while not self.server.started:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        self.issuer = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)

    async def discovery(self, request: Request) -> Response:
        self.asked.append("discovery")
        return JSONResponse(
            {
                "issuer": self.wrong.get("issuer", self.issuer),
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        q = request.query_params
        assert q["response_type"] == "code" and q["client_id"] == "goldpair"
        assert q["code_challenge_method"] == "S256" and q["nonce"] and "openid" in q["scope"].split()
        back = {"state": q["state"]}
        if "refuse" in self.wrong:
            back |= {"error": "access_denied", "error_description": "<b>not you</b>"}
        else:
            back["code"] = secrets.token_urlsafe(8)
            self.codes[back["code"]] = dict(q)
        return RedirectResponse(f"{q['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        who = base64.b64encode(f"goldpair:{SECRET}".encode()).decode()
        if asked is None or proof != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if request.headers.get("authorization") != f"Basic {who}":
            return JSONResponse({"error": "invalid_client"}, 401)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "goldpair", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            **{k: v for k, v in self.person.items() if k != "groups" or "groups_apart" not in self.wrong},
            **self.wrong.get("claims", {}),
        }  # fmt: skip
        access = secrets.token_urlsafe(8)
        self.tokens[access] = {**self.person, **self.wrong.get("userinfo", {})}
        body = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.signed(claims),
        }
        return JSONResponse(body)

    def signed(self, claims: dict[str, Any]) -> str:
        if self.wrong.get("signature") == "none":
            parts = ({"alg": "none"}, claims)
            sealed = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
            return ".".join([*sealed, ""])
        if self.wrong.get("signature") == "another key":
            other = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
            return jwt.encode({"alg": "RS256", "kid": "one"}, claims, other)
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)

    async def jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def userinfo(self, request: Request) -> Response:
        return JSONResponse(self.tokens[request.headers["authorization"].removeprefix("Bearer ")])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.close()


@pytest.fixture
def state(tmp_path: Any, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[server.State]:
    provider.person, provider.wrong = {"sub": "00u1", "preferred_username": "asha", "groups": ["quality"]}, {}
    monkeypatch.setenv("GOLDPAIR_OIDC_SECRET", SECRET)
    workspace = Workspace.create(tmp_path / "ws")
    roles = "\n".join(f'{group} = "{role}"' for group, role in GROUPS.items())
    (workspace.root / "goldpair.toml").write_text(
        f'[oidc]\nissuer = "{provider.issuer}"\nclient_id = "goldpair"\nclient_secret_env = "GOLDPAIR_OIDC_SECRET"\n'
        f'label = "the <Bureau>"\n[oidc.roles]\n{roles}\n'
    )
    with Store.open(workspace.store) as store:
        users.ensure_owner(store, "admin")
        found = server.State(
            workspace, store, login.Sessions(workspace.key), token="t" * 43, url="http://127.0.0.1"
        )
        server.attach(found)
        yield found
        server.attach(None)


class Browser:
    """Follows redirects between our routes (in this process) and the provider (on its port)."""

    def __init__(self) -> None:
        app = Starlette(
            routes=[*api.routes(), *login.routes()],
            middleware=[Middleware(server.Guard, hosts=server.allowed_hosts("127.0.0.1"))],
        )
        self.ours = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)

    def leave(self) -> str:
        """To the provider and back, up to the address that it sends us to."""
        away = self.ours.get("/login/oidc")
        assert away.status_code == 302, away.text
        back = httpx.get(away.headers["location"])
        assert back.status_code == 302
        return back.headers["location"]

    def sign_in(self) -> Any:
        return self.ours.get(self.leave())


def test_a_person_of_a_named_group_gets_in_with_its_role(state: server.State, provider: Provider) -> None:
    browser = Browser()
    page = browser.ours.get("/login").text
    assert 'href="/login/oidc"' in page and "the &lt;Bureau&gt;" in page
    done = browser.sign_in()
    assert done.status_code == 303 and done.headers["location"] == "/"
    session = state.sessions.read(state.store, browser.ours.cookies[state.sessions.cookie])
    assert (session.actor, session.local) == (users.Actor("asha", "reviewer"), False)
    asked = browser.ours.get("/api/v1/users/list", headers={"x-goldpair-page": "1"})
    assert [u["name"] for u in asked.json()["users"]] == ["admin", "asha"]
    made = next(row for row in users.list_users(state.store) if row["name"] == "asha")
    assert made["created_by"] == "oidc" and made["has_password"] is False
    with pytest.raises(PermissionDenied, match="wrong"):
        users.authenticate(state.store, "asha", "")
    assert state.store.verify_chain() == []


def test_the_session_cookie_is_ours_and_the_waiting_one_goes_nowhere_else(state: server.State) -> None:
    browser = Browser()
    away = browser.ours.get("/login/oidc")
    [waiting] = away.headers.get_list("set-cookie")
    assert "path=/login/oidc" in waiting and "httponly" in waiting and "samesite=lax" in waiting
    query = parse_qs(urlsplit(away.headers["location"]).query)
    assert query["redirect_uri"] == ["http://127.0.0.1/login/oidc/callback"]
    assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43


def test_a_role_follows_the_groups_and_the_highest_counts(state: server.State, provider: Provider) -> None:
    provider.person["groups"] = ["somewhere else", "labelling", "heads"]
    assert Browser().sign_in().status_code == 303
    assert users.actor_for(state.store, "asha").role == "lead"
    provider.person["groups"] = "labelling"
    provider.person["preferred_username"] = "asha.married"  # the same person, by subject
    assert Browser().sign_in().status_code == 303
    assert users.actor_for(state.store, "asha").role == "annotator"
    assert [u["name"] for u in users.list_users(state.store)] == ["admin", "asha"]
    provider.person["groups"] = ["nobody we know"]
    refused = Browser().sign_in()
    assert refused.status_code == 401 and "None of your groups has a role here" in refused.text


def test_groups_may_come_by_the_userinfo_endpoint(state: server.State, provider: Provider) -> None:
    provider.wrong = {"groups_apart": True}
    assert Browser().sign_in().status_code == 303
    assert users.actor_for(state.store, "asha").role == "reviewer"
    provider.wrong = {"groups_apart": True, "userinfo": {"sub": "00u2"}}
    refused = Browser().sign_in()
    assert refused.status_code == 401 and "two different people" in refused.text


def test_a_name_of_somebody_else_opens_nothing_until_an_admin_links(
    state: server.State, provider: Provider
) -> None:
    admin = users.actor_for(state.store, "admin")
    users.create_user(state.store, admin, "Asha", "lead", "correct horse battery")
    refused = Browser().sign_in()
    assert refused.status_code == 401 and "already who did not come through the provider" in refused.text
    assert users.actor_for(state.store, "Asha").role == "lead"
    with pytest.raises(PermissionDenied):
        users.link(state.store, users.Actor("Asha", "lead"), "Asha", provider.issuer, "00u1")
    users.link(state.store, admin, "Asha", provider.issuer, "00u1")
    with pytest.raises(UsageError, match="is Asha already"):
        users.link(state.store, admin, "admin", provider.issuer, "00u1")
    assert Browser().sign_in().status_code == 303
    assert users.actor_for(state.store, "Asha").role == "reviewer", "the groups decide from now on"


def test_a_deactivated_user_stays_out_and_the_last_admin_stays_admin(
    state: server.State, provider: Provider
) -> None:
    admin = users.actor_for(state.store, "admin")
    provider.person["groups"] = ["owners"]
    assert Browser().sign_in().status_code == 303
    users.set_user(state.store, admin, "admin", active=False)
    provider.person["groups"] = ["labelling"]
    assert Browser().sign_in().status_code == 303
    assert users.actor_for(state.store, "asha").role == "admin", "somebody must be able to manage users"
    asha = users.actor_for(state.store, "asha")
    users.set_user(state.store, asha, "admin", active=True)
    assert Browser().sign_in().status_code == 303
    assert users.actor_for(state.store, "asha").role == "annotator"
    users.set_user(state.store, users.actor_for(state.store, "admin"), "asha", active=False)
    refused = Browser().sign_in()
    assert refused.status_code == 401 and "deactivated" in refused.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"claims": {"nonce": "of another try"}},
        {"claims": {"aud": "another-client"}},
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"exp": 1_000_000_000}},
        {"claims": {"sub": ""}},
        {"signature": "none"},
        {"signature": "another key"},
        {"refuse": True},
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_signs_nobody_in(
    state: server.State, provider: Provider, wrong: dict[str, Any]
) -> None:
    provider.wrong = wrong
    browser = Browser()
    refused = browser.sign_in()
    assert refused.status_code == 401 and 'role="alert"' in refused.text and "<b>" not in refused.text
    assert state.sessions.cookie not in browser.ours.cookies
    assert [u["name"] for u in users.list_users(state.store)] == ["admin"]


def test_an_answer_belongs_to_the_browser_that_asked_and_counts_once(state: server.State) -> None:
    browser, thief = Browser(), Browser()
    address = browser.leave()
    assert thief.ours.get(address).status_code == 401, "no state in this browser"
    assert thief.ours.get("/login/oidc/callback?code=x&state=y").status_code == 401
    assert browser.ours.get(address).status_code == 303
    assert browser.ours.get(address).status_code == 401, "the state is spent"


def test_a_provider_that_calls_itself_otherwise_is_refused(state: server.State, provider: Provider) -> None:
    provider.wrong = {"issuer": "https://other.example"}
    refused = Browser().ours.get("/login/oidc")
    assert refused.status_code == 401 and "calls itself" in refused.text


def test_what_the_configuration_lacks_is_said(
    state: server.State, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOLDPAIR_OIDC_SECRET")
    assert "holds no client secret" in Browser().ours.get("/login/oidc").text
    toml = state.workspace.root / "goldpair.toml"
    text = toml.read_text()
    toml.write_text(text.replace(provider.issuer, "http://id.example.org"))
    with pytest.raises(UsageError, match="begins with https"):
        _ = state.workspace.settings
    toml.write_text(text.replace('"reviewer"', '"boss"'))
    with pytest.raises(UsageError, match="quality"):
        _ = state.workspace.settings
    toml.write_text('cli_user = "admin"\n')
    assert "/login/oidc" not in Browser().ours.get("/login").text
    assert Browser().ours.get("/login/oidc").status_code == 404
