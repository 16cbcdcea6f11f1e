"""Score a folder of files
=======================

Score the files of a folder in several processes or on several machines, with Ray or Dask. After an interruption, only
the missing files are scored.

Needs one of the two, ``pip install 'sklearn-fsmd[ray]' 'dask[distributed]'``.
"""

# sphinx_gallery_thumbnail_path = 'stored/score_a_folder_1.png'

import sys
import tempfile
from pathlib import Path

import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.scoring import score_file


def score(model, source, sink):
    """Score one file; an output that exists is complete, and is kept."""
    return score_file(model, source, sink, keep=["user_id", "item_id"], resume=True)


def by_ray(model, sources, sinks):
    import ray

    if not ray.is_initialized():
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    remote = ray.remote(score)
    return ray.get([remote.remote(model, source, sink) for source, sink in zip(sources, sinks, strict=True)])


def by_dask(model, sources, sinks):
    from dask.distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        return client.gather(client.map(score, [model] * len(sources), sources, sinks, pure=False))


def score_folder(model, folder, into, engine):
    """Score the files of a folder; return how many rows of each file this call scored."""
    sources = sorted(map(str, Path(folder).glob("*.parquet")))
    Path(into).mkdir(exist_ok=True)
    sinks = [str(Path(into) / Path(source).name) for source in sources]
    return {"ray": by_ray, "dask": by_dask}[engine](str(model), sources, sinks)


def main(engine="dask", n_samples=20_000, n_files=4):
    X, Y = make_funnel(n_samples + 5000, random_state=0, return_X_y=True)
    model = FSMDClassifier(max_epochs=2, random_state=0).fit(X[:5000], Y[:5000])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "model")
        (folder / "rows").mkdir()
        size = n_samples // n_files
        for i in range(n_files):
            rows = X[5000 + i * size : 5000 + (i + 1) * size]
            rows.to_parquet(folder / "rows" / f"part-{i}.parquet", index=False)
        first = score_folder(folder / "model", folder / "rows", folder / "scores", engine)
        (folder / "scores" / "part-1.parquet").unlink()  # as if the job had been interrupted before this file
        again = score_folder(folder / "model", folder / "rows", folder / "scores", engine)
        scores = pd.read_parquet(folder / "scores")
    print(f"{engine}: rows that were scored in the first call: {first}; in the second: {again}")
    return first, again, scores, model.predict_marginals(X[5000 : 5000 + size * n_files])


def draw(first, again):
    """Draw how many rows of each file the two calls scored."""
    calls = pd.DataFrame({"first call": first, "second call": again})
    ax = calls.plot.bar(figsize=(6, 3.5), rot=0, ylim=(0, 1.35 * max(first)))
    ax.set(xlabel="file", ylabel="rows scored", title="One file was lost between the calls")


if __name__ == "__main__":
    draw(*main(*sys.argv[1:])[:2])
