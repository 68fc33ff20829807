"""Build the HTTP application around a runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from .. import __version__
from ..runtime import Runtime
from .approvals import approvals
from .customers import customers
from .documents import DESCRIPTION, Documented
from .endpoints import keyed, open_to_all
from .page import pages
from .problems import install
from .record import Record
from .settling import settling
from .webhooks import webhooks


def create_app(runtime: Runtime, *, stripe_secret: str | None = None) -> FastAPI:
    """Give the application; its lifespan starts the runtime and closes it. The document is at /openapi.json, without a key.

    `stripe_secret` is the signing secret (whsec_…) of Stripe's webhook endpoint; without it that endpoint is not there.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            yield

    app = Documented(
        title="Remit",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.runtime, app.state.stripe_secret = runtime, stripe_secret
    for router in (keyed, customers, approvals, settling, webhooks, pages, open_to_all):
        app.include_router(router)
    app.add_middleware(Record)
    install(app)
    return app
