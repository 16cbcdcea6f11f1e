"""This tree against a former commit, in turn on one machine: ``make against REV=bcba792 EXTRA=fast``.

Absolute figures drift with the machine, so the two are asked by turns, each by an interpreter of its own. The
median of the ratios within the rounds is what counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TREES = ROOT / "build" / "against"
CASES = {
    "train, batch 2048": {"batch": 2048, "score": False},
    "train, batch 2048, bf16": {"batch": 2048, "score": False, "params": {"precision": "bf16"}},
    "train, batch 256": {"batch": 256, "score": False},
    "score": {"batch": 2048, "score": True},
}
N_TRAIN, N_SCORE, EPOCHS = 60_000, 500_000, 2

WORKER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
from benchmarks.speed import data
from benchmarks.speed.contenders import Ours
case = json.loads(sys.argv[1])
model, table = Ours(case["batch"], **case.get("params", {})), data.make(case["n_train"])
model.fit(*table, 1)
codes, numbers, _ = data.make(case["n_score"] if case["score"] else 10)
for _ in sys.stdin:
    start = time.perf_counter()
    model.predict(codes, numbers) if case["score"] else model.fit(*table, case["epochs"])
    print(json.dumps(time.perf_counter() - start), flush=True)
"""


class Tree:
    """A checkout and its interpreter, which does a piece of work whenever it is asked to."""

    def __init__(self, root, python, case):
        sizes = {"n_train": N_TRAIN, "n_score": N_SCORE, "epochs": EPOCHS}
        command = [python, "-c", WORKER, json.dumps(case | sizes)]
        self.process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def seconds(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def checkout(revision, extra):
    """The former commit in a folder and an environment of its own."""
    root = TREES / revision
    python = root / ".venv" / "bin" / "python"
    if not python.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, root], check=True)
        subprocess.run(["git", "checkout", "--quiet", revision], cwd=root, check=True)
        subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True)
        what = f".[{extra}]" if extra else "."
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--editable", what], cwd=root, check=True)
    return root, python


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision")
    parser.add_argument("--extra", default="", help="an extra of the former commit, such as fast")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    former = checkout(options.revision, options.extra)
    for name, case in CASES.items():
        trees = [Tree(*former, case), Tree(ROOT, sys.executable, case)]
        ratios = []
        for _ in range(options.rounds):
            before, now = (tree.seconds() for tree in trees)
            ratios.append(before / now)
        for tree in trees:
            tree.close()
        print(f"{name}: {statistics.median(ratios):.3f} ({', '.join(f'{r:.2f}' for r in sorted(ratios))})", flush=True)


if __name__ == "__main__":
    main()
