"""The gallery: which examples run when the site is built, and what the pages of the others show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

STORED = Path(__file__).parents[1] / "stored"
ORDER = (
    "five_lines",
    "quickstart",
    "pipeline_with_encoders",
    "own_extractor",
    "rank_by_two_objectives",
    "understanding",
    "model_card",
    "history",
    "demo",
    "shop_day_by_day",
    "ablation_with_grid_search",
    "watch_time",
    "kuairand",
    "search_with_optuna",
    "two_objectives_with_optuna",
    "track_with_mlflow",
    "track_with_tensorboard",
    "optuna_over_files",
    "train_on_ray",
    "score_a_folder",
)
"""From the shortest to the longest; others follow in alphabetical order."""


def _lines(name: str) -> list[str]:
    """The lines of a file in the folder of the examples."""
    path = STORED.parents[1] / "examples" / name
    return path.read_text().splitlines() if path.exists() else []


LONG = sorted(path.stem for path in STORED.glob("*.json"))
"""Examples that take minutes or large data: `make docs-stored EXAMPLES=…` runs them, and the site shows the output."""

ELSEWHERE = {
    "understanding": "Its pictures are on the page :doc:`/understanding`, which explains them.",
    "model_card": "The example writes this file:\n\n.. code-block:: none\n\n    "
    + "\n    ".join(_lines("model_card.md")),
}
"""Examples that are not run for their page, and what the page shows instead."""


def order_of(file_name: str) -> str:
    """The sort key of an example."""
    name = file_name.removesuffix(".py")
    return f"{ORDER.index(name):03}" if name in ORDER else f"999{name}"


CONFIGURATION = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/(?!(?:{'|'.join([*LONG, *ELSEWHERE])})\.py)\w+\.py$",
    "ignore_pattern": r"__init__|[/\\](serving|web)[/\\]",
    "within_subsection_order": "tools.gallery.order_of",
    "doc_module": ("sklearn_fsmd",),
    "reference_url": {"sklearn_fsmd": None},
    "backreferences_dir": "_generated/uses",
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,  # that page loads scripts from another host
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
}


def show_stored(app: Any, page: str, source: list[str]) -> None:
    """Add the stored output to the page of an example that was not run."""
    name = page.removeprefix("gallery/")
    if page.startswith("gallery/") and (name in LONG or name in ELSEWHERE):
        parts = re.split(r"^(?=\.\. _sphx_glr_download_gallery_)", source[0], maxsplit=1, flags=re.MULTILINE)
        source[0] = parts[0] + (outcome(name) if name in LONG else f"{ELSEWHERE[name]}\n\n") + "".join(parts[1:])


def outcome(name: str) -> str:
    """The stored output of a run, as reStructuredText."""
    run = json.loads((STORED / f"{name}.json").read_text())
    minutes = run["seconds"] / 60
    lines = [
        ".. rubric:: Output",
        "",
        f"This example was not run for this page. It took {minutes:.1f} minutes with ``{run['command']}``, "
        f"at commit ``{run['commit']}`` ({run['versions']}), on {run['machine']}.",
        "",
        ".. code-block:: none",
        "",
        *(f"    {line}" for line in run["printed"].splitlines()),
        "",
    ]
    for picture in run["pictures"]:
        lines += [f".. image:: /stored/{picture}", f"   :alt: {run['title']}", "   :class: sphx-glr-single-img", ""]
    return "\n".join([*lines, ""])
