"""How long to train without validation rows: AUC and log loss of new rows by the number of epochs: ``make few-rows``.

Beside it what setting a tenth of the rows aside would give, the best moment chosen on these. What is read are rows that
had no part in the fit, as in ``slopes.py``.
"""

import argparse
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality.patience import read
from benchmarks.quality.slopes import parts
from sklearn_fsmd import FSClassifier, FSMDClassifier

HERE = Path(__file__).parent
SIZES = (100, 300, 900)
EPOCHS = (3, 5, 8, 12, 20, 30)
MODES = {"a tenth set aside": {"early_stopping": True}} | {
    f"{epochs} epochs": {"early_stopping": False, "max_epochs": epochs} for epochs in EPOCHS
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=["funnel", "kuairand", "census"])
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("few_rows", HERE)
    for n in options.sizes:
        for name in options.data:
            for seed in range(options.seeds):
                key = {"data": name, "rows": n, "seed": seed}
                if store.has(key):
                    continue
                (train, _, new), is_funnel = parts(name, n, seed)
                rows = []
                for mode, params in MODES.items():
                    model = (FSMDClassifier if is_funnel else FSClassifier)(random_state=seed, **params).fit(*train)
                    steps = int(model.net_.average_.step)
                    rows.append({**key, "mode": mode, "steps": steps, **read(model, new, is_funnel)})
                store.add(rows)
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "rows", "mode"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
