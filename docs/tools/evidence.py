"""The pages of evidence, made from the stored results in `benchmarks`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tools.results import ROOT, Stored, as_table, number, read, read_json, source_of_json

AUCS = {"click_auc": "AUC click", "conversion_auc": "AUC conversion", "conversion_after_auc": "AUC pCVR"}
PCVR = "The AUC and the log loss of pCVR are computed on clicked rows."
LOG_LOSSES = {
    "click_log_loss": "log loss click",
    "conversion_log_loss": "log loss conversion",
    "conversion_after_log_loss": "log loss pCVR",
}
CALIBRATION = {"click_ratio": "click, predicted / observed", "click_ece": "calibration error"}
PAPER = {"auc_1": "AUC 1", "auc_2": "AUC 2", "mean_auc": "mean", "seconds": "seconds"}
SEARCH = {"mean_test_click_auc": "AUC click", "mean_test_conversion_auc": "AUC conversion", "mean_fit_time": "seconds"}

QUALITY = "benchmarks/quality/results.csv"
PAGES: dict[str, tuple[str, str, list[Stored]]] = {
    "quality": (
        "Quality",
        "Predictions compared with LightGBM, CatBoost and two libraries of networks; the README of the repository "
        f"describes the comparison. {PCVR} Seconds are the time of a fit with early stopping; they are missing if "
        "other work ran on the machine. Results of different commits may come from different machines.",
        [
            Stored(QUALITY, "make quality", ["contender"], AUCS | {"seconds": "seconds"},
                   "data == 'kuairand' and part == 'test'", "KuaiRand-Pure",
                   "Trained on 25 April to 2 May 2022, stopped on 3 and 4 May, tested on 5 and 6 May."),
            Stored(QUALITY, "make quality", ["contender"], LOG_LOSSES | CALIBRATION,
                   "data == 'kuairand' and part == 'test'", "Log loss and calibration on KuaiRand-Pure"),
            Stored(QUALITY, "make quality", ["contender"],
                   {"income_auc": "AUC income", "never_married_auc": "AUC never married", "seconds": "seconds"},
                   "data == 'census' and part == 'test'", "Census-Income"),
            Stored("benchmarks/quality/choices.csv", "make choices", ["variant"], AUCS, "data == 'kuairand'",
                   "How the defaults were chosen", "One option changed at a time, on the validation days of KuaiRand."),
            Stored("benchmarks/quality/choices.csv", "make choices", ["variant"],
                   {"income_auc": "AUC income", "income_log_loss": "log loss income",
                    "never_married_auc": "AUC never married", "never_married_log_loss": "log loss never married"},
                   "data == 'census'", "Finer bins and less dropout on Census", "On the validation half of Census."),
            Stored("benchmarks/quality/numbers.csv", "make numbers", ["data", "variant"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Numbers in bins, and interpolated between bins",
                   "Public tables without ids, with 12,000 to 35,000 training rows, tested on a fifth of the rows that "
                   "had no part in the fit; Census and KuaiRand on their validation rows. The variants with 32 bins "
                   "and with four members interpolate between bins. Means over the seeds; LightGBM has one seed and a "
                   "model per target."),
            Stored("benchmarks/quality/dropout.csv", "make dropout", ["data", "rows", "dropout"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Dropout for tables without ids",
                   "Public tables without ids, with all training rows and with 50,000 of them. Tested on a fifth of "
                   "the rows that had no part in the fit, Census on its validation half. Means over three seeds."),
            Stored("benchmarks/quality/widths.csv", "make widths", ["data", "rows", "embedding_dim"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Length of the embeddings",
                   "Tables without ids, and KuaiRand, which has ids, with all training rows and with 100,000 of them. "
                   "Tested on a fifth of the rows that had no part in the fit, Census and KuaiRand on their validation "
                   "rows. Means over three seeds."),
            Stored("benchmarks/quality/windows.csv", "make windows", ["stopped on", "trained", "variant"], AUCS, "",
                   "How often a value must occur to be known",
                   "KuaiRand, trained on days from 25 April. Early stopping uses the two days that follow; or these "
                   "days are training days too, and early stopping uses a random tenth of the rows. Tested on the two "
                   "days after that."),
            Stored("benchmarks/quality/slopes.csv", "make slopes", ["data", "rows", "spread"],
                   {"log_loss_1": "log loss 1", "log_loss_2": "log loss 2", "slope_1": "slope 1", "slope_2": "slope 2"},
                   "", "How freely validation rows set the calibration slope",
                   "Log loss on rows that had no part in the fit, by the prior standard deviation of the logarithm of "
                   "the slope. With 0 the slope is 1; with 1,000 the rows alone set it, between 1/4 and 4. Step 1 is "
                   "the click, step 2 is pCVR on clicked rows; on Census the steps are the two targets."),
            Stored("benchmarks/quality/patience.csv", "make patience", ["data", "rows", "patience"],
                   {"epochs": "epochs", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "How long to wait for a better epoch",
                   "Early stopping uses a tenth as many rows as training; tested on new rows; means over the seeds."),
            Stored("benchmarks/quality/learning_rates.csv", "make learning-rates", ["data", "rows", "lr"],
                   {"epochs": "epochs", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Learning rates",
                   "By the number of training rows, tested on new rows; means over the seeds."),
            Stored("benchmarks/quality/members.csv", "make members", ["data", "rows", "n_members"],
                   {"epochs": "epochs", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "Gain from four members",
                   "By the number of training rows, tested on new rows; means over the seeds."),
            Stored("benchmarks/quality/few_rows.csv", "make few-rows", ["data", "rows", "mode"],
                   {"steps": "steps", "first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "How long to train without validation rows",
                   "By the number of rows: a number of epochs on all rows, or early stopping on a tenth of them. "
                   "Tested on new rows; means over the seeds."),
            Stored("benchmarks/quality/enough_rows.csv", "make enough-rows", ["data", "rows", "model"],
                   {"first_auc": "AUC 1", "second_auc": "AUC 2", "first_log_loss": "log loss 1",
                    "second_log_loss": "log loss 2"}, "", "How many rows the defaults need",
                   "The defaults, the network alone, and a logistic regression for each target, tested on rows that "
                   "had no part in the fits; means over the seeds. The learning rates for few rows, and the penalty of "
                   "the regressions in the defaults, were chosen on such rows too."),
            Stored("benchmarks/quality/rare_events.csv", "make rare-events", ["rows", "click_rate", "model"],
                   {"clicks": "clicks", "conversions": "conversions", "click_true_auc": "AUC click",
                    "conversion_true_auc": "AUC conversion", "after_true_auc": "AUC pCVR", "click_ratio": "click ratio",
                    "conversion_ratio": "conversion ratio"}, "", "How many conversions are enough",
                   "Simulated funnels with 2, 5 and 10 clicks in 100 impressions, and 3 to 4, 11 and 24 conversions in "
                   "100 clicks. AUC by the true probabilities of 400,000 new rows. Ratio: mean prediction / observed "
                   "rate. Means over the seeds."),
            Stored("benchmarks/quality/tables.csv", "make tables", ["variant"], AUCS | {"seconds": "seconds"}, "",
                   "Dense and sparse updates of embedding tables", "On the validation days of KuaiRand."),
            Stored("benchmarks/quality/all_rows.csv", "make all-rows", ["contender", "rows"],
                   AUCS | {"click_log_loss": "log loss click", "conversion_log_loss": "log loss conversion"}, "",
                   "Gain from using the latest rows for more than early stopping", "`training`: trained up to 2 May, "
                   "stopped on 3 and 4 May, tested on 5 and 6 May. `all`: 3 and 4 May are used too. This library sets "
                   "them aside by itself, and adds them to its target statistics. Trees are fitted again, with as many "
                   "trees as before."),
            Stored("benchmarks/days.csv", "make days", ["way"],
                   {"click_auc": "AUC click", "conversion_auc": "AUC conversion", "click_log_loss": "log loss click",
                    "conversion_log_loss": "log loss conversion"}, "", "Ways to update a model each day",
                   "On KuaiRand: fitted on six days, updated after each of the next five, and tested on the day that "
                   "follows."),
            Stored("benchmarks/quality/averaged.csv", "make averaged", ["data", "n_fits"],
                   AUCS | {"income_auc": "AUC income", "never_married_auc": "AUC never married"}, "",
                   "Averages of whole fits", "The predictions of whole fits are averaged: this shows what the members "
                   "of an ensemble can reach. Tested on 5 and 6 May 2022, and on the test half of Census."),
            Stored("benchmarks/quality/trials.csv",
                   'python -m benchmarks.quality.run --data kuairand --only "CatBoost, tuned" --seeds 1',
                   ["model", "settings"], {"valid_auc": "AUC", "seconds": "seconds"}, "",
                   "Trials of the search for the tuned CatBoost", "The AUC is that on 3 and 4 May, for clicks (first), "
                   "long views (second), and long views of clicked rows. The search was resumed several times, so the "
                   "seconds in the table of results are those of the last part."),
            Stored("benchmarks/quality/funnels.csv", "make funnels", ["rate", "conflict", "selection", "variant"], AUCS,
                   "", "Losses of a chain, on simulated funnels",
                   "`rate`: the rate of conversions. `conflict`: how much the tastes that make clicks likely make "
                   "conversions unlikely. `selection`: how strongly the log prefers items with likely clicks."),
        ],
    ),
    "history": (
        "History, lists and watch times",
        f"Gain from history features, from a list of a user's last items, and from a target with values. {PCVR}",
        [
            Stored("benchmarks/history/quality.csv", "make history", ["contender"], AUCS | {"seconds": "seconds"},
                   "part == 'test'", "History features on KuaiRand-Pure", "Tested on 5 and 6 May 2022."),
            Stored("benchmarks/history/lists.csv", "make lists", ["contender"],
                   {"click_auc": "AUC click", "conversion_auc": "AUC conversion"}, "", "A list of the last items",
                   "On simulated logs whose clicks depend on the last five clicked items."),
            Stored("benchmarks/history/few_values.csv", "make few-values", ["n_values", "loss", "regression"],
                   {"concordance": "concordance", "mae": "mean absolute error (s)",
                    "rmse": "root mean squared error (s)", "share": "share of the network"},
                   "", "Few known values", "Seconds watched after a click, on KuaiRand-Pure. Trained on rows of 25 to "
                   "30 April 2022, with so many known values, and tested on 3 and 4 May, with and without regressions. "
                   "`the mean`: the mean of the training rows for all. Means over the seeds."),
            Stored("benchmarks/history/watch.csv", "make watch", ["contender"],
                   {"concordance": "concordance", "mae": "mean absolute error (s)",
                    "rmse": "root mean squared error (s)", "decile_bias": "decile bias", "mean_auc": "mean AUC"},
                   "", "Seconds watched after a click",
                   "On KuaiRand-Pure, 5 and 6 May 2022: errors on the clicked rows, mean AUC of click and conversion "
                   "on all rows."),
        ],
    ),
    "coming_from": (
        "Coming from other libraries",
        "The two sides of each page of {doc}`../coming_from/index`, on 20,000 simulated rows with one seed. Nothing is "
        "tuned. `share above` is the share of rows with a predicted probability of conversion above that of the click.",
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
        "{doc}`../paper` lists which claims of the paper hold. These are the results; `benchmarks/paper/results.md` "
        "compares them with the results printed in the paper. AUC 1 and AUC 2 belong to the two targets, in order.",
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
                   "A simulated funnel, by the conflict of its tasks"),
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
        "paper/figure11-1.png": "Figure 11: widths of the towers, bottom with one level",
        "paper/figure11-2.png": "Figure 11: widths of the towers, bottom with two levels",
        "paper/figure12-1.png": "Figure 12: hidden layers of the gates, bottom with one level",
        "paper/figure12-2.png": "Figure 12: hidden layers of the gates, bottom with two levels",
        "paper/figure13-1.png": "Figure 13: numbers of experts, bottom with one level",
        "paper/figure13-2.png": "Figure 13: numbers of experts, bottom with two levels",
    },
    "speed": {"results.png": "Rows per second, and how time and memory grow"},
}
"""{page: {picture in `benchmarks`: text}}; the commands that make the results also make the pictures."""


def write(docs: Path) -> dict[str, str | bytes]:
    """The pages as {path under `docs`: text}, and the pictures that they show."""
    pages = {
        name: "\n".join([f"# {title}\n", text, "", *(table.markdown() for table in tables)])
        for name, (title, text, tables) in PAGES.items()
    } | {name: page() for name, page in JSON_PAGES.items()}
    files: dict[str, str | bytes] = {f"evidence/{name}.md": text + pictures(name) for name, text in pages.items()}
    return files | {copy: (ROOT / "benchmarks" / path).read_bytes() for path, copy in copies().items()}


def copies() -> dict[str, str]:
    """The copy under `docs` of each picture."""
    return {path: f"_generated/{path.replace('/', '-')}" for paths in PICTURES.values() for path in paths}


def pictures(page: str) -> str:
    """The pictures of a page, as Markdown."""
    shown = [f"![{text}](../{copies()[path]})" for path, text in PICTURES.get(page, {}).items()]
    return "\n".join(["\n## Pictures\n", *shown, ""]) if shown else ""


def speed() -> str:
    """The page of speed: rows per second of each contender, and how time and memory grow."""
    stored = read_json(SPEED)
    made = stored["made"]
    contenders = dict.fromkeys(name for part in RATES for name in stored[part])
    table = pd.DataFrame(
        {"": name} | {part: f"{stored[part][name]['median']:,.0f}" if name in stored[part] else "–" for part in RATES}
        for name in contenders
    )
    sections = [
        "# Speed\n",
        "Each library trains the same network, PLE with 30 categorical and 10 numeric columns. Each contender runs in "
        "a separate process, in turn. `products` are only the matrix products of that network, with torch's fastest "
        "operation.\n",
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
    latency = pd.DataFrame(
        {"one row as": kind, "median (ms)": number(t["p50_ms"]), "99th percentile (ms)": number(t["p99_ms"])}
        for kind, t in stored["one row"].items()
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
    """The page of the long run: memory, threads and files after many fits."""
    stored = read_json(SOAK)
    table = pd.DataFrame(
        {"": name, "before": f"{before:,}", "after": f"{stored['after'][name]:,}"}
        for name, before in stored["before"].items()
    )
    text = f"{stored['fits']:,} fits and {stored['predictions']:,} predictions in one process."
    return "\n".join(["# A long run\n", text, "", as_table(table), "", source_of_json(SOAK, "make soak", stored), ""])


JSON_PAGES: dict[str, Callable[[], str]] = {"speed": speed, "soak": soak}


def shown() -> set[str]:
    """The result files that the pages show."""
    return {table.file for _, _, tables in PAGES.values() for table in tables} | {SPEED, SOAK}


def stored() -> set[str]:
    """All result files in `benchmarks`."""
    files = [path for kind in ("csv", "json") for path in (ROOT / "benchmarks").rglob(f"*.{kind}")]
    return {path.relative_to(ROOT).as_posix() for path in files if "predictions" not in path.parts}


def contender(name: str, where: str = "data == 'kuairand' and part == 'test'") -> pd.DataFrame:
    """The stored rows of one contender."""
    return read(QUALITY).query(where).query("contender == @name")
