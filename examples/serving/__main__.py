"""Serve a file: python -m serving model.onnx --port 8000."""

import logging


def main() -> None:
    try:
        from serving.server import Server
        from serving.settings import read_settings
    except ImportError as error:
        raise SystemExit(
            f"The server needs a package that is not installed ({error}). Install them by: "
            "pip install numpy onnxruntime fastapi uvicorn prometheus-client."
        ) from error
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    Server(read_settings()).run()


if __name__ == "__main__":
    main()
