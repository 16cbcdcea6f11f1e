"""Speed on a GPU, of the network of ``make bench``: ``make gpu``.

This library, a compiled loop in plain torch, and two other libraries run in turn, each in its own process, at several
batch sizes. A row of ``gpu.json`` has the median of the rows per second over the rounds, and how many times as fast
this library is. The compiled loop gets tensors that are already on the GPU; it shows the speed that hand-written code
reaches. The file also names the GPU and the versions. Without a GPU the script stops with a message.
"""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from benchmarks.paper.store import provenance
from benchmarks.speed import contenders, data
from benchmarks.speed.isolation import Isolated
from benchmarks.speed.run import in_turn, score_rate, summary, train_rate

RESULTS = Path(__file__).parent / "gpu.json"
BATCH_SIZES = (2048, 8192, 65_536)
PEERS = {"deepctr-torch": 0.02, "torch-rechub": 0.02}
"""Share of the rows that each of the other libraries gets: their data loaders are slow."""


class Compiled(contenders.Bare):
    """The bare loop on the GPU, with a compiled step."""

    def __init__(self, batch_size):
        super().__init__(batch_size)
        self.net = self.net.cuda()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3, fused=True)
        self.offsets = self.offsets.cuda()
        self.loss = torch.compile(self._loss)

    def _loss(self, codes, numbers, labels):
        return nn.functional.binary_cross_entropy_with_logits(self.net(codes, numbers), labels)

    def fit(self, codes, numbers, labels, epochs):
        self.net.train()
        codes, numbers, labels = (torch.from_numpy(part).cuda() for part in (codes, numbers, labels))
        codes = codes + self.offsets
        for _ in range(epochs):
            for rows in torch.randperm(len(codes), device="cuda").split(self.batch_size):
                self.optimizer.zero_grad()
                self.loss(codes[rows], numbers[rows], labels[rows]).backward()
                self.optimizer.step()
        torch.cuda.synchronize()

    @torch.inference_mode()
    def predict(self, codes, numbers):
        self.net.eval()
        codes, numbers = torch.from_numpy(codes).cuda() + self.offsets, torch.from_numpy(numbers).cuda()
        chunks = zip(codes.split(65_536), numbers.split(65_536), strict=True)
        return torch.cat([self.net(c, x).sigmoid() for c, x in chunks]).cpu().numpy()


def build(name, batch_size, n):
    """A contender on the GPU, and its data."""
    if name == "compiled loop":
        return Compiled(batch_size), data.make(n)
    if name.startswith("sklearn-fsmd"):
        precision = "bf16" if name.endswith("bf16") else "float32"
        return contenders.Ours(batch_size, device="cuda", precision=precision), data.make(n)
    return contenders.CONTENDERS[name](batch_size, device="cuda"), data.make(int(n * PEERS[name]))


def compare(batch_size, n, rounds, measure):
    names = ["sklearn-fsmd", "sklearn-fsmd bf16", "compiled loop", *PEERS]
    processes = {name: Isolated(build, name, batch_size, n) for name in names}
    try:
        for process in processes.values():
            process.call(train_rate)  # compiles the step, and fits a model to score with
        return summary(in_turn(processes, measure, rounds))
    finally:
        for process in processes.values():
            process.close()


def card():
    properties = torch.cuda.get_device_properties(0)
    return {
        "card": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "host": platform.processor() or platform.machine(),
        "peers": {name: version(name) for name in PEERS},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU on this machine.")
    results = {**card(), **provenance(), "rows": options.rows}
    for batch_size in BATCH_SIZES:
        print(f"train, batch {batch_size}", flush=True)
        results[f"train, batch {batch_size}"] = compare(batch_size, options.rows, options.rounds, train_rate)
    print("score", flush=True)
    results["score"] = compare(8192, options.rows, options.rounds, score_rate)
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(RESULTS)


if __name__ == "__main__":
    main()
