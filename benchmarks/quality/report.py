"""The results as one table of means over the seeds, and the differences between this library and the others.

Each difference of AUC has two 95 % intervals. The interval over the seeds (paired, Student's t) shows how much other
runs would differ. The interval over the users (resampled) shows how much other users would. The p-values of the first
are corrected by Holm for all contenders and targets of a data set.
"""

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import resampling
from benchmarks.quality import data

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


def ahead(rows, folder, part="test", of=OURS):
    """The mean difference of AUC for each contender, data set and target, with its intervals and p-value."""
    frame = pd.DataFrame(rows).query("part == @part")
    lines = []
    for name, of_data in frame.groupby("data", sort=False):
        by_seed = {contender: rows.set_index("seed") for contender, rows in of_data.groupby("contender", sort=False)}
        ours = by_seed.pop(of, None)
        if ours is None:
            continue
        user_intervals = UserIntervals(name, part, folder)
        family = []
        for contender, theirs in by_seed.items():
            for measure in [column for column in frame if column.endswith("_auc")]:
                difference = (ours[measure] - theirs[measure]).dropna()
                if len(difference):
                    low, high = user_intervals.interval(measure, of, contender, difference.index)
                    line = {"data": name, "contender": contender, "measure": measure, "seeds": len(difference)}
                    family.append(line | interval(difference) | {"users_low": low, "users_high": high})
        for line, p in zip(family, holm([line["p"] for line in family]), strict=True):
            lines.append(line | {"p": p})
    return pd.DataFrame(lines)


class UserIntervals:
    """Intervals over the users of one part of a data set."""

    def __init__(self, name, part, folder):
        table = data.load(name)
        X, Y = table.tests[part]
        self.key, self.folder, self.columns, self.labels = (name, part), folder, list(Y), Y.to_numpy()
        self.counts = resampling.counts_of(np.arange(len(X)) if table.group is None else X[table.group])

    def interval(self, measure, ours, theirs, seeds):
        """The interval of the difference of an AUC; NaN if predictions have not been saved."""
        target = measure.removesuffix("_auc")
        is_after = target.endswith("_after")
        column = len(self.columns) if is_after else self.columns.index(target)
        rows = self.labels[:, 0] == 1 if is_after else slice(None)
        labels = self.labels[rows, self.columns.index(target.removesuffix("_after"))]
        name, part = self.key
        try:
            scores = [
                [
                    np.load(resampling.path_of(self.folder, (name, contender, seed, part)))[rows, column]
                    for seed in seeds
                ]
                for contender in (ours, theirs)
            ]
        except FileNotFoundError:
            return np.nan, np.nan
        return resampling.interval(labels, *scores, self.counts[:, rows])


def interval(differences):
    """The mean, the 95 % interval by Student's t, and p."""
    n, mean = len(differences), float(np.mean(differences))
    if n < 2:
        return {"mean": mean, "low": np.nan, "high": np.nan, "p": np.nan}
    if np.ptp(differences) == 0:  # for example epochs: the noise cannot be estimated
        return {"mean": mean, "low": mean, "high": mean, "p": np.nan}
    half = stats.t.ppf(0.975, n - 1) * np.std(differences, ddof=1) / np.sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half, "p": stats.ttest_1samp(differences, 0).pvalue}


def holm(p_values):
    """P-values with Holm's correction; NaN stay and do not count."""
    p = np.array(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    p[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return p
