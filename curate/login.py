"""Who sits in front of the browser: sessions in a signed cookie, the sign-in page, one-time links.

Covers: the cookie (HttpOnly, SameSite=Lax, signed with the workspace's key), ``/login`` and ``/logout``, the rate
limit on passwords, the one-time link that the console prints. Does not cover: users, passwords and tokens
themselves (`curate.users`), the way to a provider and back (`curate.oidc`), nor what a user may do (checked by every
operation).
"""

from __future__ import annotations

import hashlib
import html
import secrets
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from curate import users
from curate.errors import GoldpairError, PermissionDenied

if TYPE_CHECKING:
    from curate.store import Store

SESSION_S = 12 * 3600
LINK_S = 24 * 3600
TRIES_S = 300
# Wrong passwords within TRIES_S: one person at one machine, one name from anywhere, one machine (or proxy).
TRIES = {"both": 5, "name": 20, "address": 50}
PAGE_CSP = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"


class NotSignedIn(PermissionDenied):
    """There is no session, or it has ended."""


class TooManyTries(GoldpairError):
    """Too many wrong passwords; ``retry_s`` says when the next try is taken."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(f"Too many wrong passwords. Try again in {retry_s} seconds.")
        self.retry_s = retry_s


@dataclass(frozen=True)
class Session:
    """A signed-in browser. ``local`` is true when it came through the console's one-time link."""

    actor: users.Actor
    local: bool


class Sessions:
    """Signs and reads session cookies, keeps one-time links, counts wrong passwords. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        # Browsers share cookies between ports: each workspace has a name of its own.
        self.cookie = f"goldpair_{hashlib.sha256(key + b'cookie').hexdigest()[:8]}"
        self._signer = URLSafeTimedSerializer(hashlib.sha256(key + b"session").digest(), salt="session")
        self._ended: dict[str, float] = {}
        self._links: dict[str, tuple[str, float]] = {}
        self._wrong: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def cookie_for(self, store: Store, user: str, *, local: bool = False) -> str:
        """A cookie value for a user. A changed password or a deactivated user ends it."""
        held = {"u": user, "p": _password_mark(store, user), "l": local, "s": secrets.token_hex(8)}
        return str(self._signer.dumps(held))

    def read(self, store: Store, cookie: str | None) -> Session:
        """The session behind a cookie value. Raises `NotSignedIn`."""
        if not cookie:
            raise NotSignedIn("You are not signed in.")
        try:
            held = self._signer.loads(cookie, max_age=SESSION_S)
            user, mark, local, ended = (
                str(held["u"]),
                str(held["p"]),
                bool(held["l"]),
                held["s"] in self._ended,
            )
        except (BadSignature, KeyError, TypeError) as error:
            raise NotSignedIn("Your session has ended. Sign in again.") from error
        if ended:
            raise NotSignedIn("You signed out. Sign in again.")
        if not secrets.compare_digest(mark, _password_mark(store, user)):
            raise NotSignedIn("Your password was changed. Sign in again.")
        try:
            return Session(users.actor_for(store, user), local)
        except GoldpairError as error:
            raise NotSignedIn(str(error)) from error

    def end(self, cookie: str | None) -> None:
        """Sign a cookie out, wherever else it is still open: a page keeps what it was opened with."""
        try:
            held = self._signer.loads(cookie or "", max_age=SESSION_S)
        except BadSignature:
            return
        now = time.monotonic()
        with self._lock:
            self._ended = {name: until for name, until in self._ended.items() if until > now}
            self._ended[held["s"]] = now + SESSION_S

    def link_for(self, user: str) -> str:
        """A token that signs one browser in as ``user``, once, within a day."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._links[token] = (user, time.monotonic() + LINK_S)
        return token

    def use_link(self, token: str) -> str:
        """The user of a one-time token, which is spent by this. Raises `NotSignedIn`."""
        with self._lock:
            user, ends = self._links.pop(token, ("", 0.0))
        if not user or time.monotonic() > ends:
            raise NotSignedIn("This link was used already. The console shows a new one.")
        return user

    def check_tries(self, name: str, address: str) -> None:
        """Raise `TooManyTries` when a name or an address gave too many wrong passwords."""
        now = time.monotonic()
        with self._lock:
            for kind, who in _who(name, address).items():
                times = self._wrong.get(who)
                while times and now - times[0] > TRIES_S:
                    times.popleft()
                if times and len(times) >= TRIES[kind]:
                    raise TooManyTries(int(TRIES_S - (now - times[0])) + 1)

    def note_wrong(self, name: str, address: str) -> None:
        """Count one wrong password."""
        with self._lock:
            if len(self._wrong) > 10_000:  # a flood of made-up names must not fill the memory
                self._wrong.clear()
            for who in _who(name, address).values():
                self._wrong[who].append(time.monotonic())


def _who(name: str, address: str) -> dict[str, str]:
    name = name.lower()
    return {"both": f"both {address} {name}", "name": f"name {name}", "address": f"address {address}"}


def _password_mark(store: Store, user: str) -> str:
    row = store.one("SELECT password_hash FROM users WHERE name = ?", [user])
    return hashlib.sha256(((row or {}).get("password_hash") or "").encode()).hexdigest()[:16]


# --- routes -------------------------------------------------------------------------------------------------


