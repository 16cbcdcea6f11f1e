"""Imports go down only."""

import ast
from pathlib import Path

import pytest

import sklearn_fsmd

ROOT = Path(sklearn_fsmd.__file__).parent
LAYERS = [
    ["_warn"],
    ["lookup", "canonical", "runtime"],
    ["nn", "columns", "_declare", "selection", "ranking", "reading", "plain", "storage", "exchange"],
    ["values", "weights"],
    ["features", "targets", "network", "parameters"],
    ["metrics", "inputs", "ids", "inference"],
    ["plotting"],
    ["training"],
    ["tables", "validation"],
    ["fitting", "views", "compose", "saving"],
    ["predicting", "freezing"],
    ["base", "embedder", "_versions"],
    ["estimators"],
]
"""From the bottom to the top; a module may import from the layers below its own, and inside a package."""

FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "sklearn_fsmd")


def part_of(module):
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "sklearn_fsmd" and len(pieces) > 1 else None


def level_of(part):
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own == "datasets":
        assert {part_of(m) for m in imported(path)} <= {None, "datasets"}
        return
    for module in imported(path):
        part = part_of(module)
        assert part is None or part == own or level_of(part) < level_of(own), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_library_has_its_place(path):
    part = path.relative_to(ROOT).parts[0]
    packages = {m.split(".")[0] for m in imported(path)}
    if part == "nn":
        assert not packages & {"sklearn", "skorch", "pandas"}
    if part != "training":
        assert "skorch" not in packages
