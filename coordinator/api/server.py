"""The only module that knows Sanic: the route table mounted on an app, refusals as problem documents."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec
from sanic import Sanic
from sanic.exceptions import SanicException
from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from appliance.contracts.errors import NearcastError
from appliance.runtime.ids import new_id
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from coordinator.api import docs, openapi, problems
from coordinator.api.dispatch import JSON, Dispatcher, Incoming, Outgoing
from coordinator.api.route import Route

_log = get_logger("coordinator.api")
_answers = counter("nearcast_coordinator_answers_total", "Answers of the API by status.", ["status"])
_SANIC_CODES = {404: "no_such_path", 405: "method_not_allowed", 413: "body_too_large"}
_SanicApp = Sanic[Any, Any]


def mount(app: _SanicApp, routes: Sequence[Route], dispatcher: Dispatcher, version: str) -> None:
    """Adds every route, the OpenAPI document, the page for people and the error handlers."""
    for route in routes:
        for path in route.paths:
            methods = ["GET", "HEAD"] if route.method == "GET" else [route.method]
            name = f"{route.method}{path}".replace("/", ".").replace("{", "_").replace("}", "_")
            app.add_route(_handler(route, dispatcher), _sanic_path(path), methods=methods, name=name)
    described = msgspec.json.encode(openapi.document(routes, version))
    add_static(app, "/openapi.json", described, JSON)
    add_static(app, "/docs", docs.page(routes, version), "text/html; charset=utf-8")
    app.error_handler.add(NearcastError, _refused)
    app.error_handler.add(SanicException, _refused_by_sanic)
    app.error_handler.add(Exception, _failed)
    app.register_middleware(_finish, "response")


def add_static(app: _SanicApp, path: str, body: bytes, media_type: str) -> None:
    """A page whose bytes never change while the process runs."""

    async def answer(_: Request) -> HTTPResponse:
        return HTTPResponse(body, content_type=media_type)

    app.add_route(answer, path, methods=["GET", "HEAD"], name=path.replace("/", "."))


def add_probe(app: _SanicApp, path: str, probe: Callable[[], Awaitable[dict[str, str]]]) -> None:
    """A health page: 200 with what `probe` returns, or its error as a problem document."""

    async def answer(_: Request) -> HTTPResponse:
        return HTTPResponse(msgspec.json.encode(await probe()), content_type=JSON)

    app.add_route(answer, path, methods=["GET", "HEAD"], name=path.replace("/", "."))


def quiet() -> None:
    """Sanic's loggers say nothing below a warning, and their lines go where all others go."""
    for name in ("sanic.root", "sanic.error", "sanic.access", "sanic.server", "sanic.websockets"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()
        logger.propagate = True


def _sanic_path(path: str) -> str:
    return path.replace("{", "<").replace("}", ">")


def _handler(route: Route, dispatcher: Dispatcher) -> Callable[..., Coroutine[Any, Any, HTTPResponse]]:
    async def handle(request: Request, **path: str) -> HTTPResponse:
        incoming = Incoming(
            method=request.method,
            route_path=route.path,
            path=path,
            headers=request.headers,
            query_string=request.query_string,
            query=dict(request.query_args) if request.query_string else {},
            body=request.body,
        )
        return _response(await dispatcher.run(route, incoming))

    return handle


def _response(outgoing: Outgoing) -> HTTPResponse:
    media_type = outgoing.media_type if outgoing.body else None
    return HTTPResponse(
        outgoing.body, status=outgoing.status, headers=dict(outgoing.headers), content_type=media_type
    )


def _problem_response(document: problems.Problem, headers: dict[str, str]) -> HTTPResponse:
    body = msgspec.json.encode(document)
    return HTTPResponse(body, status=document.status, headers=headers, content_type=problems.MEDIA_TYPE)


def _request_id(request: Request | None) -> str:
    if request is None:
        return new_id()
    if not hasattr(request.ctx, "request_id"):
        request.ctx.request_id = new_id()
    return str(request.ctx.request_id)


async def _refused(request: Request, error: NearcastError) -> HTTPResponse:
    request_id = _request_id(request)
    if error.status >= 500:
        _log.warning("request_refused", request=request_id, code=str(error.code), cause=repr(error.__cause__))
    return _problem_response(problems.problem_of(error, request_id), problems.headers_of(error))


async def _refused_by_sanic(request: Request, error: SanicException) -> HTTPResponse:
    status = error.status_code or 500
    if status >= 500 and status != 503:
        return await _failed(request, error)
    code = _SANIC_CODES.get(status, "bad_request")
    detail = {404: "there is nothing at this path", 405: "this path does not take that method"}.get(status, "")
    headers = {name: str(value) for name, value in (error.headers or {}).items()}
    return _problem_response(problems.problem(status, code, detail, _request_id(request)), headers)


async def _failed(request: Request, error: Exception) -> HTTPResponse:
    request_id = _request_id(request)
    _log.error("request_failed", request=request_id, error=type(error).__name__, exc_info=error)
    return _problem_response(problems.unexpected(request_id), {})


async def _finish(request: Request, response: BaseHTTPResponse) -> None:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Request-Id"] = _request_id(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    _answers.labels(response.status).inc()
