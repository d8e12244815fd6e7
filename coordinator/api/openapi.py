"""The OpenAPI 3.1 document, made from the route table."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from coordinator.api.problems import MEDIA_TYPE, Problem
from coordinator.api.route import MAYBE_KNOWN, Route

_PARAMETER = re.compile(r"{(\w+)}")


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole description, as a value that encodes to JSON."""
    types = {kind for route in routes for kind in (route.body, route.query, route.answer) if kind is not None}
    ordered = [*sorted(types, key=lambda kind: kind.__name__), Problem]
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for path in route.paths:
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nearcast coordinator", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    route: Route, path: str, schema_of: dict[type, dict[str, Any]], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route, path),
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "parameters": _parameters(route, components),
        "responses": _responses(route, schema_of),
    }
    if route.scope:
        operation["security"] = [{"token": []}] if route.scope != MAYBE_KNOWN else [{}, {"token": []}]
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[route.body]}},
        }
    return operation


def _operation_id(route: Route, path: str) -> str:
    words = re.sub(r"\W+", "_", path).strip("_")
    return f"{route.method.lower()}_{words}"


def _parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        properties = components[route.query.__name__]["properties"]
        found += [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
    if route.creates:
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}})
    return found


def _responses(route: Route, schema_of: dict[type, dict[str, Any]]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        good["content"] = {"application/json": {"schema": schema_of[route.answer]}}
    responses = {str(route.status): good}
    for status in route.all_refusals():
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema_of[Problem]}},
        }
    return responses
