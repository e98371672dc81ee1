"""From a request to a reply: routing, authentication, refusals."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from retab_frames.sandbox.dialects import GENERATIONS, Dialect
from retab_frames.sandbox.exchange import Refusal, Reply
from retab_frames.sandbox.flat import FlatRoutes
from retab_frames.sandbox.nested import NestedRoutes
from retab_frames.sandbox.query import MAX_LIMIT, Query
from retab_frames.sandbox.workspace import NoRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.sandbox.exchange import Request
    from retab_frames.sandbox.query import Names, Route
    from retab_frames.sandbox.workspace import Workspace


class Routes:
    """The routes that some generations serve over one workspace.

    Args:
        workspace: What is served.
        generations: At most one of A1 to A3, and at most one of B to C4, which
            share their paths.
        page_limit: The largest page given, whatever limit is asked for.
        api_key: The key that requests must bring.

    Raises:
        ValueError: The generations are unknown, none or not to be served
            together, or the page limit is not from 1 to 100.
    """

    def __init__(
        self,
        workspace: Workspace,
        generations: Sequence[str],
        *,
        page_limit: int,
        api_key: str,
    ) -> None:
        """Lay out the routes."""
        if not 1 <= page_limit <= MAX_LIMIT:
            raise ValueError(f"page_limit must be from 1 to {MAX_LIMIT}, not {page_limit}")
        nested, flat = _pair(generations)
        # The flat routes stand first: their fixed words must not be taken for ids.
        routes: list[Route] = []
        if flat:
            routes += FlatRoutes(workspace, Dialect(flat), page_limit=page_limit).routes()
        if nested or flat == "B":
            routes += NestedRoutes(workspace, Dialect(nested or "B")).routes()
        self._routes = [(pattern.split("/"), handler) for pattern, handler in routes]
        self._api_key = api_key
        # The workspace never changes, so neither does what is said of it.
        self._rendered = lru_cache(maxsize=64)(self._render)

    def answer(self, request: Request) -> Reply:
        """Return the reply to a request, a refusal included."""
        try:
            route, names = self._find(request)
            self._authenticate(request)
            query = ((name, tuple(values)) for name, values in request.query.items())
            return self._rendered(route, tuple(names.items()), tuple(sorted(query)))
        except NoRecord as missing:
            return Refusal(HTTPStatus.NOT_FOUND, missing.args[0]).reply
        except Refusal as refusal:
            return refusal.reply

    def _render(
        self,
        route: int,
        names: tuple[tuple[str, str], ...],
        query: tuple[tuple[str, tuple[str, ...]], ...],
    ) -> Reply:
        _, handler = self._routes[route]
        return Reply.of_json(handler(dict(names), Query(dict(query))))

    def _find(self, request: Request) -> tuple[int, Names]:
        # Split before decoding, so that an encoded slash stays in its segment.
        segments = [unquote(segment) for segment in request.path.split("/")]
        for route, (pattern, _) in enumerate(self._routes):
            names = _match(pattern, segments)
            if names is None:
                continue
            if request.method != "GET":
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", allow="GET")
            return route, names
        raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")

    def _authenticate(self, request: Request) -> None:
        expected = {"api-key": self._api_key, "authorization": f"Bearer {self._api_key}"}
        given = {name: request.headers[name] for name in expected if name in request.headers}
        if not given or any(value != expected[name] for name, value in given.items()):
            detail = {"code": "unauthorized", "message": "Invalid API key", "details": None}
            raise Refusal(HTTPStatus.UNAUTHORIZED, detail)


def _pair(generations: Sequence[str]) -> tuple[str | None, str | None]:
    unknown = [name for name in generations if name not in GENERATIONS]
    if unknown:
        known = ", ".join(GENERATIONS)
        raise ValueError(f"unknown generation {unknown[0]!r}; there are {known}")
    nested = [name for name in generations if name.startswith("A")]
    flat = [name for name in generations if not name.startswith("A")]
    if len(nested) > 1 or len(flat) > 1 or not nested + flat:
        raise ValueError(
            "generations must be one of A1, A2, A3, one of B, C1, C2, C3, C4, "
            f"or one of each, not {tuple(generations)!r}"
        )
    return next(iter(nested), None), next(iter(flat), None)


def _match(pattern: Sequence[str], segments: Sequence[str]) -> Names | None:
    if len(pattern) != len(segments):
        return None
    names: Names = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            names[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return names
