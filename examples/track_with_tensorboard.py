"""TensorBoard: curves per task
==============================

The curves of two models side by side: loss and AUC of each task, epoch by epoch, and at the end of training the
precision-recall curve of each task on test rows.

Needs ``pip install tensorboard matplotlib``. To see the curves, start ``tensorboard --logdir build/tensorboard``.
"""

import shutil
from pathlib import Path

import pandas as pd
from skorch.callbacks import TensorBoard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from sklearn_fsmd import FSMDClassifier, SharedBottomClassifier
from sklearn_fsmd.datasets import make_funnel


def tag(name: str) -> str:
    """Return the chart of a curve: by default skorch treats every name with "valid" as a loss."""
    kind = "loss" if name.endswith("loss") else "AUC" if "auc" in name else "time"
    return f"{kind}/{name}"


def main(n_samples: int = 20_000, folder: Path = Path("build/tensorboard")) -> pd.DataFrame:
    """Return the AUC of each model and task in the last epoch, as stored in the files."""
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    train, test = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)
    shutil.rmtree(folder, ignore_errors=True)  # otherwise the new curves would be appended to those of an earlier run
    last, curves = {}, {}
    for name, cls in {"FSMD": FSMDClassifier, "Shared-Bottom": SharedBottomClassifier}.items():
        with SummaryWriter(folder / name) as writer:
            logger = TensorBoard(writer, close_after_train=False, key_mapper=tag)
            model = cls(callbacks=[logger], expert_dims=(64, 32), random_state=0).fit(X[train], Y[train])
            p = model.predict_marginals(X[test])
            for task, labels, scores in zip(model.task_names_, Y[test].to_numpy().T, p.T, strict=True):
                writer.add_pr_curve(f"test/{task}", labels, scores)
        events = EventAccumulator(str(folder / name)).Reload()
        auc = {task: events.Scalars(tag(f"valid_auc_{task}")) for task in model.task_names_}
        last[name] = {task: scalars[-1].value for task, scalars in auc.items()}
        curves |= {f"{name}, {task}": pd.Series([s.value for s in scalars]) for task, scalars in auc.items()}
    pd.DataFrame(curves).plot(marker="o", xlabel="epoch", ylabel="AUC of validation")
    table = pd.DataFrame.from_dict(last, orient="index")
    print(table.to_string(float_format="%.4f"))
    return table


if __name__ == "__main__":
    main()
