"""MLflow: curves and the exported model
=======================================

One MLflow run stores the parameters, the curves of each task over the epochs, and the model as an ONNX file. The file
is loaded as MLflow serves it, and its predictions agree with those of the model.

Needs ``pip install mlflow matplotlib``. To see the run, start
``mlflow ui --backend-store-uri sqlite:///build/mlflow/mlflow.db``.
"""

from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
from skorch.callbacks import MlflowLogger

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import to_onnx
from sklearn_fsmd.metrics import auc_per_task

CURVES = ["train_loss", "valid_loss", "valid_auc", "valid_auc_click", "valid_auc_conversion"]


def main(n_samples: int = 20_000, folder: Path = Path("build/mlflow")) -> tuple[pd.DataFrame, float]:
    """Return the curves that MLflow stored, and the largest difference between the loaded file and the model."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    if mlflow.get_experiment_by_name("funnel") is None:
        mlflow.create_experiment("funnel", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("funnel")

    X, Y = make_funnel(n_samples, missing=0, random_state=0, return_X_y=True)
    X = X.astype({"position": float})  # the ONNX file takes numbers as floats
    train, test = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)
    with mlflow.start_run() as run:
        logger = MlflowLogger(create_artifact=False, terminate_after_train=False)
        model = FSMDClassifier(expert_dims=(64, 32), callbacks=[logger], random_state=0).fit(X[train], Y[train])
        mlflow.log_params({name: value for name, value in model.get_params().items() if name != "callbacks"})
        auc = auc_per_task(Y[test], model.predict_marginals(X[test]))
        mlflow.log_metrics({f"test_auc_{name}": value for name, value in zip(model.task_names_, auc, strict=True)})

        to_onnx(model, folder / "model.onnx")
        logged = mlflow.onnx.log_model(
            onnx.load(folder / "model.onnx"),
            name="model",
            onnx_execution_providers=["CPUExecutionProvider"],
            pip_requirements=["mlflow", "numpy", "onnx", "onnxruntime"],
        )

    loaded = mlflow.pyfunc.load_model(logged.model_uri)
    columns = {name: column.to_numpy() for name, column in X[test].items()}  # a DataFrame would need a single output
    predicted = loaded.predict(columns)["marginals"]
    difference = np.abs(predicted - model.predict_marginals(X[test])).max()
    print(f"{logged.model_uri}: the loaded file differs from the model by at most {difference:.1e}")

    history = {name: mlflow.MlflowClient().get_metric_history(run.info.run_id, name) for name in CURVES}
    curves = pd.DataFrame({name: [metric.value for metric in metrics] for name, metrics in history.items()})
    print(curves.round(4).to_string())
    ax = curves[["valid_auc_click", "valid_auc_conversion"]].plot(
        marker="o", xlabel="epoch", ylabel="AUC of validation"
    )
    ax.set_xticks(curves.index)
    return curves, float(difference)


if __name__ == "__main__":
    main()
