"""The paper's claims as differences between models, and the verdict on each: see ``protocol.md``."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import resampling
from benchmarks.paper import data
from benchmarks.paper.settings import TABLE_2, TABLE_4
from benchmarks.quality.report import holm, interval

ALPHA = 0.05
BOTH = ("auc_1", "auc_2")
MULTI_TASK = ("Shared-Bottom", "ESMM", "MMoE", "Base", "FG", "FS", "FSMD")


class Difference(NamedTuple):
    """The difference of a measure between two rows of a part, `of` − `over`, paired by seed.

    A row is a model or a point of a grid.
    """

    part: str
    of: str
    over: str
    measure: str = "mean_auc"


class Claim(NamedTuple):
    """A claim of the paper, and the differences that would show it.

    The claim requires that they are above 0; or, with `within`, that none is further from 0 than that.
    """

    text: str
    differences: tuple[Difference, ...]
    within: float | None = None


def differences_over(part, of, others, measures=("mean_auc",)):
    return tuple(Difference(part, of, other, measure) for other, measure in product(others, measures) if other != of)


def claims_of_table(table):
    """The claims that the paper draws from Table II or Table IV, for the parameters of the part `table`."""
    if table.startswith("table2"):
        return (
            Claim("on Census FS has the best mean AUC", differences_over(table, "FS", TABLE_2[:-1])),
            Claim("on Census FS is better than PLE in income", differences_over(table, "FS", ["PLE"], ["auc_1"])),
            Claim("on Census FS is better than Base in both targets", differences_over(table, "FS", ["Base"], BOTH)),
            Claim("on Census the FM helps", differences_over(table, "Base", ["Shared-Bottom"])),
        )
    return (
        Claim("FSMD is better than MMoE and ESMM", differences_over(table, "FSMD", ["MMoE", "ESMM"])),
        Claim("FSMD is the best of the nine", differences_over(table, "FSMD", TABLE_4)),
        Claim("FS is better than Base in both targets", differences_over(table, "FS", ["Base"], BOTH)),
        Claim("FSMD is better than Base in both targets (Fig. 10)", differences_over(table, "FSMD", ["Base"], BOTH)),
        Claim("FG is better than Base", differences_over(table, "FG", ["Base"])),
        Claim(
            "FSMD converges at a similar rate as MMoE and ESMM",
            differences_over(table, "FSMD", ["MMoE", "ESMM"], ["best_epoch"]),
            within=1.0,
        ),
        Claim(
            "every multi-task model is better than Single-Task in conversion",
            tuple(Difference(table, model, "Single-Task", "auc_2") for model in MULTI_TASK),
        ),
        Claim(
            "the FM helps: DeepFM over Single-Task, Base over Shared-Bottom",
            differences_over(table, "DeepFM", ["Single-Task"]) + differences_over(table, "Base", ["Shared-Bottom"]),
        ),
    )


PARTS_OF_FSMD = (
    Claim("the autoencoder helps FSMD", differences_over("table4", "FSMD, autoencoder", ["FSMD"])),
    Claim("the bias tower helps FSMD on KuaiRand", differences_over("table4", "FSMD, bias tower", ["FSMD"])),
    Claim("both together help FSMD on KuaiRand", differences_over("table4", "FSMD, both", ["FSMD"])),
    Claim("on Census the autoencoder helps FS", differences_over("table2", "FS, autoencoder", ["FS"])),
)
FUNNEL = (
    Claim(
        "FSMD is better than MMoE on funnels with any conflict",
        tuple(Difference("funnel", f"FSMD at {c}", f"MMoE at {c}") for c in ("-0.6", "0.0", "0.6")),
    ),
)


def claims_of_figure(figure, text, best, others):
    """The claim that one point of a grid is the best, for each interpretation of "Bottom_mlp_dims"."""
    return tuple(
        Claim(
            f"{text}; {reading}",
            differences_over(figure, f"{best}, {reading}", [f"{other}, {reading}" for other in others]),
        )
        for reading in ("one level", "two levels")
    )


FIGURES = (
    *claims_of_figure(
        "figure11", "a diamond tower is best (Fig. 11)", "diamond", ["constant", "increasing", "decreasing"]
    ),
    *claims_of_figure("figure12", "three gate layers are best (Fig. 12)", "3", "124"),
    *claims_of_figure("figure13", "ten experts are best (Fig. 13)", "10", ["2", "4", "6", "8", "12"]),
)
CLAIMS = (
    *claims_of_table("table4"),
    *claims_of_table("table2"),
    *PARTS_OF_FSMD,
    *FIGURES,
    *FUNNEL,
    *claims_of_table("table4-defaults"),
    *claims_of_table("table2-defaults"),
)


def measured(results, users=None):
    """Each difference of each claim: mean, interval and p over the seeds, interval over the users, and verdict.

    The column `shown` is 1 if the difference is shown in the direction of the claim, −1 if against it, else 0.

    Parameters
    ----------
    results : dict of frames by part, with the columns `row`, `seed` and the measures.
    users : frame with `part`, `of`, `over`, `measure`, `users_low` and `users_high`; None if there is none.
    """
    lines = [
        {"claim": claim.text, "within": claim.within, **difference._asdict(), **interval(paired)}
        for claim in CLAIMS
        for difference in claim.differences
        if (paired := _paired_differences(results, difference)) is not None
    ]
    frame = pd.DataFrame(lines, columns=["claim", "within", *Difference._fields, "mean", "low", "high", "p"])
    frame = frame.astype({"within": float})
    alike = frame["within"].notna()
    frame.loc[alike, "p"] = np.nan  # p tests for a difference, and this claim is that there is none
    distinct = frame[~alike].drop_duplicates(list(Difference._fields))  # several claims may share a difference
    distinct = distinct.assign(adjusted=distinct.groupby("part", group_keys=False)["p"].transform(lambda p: holm(p)))
    frame = frame.merge(distinct[[*Difference._fields, "adjusted"]], on=list(Difference._fields), how="left")
    over_users = pd.DataFrame(columns=[*Difference._fields, "users_low", "users_high"]) if users is None else users
    frame = frame.merge(over_users, on=list(Difference._fields), how="left")
    contains_0 = (frame["users_low"] <= 0) & (frame["users_high"] >= 0)
    frame["shown"] = np.where((frame["adjusted"] < ALPHA) & ~contains_0, np.sign(frame["mean"]), 0).astype(int)
    inside = (frame["low"] >= -frame["within"]) & (frame["high"] <= frame["within"])
    outside = (frame["low"] > frame["within"]) | (frame["high"] < -frame["within"])
    frame.loc[alike, "shown"] = inside.astype(int) - outside.astype(int)
    return frame


def verdict(shown):
    """The verdict on a claim from all its differences, as defined in the protocol."""
    if (shown == -1).any():
        return "does not hold"
    return "holds" if (shown == 1).all() else "not shown"


def _paired_differences(results, difference):
    """The differences by seed; None if one of the two rows has not been run, or if they are of different commits."""
    rows = results.get(difference.part)
    if rows is None or difference.measure not in rows:
        return None
    one, other = (rows[rows["row"] == name].set_index("seed") for name in (difference.of, difference.over))
    if one.empty or other.empty:
        return None
    if set(one["commit"]) != set(other["commit"]):
        return None
    return (one[difference.measure] - other[difference.measure]).dropna()


def intervals_over_users(results, folder):
    """The intervals over the users of KuaiRand, for all differences whose predictions have been saved."""
    lines, counts = [], None
    _, _, (X, Y) = data.load("kuairand")[0]
    on_kuairand = (d for claim in CLAIMS for d in claim.differences if d.part in ("table4", "table4-defaults"))
    for difference in dict.fromkeys(on_kuairand):
        paired = _paired_differences(results, difference)
        if paired is None or difference.measure not in (*BOTH, "mean_auc"):
            continue
        try:
            scores = [
                [np.load(resampling.path_of(folder, (difference.part, name, seed))) for seed in paired.index]
                for name in (difference.of, difference.over)
            ]
        except FileNotFoundError:
            continue
        counts = resampling.counts_of(X["user_id"]) if counts is None else counts
        by_task = [resampling.differences(Y.iloc[:, k].to_numpy(), *_column(scores, k), counts) for k in range(2)]
        samples = {"auc_1": by_task[0], "auc_2": by_task[1], "mean_auc": np.mean(by_task, axis=0)}[difference.measure]
        low, high = np.quantile(samples, (0.025, 0.975))
        origin = results[difference.part].iloc[-1][["commit", "versions"]]
        lines.append({**difference._asdict(), "users_low": low, "users_high": high, **origin})
    return pd.DataFrame(lines)


def _column(scores, k):
    return [[predictions[:, k] for predictions in by_seed] for by_seed in scores]


DEFAULTS = {"table2-defaults", "table4-defaults"}
MEASURES = {"auc_1": "first target", "auc_2": "second target", "mean_auc": "mean", "best_epoch": "epochs"}


def table(frame):
    """Markdown: a line per difference, and the verdict on each claim."""
    lines = [
        "| claim | verdict | difference | mean | over seeds | over users | adjusted p |",
        "|---|---|---|---|---|---|---|",
    ]
    for (claim, part), group in frame.groupby(["claim", "part"], sort=False):
        where = ", with the defaults" if part in DEFAULTS else ""
        for i, row in enumerate(group.itertuples()):
            first = (f"{claim}{where}", verdict(group["shown"])) if i == 0 else ("", "")
            lines.append(f"| {' | '.join([*first, *_cells(row)])} |")
    return lines


def summary(frame, *, defaults):
    """Markdown: a line per claim, with the deciding difference: the one that supports the claim least."""
    lines = [
        "| claim | verdict | deciding difference | mean | over seeds | over users | adjusted p |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, group in frame[frame["part"].isin(DEFAULTS) == defaults].groupby(["claim", "part"], sort=False):
        support = np.where(group["within"].isna(), group["mean"], -group["mean"].abs())
        row = next(group.assign(support=support).sort_values(["shown", "support"]).itertuples())
        count = f" (weakest of {len(group)})" if len(group) > 1 else ""
        difference, *cells = _cells(row)
        lines.append(f"| {' | '.join([row.claim, verdict(group['shown']), difference + count, *cells])} |")
    return lines


def _cells(row):
    digits = 1 if row.measure == "best_epoch" else 4
    users, seeds = (
        f"{low:+.{digits}f} to {high:+.{digits}f}" if low == low else "–"
        for low, high in ((row.users_low, row.users_high), (row.low, row.high))
    )
    p = f"{row.adjusted:.3f}" if row.adjusted == row.adjusted else "–"
    return [f"{row.of} − {row.over}, {MEASURES[row.measure]}", f"{row.mean:+.{digits}f}", seeds, users, p]
