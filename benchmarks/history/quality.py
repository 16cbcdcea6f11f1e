"""Gain from history features on KuaiRand: ``make history``.

The log keeps growing: an event counts for rows that are at least an hour later ("history, a day old": a day later).
This includes events of the validation and test days, as in a service that writes its log at once. The days are those of
``benchmarks/quality``: trained on 25 April to 2 May 2022, stopped and chosen on 3 and 4 May, tested on 5 and 6 May.
"""

import argparse
import time
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import boosted, measures, ours, report
from benchmarks.quality.boosted import categories_of
from benchmarks.quality.data import DAYS, Data, Part
from sklearn_fsmd.datasets import fetch_kuairand_pure
from sklearn_fsmd.history import HistoryFeatures

HERE = Path(__file__).parent
KEYS = ["user_id", "video_id", "author_id", ["user_id", "tab"], "tab"]
PLAIN, WITH_HISTORY, A_DAY_OLD, WITH_LISTS = "plain", "history", "history, a day old", "history and lists"
ATTENTION = {"list_pooling": "attention", "shared_embeddings": {"user_id_last_video_id": "video_id"}}
CONTENDERS = {
    "no history, no statistics": (PLAIN, ours.contender(target_statistics=None)),
    "no history": (PLAIN, ours.contender()),
    "history": (WITH_HISTORY, ours.contender(target_statistics=None)),
    "history, a day old": (A_DAY_OLD, ours.contender(target_statistics=None)),
    "history, with statistics": (WITH_HISTORY, ours.contender()),
    "history and the last 20 videos": (WITH_LISTS, ours.contender(target_statistics=None, **ATTENTION)),
    "LightGBM with history": (WITH_HISTORY, boosted.CONTENDERS["LightGBM"]),
    "CatBoost with history": (WITH_HISTORY, boosted.CONTENDERS["CatBoost"]),
}


def load(columns):
    """KuaiRand in parts, with the history features of a contender."""
    days = {name: span for name, span in DAYS.items() if name != "later"}
    logs = {name: fetch_kuairand_pure(start=first, end=last) for name, (first, last) in days.items()}
    X = pd.concat([log.data.astype(dict.fromkeys(categories_of(log.data), object)) for log in logs.values()])
    X = X.reset_index(drop=True).astype(dict.fromkeys(categories_of(logs["train"].data), "category"))
    Y = pd.concat([log.target for log in logs.values()], ignore_index=True)
    times = pd.concat([log.time for log in logs.values()], ignore_index=True)
    if columns != PLAIN:
        lists = {"last": 20, "last_of": "video_id"} if columns == WITH_LISTS else {}
        delay = "1D" if columns == A_DAY_OLD else "1h"
        history = HistoryFeatures(time="time", keys=KEYS, delay=delay, drop=["time"], **lists)
        X = history.fit_transform(X.assign(time=times), Y)
        others = [name for name in X if name.endswith("_last_video_id") and not name.startswith("user_id_last")]
        X = X.drop(columns=others)  # only the list of the user is used
    parts, start = {}, 0
    for name, log in logs.items():
        rows = slice(start, start := start + len(log.data))
        parts[name] = Part(X[rows], Y[rows])
    return Data("kuairand", True, parts["train"], parts["valid"], {"test": parts["test"]}, "user_id")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CONTENDERS, nargs="*", default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("quality", HERE)
    for name in options.only:
        columns, fit = CONTENDERS[name]
        seeds = [seed for seed in range(options.seeds) if not store.has({"contender": name, "seed": seed})]
        table = load(columns) if seeds else None
        for seed in seeds:
            start = time.perf_counter()
            predict = fit(table, seed)
            key = {"data": "kuairand", "contender": name, "seed": seed, "seconds": time.perf_counter() - start}
            parts = {"valid": table.valid, **table.tests}
            rows = [{**key, "part": part, **measures.of_predictions(Y, *predict(X))} for part, (X, Y) in parts.items()]
            store.add(rows)
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    print(report.table(store.rows))
    frame = pd.DataFrame(store.rows).query("part == 'test'")
    print(frame.groupby("contender", sort=False)["seconds"].median().round(0).to_string())


if __name__ == "__main__":
    main()
