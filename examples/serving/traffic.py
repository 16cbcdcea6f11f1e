"""Middleware that counts and times every request, and closes connections while the server stops."""

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.metrics import Metrics

PATHS = ("/score", "/rank", "/health", "/ready", "/metrics", "/openapi.json", "/docs")


class Traffic:
    """Counts of requests, and whether the server is stopping.

    Attributes
    ----------
    accepted, answered : number of requests that were received, and of those whose answer was sent completely.
    """

    def __init__(self) -> None:
        self.accepted = self.answered = 0
        self.is_stopping = False


class TrafficMiddleware:
    def __init__(self, app: ASGIApp, traffic: Traffic, metrics: Metrics) -> None:
        self.app, self.traffic, self.metrics = app, traffic, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, is_complete = time.perf_counter(), 500, False
        self.traffic.accepted += 1

        async def send_and_record(message: Message) -> None:
            nonlocal status, is_complete
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.traffic.is_stopping:
                    message = _with_header(message, b"connection", b"close")
            await send(message)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive, send_and_record)
        finally:
            self.traffic.answered += is_complete
            path = scope["path"] if scope["path"] in PATHS else "other"
            self.metrics.answered(path, status, time.perf_counter() - start)


def _with_header(message: dict[str, Any], name: bytes, value: bytes) -> dict[str, Any]:
    return {**message, "headers": [*message.get("headers", ()), (name, value)]}
