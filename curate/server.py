"""The one process that owns a workspace while it runs: pages, REST routes, the open store, the jobs' keeper.

Covers: starting and stopping, ``server.json``, the options of the page server, headers and hosts of every
answer. Does not cover: the routes (`curate.api`, `curate.login`) nor the pages (`curate.views`).
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curate import incremental, jobs, users
from curate.client import running_server
from curate.errors import GoldpairError, RefusedError, StoreLocked, UsageError
from curate.login import Sessions
from curate.store import Store
from curate.workspace import Workspace

MAX_UPLOAD_MB = 200  # through a page, which holds it in memory; the REST route takes more, on disk
OPEN_PATIENCE_S = 60.0

# What the browser may load: this server and nothing else, whatever a record says. Streamlit's own bundle needs
# inline styles, evaluated chart code and component scripts in blobs.
CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@dataclass
class State:
    """What the pages and routes of this process share."""

    workspace: Workspace
    store: Store
    sessions: Sessions
    token: str  # of server.json: the command line of the workspace's owner
    url: str = ""
    loopback: bool = True
    as_json: bool = False  # say where in one JSON line


_state: State | None = None


def state() -> State:
    """The running server's state. Raises `GoldpairError` outside of one."""
    if _state is None:
        raise GoldpairError("The pages belong to a server. Start one with `goldpair serve`.")
    return _state


def attach(new: State | None) -> None:
    """Make ``new`` what `state` returns; None takes it away."""
    global _state
    _state = new


# --- serving ------------------------------------------------------------------------------------------------


def serve(workspace: Workspace, host: str = "127.0.0.1", port: int = 8501, as_json: bool = False) -> None:
    """Serve a workspace until a signal ends it; port 0 takes a free one. ``as_json``: say where in one JSON line.

    Raises `UsageError` when a server runs for this workspace already or the port is taken, `RefusedError` when
    ``host`` is not loopback and no admin has a password.
    """
    running = running_server(workspace)
    if running:
        raise UsageError(
            f"A server runs for this workspace already: {running['url']} (PID {running['pid']}). "
            "Use it, or stop it first."
        )
    sock = _bind(host, port)
    try:
        store = _open_store(workspace)
        try:
            _refuse_open_door(store, host)
            users.actor_for(store, workspace.settings.cli_user)
            port = sock.getsockname()[1]
            attach(
                State(
                    workspace=workspace,
                    store=store,
                    sessions=Sessions(workspace.key),
                    token=secrets.token_urlsafe(32),
                    url=f"http://{_url_host(host)}:{port}",
                    loopback=is_loopback(host),
                    as_json=as_json,
                )
            )
            # Uploads spill into temporary files: keep private text inside the workspace.
            uploads = workspace.cache / "uploads"
            uploads.mkdir(exist_ok=True)
            tempfile.tempdir = str(uploads)
            _run(sock, host, port)
        finally:
            attach(None)
            store.close()
    finally:
        sock.close()


def _run(sock: socket.socket, host: str, port: int) -> None:
    import uvicorn

    configure_pages(host, port)
    config = uvicorn.Config(
        build_app(host),
        ws="websockets-sansio",
        ws_ping_interval=30,
        ws_ping_timeout=30,
        ws_max_size=32 << 20,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[sock])
    if not server.started:
        raise GoldpairError("The server did not start; the lines above say why.")


def build_app(host: str) -> Any:
    """The ASGI app: our routes, then Streamlit's. Needs `attach` first."""
    import streamlit as st

    from curate import api, login

    return st.App(
        script_path(),
        routes=[*api.routes(), *login.routes()],
        middleware=[Middleware(Guard, hosts=allowed_hosts(host))],
        lifespan=_lifespan,
    )


def script_path() -> Path:
    """The pages' entry script: in the wheel beside this module, in a checkout at its root."""
    inside = Path(__file__).parent / "_app.py"
    return inside if inside.exists() else Path(__file__).resolve().parent.parent / "app.py"


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    here = state()
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_jobs, args=(here, stop), name="jobs", daemon=True)
    keeper.start()
    incremental.Watch.of(here.store).start(here.store, here.workspace)
    _write_marker(here)
    _say_where(here)
    try:
        yield
    finally:
        # A signal ends the process right after this: what must be finished is finished here.
        here.workspace.server.unlink(missing_ok=True)
        stop.set()
        incremental.Watch.of(here.store).stop()
        keeper.join(timeout=10)
        here.store.close()


