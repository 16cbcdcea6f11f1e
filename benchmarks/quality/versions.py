"""Versions of the other libraries: their results are valid as long as the same version is installed."""

from importlib.metadata import version

PACKAGES = {
    "LightGBM": "lightgbm",
    "CatBoost": "catboost",
    "DeepCTR-Torch": "deepctr-torch",
    "torch-rechub": "torch-rechub",
}


def version_of(contender):
    """The version of a contender's library; empty for this library, which the commit identifies."""
    return next((version(package) for start, package in PACKAGES.items() if contender.startswith(start)), "")


def is_current(row):
    """Whether a row is a result of another library in the installed version."""
    return row["version"] == version_of(row["contender"]) != ""
