"""REST routes under ``/api/v1``: every operation of `curate.ops` behind one door, its OpenAPI document, health.

Covers: who is asking (bearer tokens, the page's cookie), bodies and uploads with their limits, errors as
``{"error": {"kind", "message", "reasons"}}`` with a status, report files. Does not cover: what operations do
(`curate.ops`) nor signing in with a browser (`curate.login`).
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sys
import traceback
import types
import typing
from collections.abc import Awaitable, Callable
from functools import cache, partial
from hmac import compare_digest
from pathlib import Path
from typing import Any, TypeVar

import anyio
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from curate import login, ops, review, users
from curate.errors import GoldpairError, NotFound, PermissionDenied, RefusedError, StoreLocked, UsageError
from curate.server import state

T = TypeVar("T")
PREFIX = "/api/v1"
MAX_BODY = 32 << 20
MAX_UPLOAD = 1 << 30
PAGE_HEADER = "x-goldpair-page"  # only a script of our own pages can send it: no other site's form can
REPORT_CSP = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
_KNOWN_ENDINGS = re.compile(r"(\.(jsonl|ndjson|json|csv|tsv|parquet|txt|docx))?(\.gz)?$", re.IGNORECASE)
_threads: anyio.CapacityLimiter | None = None


class Malformed(UsageError):
    """The body is not what the route takes."""


class TooLarge(UsageError):
    """The body is over the limit."""


class LengthRequired(UsageError):
    """An upload must say how long it is."""


# Most specific first: the status of an error is that of the first kind it is an instance of.
STATUS: list[tuple[type[Exception], int]] = [
    (login.NotSignedIn, 401),
    (login.TooManyTries, 429),
    (Malformed, 400),
    (TooLarge, 413),
    (LengthRequired, 411),
    (NotFound, 404),
    (PermissionDenied, 403),
    (RefusedError, 409),
    (review.StaleEdit, 409),
    (StoreLocked, 503),
    (UsageError, 422),
    (GoldpairError, 400),
]


def routes() -> list[Route]:
    """The routes, in the order in which they are matched."""
    return [
        Route("/healthz", health, methods=["GET"]),
        Route(f"{PREFIX}/openapi.json", openapi, methods=["GET"]),
        Route(f"{PREFIX}/upload", upload, methods=["POST"]),
        Route(PREFIX + "/{path:path}", operation, methods=["GET", "POST"]),
        Route("/reports/{run}/report.html", report_file, methods=["GET"]),
    ]


# --- who asks -----------------------------------------------------------------------------------------------


def context_of(request: Request) -> ops.Context:
    """Who asks, by bearer token or by the cookie of our own pages. Raises `NotSignedIn`."""
    here = state()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if compare_digest(token.encode(), here.token.encode()):
            # Whoever can read server.json owns the files, and may act as anyone by the command line as well.
            name = request.headers.get("x-goldpair-user") or here.workspace.settings.cli_user
            return ops.Context(here.store, here.workspace, users.actor_for(here.store, name), local=True)
        try:
            return ops.Context(here.store, here.workspace, users.actor_for_token(here.store, token))
        except PermissionDenied as error:
            raise login.NotSignedIn(str(error)) from error
    if request.headers.get(PAGE_HEADER):
        session = login.session_of(request.cookies)
        return ops.Context(here.store, here.workspace, session.actor, local=session.local and here.loopback)
    raise login.NotSignedIn(
        "Send `Authorization: Bearer TOKEN`. `goldpair users token NAME` makes a token; it is shown once."
    )


# --- routes -------------------------------------------------------------------------------------------------


async def operation(request: Request) -> Response:
    """Run the operation that the path names: POST with a JSON object, GET with query parameters for reads."""

    async def answer() -> dict[str, Any]:
        name = request.path_params["path"].strip("/").replace("/", ".")
        found = ops.OPERATIONS.get(name)
        if found is None:
            raise NotFound(f"No operation {name!r}. {PREFIX}/openapi.json lists them.")
        if request.method == "POST":
            fields = _fields_of(await _body(request))
        elif found.permission == "read":
            fields = _query_fields(request, found)
        else:
            raise Malformed(f"{name} takes a POST with a JSON body.")
        return await _in_thread(lambda: ops.run(context_of(request), name, fields))

    return await _guarded(answer)


async def upload(request: Request) -> Response:
    """Import an uploaded file: multipart with ``file`` and the fields of the ``import`` operation but ``path``."""

    async def answer() -> dict[str, Any]:
        context = await _in_thread(lambda: context_of(request))
        users.require(context.actor, "import")  # before a byte of the file is taken
        if "content-length" not in request.headers:
            raise LengthRequired("Send the upload with a Content-Length.")
        _check_length(request, MAX_UPLOAD)
        try:
            form = await request.form(max_files=1, max_fields=16)
        except HTTPException as error:
            raise Malformed(str(error.detail)) from error
        try:
            file = form.get("file")
            if file is None or isinstance(file, str):
                raise Malformed("The form needs a part named file, with a file.")
            fields: dict[str, Any] = {key: value for key, value in form.items() if isinstance(value, str)}
            if "mapping" in fields:
                fields["mapping"] = _fields_of(fields["mapping"].encode())
            with_file = partial(import_upload, context, file.filename or "upload", file.file, fields)
            return await _in_thread(with_file)
        finally:
            await form.close()

    return await _guarded(answer)


def import_upload(context: ops.Context, name: str, source: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Save an uploaded file in the workspace for as long as it is imported; the ``import`` operation does the rest."""
    folder = context.workspace.cache / "uploads" / secrets.token_hex(16)
    folder.mkdir(parents=True)
    try:
        path = folder / safe_name(name)
        written = 0
        with path.open("wb") as handle:
            while block := source.read(1 << 20):
                written += len(block)
                if written > MAX_UPLOAD:
                    raise TooLarge(
                        f"The file is over {MAX_UPLOAD >> 30} GiB. Import it with the command line."
                    )
                handle.write(block)
        here = ops.Context(
            context.store, context.workspace, context.actor, local=True, progress=context.progress
        )
        return ops.run(here, "import", {**fields, "path": str(path)})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """A file name that is only a name: letters, digits, dot, dash; a known ending kept."""
    base = re.split(r"[\\/]", name)[-1]
    ending = _KNOWN_ENDINGS.search(base)
    tail = ending.group(0).lower() if ending else ""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", base[: len(base) - len(tail)] if tail else base).strip("_")
    return (stem[:80] or "upload") + tail


