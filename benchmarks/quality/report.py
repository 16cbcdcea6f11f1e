"""The results as one table: means over the seeds, and how far this library is ahead, paired by seed."""

import numpy as np
import pandas as pd
from scipy import stats

OURS = "sklearn-fsmd"


def table(rows, part="test"):
    """A line per data set and contender."""
    frame = pd.DataFrame(rows).query("part == @part")
    measures = [name for name in frame if name.endswith(("_auc", "_log_loss", "_ratio", "_ece"))]
    means = frame.groupby(["data", "contender"], sort=False)[[*measures, "seconds"]].mean()
    means.insert(0, "seeds", frame.groupby(["data", "contender"]).size())
    return "\n\n".join(
        means.loc[name].dropna(axis=1, how="all").sort_values("seconds").round(4).to_string()
        for name in means.index.levels[0]
    )


def ahead(rows, contender, part="test", of=OURS):
    """For each AUC the mean difference to `contender`, its 95 % interval and p, paired by seed."""
    frame = pd.DataFrame(rows).query("part == @part").set_index(["data", "seed"])
    ours, other = (frame[frame["contender"] == name] for name in (of, contender))
    lines = []
    for data in ours.index.get_level_values("data").unique():
        for measure in [name for name in frame if name.endswith("_auc")]:
            difference = (ours.loc[data, measure] - other.loc[data, measure]).dropna()
            if len(difference):
                lines.append({"data": data, "measure": measure, "seeds": len(difference), **interval(difference)})
    return pd.DataFrame(lines)


def interval(differences):
    """The mean, and the 95 % interval by Student's t."""
    n, mean = len(differences), float(np.mean(differences))
    if n < 2:
        return {"mean": mean}
    half = stats.t.ppf(0.975, n - 1) * np.std(differences, ddof=1) / np.sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half, "p": stats.ttest_1samp(differences, 0).pvalue}
