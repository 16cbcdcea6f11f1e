"""Imports go down only, also inside folders, for type annotations and inside functions; there are no cycles."""

import ast
import importlib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sklearn_fsmd

ROOT = Path(sklearn_fsmd.__file__).parent
LAYERS = [
    ["parameters"],
    ["parameters.machine"],
    ["network"],
    ["encoding.columns", "execution"],
    ["encoding.table"],
    ["encoding.targets"],
    ["encoding.statistics", "encoding.warnings"],
    ["encoding"],
    ["encoding.sources"],
    ["compose"],
    ["metrics"],
    ["inference", "ranking"],
    ["persistence", "inspection"],
    ["training.distributed", "training.optimizers"],
    ["training", "plotting"],
    ["training.streaming"],
    ["estimators"],
    ["history"],
    ["export.card", "export.onnx"],
    ["export", "ray", "scoring"],
]
"""From the bottom to the top; a part may import from the layers below it, and inside itself.

A nested folder is a separate part. Python runs the `__init__` of the outer folder first, whatever the order is here.
"""

FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def name_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imported(path):
    """All modules that a file imports, anywhere in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inside if name in MODULES]
            yield from modules
            if len(modules) < len(inside):
                yield node.module


def part_of(module):
    """The part of the package to which a module or name belongs: a nested folder, or a folder or file at the top."""
    package, *pieces = module.split(".")
    if package != "sklearn_fsmd" or not pieces:
        return None
    inner = ".".join(pieces[:2])
    return inner if (ROOT / Path(*pieces[:2])).is_dir() else pieces[0]


def level_of(part):
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    own_part = part_of(name_of(path))
    if own_part == "datasets":
        assert {part_of(m) for m in imported(path)} <= {None, "datasets"}
        return
    for module in imported(path):
        part = part_of(module)
        assert part is None or part == own_part or level_of(part) < level_of(own_part), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_other_parts_use_only_the_public_names_of_a_folder(path):
    """Other parts may use only the names in the `__init__` of a folder."""
    own_part = part_of(name_of(path))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and (part := part_of(node.module)) not in (None, own_part):
            assert node.module == f"sklearn_fsmd.{part}", f"{path.name} imports {node.module}"
            if (ROOT / Path(*part.split("."))).is_dir():
                interface = importlib.import_module(node.module)
                assert not [alias.name for alias in node.names if not hasattr(interface, alias.name)]


def test_there_are_no_circular_imports():
    graph = {name: {m for m in imported(path) if m in MODULES and m != name} for name, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # raises an error if there is a cycle


def test_the_top_folder_is_small():
    entries = [path for path in ROOT.iterdir() if path.name != "__pycache__"]
    assert {path.stem for path in entries} > set(sklearn_fsmd._MODULES)
    assert len(entries) <= 20


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_libraries_are_imported_only_where_allowed(path):
    part = part_of(name_of(path))
    packages = {m.split(".")[0] for m in imported(path)}
    if part in ("network", "execution"):
        assert not packages & {"sklearn", "skorch", "pandas"}
    if part != "training":
        assert "skorch" not in packages


@pytest.mark.parametrize("path", (ROOT / "network").glob("*.py"), ids=lambda p: p.name)
def test_the_network_does_not_import_accelerators(path):
    assert not {"numba", "llvmlite", "ctypes", "concurrent"} & {m.split(".")[0] for m in imported(path)}
