"""Settings: the file, the address and the limits. Each is an option of the command line."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    path: Path
    host: str = "127.0.0.1"
    port: int = 8000
    max_rows: int = 2000
    max_bytes: int = 4 * 2**20
    max_connections: int = 256
    keep_alive_seconds: int = 75
    body_seconds: float = 10.0
    look_seconds: float = 1.0
    drain_seconds: float = 2.0
    stop_seconds: float = 30.0
    workers: int = os.cpu_count() or 1


HELP = {
    "host": "address to listen on; 0.0.0.0 for all",
    "port": "port to listen on; 0 for a free port, which is written to the log",
    "max_rows": "most rows of a request",
    "max_bytes": "most bytes of a request",
    "max_connections": "most open connections; further ones get a 503",
    "keep_alive_seconds": "seconds after an answer in which the next request must begin; proxies should wait less",
    "body_seconds": "seconds in which the body of a request must arrive",
    "look_seconds": "seconds between two checks of the file",
    "drain_seconds": "seconds after SIGTERM in which new requests are still answered, while /ready returns 503",
    "stop_seconds": "seconds after that in which running requests may finish",
    "workers": "requests that are computed at the same time",
}


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    parser = argparse.ArgumentParser("serving", description="Serve a file of sklearn_fsmd.export.to_onnx by HTTP.")
    parser.add_argument("path", type=Path, help="the file; it is read again when it is replaced")
    for field in fields(Settings)[1:]:
        option = "--" + field.name.replace("_", "-")
        parser.add_argument(option, type=field.type, default=field.default, help=HELP[field.name] + " (%(default)s)")
    return Settings(**vars(parser.parse_args(arguments)))
