"""Every example runs on small data and gives plausible results."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SMALL

EXAMPLES = Path(__file__).parent.parent / "examples"


def main_of(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_every_example_is_tested():
    tested = {"quickstart", "pipeline_with_encoders", "ablation_with_grid_search", "own_extractor", "demo"}
    tested |= {"rank_by_two_objectives", "history", "watch_time", "optuna_over_files", "five_lines", "kuairand"}
    tested |= {"understanding", "model_card", "shop_day_by_day"}
    tested |= {"train_on_ray", "score_a_folder"}  # in tests/cluster
    tested |= {"track_with_mlflow", "track_with_tensorboard", "search_with_optuna", "two_objectives_with_optuna"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested


def test_five_lines():
    outcome = runpy.run_path(str(EXAMPLES / "five_lines.py"))
    assert 0.55 < outcome["auc"] < 1
    assert outcome["p"].shape == (1000, 2)


def test_quickstart():
    assert main_of("quickstart")(3000)[0].between(0.5, 1).all()


def test_pipeline_with_encoders():
    means = main_of("pipeline_with_encoders")(1500)
    assert 0.5 < means["click_auc"] < 1
    assert means["neg_mean_log_loss"] < 0


def test_ablation_with_grid_search():
    results = main_of("ablation_with_grid_search")(900)
    assert len(results) == 12
    assert not results[["low_order", "extractor", "link"]].astype(str).duplicated().any()
    np.testing.assert_allclose(results["mean_auc"], results[["click_auc", "conversion_auc"]].mean(axis=1), atol=1e-9)
    assert results["mean_auc"].between(0.5, 1).all()


def test_own_extractor():
    assert 0.5 < main_of("own_extractor")(3000)[0] < 1


def test_rank_by_two_objectives():
    table = main_of("rank_by_two_objectives")(4000)
    assert table["NDCG@5"].between(0.3, 1).all()
    assert table.loc["click alone", "weights"] == "1.00 : 0.00"


def test_watch_time():
    ablation, ranking = main_of("watch_time")(5000)
    assert ablation["mean_auc"].between(0.5, 1).all()
    assert ablation["watch_seconds_concordance"].between(0.45, 1).all()
    assert len(ablation) == 4
    assert ranking["expected_seconds"].is_monotonic_decreasing
    product = ranking["click"] * ranking["seconds_if_clicked"]
    np.testing.assert_allclose(product, ranking["expected_seconds"], rtol=1e-4)


def test_optuna_over_files():
    study = main_of("optuna_over_files")(4000, n_trials=3, **SMALL | {"max_epochs": 1})
    assert len({trial.value for trial in study.trials}) == 3
    assert 0.5 < study.best_value == max(trial.value for trial in study.trials) < 1


def test_history():
    table = main_of("history")(12_000)
    assert list(table.index) == [25, 26, 27, 28, 29]
    assert table["with history"].mean() > table["without"].mean() > 0.5


def test_shop():
    by_day, shelf = main_of("shop_day_by_day")(20_000)
    assert list(by_day.index) == list(range(20, 30))
    assert by_day.to_numpy().min() > 0.5
    is_updated = by_day["updated daily"] != by_day["never updated"]
    assert list(by_day.index[is_updated]) == [25, 26, 27, 28, 29]  # the rows of day 20 are final after day 24
    assert shelf["expected_revenue"].is_monotonic_decreasing
    assert (shelf["order"] < shelf["click"]).all()


def test_understanding(tmp_path):
    example = runpy.run_path(str(EXAMPLES / "understanding.py"))
    frame, displays = example["main"](3000)
    example["save"](displays, tmp_path)
    assert frame["click", "mean"].idxmax() in ("item_id", "brand", "user")  # a brand is half of an item's appeal
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{name}.png" for name in ("importances", "attributions", "reliability", "lift", "pareto")}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_model_card(tmp_path):
    text = main_of("model_card")(3000, path=tmp_path / "card.md", n_bootstrap=10)
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == text
    assert "nobody's" in text
    assert text.count("data:image/png;base64,") == 5


@pytest.mark.filterwarnings("ignore")  # warnings of the database of mlflow
def test_track_with_mlflow(tmp_path):
    import mlflow

    curves, difference = main_of("track_with_mlflow")(1500, tmp_path / "new")
    assert difference <= 1e-5
    assert len(curves) >= 2
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]
    means = curves[["valid_auc_click", "valid_auc_conversion"]].mean(axis=1)
    np.testing.assert_allclose(curves["valid_auc"], means, atol=1e-9)
    (run,) = mlflow.search_runs(experiment_names=["funnel"], output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["embedding_dim"] == "auto"
    assert 0.5 < run.data.metrics["test_auc_click"] < 1


def test_track_with_tensorboard(tmp_path):
    table = main_of("track_with_tensorboard")(1500, tmp_path)
    assert list(table.index) == ["FSMD", "Shared-Bottom"]
    assert list(table.columns) == ["click", "conversion"]
    assert table.to_numpy().min() > 0.5


def test_search_with_optuna():
    trials, auc = main_of("search_with_optuna")(1500, n_trials=6)
    assert set(trials["state"]) == {"COMPLETE", "PRUNED"}
    assert trials.loc[trials["state"] == "COMPLETE", "value"].between(0.5, 1).all()
    assert 0.5 < auc < 1


def test_two_objectives_with_optuna(tmp_path):
    trials = main_of("two_objectives_with_optuna")(2000, n_trials=4, folder=tmp_path / "new")
    auc = trials[["AUC click", "AUC conversion"]].to_numpy()
    beaten = [((auc >= point).all(axis=1) & (auc > point).any(axis=1)).any() for point in auc]
    assert trials["is_best"].tolist() == [not found for found in beaten]
    assert (tmp_path / "new" / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_demo(tmp_path):
    table = main_of("demo")(n_samples=3000, folder=tmp_path)
    assert list(table.index) == ["FSMD", "Shared-Bottom", "Single-Task"]
    assert table["AUC click"].between(0.5, 1).all()
    assert table["RMSE to true P(click)"].between(0, 0.5).all()
    picture = (tmp_path / "demo-funnel.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize("data", ["kuairand", "census"])
def test_demo_on_real_data(data, tmp_path, real_data):
    table = main_of("demo")(data, n_samples=2000, folder=tmp_path)
    assert table.filter(like="AUC").to_numpy().min() > 0.5


def test_kuairand(real_data):
    table, predictions = main_of("kuairand")(6000)
    assert (table["AUC"] > 0.55).all()
    assert (predictions["conversion"] <= predictions["click"]).all()
    assert len(predictions) > 500
