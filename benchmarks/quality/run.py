"""Compare predictions of this library, boosted trees and two other libraries: ``make quality``.

Each row of ``results.csv`` is one contender with one seed on one part of a data set. Rows of this library at another
commit, and of other libraries in another version, are removed from the file. The others are not run again, so a run
that was stopped continues where it was.
"""

import argparse
import time
import warnings
from pathlib import Path

from benchmarks import resampling
from benchmarks.paper.store import Store
from benchmarks.quality import boosted, data, measures, ours, peers, report
from benchmarks.quality.versions import is_current, version_of

HERE = Path(__file__).parent
CONTENDERS = ours.CONTENDERS | boosted.CONTENDERS | peers.CONTENDERS
DEFAULT = [*(name for name in ours.CONTENDERS if "bf16" not in name), "LightGBM", "CatBoost", *peers.CONTENDERS]


def measure(contender, table, seed, folder):
    """Yield a row for each part, and save the predictions, which are needed for the intervals over users."""
    start = time.perf_counter()
    predict = CONTENDERS[contender](table, seed)
    seconds = time.perf_counter() - start
    for part, (X, Y) in {"valid": table.valid, **table.tests}.items():
        marginals, after = predict(X)
        resampling.keep(folder, (table.name, contender, seed, part), marginals, after)
        yield {"part": part, "seconds": seconds, **measures.of_predictions(Y, marginals, after)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["kuairand", "census"], nargs="*", default=["kuairand", "census"])
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default=HERE)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("results", options.out, is_kept=is_current)
    for seed in range(options.seeds):
        for name in options.data:
            for contender in options.only:
                key = {"data": name, "contender": contender, "seed": seed}
                if store.has(key) or (contender in peers.FOR_FUNNELS and not data.load(name).is_funnel):
                    continue
                key["version"] = version_of(contender)
                rows = [{**key, **row} for row in measure(contender, data.load(name), seed, options.out)]
                store.add(rows)
                print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    print(report.table(store.rows))
    print(f"\n{report.OURS} − the others\n{report.ahead(store.rows, options.out).round(5).to_string()}")


if __name__ == "__main__":
    main()
