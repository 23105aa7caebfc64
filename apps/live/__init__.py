"""Live: tells open pages what has changed, so that they fetch it again. It knows no data itself."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from apps.live import views
from apps.live.config import Settings
from apps.live.hub import Hub
from apps.live.protection import Protected
from shared.errors import Refused
from shared.headers import protective
from shared.identity import Identity, cookie_name

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings, hub: Hub, identity: Identity, lifespan: Lifespan | None = None
) -> Starlette:
    app = Starlette(
        routes=[Route("/live", views.live, methods=["GET"])],
        exception_handlers={Refused: views.refuse, HTTPException: views.refuse},
        middleware=[Middleware(Protected, headers=protective(secure=settings.secure))],
        lifespan=lifespan,
    )
    app.state.hub = hub
    app.state.identity = identity
    app.state.cookie = cookie_name(settings)
    return app
