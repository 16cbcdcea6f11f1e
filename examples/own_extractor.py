"""An extractor of your own
========================

Cross-stitch units between the tasks' layers, in thirty lines of torch.

An extractor is a module that is built from the number of inputs and the number of tasks, and maps a row to one
representation per task. The library provides embeddings, FM, towers, links, training and the scikit-learn interface.
This extractor is from I. Misra et al., "Cross-Stitch Networks for Multi-task Learning", CVPR 2016.
The picture shows the first stitch after training: how much each task uses of its own layer and of the other task's.
"""

import functools

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel


class CrossStitch(nn.Module):
    """Layers per task; after each layer, every task mixes the outputs of all by learned weights: (B, I) → (B, K, H)."""

    def __init__(self, in_features: int, n_tasks: int, dims: tuple[int, ...] = (128, 64)) -> None:
        super().__init__()
        sizes = [in_features, *dims]
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(i, o) for _ in range(n_tasks)) for i, o in zip(sizes, dims, strict=False)
        )
        mostly_own = 0.9 * torch.eye(n_tasks) + 0.1 / n_tasks
        self.stitches = nn.ParameterList(nn.Parameter(mostly_own.clone()) for _ in dims)

    def forward(self, x: Tensor) -> Tensor:
        inputs = [x] * len(self.stitches[0])
        for layer, stitch in zip(self.layers, self.stitches, strict=True):
            hidden = torch.stack([linear(x).relu() for linear, x in zip(layer, inputs, strict=True)], dim=1)
            inputs = (stitch @ hidden).unbind(dim=1)  # (K, K) @ (B, K, H)
        return torch.stack(inputs, dim=1)


def main(n_samples: int = 20_000) -> tuple[float, np.ndarray]:
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    train, test = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)
    extractor = functools.partial(CrossStitch, dims=(64, 32))
    model = MultiTaskClassifier(extractor=extractor, random_state=0).fit(X[train], Y[train])
    score = model.score(X[test], Y[test])
    stitch = model.module_.extractor.stitches[0].detach().numpy()
    print(f"mean AUC {score:.4f}; weights of the layers for the first task: {stitch[0].tolist()}")
    return score, stitch


def draw(stitch: np.ndarray) -> None:
    from matplotlib import pyplot as plt

    _, ax = plt.subplots(figsize=(4, 3.5), layout="constrained")
    image = ax.imshow(stitch, cmap="Blues", vmin=0)
    tasks = ["click", "conversion"]
    ax.set(xticks=[0, 1], xticklabels=tasks, yticks=[0, 1], yticklabels=tasks, xlabel="reads from", ylabel="task")
    ax.set_title("Weights of the first stitch")
    ax.figure.colorbar(image)


if __name__ == "__main__":
    draw(main()[1])
