"""The diagram of the package layout, made from the imports: a box per part, in layers, and an arrow per import."""

from __future__ import annotations

import ast
import html
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import sklearn_fsmd

ROOT = Path(sklearn_fsmd.__file__).parent
BOX, GAP, ROW, MARGIN = (164, 46), 18, 92, 20


class Part(NamedTuple):
    """A folder, or a file at the top of the package; a folder inside another one is a separate part."""

    name: str
    files: int
    lines: int
    doc: str
    imports: frozenset[str]


def parts() -> dict[str, Part]:
    """The parts of the package by name, each with the parts that it imports."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT)
        if inside != Path("__init__.py"):
            files[".".join(inside.parts[:-1]) or inside.stem].append(path)
    trees = {name: [ast.parse(path.read_text()) for path in paths] for name, paths in files.items()}
    return {
        name: Part(
            name,
            len(paths),
            sum(len(path.read_text().splitlines()) for path in paths),
            _doc(
                next((tree for path, tree in zip(paths, trees[name], strict=True) if path.stem in ("__init__", name)))
            ),
            frozenset(other for tree in trees[name] for other in _imported(tree, set(files)) if other != name),
        )
        for name, paths in files.items()
    }


def _doc(tree: ast.Module) -> str:
    return (ast.get_docstring(tree) or "").split("\n")[0]


def _imported(tree: ast.Module, parts: set[str]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    imported = {
        _part_of(name.removeprefix("sklearn_fsmd."), parts) for name in names if name.startswith("sklearn_fsmd.")
    }
    return {part for part in imported if part is not None}


def _part_of(name: str, parts: set[str]) -> str | None:
    """The part that contains a dotted name: a folder inside another one, or a part at the top."""
    pieces = name.split(".")
    return next((part for n in (2, 1) if (part := ".".join(pieces[:n])) in parts), None)


def levels(parts: dict[str, Part]) -> dict[str, int]:
    """The layer of each part, from 0 at the bottom: one above the highest part that it imports."""
    layers: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in layers:
            layers[name] = 1 + max((level(other) for other in parts[name].imports), default=-1)
        return layers[name]

    for name in parts:
        level(name)
    return layers


def edges(parts: dict[str, Part]) -> list[tuple[str, str]]:
    """The imports that are drawn: all except those that a chain of other imports implies."""
    reachable: dict[str, set[str]] = {}
    for name in sorted(parts, key=levels(parts).get):  # type: ignore[arg-type]
        reachable[name] = set(parts[name].imports).union(*(reachable[other] for other in parts[name].imports))
    return [
        (name, other)
        for name, part in parts.items()
        for other in sorted(part.imports)
        if not any(other in reachable[between] for between in part.imports if between != other)
    ]


def draw(parts: dict[str, Part]) -> str:
    """The diagram as SVG, layer 0 at the bottom."""
    rows: dict[int, list[str]] = defaultdict(list)
    for name, level in sorted(levels(parts).items(), key=lambda item: (item[1], item[0])):
        rows[level].append(name)
    width = max(len(row) for row in rows.values()) * (BOX[0] + GAP) - GAP + 2 * MARGIN
    height = len(rows) * ROW - (ROW - BOX[1]) + 2 * MARGIN
    positions = {}
    for level, row in rows.items():
        left = (width - len(row) * (BOX[0] + GAP) + GAP) / 2
        for i, name in enumerate(row):
            positions[name] = (left + i * (BOX[0] + GAP), MARGIN + (len(rows) - 1 - level) * ROW)
    lines = [_arrow(positions[upper], positions[lower]) for upper, lower in edges(parts)]
    boxes = [_box(parts[name], *positions[name]) for name in positions]
    return "\n".join([HEAD.format(width=width, height=height), *lines, *boxes, "</svg>", ""])


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>The parts of sklearn_fsmd and their imports</title>
<style>
  rect {{ fill: #eef3fb; stroke: #4a6fa5; }} text {{ fill: #1b2a41; font: 14px sans-serif; text-anchor: middle; }}
  .small {{ font-size: 11px; fill: #46566e; }} path {{ stroke: #8a99b0; fill: none; marker-end: url(#head); }}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<path d="M0,0 L8,4 L0,8 z" style="fill: #8a99b0; stroke: none; marker-end: none"/></marker></defs>
<rect width="100%" height="100%" style="fill: #ffffff; stroke: none"/>"""


def _box(part: Part, x: float, y: float) -> str:
    middle = x + BOX[0] / 2
    size = f"{part.files} files, {part.lines:,} lines" if part.files > 1 else f"{part.lines:,} lines"
    return (
        f'<g id="{part.name}"><title>{html.escape(part.doc)}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="6"/>'
        f'<text x="{middle:.0f}" y="{y + 20:.0f}">{part.name}</text>'
        f'<text class="small" x="{middle:.0f}" y="{y + 37:.0f}">{size}</text></g>'
    )


def _arrow(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    x1, y1, x2, y2 = upper[0] + BOX[0] / 2, upper[1] + BOX[1], lower[0] + BOX[0] / 2, lower[1]
    bend = (y2 - y1) / 2
    return f'<path d="M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"/>'


def write(docs: Path) -> dict[str, str]:
    by_name = parts()
    order = sorted(by_name, key=lambda name: (-levels(by_name)[name], name))
    rows = [
        f"| `{name}` | {by_name[name].doc} | {', '.join(f'`{o}`' for o in sorted(by_name[name].imports)) or '–'} |"
        for name in order
    ]
    table = "\n".join(["| part | purpose | imports |", "|---|---|---|", *rows, ""])
    return {"_generated/house.svg": draw(by_name), "_generated/house.md": table}