async def health(request: Request) -> Response:
    """200 when the store answers: its schema version, and how many jobs run."""

    def look() -> dict[str, Any]:
        store = state().store
        running = store.one(
            "SELECT count(*) AS n FROM jobs WHERE state IN ('queued', 'running', 'cancelling')"
        )
        return {
            "status": "ok",
            "store": {"open": True, "schema_version": int(store.meta("schema_version") or 0)},
            "jobs": {"unfinished": running["n"] if running else 0},
        }

    try:
        return _json(await _in_thread(look))
    except Exception as error:  # health answers whatever broke
        return _json({"status": "down", "store": {"open": False}, "error": type(error).__name__}, 503)


async def openapi(request: Request) -> Response:
    """The OpenAPI 3.1 document of these routes."""
    return Response(_openapi_json(), media_type="application/json")


async def report_file(request: Request) -> Response:
    """The report of an eval run, for signed-in browsers; sandboxed, so that nothing in it can act."""

    async def answer() -> Response:
        def find() -> Path:
            here = state()
            session = login.session_of(request.cookies)
            users.require(session.actor, "read")
            context = ops.Context(here.store, here.workspace, session.actor)
            path = ops.run_folder(context, request.path_params["run"]) / "report.html"
            if not path.is_file():
                raise NotFound("This run has no report yet. Write it with `goldpair report RUN`.")
            return path

        headers = {"Content-Security-Policy": REPORT_CSP, "Cache-Control": "no-store"}
        return FileResponse(await _in_thread(find), media_type="text/html", headers=headers)

    return await _guarded(answer)


# --- bodies, answers, errors --------------------------------------------------------------------------------


async def _guarded(answer: Callable[[], Awaitable[dict[str, Any] | Response]]) -> Response:
    try:
        result = await answer()
        return result if isinstance(result, Response) else _json(result)
    except GoldpairError as error:
        return error_response(error)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        message = "Something broke inside the server; its console has the details."
        return _json({"error": {"kind": "InternalError", "message": message, "reasons": []}}, 500)


