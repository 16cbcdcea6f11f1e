"""A Uvicorn server that stops in two steps: first it sends clients elsewhere, then it closes."""

import logging
import signal
import time
from types import FrameType

import uvicorn

from serving.app import create_app
from serving.settings import Settings
from serving.traffic import Traffic

log = logging.getLogger("serving")


class Server(uvicorn.Server):
    """A server that drains after SIGTERM.

    For `drain_seconds` it still answers new requests, /ready returns 503, and each answer closes its connection, so
    that clients open the next one elsewhere. Then it accepts no new requests, finishes the running ones, and the
    process ends with status 0. A second signal ends the draining at once.
    """

    def __init__(self, settings: Settings) -> None:
        self.traffic = Traffic()
        self._drain_seconds = settings.drain_seconds
        self._stop_at = float("inf")
        config = uvicorn.Config(
            create_app(settings, self.traffic),
            host=settings.host,
            port=settings.port,
            limit_concurrency=settings.max_connections,
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.stop_seconds,
            log_config=None,
            access_log=False,
            server_header=False,
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self.traffic.is_stopping:
            super().handle_exit(sig, frame)
            return
        self.traffic.is_stopping = True
        self._stop_at = time.monotonic() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or time.monotonic() >= self._stop_at
