"""Compare the speed of this tree and of an earlier commit: ``make against REV=bcba792 EXTRA=fast``.

The speed of a machine drifts, so the two run in turn, each in its own interpreter. The result is the median of the
ratios within the rounds. With ``make against REV=04dd4b3 EXTRA=arrow FIT=kuairand`` each makes whole fits with its own
default parameters and early stopping, on the days of the protocol.
"""

import argparse
import json
import pickle
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.quality.data import load

ROOT = Path(__file__).parent.parent.parent
TREES = ROOT / "build" / "against"
CASES = {
    "train, batch 2048": {"batch": 2048, "score": False},
    "train, batch 2048, bf16": {"batch": 2048, "score": False, "params": {"precision": "bf16"}},
    "train, batch 256": {"batch": 256, "score": False},
    "score": {"batch": 2048, "score": True, "n_score": 500_000},
    "score one row": {"batch": 2048, "score": True, "n_score": 1, "calls": 500},
}
N_TRAIN, EPOCHS = 60_000, 2

WORKER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
from benchmarks.speed import data
from benchmarks.speed.contenders import Ours
case = json.loads(sys.argv[1])
model, table = Ours(case["batch"], **case.get("params", {})), data.make(case["n_train"])
model.fit(*table, 1)
codes, numbers, _ = data.make(case.get("n_score", 10))
for _ in sys.stdin:
    start = time.perf_counter()
    for _ in range(case.get("calls", 1)):
        model.predict(codes, numbers) if case["score"] else model.fit(*table, case["epochs"])
    print(json.dumps(time.perf_counter() - start), flush=True)
"""

FITTER = """
import json, pickle, sys, time, warnings
warnings.filterwarnings("ignore")
import sklearn_fsmd
case = json.loads(sys.argv[1])
with open(case["table"], "rb") as file:
    X, Y, X_val, Y_val = pickle.load(file)
for seed, _ in enumerate(sys.stdin):
    model = getattr(sklearn_fsmd, case["estimator"])(random_state=seed)
    start = time.perf_counter()
    model.fit(X, Y, X_val=X_val, Y_val=Y_val)
    print(json.dumps(time.perf_counter() - start), flush=True)
"""


class Tree:
    """A checkout whose interpreter repeats a piece of work on request."""

    def __init__(self, root, python, code, case):
        command = [python, "-c", code, json.dumps(case)]
        self.process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def checkout(revision, extra):
    """The path of the earlier commit, and the Python of its environment; both are created if necessary."""
    root = TREES / revision
    python = root / ".venv" / "bin" / "python"
    if not python.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, root], check=True)
        subprocess.run(["git", "checkout", "--quiet", revision], cwd=root, check=True)
        subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True)
        requirement = f".[{extra}]" if extra else "."
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--editable", requirement], cwd=root, check=True)
    return root, python


def whole_fit(name):
    """The case of fits with the defaults, with one file of rows for both trees."""
    table, path = load(name), TREES / f"{name}.pickle"
    path.write_bytes(pickle.dumps((*table.train, *table.valid)))
    return {"table": str(path), "estimator": "FSMDClassifier" if table.is_funnel else "FSClassifier"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision")
    parser.add_argument("--extra", default="", help="an extra of the earlier commit, such as fast")
    parser.add_argument(
        "--fit", choices=["kuairand", "census"], help="make whole fits with the defaults on this data instead"
    )
    parser.add_argument("--only", choices=CASES, nargs="*", default=list(CASES), help="only these cases")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    earlier = checkout(options.revision, options.extra)
    if options.fit:
        works = {f"a fit with the defaults, {options.fit}": (FITTER, whole_fit(options.fit))}
    else:
        sizes = {"n_train": N_TRAIN, "epochs": EPOCHS}
        works = {name: (WORKER, CASES[name] | sizes) for name in options.only}
    for name, work in works.items():
        trees = [Tree(*earlier, *work), Tree(ROOT, sys.executable, *work)]
        ratios = []
        for _ in range(options.rounds):
            before, now = (tree.seconds() for tree in trees)
            ratios.append(before / now)
        for tree in trees:
            tree.close()
        print(f"{name}: {statistics.median(ratios):.3f} ({', '.join(f'{r:.2f}' for r in sorted(ratios))})", flush=True)


if __name__ == "__main__":
    main()
