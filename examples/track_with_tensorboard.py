"""TensorBoard: curves per task
==============================

The curves of two models side by side: loss and AUC of each task, epoch by epoch, and in the end the precision and
recall of each task on rows that neither has seen.

Needs ``pip install tensorboard matplotlib``. ``tensorboard --logdir build/tensorboard`` shows them.
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
    """Which of the pictures a curve belongs to: skorch takes all that is called valid for a loss."""
    kind = "loss" if name.endswith("loss") else "AUC" if "auc" in name else "time"
    return f"{kind}/{name}"


def main(n_samples: int = 20_000, folder: Path = Path("build/tensorboard")) -> pd.DataFrame:
    """The AUC of each model and task in the last epoch, as the files have it."""
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    train, test = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)
    shutil.rmtree(folder, ignore_errors=True)  # the curves of a former run would go on in these
    last, curves = {}, {}
    for name, cls in {"FSMD": FSMDClassifier, "Shared-Bottom": SharedBottomClassifier}.items():
        with SummaryWriter(folder / name) as writer:
            logger = TensorBoard(writer, close_after_train=False, key_mapper=tag)
            model = cls(callbacks=[logger], expert_dims=(64, 32), random_state=0).fit(X[train], Y[train])
            p = model.predict_marginals(X[test])
            for task, labels, scores in zip(model.task_names_, Y[test].to_numpy().T, p.T, strict=True):
                writer.add_pr_curve(f"test/{task}", labels, scores)
        events = EventAccumulator(str(folder / name)).Reload()
        of_tasks = {task: events.Scalars(tag(f"valid_auc_{task}")) for task in model.task_names_}
        last[name] = {task: scalars[-1].value for task, scalars in of_tasks.items()}
        curves |= {f"{name}, {task}": pd.Series([s.value for s in scalars]) for task, scalars in of_tasks.items()}
    pd.DataFrame(curves).plot(marker="o", xlabel="epoch", ylabel="AUC of validation")
    table = pd.DataFrame.from_dict(last, orient="index")
    print(table.to_string(float_format="%.4f"))
    return table


if __name__ == "__main__":
    main()
