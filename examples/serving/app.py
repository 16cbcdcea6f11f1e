"""The endpoints of the server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from serving import answers
from serving.body import parse, read_body
from serving.metrics import Metrics
from serving.model_file import ModelFile
from serving.page import page_of
from serving.refusal import RefusalError
from serving.reload import ModelStore
from serving.settings import Settings
from serving.traffic import Traffic, TrafficMiddleware

log = logging.getLogger("serving")


def create_app(settings: Settings, traffic: Traffic) -> FastAPI:
    metrics = Metrics()
    store = ModelStore(settings.path, metrics)
    workers = anyio.CapacityLimiter(settings.workers)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(store.refresh)
        watch = asyncio.create_task(store.watch(settings.look_seconds))
        yield
        watch.cancel()
        log.info("Stopped: %d requests came in, %d were answered", traffic.accepted, traffic.answered)

    app = FastAPI(lifespan=lifespan, redoc_url=None)
    app.add_middleware(TrafficMiddleware, traffic=traffic, metrics=metrics)
    app.openapi = lambda: page_of(store.state.model, settings)  # describes the file that is in use now

    @app.exception_handler(RefusalError)
    async def refuse(request: Request, error: RefusalError) -> JSONResponse:
        return JSONResponse(error.content, error.status)

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse({"detail": "The server failed; its log says why."}, 500)

    async def answer(request: Request, compute: Any) -> JSONResponse:
        """Read the body and compute the answer in a thread, so that the event loop stays free for other requests."""
        body = await read_body(request, settings)
        model, error = store.state
        if model is None:
            raise RefusalError(503, error or "No model is loaded.")
        try:
            return await anyio.to_thread.run_sync(partial(compute, model, body, request.url.path), limiter=workers)
        except RefusalError:
            raise
        except Exception as failure:  # handled here, so that the response passes `TrafficMiddleware`
            return await fail(request, failure)

    def score(model: ModelFile, body: bytes, path: str) -> JSONResponse:
        rows = parse(body, ("rows",), settings.max_rows)["rows"]
        content = answers.score(model, rows)
        metrics.scored(path, len(rows))
        return JSONResponse(content)

    def rank(model: ModelFile, body: bytes, path: str) -> JSONResponse:
        content = parse(body, ("rows", "weights"), settings.max_rows)
        ranked = answers.rank(model, content["rows"], content.get("weights"))
        metrics.scored(path, len(content["rows"]))
        return JSONResponse(ranked)

    @app.post("/score")
    async def score_rows(request: Request) -> JSONResponse:
        return await answer(request, score)

    @app.post("/rank")
    async def rank_rows(request: Request) -> JSONResponse:
        return await answer(request, rank)

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/ready")
    async def ready() -> JSONResponse:
        """Whether requests should be sent here; `error` gives the reason if the newest file is not in use."""
        model, error = store.state
        is_ready = model is not None and not traffic.is_stopping
        error = "The server is stopping." if traffic.is_stopping else error
        version = None if model is None else model.version
        return JSONResponse({"ready": is_ready, "model": version, "error": error}, 200 if is_ready else 503)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app
