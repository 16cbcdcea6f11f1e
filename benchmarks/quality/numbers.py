"""Gain from interpolating the embeddings of numbers between bins: ``make numbers``.

On public tables without ids (``public.py``) there are also variants with fewer bins and with four members, and LightGBM
with a model per target for comparison. Census and KuaiRand are evaluated on their validation rows, which are also used
for early stopping. Rows of other commits are removed from the file.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import boosted, measures, ours, public

HERE = Path(__file__).parent
VARIANTS = {"bins": {"interpolate_bins": False}, "between bins": {"interpolate_bins": True}}
ON_SMALL = {"32 bins": {"numeric_bins": 32}, "4 members": {"n_members": 4}, "LightGBM": None}


def by_lightgbm(table, new, seed):
    """The marginals that LightGBM predicts for `new`, ``(n, 2)``."""
    together = pd.concat([table.train.X, table.valid.X, new.X], ignore_index=True)
    together = together.astype(dict.fromkeys(boosted.categories_of(together), "category"))
    ends = np.cumsum([len(table.train.X), len(table.valid.X)])
    train, valid, rows = (together.iloc[part] for part in np.split(np.arange(len(together)), ends))
    models = (boosted.lightgbm(train, table.train.Y[k], valid, table.valid.Y[k], seed) for k in public.BOTH)
    return np.stack([model.predict_proba(rows)[:, 1] for model in models], axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*public.SMALL, "census", "kuairand"]
    parser.add_argument("--data", choices=names, nargs="*", default=names)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("numbers", options.out)
    for name in options.data:
        table, new = public.load(name)
        variants = {**VARIANTS, **(ON_SMALL if name in public.TABLES else {})}
        for seed, variant in ((seed, variant) for seed in range(options.seeds) for variant in variants):
            key = {"data": name, "variant": variant, "seed": seed}
            params = variants[variant]
            if store.has(key) or (not params and seed):
                continue
            if params:
                predicted = ours.contender(**params)(table, seed)(new.X)
            else:
                predicted = by_lightgbm(table, new, seed), None
            row = {**key, "rows": len(table.train.X)}
            row |= measures.of_predictions(new.Y.set_axis(public.BOTH, axis=1), *predicted)
            store.add([row])
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    frame = pd.DataFrame(store.rows)
    print(frame.groupby(["data", "variant"], sort=False).mean(numeric_only=True).round(4).to_string())


if __name__ == "__main__":
    main()