def _say_where(here: State) -> None:
    openapi = f"{here.url}/api/v1/openapi.json"
    if here.as_json:
        where = {
            "workspace": str(here.workspace.root),
            "url": here.url,
            "openapi": openapi,
            "pid": os.getpid(),
        }
        if here.loopback:
            link = here.sessions.link_for(here.workspace.settings.cli_user)
            where["sign_in"] = f"{here.url}/login?token={link}"
        print(json.dumps(where), flush=True)
        return
    print(f"Goldpair serves {here.workspace.root}\n  pages  {here.url}", flush=True)
    if here.loopback:
        print_link()
    else:
        print(f"  sign in at {here.url}/login", flush=True)
    print(f"  REST   {openapi}\nStop it with Ctrl+C.", flush=True)


def print_link() -> None:
    """Print a fresh one-time sign-in link for the owner of this machine's files; loopback only."""
    here = state()
    if here.loopback:
        link = here.sessions.link_for(here.workspace.settings.cli_user)
        print(f"  sign in (once) {here.url}/login?token={link}", flush=True)


def _keep_jobs(here: State, stop: threading.Event) -> None:
    said = ""
    while not stop.wait(1.0):
        try:
            jobs.tick(here.store, here.workspace)
            said = ""
        except Exception as error:  # the keeper outlives one bad job; the next second tries again
            if repr(error) != said:
                traceback.print_exc(file=sys.stderr)
                said = repr(error)


def _write_marker(here: State) -> None:
    marker = {
        "pid": os.getpid(),
        "pid_started": psutil.Process().create_time(),
        "url": here.url,
        "token": here.token,
    }
    path = here.workspace.server
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(marker, handle)
    fresh.replace(path)


def _open_store(workspace: Workspace) -> Store:
    give_up = time.monotonic() + OPEN_PATIENCE_S
    while True:
        try:
            return Store.open(workspace.store)
        except StoreLocked:  # a command holds it for a moment
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def _refuse_open_door(store: Store, host: str) -> None:
    if is_loopback(host):
        return
    if not any(u["role"] == "admin" and u["active"] and u["has_password"] for u in users.list_users(store)):
        raise RefusedError(
            f"{host} can be reached from other machines, and no admin has a password yet.",
            [
                "Make one first: goldpair users add NAME --role admin --ask-password",
                "or stay on this machine: leave out --host.",
            ],
        )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise UsageError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --port."
        ) from error
    sock.set_inheritable(False)  # a detached job must not keep the port
    return sock


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost counts as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


# --- what every answer carries ------------------------------------------------------------------------------


def allowed_hosts(host: str) -> list[str]:
    """Names this server answers to; GOLDPAIR_ALLOWED_HOSTS adds more, separated by commas."""
    names = {"127.0.0.1", "localhost", "::1", host.lower()} - {"0.0.0.0", "::"}
    if not is_loopback(host):
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    more = os.environ.get("GOLDPAIR_ALLOWED_HOSTS", "")
    return sorted(names | {name.strip().lower() for name in more.split(",") if name.strip()})


class Guard:
    """Refuses unknown Host headers (a rebound name reaches nothing) and sets the security headers."""

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if self._host(scope) not in self.hosts:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            answer = PlainTextResponse(
                "This server does not answer to that name. GOLDPAIR_ALLOWED_HOSTS adds names.\n", 400
            )
            await answer(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", CSP)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("X-Frame-Options", "DENY")
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
            await send(message)

        await self.app(scope, receive, with_headers)

    @staticmethod
    def _host(scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"host":
                try:
                    return (urlsplit("//" + value.decode("latin-1")).hostname or "").lower()
                except ValueError:
                    return ""
        return ""


# --- options of the page server -----------------------------------------------------------------------------


def configure_pages(host: str, port: int) -> None:
    """Set Streamlit's options for this process; a config file or variable of the user's does not loosen them."""
    from streamlit import config

    from curate.views import theme

    options: dict[str, Any] = {
        "server.headless": True,
        "server.address": host,
        "server.port": port,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.allowRunOnSave": False,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [],
        "server.allowedHosts": allowed_hosts(host),
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "server.trustedUserHeaders": {},
        "browser.gatherUsageStats": False,
        "browser.serverAddress": _url_host(host),
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "client.disableDataExport": True,  # an exported cell may be a spreadsheet formula
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,  # it would ask an outside service for this machine's address
        "runner.magicEnabled": False,
        **theme.OPTIONS,
    }
    config.get_config_options(force_reparse=True, options_from_flags=options)
