"""From a request to a response: the route, the key, the errors."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from retab_frames.sandbox.flat_routes import FlatRoutes
from retab_frames.sandbox.messages import ApiError, make_json_response
from retab_frames.sandbox.nested_routes import NestedRoutes
from retab_frames.sandbox.parameters import MAX_LIMIT, QueryParameters
from retab_frames.sandbox.serializers import GENERATIONS, Serializer
from retab_frames.sandbox.workspace import RecordNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.sandbox.messages import Request, Response
    from retab_frames.sandbox.routes import PathParameters, Route
    from retab_frames.sandbox.workspace import Workspace


class Router:
    """Responds to requests with the routes of some generations of the API.

    Args:
        workspace: The records that are served.
        generations: At most one of A1 to A3, and at most one of B to C4, which share their paths.
        page_limit: The largest number of rows per page, whatever limit is asked for.
        api_key: The key that requests must have.

    Raises:
        ValueError: The generations are unknown or cannot be served together, there is none, or the
            page limit is not from 1 to 100.
    """

    def __init__(
        self,
        workspace: Workspace,
        generations: Sequence[str],
        *,
        page_limit: int,
        api_key: str,
    ) -> None:
        if not 1 <= page_limit <= MAX_LIMIT:
            raise ValueError(f"page_limit must be from 1 to {MAX_LIMIT}, not {page_limit}")
        nested, flat = _split_generations(generations)
        # Flat routes first: their fixed words, such as "runs", must not be read as ids.
        routes: list[Route] = []
        if flat:
            flat_routes = FlatRoutes(workspace, Serializer(flat), page_limit=page_limit)
            routes += flat_routes.list_routes()
        if nested or flat == "B":
            routes += NestedRoutes(workspace, Serializer(nested or "B")).list_routes()
        self._routes = [(pattern.split("/"), handler) for pattern, handler in routes]
        self._api_key = api_key
        # The workspace never changes, and neither do its responses.
        self._cached_handle = lru_cache(maxsize=64)(self._handle)

    def respond(self, request: Request) -> Response:
        """Return the response to a request, which may be an error response."""
        try:
            route, path = self._find_route(request)
            self._check_key(request)
            query = ((name, tuple(values)) for name, values in request.query.items())
            return self._cached_handle(route, tuple(path.items()), tuple(sorted(query)))
        except RecordNotFoundError as missing:
            return ApiError(HTTPStatus.NOT_FOUND, missing.args[0]).response
        except ApiError as error:
            return error.response

    def _handle(
        self,
        route: int,
        path: tuple[tuple[str, str], ...],
        query: tuple[tuple[str, tuple[str, ...]], ...],
    ) -> Response:
        _, handler = self._routes[route]
        return make_json_response(handler(dict(path), QueryParameters(dict(query))))

    def _find_route(self, request: Request) -> tuple[int, PathParameters]:
        # Split before decoding, so that an encoded slash stays in its segment.
        segments = [unquote(segment) for segment in request.path.split("/")]
        for route, (pattern, _) in enumerate(self._routes):
            path = _match(pattern, segments)
            if path is None:
                continue
            if request.method != "GET":
                raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", allow="GET")
            return route, path
        raise ApiError(HTTPStatus.NOT_FOUND, "Not Found")

    def _check_key(self, request: Request) -> None:
        expected = {"api-key": self._api_key, "authorization": f"Bearer {self._api_key}"}
        given = {name: request.headers[name] for name in expected if name in request.headers}
        if not given or any(value != expected[name] for name, value in given.items()):
            detail = {"code": "unauthorized", "message": "Invalid API key", "details": None}
            raise ApiError(HTTPStatus.UNAUTHORIZED, detail)


def _split_generations(generations: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the generation of the nested routes and that of the flat routes."""
    unknown = [name for name in generations if name not in GENERATIONS]
    if unknown:
        known = ", ".join(GENERATIONS)
        raise ValueError(f"unknown generation {unknown[0]!r}; known are {known}")
    nested = [name for name in generations if name.startswith("A")]
    flat = [name for name in generations if not name.startswith("A")]
    if len(nested) > 1 or len(flat) > 1 or not nested + flat:
        raise ValueError(
            "generations must be one of A1, A2, A3, one of B, C1, C2, C3, C4, "
            f"or one of each, not {tuple(generations)!r}"
        )
    return next(iter(nested), None), next(iter(flat), None)


def _match(pattern: Sequence[str], segments: Sequence[str]) -> PathParameters | None:
    """Return the path parameters, None if the path does not have this pattern."""
    if len(pattern) != len(segments):
        return None
    path: PathParameters = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            path[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return path
