"""The ASGI application: FastAPI, with the hot routes in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match

from eventstore import App, EventStore, EventStoreError
from eventstore_api.bodies import no_cloudevent
from eventstore_api.description import describe
from eventstore_api.dispatch import Dispatcher
from eventstore_api.guard import Guard
from eventstore_api.problems import HttpError, problem
from eventstore_api.routes import (
    commands,
    consumers,
    docs,
    listing,
    operations,
    projections,
    tables,
    versions,
)
from eventstore_api.routes.append import AppendRoutes
from eventstore_api.routes.read import ReadRoutes

_ROUTERS: Final = (
    listing.router,
    projections.router,
    versions.router,
    consumers.router,
    commands.router,
    operations.router,
    docs.router,
)


def create_app(
    store: EventStore,
    app: App | None = None,
    *,
    manage: bool = True,
    allow_hosts: Collection[str] | None = (),
    allow_origins: Collection[str] = (),
) -> Guard:
    """Make the service of one store, which takes the commands of the App's deciders.

    With `manage` (the default) its lifespan opens and closes the store; without, the caller does.
    It is known by loopback names, those in `allow_hosts`, and the address that it is reached by;
    None: by every name, for a service that nobody reaches but through a proxy that authenticates.
    Pages of `allow_origins`, as `check_origin` writes them, may use it from a browser.
    """
    served = in_front_of(make_api(store, app, manage=manage))
    return Guard(served, hosts=allow_hosts, origins=allow_origins)


def in_front_of(api: FastAPI) -> Dispatcher:
    """Put the hot routes in front of FastAPI's part, on the same store."""
    appends = AppendRoutes(api.state.store)
    reads = ReadRoutes(api.state.store)
    return Dispatcher(
        api,
        append=appends.append,
        append_many=appends.append_many,
        read_stream=reads.read_stream,
        read_log=reads.read_log,
    )


def make_api(store: EventStore, app: App | None = None, *, manage: bool = True) -> FastAPI:
    """Make the FastAPI part: every route but the hot ones, and the description of all."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        if not manage:
            yield
            return
        async with api.state.store():
            yield

    api = FastAPI(
        title="eventstore",
        summary="A PostgreSQL-native event store",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # routes.docs: FastAPI's own page loads scripts from elsewhere
        redoc_url=None,
    )
    api.state.app = app or App()
    api.state.store = lambda: store
    for router in _ROUTERS:
        checks = [Depends(no_cloudevent), Depends(listing.known_parameters)]
        api.include_router(router, dependencies=checks)
    api.include_router(tables.router)
    api.add_exception_handler(EventStoreError, _event_store_error)
    api.add_exception_handler(RequestValidationError, _validation_error)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(Exception, _internal_error)
    describe(api)
    return api


def _reply(error: EventStoreError) -> Response:
    status, headers, body = problem(error)
    return Response(body, status_code=status, headers=headers)


async def _event_store_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, EventStoreError)  # noqa: S101 - registered for this class
    return _reply(error)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    fault: dict[str, Any] = error.errors()[0]
    where, *names = fault["loc"]
    name = ".".join(map(str, names))
    return _reply(HttpError("malformed-request", f"{where} parameter {name}: {fault['msg']}"))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == 405:
        # Each method of a resource is a route of its own, and the error knows only the first.
        allowed = set(Headers(error.headers).get("allow", "").split(", "))
        for router in _ROUTERS:
            for route in router.routes:
                if route.matches(request.scope)[0] is not Match.NONE:
                    allowed |= getattr(route, "methods", set())
        if "GET" in allowed:
            allowed.add("HEAD")
        refused = f"{request.method} is not allowed here"
        return _reply(HttpError("method-not-allowed", refused, allow=", ".join(sorted(allowed))))
    return _reply(HttpError("not-found", f"there is no resource {request.url.path[:200]}"))


async def _internal_error(_: Request, __: Exception) -> Response:
    return _reply(HttpError("internal-error", "see the service's log"))
