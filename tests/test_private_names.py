"""The private names of other libraries that the package uses are those that docs/contributing/releases.md lists."""

import ast
import re
from pathlib import Path

import sklearn_fsmd

PACKAGE = Path(sklearn_fsmd.__file__).parent
PAGE = PACKAGE.parent / "docs" / "contributing" / "releases.md"


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def imported_names(tree):
    """For each name that a module imports from another library, its path."""
    paths = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                paths[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                paths[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return {name: path for name, path in paths.items() if path.split(".")[0] not in ("sklearn_fsmd", "__future__")}


def path_of(node, imported):
    """The path of an attribute such as ``torch.cpu._name``; None if it is not one of an imported name."""
    attributes = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    is_imported = isinstance(node, ast.Name) and node.id in imported
    return ".".join([imported[node.id], *reversed(attributes)]) if is_imported else None


def private_names():
    names = set()
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = imported_names(tree)
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)]
        paths = [*imported.values(), *(path_of(node, imported) for node in attributes)]
        names |= {path for path in paths if path is not None and any(map(is_private, path.split(".")))}
    return names


def test_the_private_names_are_documented():
    section = PAGE.read_text(encoding="utf-8").split("## Private names")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([\w.]+)` \|", section, flags=re.MULTILINE)
    assert sorted(listed) == sorted(private_names())
