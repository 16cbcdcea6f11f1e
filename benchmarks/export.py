"""Speed of an exported file, compared with `predict_marginals`: ``make export-speed``.

One process, one thread. Scoring many rows is measured in CPU seconds, which depend little on other programs; scoring
one row is measured in wall-clock time. The model has the default sizes. It is trained for one epoch on a part of the
data, since the values of the weights have no effect on the time.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure, make_funnel
from sklearn_fsmd.export import to_onnx

DOCS = Path(__file__).parents[1] / "docs" / "serving.md"
ROWS, CHUNK = 100_000, 2048
MODELS = {"funnel": FSMDClassifier, "kuairand": FSMDClassifier, "census": FSClassifier}
"""The targets of Census do not form a chain."""


def load(name):
    if name == "census":
        return fetch_census_income(subset="validation", return_X_y=True)
    if name == "kuairand":
        return fetch_kuairand_pure(start="2022-05-04", end="2022-05-06", return_X_y=True)
    return make_funnel(30_000, random_state=0, return_X_y=True)


def inputs_of_docs():
    """The function that docs/serving.md recommends for a server."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    names = {}
    exec(compile(next(block for block in blocks if "def inputs" in block), str(DOCS), "exec"), names)
    return names["inputs"]


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def seconds_of(call, clock=time.perf_counter):
    start = clock()
    call()
    return clock() - start


def quantiles(calls):
    """The 50th and the 99th percentile in milliseconds, without the first tenth of the calls."""
    seconds = [seconds_of(call) for call in calls][len(calls) // 10 :]
    return 1000 * np.quantile(seconds, [0.5, 0.99])


def measure(name, n_rounds):
    X, Y = load(name)
    model = MODELS[name](max_epochs=1, random_state=0).fit(X[:20_000], Y[:20_000])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        seconds = seconds_of(lambda: to_onnx(model, path))
        size, session = path.stat().st_size, open_session(path)
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    many = X.iloc[np.arange(ROWS) % len(X)]
    objects = many.astype(object).where(many.notna(), None)
    inputs = inputs_of_docs()(columns, objects)
    print(f"{name}: {len(columns)} columns, written in {seconds:.2f} s, {size / 1e6:.1f} MB")

    rows = [{key: column[i : i + 1] for key, column in inputs.items()} for i in range(3000)]
    calls = [lambda row=row: session.run(None, row) for row in rows]
    p50, p99 = quantiles(calls)
    cpu = 1000 * seconds_of(lambda: [call() for call in calls], time.process_time) / len(calls)
    print(f"  one row: p50 {p50:.3f} ms, p99 {p99:.3f} ms, {cpu:.3f} ms of CPU")
    frames = [X[i : i + 1] for i in range(300)]
    p50, _ = quantiles([lambda frame=frame: model.predict_marginals(frame) for frame in frames])
    print(f"  predict_marginals of a DataFrame of one row: p50 {p50:.3f} ms")

    chunks = [{key: column[i : i + CHUNK] for key, column in inputs.items()} for i in range(0, ROWS, CHUNK)]
    ways = {
        "predict_marginals": lambda: model.predict_marginals(many),
        "the file, one call": lambda: session.run(None, inputs),
        f"the file, {CHUNK} rows per call": lambda: [session.run(None, chunk) for chunk in chunks],
    }
    best = dict.fromkeys(ways, np.inf)
    for _ in range(n_rounds):  # in turn, so that other load on the machine affects all of them
        for way, call in ways.items():
            best[way] = min(best[way], seconds_of(call, time.process_time))
    for way, seconds in best.items():
        ratio = best["predict_marginals"] / seconds
        print(f"  {ROWS:,} rows, {way}: {ROWS / seconds:,.0f} rows per CPU second, {ratio:.2f} times predict_marginals")
    marginals = session.run(["marginals"], inputs)[0]
    print(f"  largest difference over {ROWS:,} rows: {np.abs(marginals - model.predict_marginals(many)).max():.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["funnel"], choices=["funnel", "census", "kuairand"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.data:
        measure(name, options.rounds)


if __name__ == "__main__":
    main()
