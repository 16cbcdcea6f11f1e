"""Information about versions and machine, for bug reports."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from sklearn_fsmd.execution.choice import available_way
from sklearn_fsmd.parameters.machine import has_bf16, resolve_device

PACKAGES = (
    *("scikit-learn", "skorch", "numpy", "scipy", "pandas", "category-encoders"),
    *("safetensors", "pyarrow", "polars", "matplotlib", "onnx", "onnxruntime", "ray"),
)


def show_versions() -> None:
    """Print versions, the device, and how networks are computed on this machine; for bug reports.

    Examples
    --------
    >>> from sklearn_fsmd import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    system: ...
    """
    device = resolve_device("auto")
    way, why = available_way(torch.device(device).type)
    lines = {
        "system": f"{platform.platform()}, Python {platform.python_version()}",
        "sklearn-fsmd": _version("sklearn-fsmd"),
        "torch": torch.__version__,  # names the build too, such as +cu132, which the package's metadata may not
        **{package: _version(package) for package in PACKAGES},
        "device": device,
        "threads": str(torch.get_num_threads()),
        "bfloat16": "yes" if has_bf16(device) else "no",
        "execution": f"{way} ({why})",
    }
    for name, value in lines.items():
        print(f"{name}: {value}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
