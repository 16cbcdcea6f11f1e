"""The reproduction of the paper runs from data to tables and figures, and resumes where it was stopped."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from benchmarks.paper import jobs, report, run
from benchmarks.paper.claims import CLAIMS, FUNNEL, measured, summary, verdict
from benchmarks.paper.jobs import PARTS, jobs_of
from benchmarks.paper.settings import ABLATIONS, PAPER, TABLE_2, TABLE_4
from benchmarks.paper.start import equal_starts
from benchmarks.paper.store import TYPES, Store
from sklearn_fsmd import MMoEClassifier, PLEClassifier
from tests.conftest import SMALL, make_frame, supported


def quick(folder, *parts):
    run.main(["--quick", "--folder", str(folder), "--part", *parts])
    return {part: pd.read_csv(folder / f"{part}.csv", dtype=TYPES) for part in parts}


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    monkeypatch.setattr(run, "N_PROCESSES", 1)
    monkeypatch.setattr(jobs, "N_PROCESSES", 1)


def test_the_settings_cover_all_rows_of_the_paper():
    assert set(PAPER["table2"]) <= set(TABLE_2)
    assert set(PAPER["table4"]) == set(TABLE_4)
    assert set(ABLATIONS) < set(PARTS)
    assert all(n >= 5 for n in PARTS.values())
    assert len({str(job.key()) for job in jobs_of("funnel", range(5))}) == 5 * 3 * len(TABLE_4)


def test_the_funnel_part_writes_results_and_resumes(tmp_path, monkeypatch):
    rows = quick(tmp_path, "funnel")["funnel"]
    assert len(rows) == 3 * len(TABLE_4)
    for measure in ("auc_1", "auc_2", "cvr_auc", "rmse_1", "rmse_2"):
        assert rows[measure].between(0, 1).all()
    text = (tmp_path / "results.md").read_text()
    assert "| FSMD |" in text
    assert rows["commit"].iloc[0] in text

    rows.iloc[:-1].to_csv(tmp_path / "funnel.csv", index=False)  # as if killed before the last fit
    ran = []
    monkeypatch.setattr(run, "_run", lambda job, quick, folder: ran.append(job) or job.run(quick, folder))
    resumed = quick(tmp_path, "funnel")["funnel"]
    assert len(ran) == 1
    pd.testing.assert_frame_equal(
        resumed.drop(columns=["seconds", "commit", "versions"]), rows.drop(columns=["seconds", "commit", "versions"])
    )


def test_stored_rows_of_another_commit_are_discarded(tmp_path):
    folder = tmp_path / "results"
    store = Store("table2", folder)
    for seed in range(2):
        store.add([{"model": "FS", "seed": seed}])
    assert Store("table2", folder).has({"model": "FS", "seed": 1})
    rows = pd.read_csv(folder / "table2.csv").assign(commit="0123abc")
    rows.to_csv(folder / "table2.csv", index=False)
    reopened = Store("table2", folder)
    assert not reopened.has({"model": "FS", "seed": 1})
    reopened.add([{"model": "FS", "seed": 1}])
    assert len(pd.read_csv(folder / "table2.csv")) == 1


def test_tables_and_figures_on_real_data(tmp_path, real_data):
    results = quick(tmp_path, "table2", "table4", "figure11", "figure12", "figure13", "table4-defaults")
    assert list(results["table2"]["model"]) == [*TABLE_2, "FS, autoencoder"]
    assert list(results["table4"]["model"])[len(TABLE_4) :] == ["FSMD, autoencoder", "FSMD, bias tower", "FSMD, both"]
    assert list(results["table4-defaults"]["model"]) == list(TABLE_4)
    assert "cvr_auc" not in results["table2"]
    assert list(results["figure13"]["param_n_task_experts"]) == [1, 2, 3, 4, 5, 6] * 2
    assert list(results["figure13"]["param_n_levels"]) == [1] * 6 + [2] * 6
    text = (tmp_path / "results.md").read_text()
    assert "0.9216 / 0.9756" in text
    for claim in CLAIMS:
        assert any(line.startswith(f"| {claim.text}") for line in text.splitlines()) == (claim not in FUNNEL), claim
    for figure in ("10", "11-1", "11-2", "12-1", "12-2", "13-1", "13-2"):
        assert f"](figure{figure}.png)" in text
        assert (tmp_path / f"figure{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_equal_starts_give_models_the_same_initial_weights():
    X, Y = make_frame()
    states = []
    for cls, sizes in [(MMoEClassifier, {"n_experts": 5}), (PLEClassifier, {"n_task_experts": 1})]:
        with equal_starts(3):
            model = cls(**supported(cls, SMALL) | sizes | {"lr": 1e-30, "weight_decay": 0.0}).fit(X, Y)
        states.append({name: tensor.clone() for name, tensor in model.module_.state_dict().items()})
    one, other = states
    assert torch.equal(one["embedding.table.weight"], other["embedding.table.weight"])
    experts = [next(t for n, t in state.items() if "experts" in n and t.dim() == 3) for state in states]
    n = min(len(stack) for stack in experts)
    assert n >= 3
    assert torch.equal(experts[0][:n], experts[1][:n])
    assert not torch.equal(experts[0][0], experts[0][1])


def make_results(part, aucs, commit="abc"):
    """Results with five seeds; `aucs` maps each row to its mean AUC and the spread of the seeds."""
    noise = np.array([-1, 1, 0, 2, -2])
    frames = [
        pd.DataFrame({"row": row, "seed": range(5), "mean_auc": mean + spread * np.roll(noise, i), "commit": commit})
        for i, (row, (mean, spread)) in enumerate(aucs.items())
    ]
    return {part: pd.concat(frames).assign(auc_1=lambda rows: rows["mean_auc"], auc_2=lambda rows: rows["mean_auc"])}


def test_verdicts_on_claims_that_one_model_is_better():
    results = make_results("table4", {"FSMD": (0.73, 1e-5), "MMoE": (0.728, 1e-5), "ESMM": (0.727, 1e-5)})
    frame = measured(results).set_index("over")
    above = frame[frame["claim"] == "FSMD is better than MMoE and ESMM"]
    assert verdict(above["shown"]) == "holds"
    assert above.loc["MMoE", "mean"] == pytest.approx(0.002)
    assert (frame["adjusted"] >= frame["p"]).all()

    users = pd.DataFrame([["table4", "FSMD", "MMoE", "mean_auc", -0.001, 0.005]])
    users.columns = ["part", "of", "over", "measure", "users_low", "users_high"]
    assert measured(results, users).set_index("over").loc["MMoE", "shown"].tolist() == [0, 0]

    noisy = make_results("table4", {"FSMD": (0.73, 1e-2), "MMoE": (0.728, 1e-2), "ESMM": (0.727, 1e-5)})
    assert verdict(measured(noisy)["shown"]) == "not shown"
    against = make_results("table4", {"FSMD": (0.73, 1e-5), "MMoE": (0.728, 1e-5), "ESMM": (0.735, 1e-5)})
    frame = measured(against)
    assert verdict(frame.loc[frame["claim"] == "FSMD is better than MMoE and ESMM", "shown"]) == "does not hold"


def test_merging_keeps_the_user_intervals_of_other_parts():
    results = make_results("table4", {"FSMD": (0.73, 1e-5)}) | make_results(
        "table4-defaults", {"FSMD": (0.73, 1e-5)}, "def"
    )
    results |= make_results("table2", {"FSMD": (0.73, 1e-5)}, "new")
    columns = ["part", "of", "users_low", "commit"]
    previous = pd.DataFrame([["table4", "FSMD", 1.0, "abc"], ["table2", "FSMD", 2.0, "old"]], columns=columns)
    previous.loc[2] = ["table4-defaults", "FS", 3.0, "def"]
    new = pd.DataFrame([["table4-defaults", "FSMD", 4.0, "def"]], columns=columns)
    assert report.merge_intervals(previous, new, results)["users_low"].tolist() == [1.0, 4.0]
    assert report.merge_intervals(previous, pd.DataFrame(), results)["users_low"].tolist() == [1.0, 3.0]
    assert report.merge_intervals(None, new, results) is new


def test_rows_of_different_commits_are_not_paired():
    results = make_results("table4", {"FSMD": (0.73, 1e-5), "MMoE": (0.728, 1e-5)})["table4"]
    mixed = results.assign(commit=np.where(results["row"] == "MMoE", "abc", "def"))
    assert len(measured({"table4": results})) > len(measured({"table4": mixed})) == 0


PAGE = report.PAGE.read_text()


def test_the_tables_of_the_page_equal_the_results():
    assert report.with_verdicts(PAGE, report.measured(report.HERE)) == PAGE
    assert PAGE.count("<!-- ") == 2 * len(report.SECTIONS)


@pytest.mark.parametrize(("file", "target"), [(f, t) for f in ("pretraining", "pretraining-20000") for t in (1, 2)])
def test_the_page_quotes_the_results_of_pretraining(file, target):
    rows = pd.read_csv(report.HERE.parent / f"{file}.csv")
    means = rows.pivot_table(index="seed", columns="pretrained", values=f"auc_{target}")
    gain = means[True] - means[False]
    expected = f"{gain.mean():+.4f} ± {gain.std():.4f}"
    if file == "pretraining":
        p = stats.ttest_1samp(gain, 0).pvalue
        expected = f"{means[False].mean():.4f} to {means[True].mean():.4f}, {expected} (p = {p:.3f})"
    assert expected in " ".join(PAGE.split())


def test_verdicts_on_claims_that_models_are_alike():
    def verdict_of(difference):
        results = make_results("table4", {"FSMD": (0.73, 1e-5), "MMoE": (0.728, 1e-5), "ESMM": (0.727, 1e-5)})
        epochs = np.array([3, 3.5, 3, 3.5, 3])
        rows = results["table4"] = results["table4"].reset_index(drop=True)
        rows["best_epoch"] = np.tile(epochs, 3) + np.where(rows["row"] == "FSMD", difference, 0.0)
        rows.loc[0, "best_epoch"] += 0.1  # a row of FSMD, so that the interval has a width
        frame = measured(results)
        frame = frame[frame["within"].notna()]
        assert frame["adjusted"].isna().all()
        (line,) = [line for line in summary(frame, defaults=False) if "similar" in line]
        assert "(weakest of 2)" in line
        assert verdict(frame["shown"]) in line
        return verdict(frame["shown"])

    assert verdict_of(0.5) == "holds"
    assert verdict_of(-1.0) == "not shown"
    assert verdict_of(3) == verdict_of(-3) == "does not hold"


def test_a_part_can_be_run_seed_by_seed(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(run, "run_part", lambda part, seeds, folder, quick: calls.append((part, list(seeds))))
    monkeypatch.setattr(run, "write_report", lambda folder: None)
    run.main(["--folder", str(tmp_path), "--part", "table2", "figure13", "--seed", "3"])
    run.main(["--folder", str(tmp_path), "--part", "table2"])
    assert calls == [("table2", [3]), ("figure13", [3]), ("table2", [0, 1, 2, 3, 4])]
    assert {job.seed for part in PARTS for job in jobs_of(part, [3])} == {3}