def error_response(error: GoldpairError) -> Response:
    """An error in the shape that `curate.client` reads, with its status."""
    status = next(code for kind, code in STATUS if isinstance(error, kind))
    body: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": str(error),
        "reasons": error.reasons if isinstance(error, RefusedError) else [],
    }
    if isinstance(
        error, review.StaleEdit
    ):  # a three-way diff for whoever may read the pair: they just sent it
        body |= {"rev": error.current_rev, "base": error.base, "current": error.current, "yours": error.yours}
    response = _json({"error": body}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _json(value: Any, status: int = 200) -> Response:
    return Response(
        to_json(value), status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )


async def _in_thread(fn: Callable[[], T]) -> T:
    """Run store work outside the event loop, on threads of our own: a long import must not starve the pages."""
    global _threads
    if _threads is None:
        _threads = anyio.CapacityLimiter(24)
    return await anyio.to_thread.run_sync(fn, limiter=_threads)


def _check_length(request: Request, limit: int) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > limit:
        raise TooLarge(f"The body is over {limit >> 20} MiB.")


async def _body(request: Request) -> bytes:
    _check_length(request, MAX_BODY)
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY:
            raise TooLarge(f"The body is over {MAX_BODY >> 20} MiB.")
    return bytes(body)


def _fields_of(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise Malformed("The body must be a JSON object.")
    return fields


def _query_fields(request: Request, found: ops.Operation) -> dict[str, Any]:
    """Query parameters as fields; an empty value of an optional field is null, a list field may repeat."""
    fields: dict[str, Any] = {}
    for key in request.query_params:
        values = request.query_params.getlist(key)
        known = found.request.model_fields.get(key)
        annotation = known.annotation if known else str
        if typing.get_origin(annotation) is list:
            fields[key] = values
        elif values[-1] == "" and _optional(annotation):
            fields[key] = None
        else:
            fields[key] = values[-1]
    return fields


def _optional(annotation: Any) -> bool:
    unions = (typing.Union, types.UnionType)
    return typing.get_origin(annotation) in unions and type(None) in typing.get_args(annotation)


# --- OpenAPI ------------------------------------------------------------------------------------------------


@cache
def _openapi_json() -> bytes:
    return to_json(document())


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document, made from the table of operations."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("goldpair")
    except PackageNotFoundError:
        release = "0"
    schemas: dict[str, Any] = {"Error": _ERROR_SCHEMA}
    paths: dict[str, Any] = {}
    for name, found in sorted(ops.OPERATIONS.items()):
        schema = found.request.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[found.request.__name__] = schema
        about = {
            "summary": found.summary,
            "tags": [name.split(".")[0]],
            "description": f"Needs the permission `{found.permission}`.",
            "responses": _responses(),
        }
        reference = {"$ref": f"#/components/schemas/{found.request.__name__}"}
        path = paths[f"{PREFIX}/{name.replace('.', '/')}"] = {
            "post": {
                **about,
                "operationId": name,
                "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}},
            }
        }
        if found.permission == "read":
            path["get"] = {
                **about,
                "operationId": f"{name}.get",
                "parameters": [
                    {
                        "name": key,
                        "in": "query",
                        "required": key in schema.get("required", []),
                        "schema": part,
                    }
                    for key, part in schema.get("properties", {}).items()
                ],
            }
    paths[f"{PREFIX}/upload"] = {"post": _upload_document()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Goldpair",
            "version": release,
            "description": "Every verb of the command line as a route. Errors are "
            '`{"error": {"kind", "message", "reasons"}}`.',
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `goldpair users token NAME`.",
                }
            },
        },
    }


_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "message", "reasons"],
            "properties": {
                "kind": {"type": "string", "description": "name of the error family"},
                "message": {"type": "string", "description": "what happened and what to do next"},
                "reasons": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
}


def _responses() -> dict[str, Any]:
    problem = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    words = {
        "400": "The body is malformed.",
        "401": "No token, or one that is unknown or revoked.",
        "403": "The user's role may not do this.",
        "404": "Something named does not exist.",
        "409": "A gate or a rule refused; `reasons` says why.",
        "422": "A field is wrong.",
    }
    fine = {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {"200": fine, **{code: {"description": text, **problem} for code, text in words.items()}}


def _upload_document() -> dict[str, Any]:
    fields = ops.OPERATIONS["import"].request.model_json_schema()["properties"]
    properties = {key: part for key, part in fields.items() if key != "path"}
    properties["file"] = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["file", "task"], "properties": properties}
    return {
        "operationId": "upload",
        "summary": "Import an uploaded file.",
        "tags": ["import"],
        "description": "Needs the permission `import`.",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": _responses(),
    }


__all__ = ["context_of", "document", "error_response", "import_upload", "routes", "safe_name"]
