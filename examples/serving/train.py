"""Train a small model on a simulated funnel and export it: python -m serving.train model.onnx.

It is the only file here that needs sklearn_fsmd. The server never imports it.
"""

import argparse
import json
import time
from pathlib import Path

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import to_onnx

EXAMPLE = ["user_id", "item_id", "segment", "age", "brand", "price", "hour", "device"]


def main(path: Path, n_samples: int = 6000) -> dict[str, object]:
    """Write the file, and return a row for a test request."""
    X, Y = make_funnel(n_samples, watch_time=True, random_state=0, return_X_y=True)
    model = FSMDClassifier(
        value_targets=["watch_seconds"],
        value_parents={"watch_seconds": "click"},
        bias_features=["position"],
        max_epochs=2,
        random_state=0,
    ).fit(X, Y)
    path.parent.mkdir(parents=True, exist_ok=True)
    to_onnx(model, path, rank_weights=[1.0, 1.0, 0.1])
    return json.loads(X[EXAMPLE][:1].to_json(orient="records"))[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--samples", type=int, default=6000)
    arguments = parser.parse_args()
    start = time.perf_counter()
    row = main(arguments.path, arguments.samples)
    print(f"{arguments.path} was written in {time.perf_counter() - start:.1f} s. When it is served, try")
    body = json.dumps({"rows": [row]})
    print(f"  curl -s http://127.0.0.1:8000/score -H 'Content-Type: application/json' -d '{body}'")
