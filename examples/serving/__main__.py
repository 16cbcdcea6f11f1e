"""Serve a file: python -m serving model.onnx --port 8000."""

import logging

from serving.server import Server
from serving.settings import read_settings


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    Server(read_settings()).run()


if __name__ == "__main__":
    main()
