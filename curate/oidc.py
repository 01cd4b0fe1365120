"""Signing in through the team's own OpenID Connect provider: ``[oidc]`` of ``goldpair.toml``.

Covers: discovery, the authorization code flow with PKCE (RFC 7636), checking the id token (by Authlib), groups of the
provider as roles here. Does not cover: sessions (`curate.login`: the cookie is the same as after a password), users
(`curate.users`), signing out of the provider. Authlib comes with the extra ``sso`` and is imported when a sign-in
begins.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from curate import login, users
from curate.errors import GoldpairError, UsageError
from curate.workspace import Oidc

PATH = "/login/oidc"
ROUND_TRIP_S = 600  # from leaving for the provider until coming back
# Signatures that only the provider's private key can make.
SIGNATURES = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)


def routes() -> list[Route]:
    """Leaving for the provider and coming back; none when the workspace names no provider."""
    from curate.server import state

    here = state()
    settings = here.workspace.settings.oidc
    if settings is None:
        return []
    # State, nonce and the PKCE verifier wait in a signed cookie of their own, sent to these two routes alone.
    waiting = Middleware(
        SessionMiddleware,
        secret_key=hashlib.sha256(here.workspace.key + b"oidc").hexdigest(),
        session_cookie=f"{here.sessions.cookie}_oidc",
        path=PATH,
        max_age=ROUND_TRIP_S,
        same_site="lax",
        https_only=(settings.redirect_base or "").startswith("https://"),
    )
    return [
        Route(PATH, _leave, methods=["GET"], middleware=[waiting]),
        Route(f"{PATH}/callback", _come_back, methods=["GET"], middleware=[waiting]),
    ]


async def _leave(request: Request) -> Response:
    settings = _settings()
    try:
        client = await _client(settings)
        response: Response = await client.authorize_redirect(request, _redirect_uri(request, settings))
        return response
    except Exception as error:
        return _problem(error)


async def _come_back(request: Request) -> Response:
    from curate.server import state

    settings = _settings()
    try:
        client = await _client(settings)
        token = await client.authorize_access_token(request)
        claims = dict(token.get("userinfo") or {})
        if not claims.get("sub"):
            raise login.NotSignedIn("The sign-in service sent no id token that names somebody.")
        if groups_of(settings, claims) is None and client.server_metadata.get("userinfo_endpoint"):
            more = await client.userinfo(token=token)
            if more.get("sub") != claims["sub"]:
                raise login.NotSignedIn("The sign-in service spoke of two different people.")
            claims = {**more, **claims}
        role = role_of(settings, claims)
        name = str(claims.get(settings.name_claim) or "")
        actor = await run_in_threadpool(
            users.sign_in, state().store, settings.issuer, str(claims["sub"]), name, role
        )
        return await run_in_threadpool(login.signed_in, request, actor.user, False)
    except Exception as error:
        return _problem(error)


def groups_of(settings: Oidc, claims: Mapping[str, Any]) -> list[str] | None:
    """The groups a person's claims name, None when they say nothing of groups. Dots go into nested claims."""
    value: Any = claims
    for part in settings.groups_claim.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return None
    return [value] if isinstance(value, str) else [one for one in value if isinstance(one, str)]


def role_of(settings: Oidc, claims: Mapping[str, Any]) -> str:
    """The highest role that one of the person's groups has here. Raises `NotSignedIn` without any."""
    found = [settings.roles[group] for group in groups_of(settings, claims) or [] if group in settings.roles]
    if not found:
        raise login.NotSignedIn(
            "None of your groups has a role here. Ask an admin, who names groups in [oidc.roles] of goldpair.toml."
        )
    return max(found, key=users.ROLES.index)


# --- the provider -------------------------------------------------------------------------------------------


def _settings() -> Oidc:
    from curate.server import state

    found = state().workspace.settings.oidc
    assert found is not None  # without it there is no route
    return found


async def _client(settings: Oidc) -> Any:
    """Authlib's client, its discovery document read and checked once a server."""
    from curate.server import state

    kept = state().store.services
    if "oidc" in kept:
        return kept["oidc"]
    try:
        from authlib.integrations.starlette_client import OAuth
    except ImportError as error:
        raise UsageError(
            "Signing in through a provider needs Authlib: pip install 'goldpair[sso]', then start the server again."
        ) from error
    secret = os.environ.get(settings.client_secret_env) if settings.client_secret_env else None
    if settings.client_secret_env and not secret:
        raise UsageError(f"The environment variable {settings.client_secret_env} holds no client secret.")
    client = OAuth().register(
        "oidc",
        client_id=settings.client_id,
        client_secret=secret,
        server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.scopes,
            "code_challenge_method": "S256",
            "timeout": 10,
            **({} if secret else {"token_endpoint_auth_method": "none"}),
        },
    )
    metadata = await client.load_server_metadata()
    if metadata.get("issuer") != settings.issuer:
        raise UsageError(
            f"The sign-in service calls itself {metadata.get('issuer')!r}, goldpair.toml calls it {settings.issuer!r}. "
            "Write the issuer exactly as the service does."
        )
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in SIGNATURES]
    kept["oidc"] = client
    return client


def _redirect_uri(request: Request, settings: Oidc) -> str:
    """Where the provider sends people back to; the Host header was checked by `curate.server.Guard`."""
    base = settings.redirect_base or f"{request.url.scheme}://{request.headers['host']}"
    return f"{base.rstrip('/')}{PATH}/callback"


def _problem(error: Exception) -> Response:
    """A refusal on the sign-in page. What the provider said goes to the console, its kind to the page."""
    if isinstance(error, GoldpairError):
        return login.sign_in_page(str(error), status=401)
    print(f"sign-in through the provider failed: {type(error).__name__}: {error}"[:500], file=sys.stderr)
    return login.sign_in_page(
        f"The sign-in through your provider did not work ({type(error).__name__}). Try again; the server's console "
        "has the details.",
        status=401,
    )
