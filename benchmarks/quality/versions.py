"""Which release of another library a figure is of: its rows hold as long as that release is installed."""

from importlib.metadata import version

PACKAGES = {
    "LightGBM": "lightgbm",
    "CatBoost": "catboost",
    "DeepCTR-Torch": "deepctr-torch",
    "torch-rechub": "torch-rechub",
}


def version_of(contender):
    """The version of the library that a contender is of; empty for ours, which the commit names."""
    return next((version(package) for start, package in PACKAGES.items() if contender.startswith(start)), "")


def of_today(row):
    """Whether a row is of another library, and of the release that is installed."""
    return row["version"] == version_of(row["contender"]) != ""
