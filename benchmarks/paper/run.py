"""The paper's tables and figures, rerun: ``make paper``, ``make paper PART=table2``, ``make paper QUICK=1``.

Stored results are not computed again, so a run that was stopped continues where it was. A part takes up to some hours,
one seed of a part less than an hour: ``make paper PART=table2 SEED=3``.
"""

import argparse
import shutil
import warnings
from pathlib import Path

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from benchmarks.paper.jobs import N_PROCESSES, PARTS, jobs_of
from benchmarks.paper.report import write_report
from benchmarks.paper.settings import ABLATIONS
from benchmarks.paper.store import HERE, Store

QUICK_FOLDER = Path("build/paper-quick")


def run_part(part, seeds, folder, quick):
    store = Store(part, folder)
    jobs = [job for job in jobs_of(part, seeds) if not store.has(job.key())]
    # A grid search runs its own fits in parallel.
    parallel = Parallel(n_jobs=1 if part in ABLATIONS else N_PROCESSES, return_as="generator_unordered")
    for rows in tqdm(
        parallel(delayed(_run)(job, quick, folder) for job in jobs), total=len(jobs), desc=part, unit=" jobs"
    ):
        store.add(rows)


def _run(job, quick, folder):
    warnings.filterwarnings("ignore")
    return job.run(quick, folder)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=list(PARTS), nargs="*", default=list(PARTS))
    parser.add_argument("--seed", type=int, nargs="*", default=None, help="only these seeds, from 0 to 4")
    parser.add_argument("--quick", action="store_true", help="a few rows, one epoch and one seed, as a test")
    parser.add_argument("--folder", type=Path, default=None, help="folder of the results")
    options = parser.parse_args(arguments)
    folder = options.folder or (QUICK_FOLDER if options.quick else HERE)
    if folder == QUICK_FOLDER:
        shutil.rmtree(folder, ignore_errors=True)  # a quick run tests the code, so it starts from scratch
    for part in options.part:
        seeds = range(1 if options.quick else PARTS[part]) if options.seed is None else options.seed
        run_part(part, seeds, folder, options.quick)
    write_report(folder)


if __name__ == "__main__":
    main()
