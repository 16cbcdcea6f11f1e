"""The pages of evidence, which are made of the stored results in `benchmarks`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tools.results import ROOT, Stored, as_table, number, read, read_json, source_of_json

AUCS = {"click_auc": "AUC click", "conversion_auc": "AUC conversion", "conversion_after_auc": "AUC of the clicked"}
LOG_LOSSES = {
    "click_log_loss": "log loss click",
    "conversion_log_loss": "log loss conversion",
    "conversion_after_log_loss": "log loss of the clicked",
}
CALIBRATION = {"click_ratio": "click, predicted / observed", "click_ece": "calibration error"}
PAPER = {"auc_1": "AUC 1", "auc_2": "AUC 2", "mean_auc": "mean", "seconds": "seconds"}
SEARCH = {"mean_test_click_auc": "AUC click", "mean_test_conversion_auc": "AUC conversion", "mean_fit_time": "seconds"}

QUALITY = "benchmarks/quality/results.csv"
PAGES: dict[str, tuple[str, str, list[Stored]]] = {
    "quality": (
        "Quality",
        "Predictions beside LightGBM, CatBoost and two libraries of networks. `README.md` says what is compared with "
        "what; seconds are those of the fit, with early stopping; other commits may be of another machine, "
        "and where other work ran beside there are none.",
        [
            Stored(QUALITY, "make quality", ["contender"], AUCS | {"seconds": "seconds"},
                   "data == 'kuairand' and part == 'test'", "KuaiRand-Pure",
                   "Trained on 25 April to 2 May 2022, stopped on 3 and 4 May, read on 5 and 6 May."),
            Stored(QUALITY, "make quality", ["contender"], LOG_LOSSES | CALIBRATION,
                   "data == 'kuairand' and part == 'test'", "Log loss and calibration on KuaiRand-Pure"),
            Stored(QUALITY, "make quality", ["contender"],
                   {"income_auc": "AUC income", "never_married_auc": "AUC never married", "seconds": "seconds"},
                   "data == 'census' and part == 'test'", "Census-Income"),
            Stored("benchmarks/quality/choices.csv", "make choices", ["variant"], AUCS, "data == 'kuairand'",
                   "How defaults were chosen", "One option at a time, on the validation days of KuaiRand."),
            Stored("benchmarks/quality/choices.csv", "make choices", ["variant"],
                   {"income_auc": "AUC income", "income_log_loss": "log loss income",
                    "never_married_auc": "AUC never married", "never_married_log_loss": "log loss never married"},
                   "data == 'census'", "Finer bins and less dropout on Census", "On its validation half."),
            Stored("benchmarks/quality/numbers.csv", "make numbers", ["data", "variant"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Numbers in bins, and between them",
                   "Public tables without ids, of 12,000 to 35,000 rows of training, read on a fifth that had no part "
                   "in the fit; Census and KuaiRand on their validation rows. 32 bins and four members are with "
                   "vectors between bins. Means of the seeds; LightGBM, one seed, is a model per target."),
            Stored("benchmarks/quality/dropout.csv", "make dropout", ["data", "rows", "dropout"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "How much to drop where there are no ids",
                   "Public tables without ids, all rows of training and 50,000 of them. Read on a fifth that had no "
                   "part in the fit, Census on its validation half. Means of three seeds."),
            Stored("benchmarks/quality/windows.csv", "make windows", ["stopped on", "trained", "variant"], AUCS, "",
                   "How often a value has to be seen",
                   "KuaiRand, trained from 25 April on, stopped on the two days that follow, or trained on these too "
                   "and stopped on a random tenth of the rows; read on the two days after them."),
            Stored("benchmarks/quality/slopes.csv", "make slopes", ["data", "rows", "spread"],
                   {"log_loss_1": "log loss 1", "log_loss_2": "log loss 2", "slope_1": "slope 1", "slope_2": "slope 2"},
                   "", "How freely validation rows set a slope",
                   "Log loss of rows that had no part in the fit, by the spread of the logarithm of a slope before "
                   "rows are seen: 0 for no slope, 1,000 for rows alone, from 1/4 to 4. Step 1 is the click, 2 the "
                   "conversion of clicked rows; on Census they are the two targets."),
            Stored("benchmarks/quality/patience.csv", "make patience", ["data", "rows", "patience"],
                   {"epochs": "epochs", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "How long to wait for a better epoch",
                   "Of fits of so many rows, stopped on a tenth as many and read on others; means of the seeds."),
            Stored("benchmarks/quality/learning_rates.csv", "make learning-rates", ["data", "rows", "lr"],
                   {"epochs": "epochs", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Learning rates",
                   "Of fits of so many rows, read on others; means of the seeds."),
            Stored("benchmarks/quality/members.csv", "make members", ["data", "rows", "n_members"],
                   {"epochs": "epochs", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "What four members are worth",
                   "Of fits of so many rows, read on others; means of the seeds."),
            Stored("benchmarks/quality/few_rows.csv", "make few-rows", ["data", "rows", "mode"],
                   {"steps": "steps", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "How long to train without validation rows",
                   "Of fits of so many rows, read on others: after a number of passes over all of them, or with a "
                   "tenth set aside to stop on; means of the seeds."),
            Stored("benchmarks/quality/enough_rows.csv", "make enough-rows", ["data", "rows", "model"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "From how many rows on",
                   "The defaults beside a logistic regression for each target, on rows that had no part in the fits; "
                   "means of the seeds. The learning rates of few rows were chosen by such rows too."),
            Stored("benchmarks/quality/tables.csv", "make tables", ["variant"], AUCS | {"seconds": "seconds"}, "",
                   "Tables trained by rows", "On the validation days of KuaiRand."),
            Stored("benchmarks/quality/all_rows.csv", "make all-rows", ["contender", "rows"],
                   AUCS | {"click_log_loss": "log loss click", "conversion_log_loss": "log loss conversion"}, "",
                   "What the latest rows are worth beyond saying when to stop", "Of `training`: trained to 2 May, "
                   "stopped on 3 and 4 May, read on 5 and 6 May. Of `all`: 3 and 4 May count too, in the statistics of "
                   "this library, which sets them aside by itself, and for trees in a second fit of as many trees."),
            Stored("benchmarks/days.csv", "make days", ["way"],
                   {"click_auc": "AUC click", "conversion_auc": "AUC conversion", "click_log_loss": "log loss click",
                    "conversion_log_loss": "log loss conversion"}, "", "A model that is brought up to date each day",
                   "On KuaiRand: fitted on six days, brought up to date after each of the next five, and read on the "
                   "day that follows."),
            Stored("benchmarks/quality/averaged.csv", "make averaged", ["data", "n_fits"],
                   AUCS | {"income_auc": "AUC income", "never_married_auc": "AUC never married"}, "",
                   "Whole fits, averaged", "What so many fits give whose predictions are averaged: the measure of what "
                   "the members of an ensemble can reach. Read on 5 and 6 May 2022, and on the test half of Census."),
            Stored("benchmarks/quality/trials.csv",
                   'python -m benchmarks.quality.run --data kuairand --only "CatBoost, tuned" --seeds 1',
                   ["model", "settings"], {"valid_auc": "AUC", "seconds": "seconds"}, "",
                   "Trials of the search for the tuned CatBoost", "By the AUC on 3 and 4 May, for clicks (first), long "
                   "views (second) and those of clicked rows. It went on over several starts, so the seconds in the "
                   "table of results are those of the last start alone."),
            Stored("benchmarks/quality/funnels.csv", "make funnels", ["rate", "conflict", "selection", "variant"], AUCS,
                   "", "Losses of a chain where the truth is known",
                   "Simulated funnels: the rate of conversions, how much what invites clicks speaks against "
                   "conversions, and how strongly the log preferred likely clicks."),
        ],
    ),
    "history": (
        "History, lists and watch times",
        "What the past of a row, the last items of a user and a target with values are worth.",
        [
            Stored("benchmarks/history/quality.csv", "make history", ["contender"], AUCS | {"seconds": "seconds"},
                   "part == 'test'", "The past of a row, on KuaiRand-Pure", "Read on 5 and 6 May 2022."),
            Stored("benchmarks/history/lists.csv", "make lists", ["contender"],
                   {"click_auc": "AUC click", "conversion_auc": "AUC conversion"}, "", "A list of the last items",
                   "In simulated logs whose clicks depend on the last five items."),
            Stored("benchmarks/history/watch.csv", "make watch", ["contender"],
                   {"concordance": "concordance", "mae": "mean absolute error (s)", "rmse": "root mean square (s)",
                    "decile_bias": "decile bias", "mean_auc": "mean AUC"}, "", "Seconds watched after a click",
                   "On KuaiRand-Pure, 5 and 6 May 2022."),
        ],
    ),
    "coming_from": (
        "Coming from other libraries",
        "What the two sides of each page of {doc}`../coming_from/index` predict on 20,000 simulated rows, one seed and "
        "nothing tuned. `share above`: the share of rows whose conversion is predicted to be more probable than their "
        "click.",
        [
            Stored("benchmarks/coming_from/results.csv", "make coming-from", ["page", "side"],
                   {"click_auc": "AUC click", "conversion_auc": "AUC conversion", "share_above": "share above"}),
        ],
    ),
    "pretraining": (
        "Pretraining",
        "Does a denoising autoencoder on rows without targets help? Census-Income, with few labels.",
        [
            Stored("benchmarks/pretraining.csv", "make pretraining", ["pretrained"],
                   {"auc_1": "AUC income", "auc_2": "AUC never married"}, "", "2,000 labelled rows"),
            Stored("benchmarks/pretraining-20000.csv",
                   "python -m benchmarks.pretraining --labeled 20000 --seeds 3 --fits 1", ["pretrained"],
                   {"auc_1": "AUC income", "auc_2": "AUC never married"}, "", "20,000 labelled rows"),
        ],
    ),
    "paper_tables": (
        "The paper's tables, rerun",
        "{doc}`../paper` says which of its claims hold. Here are the figures; `benchmarks/paper/results.md` sets them "
        "beside those printed in the paper. AUC 1 and 2 are those of the two targets, in order.",
        [
            Stored("benchmarks/paper/table2.csv", "make paper PART=table2", ["model"], PAPER, "",
                   "Table II: Census-Income, the paper's parameters"),
            Stored("benchmarks/paper/table2-defaults.csv", "make paper PART=table2-defaults", ["model"], PAPER, "",
                   "Table II: Census-Income, this library's defaults"),
            Stored("benchmarks/paper/table4.csv", "make paper PART=table4", ["model"], PAPER, "",
                   "Table IV: KuaiRand-Pure, the paper's parameters"),
            Stored("benchmarks/paper/users.csv", "make paper PART=table4", ["of", "over", "measure"],
                   {"users_low": "from", "users_high": "to"}, "part == 'table4'",
                   "Table IV: 95 % intervals of differences, users resampled"),
            Stored("benchmarks/paper/table4-defaults.csv", "make paper PART=table4-defaults", ["model"], PAPER, "",
                   "Table IV: KuaiRand-Pure, this library's defaults"),
            Stored("benchmarks/paper/funnel.csv", "make paper PART=funnel", ["model", "conflict"], PAPER, "",
                   "A simulated funnel, whose tasks conflict more or less"),
            Stored("benchmarks/paper/figure11.csv", "make paper PART=figure11",
                   ["param_tower_dims", "param_gate_dims"], SEARCH, "", "Figure 11: widths of the towers"),
            Stored("benchmarks/paper/figure12.csv", "make paper PART=figure12", ["param_gate_dims"], SEARCH, "",
                   "Figure 12: hidden layers of the gates"),
            Stored("benchmarks/paper/figure13.csv", "make paper PART=figure13",
                   ["param_n_task_experts", "param_n_shared_experts"], SEARCH, "", "Figure 13: numbers of experts"),
        ],
    ),
}  # fmt: skip
"""{page: (title, text, tables)}."""

RATES = ("train, batch 2048", "train, batch 256", "score")
SPEED, SOAK = "benchmarks/results.json", "benchmarks/soak.json"


PICTURES = {
    "paper_tables": {
        "paper/figure10.png": "Figure 10: gains over Base",
        "paper/figure11-1.png": "Figure 11: widths of the towers, bottoms of one level",
        "paper/figure11-2.png": "Figure 11: widths of the towers, bottoms of two levels",
        "paper/figure12-1.png": "Figure 12: hidden layers of the gates, bottoms of one level",
        "paper/figure12-2.png": "Figure 12: hidden layers of the gates, bottoms of two levels",
        "paper/figure13-1.png": "Figure 13: numbers of experts, bottoms of one level",
        "paper/figure13-2.png": "Figure 13: numbers of experts, bottoms of two levels",
    },
    "speed": {"results.png": "Rows per second, and how time and memory grow"},
}
"""Of a page the pictures in `benchmarks`, which the commands make that make its results."""


def write(docs: Path) -> dict[str, str | bytes]:
    """The pages as {path under `docs`: text}, and the pictures that they show."""
    pages = {
        name: "\n".join([f"# {title}\n", text, "", *(table.markdown() for table in tables)])
        for name, (title, text, tables) in PAGES.items()
    } | {name: page() for name, page in OF_JSON.items()}
    made: dict[str, str | bytes] = {f"evidence/{name}.md": text + pictures(name) for name, text in pages.items()}
    return made | {of: (ROOT / "benchmarks" / path).read_bytes() for path, of in copies().items()}


def copies() -> dict[str, str]:
    """Each picture, and its copy under `docs`."""
    return {path: f"_generated/{path.replace('/', '-')}" for paths in PICTURES.values() for path in paths}


def pictures(page: str) -> str:
    """The pictures of a page, as Markdown."""
    shown = [f"![{text}](../{copies()[path]})" for path, text in PICTURES.get(page, {}).items()]
    return "\n".join(["\n## Pictures\n", *shown, ""]) if shown else ""


def speed() -> str:
    """Rows per second beside others, and how time and memory grow."""
    stored = read_json(SPEED)
    made = stored["made"]
    contenders = dict.fromkeys(name for part in RATES for name in stored[part])
    table = pd.DataFrame(
        {"": name} | {part: f"{stored[part][name]['median']:,.0f}" if name in stored[part] else "–" for part in RATES}
        for name in contenders
    )
    sections = [
        "# Speed\n",
        "One network, PLE of 30 categorical and 10 numeric columns, in each library; each contender in a process of "
        "its own, in turn. `products` are the matrix products of that network alone, by the fastest torch has.\n",
        "## Rows per second\n",
        f"Medians of {made[RATES[0]]['rounds']} rounds.\n",
        as_table(table),
        "",
        source_of_json(SPEED, "make bench", made[RATES[0]]),
        "",
    ]
    for part, values in stored.items():
        if isinstance(values.get("points"), dict):
            sections += [f"## {part[0].upper()}{part[1:]}\n", _growth(part, values["points"]), ""]
            sections += [source_of_json(SPEED, "make bench", made[part]), ""]
    one = stored["one row"]
    latency = pd.DataFrame(
        {"one row as": kind, "median (ms)": number(t["p50_ms"]), "99 % below (ms)": number(t["p99_ms"])}
        for kind, t in one.items()
    )
    sections += ["## One row\n", as_table(latency), "", source_of_json(SPEED, "make bench", made["one row"]), ""]
    return "\n".join(sections)


def _growth(part: str, points: dict[str, dict[str, float]]) -> str:
    title = part.split(", ")[-1]
    lines = []
    for size, point in points.items():
        line = {title: f"{int(size):,}" if size.isdigit() else size}
        for measure, value in point.items():
            if measure.endswith("_bytes"):
                line[f"{measure.removesuffix('_bytes').replace('_', ' ')} (MiB)"] = f"{value / 2**20:,.0f}"
            elif measure != "table_rows":
                name = {"step_ms": "step (ms)", "seconds": "seconds", "rows_per_s": "rows per second"}[measure]
                line[name] = number(value)
        lines.append(line)
    return as_table(pd.DataFrame(lines))


def soak() -> str:
    """Memory, threads and files after many fits."""
    stored = read_json(SOAK)
    table = pd.DataFrame(
        {"": name, "before": f"{before:,}", "after": f"{stored['after'][name]:,}"}
        for name, before in stored["before"].items()
    )
    text = f"{stored['fits']:,} fits and {stored['predictions']:,} predictions in one process."
    return "\n".join(["# A long run\n", text, "", as_table(table), "", source_of_json(SOAK, "make soak", stored), ""])


OF_JSON: dict[str, Callable[[], str]] = {"speed": speed, "soak": soak}


def shown() -> set[str]:
    """The files of results that a page shows."""
    return {table.file for _, _, tables in PAGES.values() for table in tables} | {SPEED, SOAK}


def stored() -> set[str]:
    """The files of results that there are."""
    files = [path for kind in ("csv", "json") for path in (ROOT / "benchmarks").rglob(f"*.{kind}")]
    return {path.relative_to(ROOT).as_posix() for path in files if "predictions" not in path.parts}


def contender(name: str, where: str = "data == 'kuairand' and part == 'test'") -> pd.DataFrame:
    """The stored rows of one contender."""
    return read(QUALITY).query(where).query("contender == @name")
