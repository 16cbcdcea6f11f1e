"""The reproduction of the paper runs from data to tables and figures, and goes on where it was stopped."""

import pandas as pd
import pytest

from benchmarks.paper import jobs, run
from benchmarks.paper.jobs import PARTS, jobs_of
from benchmarks.paper.settings import ABLATIONS, PAPER, TABLE_2, TABLE_4
from benchmarks.paper.store import Store


def quick(folder, *parts):
    run.main(["--quick", "--folder", str(folder), "--part", *parts])
    return {part: pd.read_csv(folder / f"{part}.csv") for part in parts}


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    monkeypatch.setattr(run, "N_PROCESSES", 1)
    monkeypatch.setattr(jobs, "N_PROCESSES", 1)


def test_all_rows_of_the_paper_are_there():
    assert set(PAPER["table2"]) <= set(TABLE_2)
    assert set(PAPER["table4"]) == set(TABLE_4)
    assert all(n >= (3 if part in ABLATIONS else 5) for part, n in PARTS.items())
    assert len({str(job.key()) for job in jobs_of("funnel", 5)}) == 5 * 3 * len(TABLE_4)


def test_funnel(tmp_path, monkeypatch):
    rows = quick(tmp_path, "funnel")["funnel"]
    assert len(rows) == 3 * len(TABLE_4)
    for measure in ("auc_1", "auc_2", "cvr_auc", "rmse_1", "rmse_2"):
        assert rows[measure].between(0, 1).all()
    report = (tmp_path / "results.md").read_text()
    assert "| FSMD |" in report
    assert rows["commit"].iloc[0] in report

    rows.iloc[:-1].to_csv(tmp_path / "funnel.csv", index=False)  # as if killed before the last fit
    ran = []
    monkeypatch.setattr(run, "_run", lambda job, quick: ran.append(job) or job.run(quick))
    again = quick(tmp_path, "funnel")["funnel"]
    assert len(ran) == 1
    pd.testing.assert_frame_equal(
        again.drop(columns=["seconds", "commit", "versions"]), rows.drop(columns=["seconds", "commit", "versions"])
    )


def test_rows_of_another_commit_are_not_gone_on_with(tmp_path):
    folder = tmp_path / "results"
    store = Store("table2", folder)
    for seed in range(2):
        store.add([{"model": "FS", "seed": seed}])
    assert Store("table2", folder).has({"model": "FS", "seed": 1})
    rows = pd.read_csv(folder / "table2.csv").assign(commit="0123abc")
    rows.to_csv(folder / "table2.csv", index=False)
    again = Store("table2", folder)
    assert not again.has({"model": "FS", "seed": 1})
    again.add([{"model": "FS", "seed": 1}])
    assert len(pd.read_csv(folder / "table2.csv")) == 1


def test_tables_and_figures_on_real_data(tmp_path, real_data):
    results = quick(tmp_path, "table2", "table4", "figure11", "figure12", "figure13", "table4-defaults")
    assert list(results["table2"]["model"]) == list(TABLE_2)
    assert "cvr_auc" not in results["table2"]
    assert list(results["figure13"]["param_n_task_experts"]) == [1, 2, 3, 4, 5, 6]
    report = (tmp_path / "results.md").read_text()
    assert "0.9216 / 0.9756" in report
    for figure in (10, 11, 12, 13):
        assert f"](figure{figure}.png)" in report
        assert (tmp_path / f"figure{figure}.png").read_bytes().startswith(b"\x89PNG")
