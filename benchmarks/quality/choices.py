"""How the defaults were chosen: one option changed at a time, evaluated on validation rows: ``make choices``.

KuaiRand: trained on 25 April to 2 May 2022, evaluated on 3 and 4 May. Census: evaluated on the validation half of the
published test file. Early stopping uses the rows of the evaluation. Rows of other commits are removed from the file.
"""

import argparse
import time
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import data, measures, ours

VARIANTS = {
    "defaults": {},
    "no statistics": {"target_statistics": None},
    "entire space": {"chain_loss": "entire_space"},
    "both losses": {"chain_loss": "both"},
    "fm_scale 1": {"fm_scale": 1.0},
    "no batch norm": {"batch_norm": False},
    "before": {"target_statistics": None, "chain_loss": "entire_space", "fm_scale": 1.0},
    "four members": {"n_members": 4},
    "embeddings of 8": {"embedding_dim": 8},
    "finer bins": {"numeric_bins": 128},
    "less dropout": {"dropout": 0.1},
    "both of these": {"numeric_bins": 128, "dropout": 0.1},
    "dense tables": {"embedding_optimizer": "dense"},
    "sparse tables": {"embedding_optimizer": "sparse"},
    "values seen twice": {"min_frequency": 2},
}
HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["kuairand", "census"], nargs="*", default=["kuairand", "census"])
    parser.add_argument("--only", choices=VARIANTS, nargs="*", default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--file", default="choices", help="the csv file of the results, without .csv")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store(options.file, HERE)
    for seed in range(options.seeds):
        for name in options.data:
            table = data.load(name)
            for variant in options.only:
                key = {"data": name, "variant": variant, "seed": seed}
                params = VARIANTS[variant]
                if store.has(key) or ("chain_loss" in params and len(params) == 1 and not table.is_funnel):
                    continue
                if not table.is_funnel:
                    params = {name: value for name, value in params.items() if name != "chain_loss"}
                start = time.perf_counter()
                predict = ours.contender(**params)(table, seed)
                row = {**key, "seconds": time.perf_counter() - start}
                row |= measures.of_predictions(table.valid.Y, *predict(table.valid.X))
                store.add([row])
                print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    frame = pd.DataFrame(store.rows)
    means = frame.groupby(["data", "variant"], sort=False).mean(numeric_only=True)
    print(means[[name for name in means if name.endswith("_auc") or name == "seconds"]].round(4).to_string())


if __name__ == "__main__":
    main()