def routes() -> list[Route]:
    """Signing in and out with a browser, and through the workspace's provider if it names one."""
    from curate import oidc

    return [
        *oidc.routes(),
        Route("/login", _login_page, methods=["GET"]),
        Route("/login", _login, methods=["POST"]),
        Route("/logout", _logout, methods=["GET", "POST"]),
    ]


async def _login_page(request: Request) -> Response:
    from curate.server import print_link, state

    here = state()
    token = request.query_params.get("token")
    if token is None:
        return sign_in_page()
    try:
        user = here.sessions.use_link(token)
        response = await run_in_threadpool(signed_in, request, user, True)
    except GoldpairError as error:
        return sign_in_page(str(error), status=401)
    print_link()
    return response


async def _login(request: Request) -> Response:
    from curate.server import state

    here = state()
    origin = request.headers.get("origin")
    if origin not in (None, "null") and origin.split("://")[-1] != request.headers.get("host"):
        return sign_in_page("This form was sent from another site.", status=403)
    form = await request.form(max_files=0, max_fields=4)
    name, password = str(form.get("name", ""))[:64], str(form.get("password", ""))[:1024]
    address = request.client.host if request.client else "?"
    try:
        here.sessions.check_tries(name, address)
        actor = await run_in_threadpool(users.authenticate, here.store, name, password)
        return await run_in_threadpool(signed_in, request, actor.user, False)
    except TooManyTries as error:
        response = sign_in_page(str(error), name, status=429)
        response.headers["Retry-After"] = str(error.retry_s)
        return response
    except GoldpairError as error:
        here.sessions.note_wrong(name, address)
        return sign_in_page(str(error), name, status=401)


async def _logout(request: Request) -> Response:
    from curate.server import state

    sessions = state().sessions
    sessions.end(request.cookies.get(sessions.cookie))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(sessions.cookie, path="/", httponly=True, samesite="lax")
    return response


def signed_in(request: Request, user: str, local: bool) -> Response:
    """The answer that gives a browser its session and sends it to the pages. Raises `NotFound`."""
    from curate.server import state

    here = state()
    users.actor_for(here.store, user)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        here.sessions.cookie,
        here.sessions.cookie_for(here.store, user, local=local),
        max_age=SESSION_S,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def sign_in_page(problem: str = "", name: str = "", status: int = 200) -> Response:
    """The sign-in page, with what went wrong. Everything in it is escaped."""
    from curate.server import state

    headers = {"Content-Security-Policy": PAGE_CSP, "Cache-Control": "no-store"}
    alert = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    provider = state().workspace.settings.oidc
    other = (
        f'<p class="or"><a href="/login/oidc">Sign in with {html.escape(provider.label)}</a></p>'
        if provider
        else ""
    )
    page = _PAGE.replace("{{provider}}", other).replace("{{alert}}", alert)
    return HTMLResponse(page.replace("{{name}}", html.escape(name, quote=True)), status, headers)


def session_of(cookies: Any) -> Session:
    """The session of a request's or a page's cookies. Raises `NotSignedIn`."""
    from curate.server import state

    here = state()
    return here.sessions.read(here.store, cookies.get(here.sessions.cookie))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Goldpair</title>
<style>
:root { color-scheme: light dark; --paper: #f7f5ef; --card: #fffefb; --ink: #22282f; --soft: #59616b;
  --line: #d9d4c7; --gold: #7d5800; --on-gold: #fffdf6; --bad: #9c2b23; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --card: #1b2027; --ink: #e9e5da; --soft: #a7adb5;
  --line: #343b45; --gold: #e3b75b; --on-gold: #1c1608; --bad: #ff9d92; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { width: min(23rem, calc(100vw - 2rem)); background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 2rem; }
.mark { display: flex; gap: .35rem; margin-bottom: 1rem; }
.mark i { width: 1.5rem; height: 1.5rem; border-radius: 50%; border: 3px solid var(--gold); }
.mark i + i { background: var(--gold); margin-left: -.75rem; }
h1 { font: 600 1.6rem/1.2 Georgia, "Source Serif 4", serif; margin: 0 0 .25rem; }
p { margin: 0 0 1.25rem; color: var(--soft); }
label { display: block; font-weight: 600; margin: 0 0 .3rem; }
input { width: 100%; padding: .6rem .7rem; margin-bottom: 1rem; border: 1px solid var(--line); border-radius: 8px;
  background: var(--paper); color: inherit; font: inherit; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--gold); outline-offset: 2px; }
button { width: 100%; padding: .65rem; border: 0; border-radius: 8px; background: var(--gold); color: var(--on-gold);
  font: inherit; font-weight: 600; cursor: pointer; }
.or { margin: 1rem 0 0; }
.or a { display: block; text-align: center; padding: .6rem; border: 1px solid var(--gold); border-radius: 8px;
  color: var(--gold); font-weight: 600; text-decoration: none; }
.or a:focus-visible { outline: 3px solid var(--gold); outline-offset: 2px; }
.problem { color: var(--bad); font-weight: 600; }
code { font-size: .9em; }
</style></head>
<body><main>
<div class="mark" aria-hidden="true"><i></i><i></i></div>
<h1>Goldpair</h1>
<p>Sign in with the name and password your admin gave you.</p>
{{alert}}
<form method="post" action="/login">
<label for="name">Name</label>
<input id="name" name="name" value="{{name}}" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>
{{provider}}
<p style="margin:1.25rem 0 0">On your own machine without a password? Open the link that
<code>goldpair serve</code> printed.</p>
</main></body></html>
"""
