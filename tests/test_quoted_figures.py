"""The numbers that README and docs quote equal the stored results."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
SPEED = json.loads((ROOT / "benchmarks" / "results.json").read_text())

AUCS = ["click_auc", "conversion_auc", "conversion_after_auc"]
CENSUS = ["income_auc", "never_married_auc"]
PARTS = ["train, batch 2048", "train, batch 256", "score"]
QUALITY = {
    "`FSMDClassifier()`": "sklearn-fsmd",
    "`FSMDClassifier(n_members=4)`": "sklearn-fsmd, 4 members",
    "CatBoost": "CatBoost",
    "CatBoost, tuned": "CatBoost, tuned",
    "LightGBM": "LightGBM",
    "LightGBM, tuned": "LightGBM, tuned",
    "DeepCTR-Torch: ESMM": "DeepCTR-Torch ESMM",
    "DeepCTR-Torch: PLE": "DeepCTR-Torch PLE",
    "DeepCTR-Torch: MMoE": "DeepCTR-Torch MMOE",
    "torch-rechub: PLE": "torch-rechub PLE",
    "torch-rechub: MMoE": "torch-rechub MMOE",
    "torch-rechub: AITM": "torch-rechub AITM",
}
HISTORY = {
    "`FSMDClassifier(target_statistics=None)`, no history": "no history, no statistics",
    "`FSMDClassifier()`, no history": "no history",
    "`FSMDClassifier(target_statistics=None)` behind `HistoryFeatures`": "history",
    'the same, with `delay="1D"`': "history, a day old",
    "with an hour, and the last 20 videos by attention": "history and the last 20 videos",
    "CatBoost, with the same columns": "CatBoost with history",
    "LightGBM, with the same columns": "LightGBM with history",
}
RATES = {
    "this library": "sklearn-fsmd",
    "with bf16": "sklearn-fsmd bf16",
    "without its compiled library (`SKLEARN_FSMD_EXECUTION=torch`)": "sklearn-fsmd by torch alone",
    "DeepCTR-Torch, without its L2 penalties": "deepctr-torch",
    "torch-rechub": "torch-rechub",
    "the same network in torch's own layers and a bare loop": "bare loop",
    "its matrix products alone, by the fastest torch has": "products",
}

CHOICES = {
    "target_statistics=None": "no statistics",
    'chain_loss="entire_space"': "entire space",
    'chain_loss="both"': "both losses",
    "fm_scale=1.0": "fm_scale 1",
    "batch_norm=False": "no batch norm",
    "embedding_dim=8": "embeddings of 8",
    "numeric_bins=128": "finer bins",
    "dropout=0.1": "less dropout",
    "numeric_bins=128, dropout=0.1": "both of these",
}
DAYS = {
    "no update": "left alone",
    '`update_statistics`, `new_categories="grow"`': "the same, and new ids get rows",
    "`partial_fit`, saved and loaded each day": "the same, saved and loaded each day",
    "one epoch of `warm_start` on all days": "an epoch of `warm_start` over all days",
    "a new fit on all days": "a fit of all days",
}


def table_after(text, page="README.md"):
    """The first table after `text`: the first cell of a row, without its version, to its other cells and version."""
    content = (ROOT / page).read_text()
    lines = content[content.index(text) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|---"))
    rows = {}
    for line in lines[first + 1 :]:
        if not line.startswith("|"):
            return rows
        name, *cells = (cell.strip().strip("*") for cell in line.strip("|").split("|"))
        version = re.search(r" (\d+\.\d+\.\d+)", name)
        rows[name.replace(version[0], "") if version else name] = cells, version[1] if version else None
    return rows


@pytest.mark.parametrize(
    ("page", "text", "file", "names"),
    [
        ("README.md", "AUC on KuaiRand-Pure", "quality/results.csv", QUALITY),
        ("docs/guide/history.md", "On KuaiRand-Pure, history features", "history/quality.csv", HISTORY),
    ],
)
def test_tables_of_aucs(page, text, file, names):
    stored = pd.read_csv(ROOT / "benchmarks" / file).query("data == 'kuairand' and part == 'test'")
    rows = table_after(text, page)
    assert set(rows) == set(names)
    for label, (cells, version) in rows.items():
        results = stored[stored["contender"] == names[label]]
        assert cells == [f"{mean:.4f}" for mean in results[AUCS].mean()]
        if version:
            assert set(results["version"]) == {version}


def test_the_table_of_rows_per_second():
    rows = table_after("Rows per second on two cores")
    assert set(rows) == set(RATES)
    for label, (cells, version) in rows.items():
        medians = [SPEED[part].get(RATES[label], {}).get("median") for part in PARTS]
        assert cells == ["–" if median is None else f"{median:,.0f}" for median in medians]
        if version:
            assert SPEED["made"][PARTS[0]]["versions"][RATES[label]] == version


def text_of(page):
    """A page as one line."""
    return " ".join((ROOT / page).read_text().split())


def means(file, columns, by, where="seed >= 0", digits=4):
    """The means over the seeds, formatted as in the docs."""
    stored = pd.read_csv(ROOT / "benchmarks" / file).query(where)
    return stored.groupby(by)[columns].mean().map(f"{{:.{digits}f}}".format).T.to_dict("list")


def test_sentences_on_speed():
    readme, guide = text_of("README.md"), text_of("docs/guide/speed.md")
    row = {kind: f"{times['p50_ms']:.1f} ms" for kind, times in SPEED["one row"].items()}
    assert f"scored in {row['array']} as an array and in {row['DataFrame']} as a DataFrame" in readme
    assert f"takes {row['array']} as an array and {row['DataFrame']} as a DataFrame" in guide
    grown = SPEED["growth, vocabulary"]["large_over_small"]
    assert f"rows of 16 numbers takes {grown:.1f} times as long as with a hundred thousand" in guide
    points = SPEED["task weighting"]["points"]
    pcgrad, gradnorm = (points[rule]["step_ms"] / points["fixed"]["step_ms"] for rule in ("pcgrad", "gradnorm"))
    assert f"takes {pcgrad:.1f} times as long as with fixed weights" in guide
    assert f'with "gradnorm" {gradnorm:.1f} times' in guide
    largest = list(SPEED["growth, rows"]["points"].values())[-1]
    needed = largest["peak_bytes"] / largest["encoded_bytes"]
    assert f"2 million rows and 40 columns needs {needed:.1f} times the bytes" in guide
    assert f"grows by {SPEED['scoring memory']['over_weights']:.1f} times the bytes of the weights" in guide
    rates = [f"{SPEED[PARTS[0]][name]['median']:,.0f}" for name in ("sklearn-fsmd bf16", "sklearn-fsmd")]
    assert f"{rates[0]} rows per second instead of {rates[1]}" in text_of("docs/guide/devices.md")


def test_sentences_on_the_soak_test():
    soak = json.loads((ROOT / "benchmarks/soak.json").read_text())
    before, after = (soak[when]["memory, bytes"] / 1e6 for when in ("before", "after"))
    sentence = f"memory grew by {after / before - 1:.1%}, from {before:.1f} to {after:.1f} MB".replace("%", " %")
    assert sentence in text_of("docs/reliability.md")


def test_sentences_on_training_time():
    stored = pd.read_csv(ROOT / "benchmarks/paper/table4-defaults.csv").groupby("model")["seconds"].median()
    base, fsmd = stored["Base"], stored["FSMD"]
    guide = text_of("docs/guide/speed.md")
    assert f"{fsmd / base:.1f} on KuaiRand ({base:.0f} s and {fsmd:.0f} s, `make paper PART=table4-defaults`)" in guide
    seconds = pd.read_csv(ROOT / "benchmarks/quality/results.csv").query("data == 'kuairand'")
    seconds = seconds.groupby("contender")["seconds"].mean()
    assert (
        f"LightGBM took {seconds['LightGBM']:.0f} s where `FSMDClassifier` took {seconds['sklearn-fsmd']:.0f} s"
        in guide
    )
    choosing = text_of("docs/guide/choosing_a_model.md")
    lightgbm, ours = seconds["LightGBM"], seconds["sklearn-fsmd"]
    assert f"a fit takes {lightgbm:.0f} s with LightGBM and {ours:.0f} s with `FSMDClassifier`" in choosing
    sentence = f"LightGBM took {lightgbm:.0f} s where `FSMDClassifier` took {ours:.0f} s"
    assert sentence in text_of("docs/coming_from/lightgbm.md")
    for page in ("docs/guide/speed.md", "docs/coming_from/lightgbm.md"):
        assert f"CatBoost took {seconds['CatBoost']:.0f} s" in text_of(page)
    four, one = (f"{seconds[name]:.0f} s" for name in ("sklearn-fsmd, 4 members", "sklearn-fsmd"))
    assert f"a fit of KuaiRand took {four} instead of {one}" in text_of("docs/guide/ensembles.md")


def test_sentences_on_choices():
    quoted = means("quality/choices.csv", AUCS, "variant", "data == 'kuairand'")
    for row in (f"| `{name}` | {' | '.join(quoted[variant])} |" for name, variant in CHOICES.items()):
        assert row in text_of("docs/defaults.md")
    changed = f"from {', '.join(quoted['defaults'])} to {', '.join(quoted['no statistics'])}"
    assert changed in text_of("docs/guide/target_statistics.md")
    sentence_on_losses = (
        f"the default has an AUC of {quoted['defaults'][2]} on clicked rows "
        f'and "entire_space" {quoted["entire space"][2]}'
    )
    assert sentence_on_losses in text_of("docs/guide/losses.md")
    stored = pd.read_csv(ROOT / "benchmarks/quality/choices.csv").groupby(["data", "variant"]).mean(numeric_only=True)
    click, conversion, _ = (stored.loc["kuairand", "defaults"] - stored.loc["kuairand", "entire space"])[AUCS]
    assert f"ahead by {click:.4f} and {conversion:.4f}" in text_of("docs/guide/losses.md")
    gain = stored.loc["kuairand"][AUCS] - stored.loc["kuairand", "defaults"][AUCS]
    assert gain.max(axis=None) < 1e-4  # "None is better than the defaults by more than 0.0001 in the mean."
    by_seed = pd.read_csv(ROOT / "benchmarks/quality/choices.csv").query("data == 'kuairand'")
    by_seed = by_seed.set_index(["variant", "seed"])[AUCS]
    for variant in ("no statistics", "fm_scale 1"):
        assert (by_seed.loc[variant] < by_seed.loc["defaults"])[["click_auc", "conversion_after_auc"]].all(axis=None)
    assert (by_seed.loc["entire space"] < by_seed.loc["defaults"])["conversion_after_auc"].all()
    quoted = means("quality/choices.csv", ["income_auc", "income_log_loss"], "variant", "data == 'census'")
    finer, defaults = quoted["both of these"], quoted["defaults"]
    sentence = f"income of {finer[0]} instead of {defaults[0]}, and a log loss of {finer[1]} instead of {defaults[1]}"
    assert sentence in text_of("docs/guide/numbers.md")
    sentence = (
        f"income is {finer[0]} with it instead of {defaults[0]}, the log loss {finer[1]} instead of {defaults[1]}"
    )
    assert sentence in text_of("docs/defaults.md")


def test_sentences_on_windows():
    stored = pd.read_csv(ROOT / "benchmarks/quality/windows.csv")
    stored = stored.set_index(["variant", "stopped on", "trained", "seed"])[AUCS]
    gain = stored.loc["defaults"] - stored.loc["values seen twice"]
    assert len(gain) == 2 * 3 * 2
    assert not gain.isna().any(axis=None)
    two_days, tenth = (
        "{:.4f}, {:.4f} and {:.4f}".format(*gain.loc[stop].mean()) for stop in ("two days", "a random tenth")
    )
    assert f"click, conversion and pCVR gain {two_days} in the mean of three windows" in text_of("docs/defaults.md")
    assert f"a random tenth of the rows set aside, they gain {tenth}." in text_of("docs/defaults.md")


def test_sentences_on_all_rows():
    quoted = means("quality/all_rows.csv", AUCS, ["contender", "rows"], "data == 'kuairand'")
    known, unknown, catboost, lightgbm = (
        "{}, {} and {}".format(*quoted[which])
        for which in (
            ("sklearn-fsmd", "all"),
            ("sklearn-fsmd", "training"),
            ("CatBoost", "all"),
            ("LightGBM", "all"),
        )
    )
    for page in ("docs/design.md", "docs/guide/target_statistics.md"):
        assert known in text_of(page)
        assert unknown in text_of(page)
    assert f"then adds them to its target statistics: {known}." in text_of("README.md")
    assert f"CatBoost has {catboost} then, LightGBM {lightgbm} (`make all-rows`" in text_of("README.md")


def test_sentences_on_quality_and_history():
    test = "data == 'kuairand' and part == 'test'"
    quoted = means("quality/results.csv", AUCS, "contender", test)
    for pair in zip(quoted["sklearn-fsmd"], quoted["sklearn-fsmd, 4 members"], strict=True):
        assert f"| {' | '.join(pair)} |" in text_of("docs/guide/ensembles.md")
    rows = {"`FSMDClassifier()`": "sklearn-fsmd", "CatBoost, defaults": "CatBoost", "LightGBM, defaults": "LightGBM"}
    for label, name in rows.items():
        assert f"| {label} | {' | '.join(quoted[name])} |" in text_of("docs/coming_from/lightgbm.md")
    stored = pd.read_csv(ROOT / "benchmarks/quality/results.csv").query(test).set_index("seed")
    one, four = (stored.loc[stored["contender"] == name, AUCS] for name in ("sklearn-fsmd", "sklearn-fsmd, 4 members"))
    assert ((four - one) > 0).sum().tolist() == [4, 3, 5]
    assert len(one) == 5
    guide = text_of("docs/guide/ensembles.md")
    assert "a higher AUC in four of five seeds for click, in three for conversion, and in all five for pCVR." in guide
    assert f"a small gain: {(four - one)[AUCS[0]].mean():.4f} in the AUC of click" in guide
    ahead = "{:.4f}, {:.4f} and {:.4f}".format(*(four - one).mean())
    assert f"four members are ahead of one by {ahead} (`make quality`; five seeds" in text_of("docs/design.md")
    fits = pd.read_csv(ROOT / "benchmarks/quality/averaged.csv").query("data == 'kuairand'").set_index("n_fits")[AUCS]
    ahead = "{:.4f}, {:.4f} and {:.4f}".format(*(fits.loc[4] - fits.loc[1]))
    assert f"four of them, averaged, are ahead of one by {ahead} there" in text_of("docs/design.md")
    fits = pd.read_csv(ROOT / "benchmarks/quality/averaged.csv").query("data == 'census'").set_index("n_fits")[CENSUS]
    quoted = means("quality/results.csv", CENSUS, "contender", "data == 'census' and part == 'test'")
    whole, four, one = (
        "{} and {}".format(*pair)
        for pair in (fits.loc[4].map("{:.4f}".format), quoted["sklearn-fsmd, 4 members"], quoted["sklearn-fsmd"])
    )
    assert (
        f"four whole fits have an AUC of income and never married of {whole}, four members {four}, one {one}"
        in text_of("docs/design.md")
    )
    quoted = means("history/quality.csv", AUCS, "contender", test)
    rest = pd.read_csv(ROOT / "benchmarks/quality/all_rows.csv").query("rows == 'all'")
    rest = rest.groupby("contender")[AUCS].mean()
    stored = pd.read_csv(ROOT / "benchmarks/history/quality.csv").groupby(["part", "contender"])[AUCS].mean()
    assert (stored.loc["test", "history, a day old"] < rest.loc["sklearn-fsmd"]).all()
    assert (stored.loc["valid", "history, a day old"] < stored.loc["valid", "no history"]).all()
    without, an_hour, a_day, catboost = (
        "{}, {} and {}".format(*quoted[name])
        for name in ("no history", "history", "history, a day old", "CatBoost with history")
    )
    for words in (f"is {without} without a history", f'{a_day} with `delay="1D"`', f'and {an_hour} with `delay="1h"`'):
        assert words in text_of("README.md")
    on_validation = stored.loc["valid"].map("{:.4f}".format)
    old, none = ("{}, {} and {}".format(*on_validation.loc[name]) for name in ("history, a day old", "no history"))
    assert f"makes the model worse: {old} instead of {none}." in text_of("docs/guide/history.md")
    assert f"CatBoost with the columns of the latter has {catboost}" in text_of("README.md")
    hour_and_day = (", ".join(quoted[name]) for name in ("history", "history, a day old"))
    assert all(triple in text_of("docs/guide/choosing_a_model.md") for triple in hour_and_day)
    assert (
        f"{quoted['history'][0]} with `target_statistics=None` and {quoted['history, with statistics'][0]} with both"
        in text_of("docs/guide/target_statistics.md")
    )


def test_sentences_on_the_rows_of_kuairand():
    printed = json.loads((ROOT / "docs/stored/kuairand.json").read_text())["printed"]
    train = re.match(r"[\d,]+", printed)[0]
    click, conversion = (re.search(rf"{name} .* (\S+)\n", printed)[1] for name in ("click", "conversion"))
    sentence = f"{float(click):.0%} of the rows have a click and {float(conversion):.0%} a conversion".replace(
        "%", " %"
    )
    assert sentence in text_of("README.md")
    assert f"25 April to 2 May ({train} rows)" in text_of("README.md")
    assert f"real data with ids ({train} training rows)" in text_of("docs/coming_from/index.md")


def test_sentences_on_the_gain_from_history_and_lists():
    test = "data == 'kuairand' and part == 'test'"
    quoted = pd.read_csv(ROOT / "benchmarks/history/quality.csv").query(test).groupby("contender")[AUCS].mean()
    gain = quoted.loc["history", AUCS[0]] - quoted.loc["no history", AUCS[0]]
    assert f"[history](history.md) gave {gain:.4f} on the same rows" in text_of("docs/guide/ensembles.md")
    added = "{:.4f}, {:.4f} and {:.4f}".format(*(quoted.loc["history and the last 20 videos"] - quoted.loc["history"]))
    assert f"the last 20 videos added {added} to a model" in text_of("docs/guide/lists.md")
    assert f"the last 20 videos, pooled by attention, add {added} of AUC" in text_of("docs/design.md")
    clicks = means("history/lists.csv", AUCS[:1], "contender", digits=3)
    without, mean, attention = (clicks[name][0] for name in ("no list", "mean", "attention"))
    for page in ("docs/guide/lists.md", "docs/design.md"):
        assert f"{without} without the list, {mean} with its mean and {attention} by attention" in text_of(page)


def test_the_table_of_days():
    columns = ["click_auc", "conversion_auc", "click_log_loss", "conversion_log_loss"]
    quoted = means("days.csv", columns, "way")
    rows = table_after("Compare by time", "docs/guide/new_data.md")
    assert {DAYS.get(way, way): cells for way, (cells, _) in rows.items()} == quoted
    best = sorted(quoted, key=quoted.get)[-2:]
    assert best == ["the same, and new ids get rows", "a fit of all days"]


def test_the_table_of_watch_times():
    columns = ["concordance", "mae", "rmse", "decile_bias", "ratio"]
    stored = pd.read_csv(ROOT / "benchmarks/history/watch.csv").groupby("contender")[columns].mean()
    rows = table_after("On KuaiRand, three seeds", "docs/guide/values.md")
    assert len(rows) == 5
    for label, (cells, _) in rows.items():
        found = stored.loc[label.strip('"').replace("Poisson", "poisson")]
        shown = f"{found['concordance']:.4f}", f"{found['mae']:.1f} s", f"{found['rmse']:.1f} s"
        assert cells == [*shown, f"{found['decile_bias']:.3f}"]
    low = stored["ratio"].dropna().rsub(1)
    assert (low.idxmin(), low.idxmax()) == ("LightGBM, squared", "lognormal")
    between = f'by {100 * low.min():.1f} % (LightGBM, squared) to {100 * low.max():.1f} % ("lognormal")'
    assert between in text_of("docs/guide/values.md")


@pytest.mark.parametrize(
    ("text", "column", "form"), [("Root mean", "rmse", "{:.1f} s"), ("Concord", "concordance", "{:.3f}")]
)
def test_the_tables_of_few_values(text, column, form):
    stored = pd.read_csv(ROOT / "benchmarks/history/few_values.csv").astype({"regression": str})
    quoted = stored.groupby(["n_values", "loss", "regression"])[column].mean().map(form.format)
    page = "docs/guide/values.md"
    section = (ROOT / page).read_text().split("## Few values")[1]
    rows = table_after(section[section.index(text) :].splitlines()[0], page)
    assert list(rows) == [f"{n:,}" for n in sorted(stored["n_values"].unique())]
    for n, (cells, _) in rows.items():
        found = quoted[int(n.replace(",", ""))]
        both = [f"{found[loss, 'auto']} / {found[loss, 'False']}" for loss in ("lognormal", "squared", "poisson")]
        assert cells == [found["the mean", "-"], *both]


def test_sentences_on_calibration():
    errors = [name.replace("auc", "ece") for name in AUCS]
    quoted = means("quality/results.csv", errors, "contender", "data == 'kuairand' and part == 'test'")
    rows = table_after("| calibration error |", "docs/guide/calibration.md")
    assert rows["after `fit`"][0] == quoted["sklearn-fsmd"]
    assert rows["after `calibrate`"][0] == quoted["sklearn-fsmd, calibrated"]
    test = "data == 'kuairand' and part == 'test'"
    quoted = means("quality/results.csv", [name.replace("auc", "log_loss") for name in AUCS], "contender", test)
    ours, others = ("{}, {} and {}".format(*quoted[name]) for name in ("sklearn-fsmd", "CatBoost"))
    assert f"the log losses of `FSMDClassifier()` are {ours}, those of CatBoost {others}." in text_of("README.md")
    ratios = pd.read_csv(ROOT / "benchmarks/quality/results.csv").query(f"{test} and contender == 'sklearn-fsmd'")
    assert abs(ratios[[name.replace("auc", "ratio") for name in AUCS]].mean() - 1).max() < 0.02
    for page in ("README.md", "docs/guide/calibration.md"):
        assert "mean prediction is within 2 % of the rate" in text_of(page)


def test_sentences_on_the_paper():
    by_funnel = {c: means("paper/funnel.csv", ["mean_auc"], "model", f"conflict == {c}") for c in (-0.6, 0.0, 0.6)}
    by_conflict = {name: [aucs[name][0] for aucs in by_funnel.values()] for name in ("DeepFM", "FSMD")}
    sentence = "mean AUC of DeepFM is {}, {} and {} at −0.6, 0 and 0.6; the mean AUC of FSMD is {}, {} and {}."
    assert sentence.format(*by_conflict["DeepFM"], *by_conflict["FSMD"]) in text_of("docs/paper.md")
    for aucs in by_funnel.values():
        assert sorted(aucs, key=aucs.get)[-2:] == ["Single-Task", "DeepFM"]
    table2 = pd.read_csv(ROOT / "benchmarks/paper/table2.csv").query("model != 'FSMD'").groupby("model")
    income, mean = table2["auc_1"].mean(), table2["mean_auc"].mean()
    page = text_of("docs/paper.md")
    assert f"an AUC of income of {income.min():.3f} to {income.max():.3f}, where the paper" in page
    assert f"and a mean of {mean.min():.4f} to {mean.max():.4f}: they are alike" in page
    choosing, weighting = text_of("docs/guide/choosing_a_model.md"), text_of("docs/guide/task_weighting.md")
    unrelated = {name: auc for name, (auc,) in by_funnel[0.0].items()}
    names = ("DeepFM", "Single-Task", "FS", "FSMD")
    assert ", ".join(f"{name} {unrelated[name]}" for name in names) in choosing
    assert (
        "nothing in common: {}, {}, {}.".format(*(unrelated[n] for n in ("DeepFM", "Single-Task", "FSMD"))) in weighting
    )
    table4 = means("paper/table4.csv", ["mean_auc"], "model")
    four_aucs = (table4[name][0] for name in ("FS", "DeepFM", "Shared-Bottom", "Single-Task"))
    assert (
        "With an FM: FS {}, DeepFM {}. Without one: Shared-Bottom {}, Single-Task {} (".format(*four_aucs) in weighting
    )
    stored = pd.read_csv(ROOT / "benchmarks/paper/table4-defaults.csv").groupby("model")
    mean, seconds = stored["mean_auc"].mean(), stored["seconds"].median()
    named = {
        "`BaseMTL`": "Base",
        "`SharedBottomClassifier`": "Shared-Bottom",
        "`FSMDClassifier`": "FSMD",
        "FS": "FS",
        "MMoE": "MMoE",
    }
    parts = (f"{ours} {mean[name]:.4f} in {seconds[name]:.0f} s" for ours, name in named.items())
    assert f"time of a fit in one run: {', '.join(parts)} (`make paper PART=table4-defaults`)" in choosing
    census = means("paper/table2-defaults.csv", ["auc_1", "auc_2"], "model")
    assert f"income: {', '.join(census[name][0] for name in ('FS', 'PLE', 'MMoE'))}." in choosing
    others = {census[name][1] for name in ("FS", "PLE", "MMoE")}
    assert others == {census["FS"][1]}
    sentence_on_never_married = (
        f"is {census['FSMD'][1]} with `FSMDClassifier` (worse than random) and {census['FS'][1]} with these models"
    )
    assert sentence_on_never_married in choosing


def test_sentences_on_few_rows():
    few = means("quality/few_rows.csv", ["first_auc", "first_log_loss"], ["data", "rows", "mode"], digits=3)
    (auc, loss), (auc_of_30, loss_of_30) = (few["kuairand", 900, f"{epochs} epochs"] for epochs in (3, 30))
    assert (
        f"log loss of clicks of {loss} and an AUC of {auc}, after 30 epochs {loss_of_30} and {auc_of_30}."
        in text_of("docs/defaults.md")
    )
    kuairand, census = (few[name, 900, "a tenth set aside"][0] for name in ("kuairand", "census"))
    assert f"stop on gives {kuairand} on 900 rows of KuaiRand, where all rows give {auc}" in text_of("docs/defaults.md")
    assert f"more informative, it gives {census} instead of {few['census', 900, '3 epochs'][0]}." in text_of(
        "docs/defaults.md"
    )
    less, default = (few["census", 100, f"8 epochs{rate}"][0] for rate in (", lr=0.005", ""))
    assert f"100 rows of Census, of eight passes, it has an AUC of {less} instead of {default}." in text_of(
        "docs/defaults.md"
    )


def test_sentences_on_patience():
    stored = pd.read_csv(ROOT / "benchmarks" / "quality" / "patience.csv").query("rows <= 5000")
    auc, epochs = (
        stored.set_index(["data", "rows", "seed", "patience"])[column].unstack()  # noqa: PD010 (no means)
        for column in ("first_auc", "epochs")
    )
    others = auc[auc[2] != auc[6]]
    assert (len(auc), len(others), (others[2] > others[6]).sum(), (auc[1] != auc[6]).sum()) == (30, 5, 4, 7)
    assert f"take {epochs[3].mean():.1f} epochs instead of {epochs[2].mean():.1f}" in text_of("docs/defaults.md")


def test_the_table_of_learning_rates():
    auc = means("quality/learning_rates.csv", ["first_auc"], ["data", "rows", "lr"], digits=3)
    quoted = {key: " / ".join(auc[*key, lr][0] for lr in (0.002, 0.005, 0.01)) for key in {key[:2] for key in auc}}
    assert "| rows | funnels | KuaiRand | Census |" in text_of("docs/defaults.md")
    for rows, template in (
        (1000, "| 1,000 | {} | {} | {} |"),
        (3000, "| 3,000 | {} | {} | {} |"),
        (30_000, "| 30,000 | {} | {} | {} |"),
    ):
        assert template.format(*(quoted[name, rows] for name in ("funnel", "kuairand", "census"))) in text_of(
            "docs/defaults.md"
        )


def test_the_table_of_how_many_rows_are_enough():
    pair = ["first_auc", "second_auc"]
    quoted = means("quality/enough_rows.csv", pair, ["data", "rows", "model"], digits=3)
    sets, models = ("funnel", "kuairand", "census"), ("defaults", "logistic regression")
    table = table_after("## How many rows are enough", "docs/guide/choosing_a_model.md")
    assert list(table) == ["300", "1,000", "3,000", "10,000", "30,000", "90,000"]
    for rows, (cells, _) in table.items():
        n = int(rows.replace(",", ""))
        assert cells == [" / ".join(quoted[name, n, model]) for name in sets for model in models]
    stored = pd.read_csv(ROOT / "benchmarks/quality/enough_rows.csv").groupby(["model", "data", "rows"])[pair].mean()
    ahead = stored.loc["defaults"] > stored.loc["logistic regression"]
    assert ahead.loc[["census", "kuairand"]].all(axis=None)
    assert ahead.loc["funnel"].loc[3000:].all(axis=None)
    assert not ahead.loc[("funnel", 300), "first_auc"]
    both = [f"{stored.loc[(model, 'funnel', 1000), 'first_auc']:.2f}" for model in ("defaults", "logistic regression")]
    assert both[0] == both[1]  # "both are alike"
    assert ahead.loc["funnel"]["second_auc"].all()


def test_the_gain_of_regressions_on_few_rows():
    stored = pd.read_csv(ROOT / "benchmarks/quality/enough_rows.csv").groupby(["model", "data", "rows"])
    mean, pair = stored.mean(numeric_only=True), ["first_auc", "second_auc"]
    table = table_after('## `logistic_regression="auto"`', "docs/defaults.md")
    assert list(table) == ["300", "1,000", "3,000", "10,000", "30,000", "90,000"]
    for rows, (cells, _) in table.items():
        n, models = int(rows.replace(",", "")), ("network alone", "defaults")
        assert cells == [
            " / ".join(f"{mean.loc[(model, name, n), 'first_auc']:.3f}" for model in models)
            for name in ("funnel", "kuairand", "census")
        ]
    gain = (mean.loc["defaults"] - mean.loc["network alone"])[[*pair, "first_log_loss", "second_log_loss"]]
    auc, loss = gain[pair].to_numpy(), gain.drop(columns=pair).to_numpy()
    text = text_of("docs/defaults.md")
    assert f"{(loss < 0).sum()} of {loss.size} means of log loss are better, and {(auc > 0).sum()} of AUC" in text
    is_worse = (auc < 0).any(axis=1) | (loss > 0).any(axis=1)
    assert set(gain.index[is_worse].get_level_values("rows")) == {90_000}
    assert f"at 90,000 rows, lose at most {-auc.min():.4f} of AUC and {loss.max():.4f} of log loss" in text
    assert (gain["first_auc"].xs(90_000, level="rows").round(3) <= 0.001).all()
    assert "at 90,000 rows the AUC of the first target gains at most 0.001 on each" in text


def test_the_table_of_rare_events():
    stored = pd.read_csv(ROOT / "benchmarks/quality/rare_events.csv")
    setting = ["rows", "click_rate"]
    n_seeds = stored.groupby([*setting, "model"])["seed"].nunique()
    assert all((n_seeds[rows] == n).all() for rows, n in {30_000: 10, 100_000: 10, 300_000: 3}.items())
    mean = stored.groupby([*setting, "model"]).mean(numeric_only=True)
    columns = ["click_true_auc", "conversion_true_auc", "after_true_auc"]
    models = ["defaults", "network alone", "logistic regression"]
    of_model = {model: mean.xs(model, level="model") for model in models}
    events = of_model["defaults"][["clicks", "conversions"]]
    expected = {
        "{:,.0f}, {:,.0f}".format(*events.loc[key]): [
            f"{key[0]:,}",
            *(" / ".join(of_model[model].loc[key, columns].map("{:.3f}".format)) for model in models),
        ]
        for key in events.index
    }
    table = table_after("`make rare-events`", "docs/guide/rare_events.md")
    assert {name: cells for name, (cells, _) in table.items()} == expected
    lead = of_model["defaults"][columns] - of_model["logistic regression"][columns]
    assert (lead > 0).all(axis=None)
    assert (lead.loc[30_000, "click_true_auc"] < 0.005).all()  # "little ahead"
    gain = of_model["defaults"][columns] - of_model["network alone"][columns]
    assert (gain > 0).all(axis=None)
    assert gain["click_true_auc"].iloc[-2:].max() < 0.001


def test_the_score_of_early_stopping_on_rare_events():
    stored = pd.read_csv(ROOT / "benchmarks/quality/rare_events.csv").query("click_rate == 0.02")
    targets = ["click_true_auc", "conversion_true_auc", "after_true_auc"]
    rules = ["defaults", 'defaults, validation_metric="mean_auc"']
    auc = stored.pivot_table(targets, ["rows", "seed"], "model")
    means = auc.groupby("rows").mean().map("{:.3f}".format)
    expected = {
        f"{n:,}": [" / ".join(means.loc[n, (target, rule)] for target in targets) for rule in rules]
        for n in means.index
    }
    table = table_after('## `validation_metric="auto"`', "docs/defaults.md")
    assert {name: cells for name, (cells, _) in table.items()} == expected
    of_click = auc["click_true_auc"].loc[[30_000, 100_000]]
    gain = of_click[rules[0]] - of_click[rules[1]]
    higher, lower = (gain > 0).sum(), (gain < 0).sum()
    assert f"higher in {higher} of {len(gain)} seeds and lower in {lower}," in text_of("docs/defaults.md")


def test_sentences_on_numeric_features():
    pair = ["first_auc", "second_auc"]
    stored = pd.read_csv(ROOT / "benchmarks/quality/numbers.csv").groupby(["data", "variant"]).mean(numeric_only=True)
    quoted = means("quality/numbers.csv", pair, ["data", "variant"])
    names = {"Census, validation half": "census", "KuaiRand, validation days": "kuairand"}
    table = table_after('## `interpolate_bins="auto"`', "docs/defaults.md")
    variants = ["bins", "between bins", "32 bins", "4 members", "LightGBM"]
    assert len(table) == len(stored.groupby(level="data"))
    for name, (cells, _) in table.items():
        data = names.get(name, name)
        assert cells == [" / ".join(quoted[data, v]) if (data, v) in quoted else "" for v in variants]
    bins, between, fewer, members, trees = (stored.xs(variant, level="variant") for variant in variants)
    losses = ["first_log_loss", "second_log_loss"]
    lower = (between[losses] < bins[losses]).drop("kuairand")
    assert (lower.to_numpy().sum(), lower.size) == (11, 12)
    assert "is lower in eleven of twelve." in text_of("docs/defaults.md")
    after = {
        f"{means('quality/numbers.csv', ['second_after_auc'], ['data', 'variant'])['kuairand', v][0]}"
        for v in variants[:2]
    }
    assert f"({after.pop()} both times)" in text_of("docs/defaults.md")
    assert not after
    for ours, n, template in (
        (between, 7, "for seven of ten targets, by {} to {}."),
        (members, 6, "With `n_members=4` LightGBM is ahead for six, by {} to {},"),
        (fewer, 6, "with `numeric_bins=32` for six, by {} to {} (`make numbers`)"),
    ):
        ahead = (trees[pair] - ours[pair]).dropna().to_numpy().ravel()
        ahead = ahead[ahead > 0]
        assert len(ahead) == n
        assert template.format(f"{ahead.min():.4f}", f"{ahead.max():.4f}") in text_of("docs/guide/numbers.md")
    gain = (fewer[pair] - between[pair]).dropna().to_numpy()
    assert (gain > 0).sum() == 8
    assert (
        f"by up to {gain.max():.4f}, and for the second of visits one that is lower by {-gain.min():.4f}."
        in text_of("docs/defaults.md")
    )


def test_the_table_of_members_by_rows():
    quoted = means("quality/members.csv", ["first_auc"], ["data", "rows", "n_members"])
    table = table_after("| rows | funnels: one |", "docs/guide/ensembles.md")
    assert list(table) == ["1,000", "3,000", "10,000"]
    for rows, (cells, _) in table.items():
        n = int(rows.replace(",", ""))
        assert cells == [quoted[name, n, members][0] for name in ("funnel", "kuairand", "census") for members in (1, 4)]


ON_VALIDATION = {"census": "Census, validation half", "kuairand": "KuaiRand, validation days"}


def compared_by_rows(part, parameter, n_rows, values):
    """Compare a table of docs/defaults.md with stored results: `n_rows` rows and all of them, by values of a parameter.

    Returns
    -------
    stored : the rows of the file.
    mean : both AUCs by data, rows ("all" or `n_rows`) and value.
    """
    pair, stored = ["first_auc", "second_auc"], pd.read_csv(ROOT / f"benchmarks/quality/{part}.csv")
    size = stored["rows"].where(stored["rows"] == n_rows, "all")
    mean = stored.groupby(["data", size, parameter])[pair].mean()
    table = table_after(f'## `{parameter}="auto"`', "docs/defaults.md")
    largest = stored.groupby("data")["rows"].max()
    names = {f"{ON_VALIDATION.get(name, name)}, {rows:,}": name for name, rows in largest.items()}
    assert set(table) == set(names)
    for name, (cells, _) in table.items():
        expected = [mean.loc[(names[name], size, value)] for size in (n_rows, "all") for value in values]
        assert cells == [f"{first:.4f} / {second:.4f}" for first, second in expected]
    return stored, mean


def test_the_table_of_dropout():
    stored, mean = compared_by_rows("dropout", "dropout", 50_000, (0.3, 0.1))
    gain = mean.xs(0.1, level="dropout") - mean.xs(0.3, level="dropout")
    few, many = (gain.xs(size, level="rows") for size in (50_000, "all"))
    assert (few < 0).to_numpy().sum() == 9
    assert many.drop("flights").abs().max(axis=None) < 4e-4
    by_seed = stored[(stored["data"] == "flights") & (stored["rows"] > 50_000)].set_index(["dropout", "seed"])[
        ["first_auc", "second_auc"]
    ]
    assert (by_seed.loc[0.1] > by_seed.loc[0.3]).all(axis=None)


def test_the_table_of_widths():
    _, mean = compared_by_rows("widths", "embedding_dim", 100_000, (16, 32))
    gain = (mean.xs(32, level="embedding_dim") - mean.xs(16, level="embedding_dim")).drop("kuairand")
    assert gain.min(axis=None) > -2e-4
    assert (gain.loc["flights"] > 5e-4).all(axis=None)
