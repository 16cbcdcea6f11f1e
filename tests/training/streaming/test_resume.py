"""A killed fit on files resumes to the identical model, also in the middle of an epoch."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.sources import parquet, sizes
from sklearn_fsmd.training import Net
from tests.conftest import make_frame
from tests.test_checkpoint import assert_same_fit
from tests.training.streaming.conftest import PARAMS, TARGETS, together, write

MORE = PARAMS | {"max_epochs": 3, "patience": 3}
SMALL_SIZES = {"BLOCK_ROWS": 150, "POOL_ROWS": 300, "OPEN_GROUPS": 3}


def steps_until_killed(path, checkpoint, epoch, batch, checkpoint_rows):
    """Fit in a process that is killed before a step; returns the number of steps it has taken."""
    script = f"""
        import os, signal, torch
        torch.set_num_threads(1)
        from sklearn_fsmd import FSMDClassifier
        from sklearn_fsmd.encoding.sources import parquet, sizes
        from sklearn_fsmd.training import Net
        vars(sizes).update({SMALL_SIZES!r})
        step, steps = Net.train_step, []
        def die(net, *args, **kwargs):
            if len(net.history) == {epoch} and len(net.losses_and_sizes[0]) == {batch}:
                print(len(steps), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            steps.append(0)
            return step(net, *args, **kwargs)
        Net.train_step = die
        model = FSMDClassifier(**{MORE!r}, checkpoint={str(checkpoint)!r}, checkpoint_rows={checkpoint_rows!r})
        model.fit_dataset({str(path)!r}, {TARGETS!r}, resume=True)
    """
    proc = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert proc.returncode == -signal.SIGKILL, proc.stderr
    return int(proc.stdout)


@pytest.mark.parametrize("checkpoint_rows", [200, None], ids=["within an epoch", "after an epoch"])
def test_a_killed_fit_resumes_to_the_identical_model(checkpoint_rows, tmp_path, monkeypatch):
    for name, value in SMALL_SIZES.items():
        monkeypatch.setattr(sizes, name, value)
    steps, step = [], Net.train_step
    monkeypatch.setattr(Net, "train_step", lambda net, *args, **kwargs: steps.append(0) or step(net, *args, **kwargs))
    path = write(tmp_path / "a.parquet", *make_frame(1200))
    whole = FSMDClassifier(**MORE).fit_dataset(path, TARGETS)
    n_steps = len(steps)
    n_before = steps_until_killed(path, tmp_path / "c", 1, 9, checkpoint_rows) if checkpoint_rows else 0
    n_before += steps_until_killed(path, tmp_path / "c", 2, 13, checkpoint_rows)
    model = FSMDClassifier(**MORE, checkpoint=tmp_path / "c", checkpoint_rows=checkpoint_rows)
    assert_same_fit(model.fit_dataset(path, TARGETS, resume=True), whole)
    again = n_before + len(steps) - 2 * n_steps
    assert again == (1 + 1 if checkpoint_rows else 13)  # checkpoints are four steps apart


def test_resuming_with_other_data_is_refused(tmp_path, monkeypatch):
    X, Y = make_frame(1200)
    path = write(tmp_path / "a.parquet", X, Y)
    model = FSMDClassifier(**MORE, checkpoint=tmp_path / "c").fit_dataset(path, TARGETS)
    again = FSMDClassifier(**MORE, checkpoint=tmp_path / "c").fit_dataset(path, TARGETS, resume=True)
    assert_same_fit(model, again)
    for other in (write(tmp_path / "b.parquet", X, 1 - Y), write(tmp_path / "b.parquet", X, Y, rows=70)):
        with pytest.raises(ValueError, match="The data are not those of the fit that wrote .*c."):
            model.fit_dataset(other, TARGETS, resume=True)
    with pytest.raises(ValueError, match="The data are not those"):
        model.fit_dataset(path, TARGETS, columns=["price", "user"], resume=True)
    monkeypatch.setattr(parquet, "ORDER", 1)  # another version of the library, with another order of rows
    with pytest.raises(ValueError, match="The data are not those"):
        model.fit_dataset(path, TARGETS, resume=True)


def test_the_same_rows_are_refused_if_their_bytes_change_the_order(tmp_path, monkeypatch):
    """The largest row group sets how many row groups are open at a time, and so the order of an epoch."""
    path, rows = tmp_path / "a.parquet", together(*make_frame(1200))

    def write_rows(**options):
        rows.to_parquet(path, row_group_size=20, index=False, **options)
        return parquet.ParquetSource(path).footers[0].largest

    model, again = (FSMDClassifier(**MORE, checkpoint=tmp_path / "c") for _ in range(2))
    plain, coded = write_rows(use_dictionary=False), write_rows(use_dictionary=True)
    assert plain != coded
    monkeypatch.setattr(sizes, "OPEN_BYTES", 20 * coded)
    model.fit_dataset(path, TARGETS)
    write_rows(compression="zstd")
    assert_same_fit(model, again.fit_dataset(path, TARGETS, resume=True))
    write_rows(use_dictionary=False)
    with pytest.raises(ValueError, match="The data are not those of the fit that wrote .*c."):
        again.fit_dataset(path, TARGETS, resume=True)


def test_changed_rows_outside_the_sample_are_detected(tmp_path, monkeypatch):
    """Labels change places within a row group, or one city changes; sums and sizes stay the same."""
    monkeypatch.setattr(sizes, "SAMPLE_ROWS", 100)
    X, Y = make_frame(1200)
    path = write(tmp_path / "a.parquet", X, Y)
    model = FSMDClassifier(**MORE, checkpoint=tmp_path / "c").fit_dataset(path, TARGETS)
    swapped, moved = Y.copy(), X.copy()
    for start in range(0, 1200, 100):
        swapped.iloc[start : start + 100] = Y.iloc[start : start + 100].to_numpy()[::-1]
    row = X.index[X["city"] == "Rome"][40]
    moved.loc[row, "city"] = "Oslo"
    for rows in ((X, swapped), (moved, Y)):
        write(path, *rows)
        with pytest.raises(ValueError, match="The data are not those of the fit that wrote"):
            model.fit_dataset(path, TARGETS, resume=True)


@pytest.mark.parametrize(("column", "value"), [("tags", ["b", "a"]), ("picture", [0.7, 2.0])], ids=["list", "vector"])
@pytest.mark.parametrize("from_function", [False, True], ids=["files", "function"])
def test_a_changed_list_or_vector_is_detected(from_function, column, value, tmp_path):
    X, Y = make_frame(400)
    X = X.assign(tags=[["a", "b"][: i % 3] for i in range(400)], picture=[[0.1 * i, 1.0] for i in range(400)])

    def source(X):
        return (lambda: iter([together(X, Y)])) if from_function else write(tmp_path / "a.parquet", X, Y)

    model = FSMDClassifier(**MORE, checkpoint=tmp_path / "c").fit_dataset(source(X), TARGETS)
    again = FSMDClassifier(**MORE, checkpoint=tmp_path / "c").fit_dataset(source(X), TARGETS, resume=True)
    assert_same_fit(model, again)
    X.at[X.index[7], column] = value
    with pytest.raises(ValueError, match="The data are not those"):
        model.fit_dataset(source(X), TARGETS, resume=True)


def test_the_digest_of_rows_is_the_same_in_each_process():
    script = """
        import numpy as np, pandas as pd
        from sklearn_fsmd.training.streaming.content import Content
        content = Content()
        values = [{"x", "yy", "zzz"}, [1, "1"], None, "\\ud800", b"a\\xff", np.arange(3.0)]
        content.add(pd.DataFrame({"any": pd.Series(values, dtype=object), "c": pd.Categorical(list("abcabc"))}))
        print(content.hexdigest())
    """
    digests = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
