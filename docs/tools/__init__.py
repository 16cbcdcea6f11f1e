"""The generated parts of the site: API, evidence, package layout, parameters, and parts of the front page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NOT_OURS = [
    (r"py:.*", r"(?!sklearn_fsmd).*"),  # the build needs no network, so it has no inventories of other projects
]
"""Missing link targets that are no error: names of other projects."""


def write_all(app: Any) -> None:
    """Write every generated page and picture, and remove API pages that are no longer generated."""
    from tools import api, evidence, house, landing, parameters, play

    docs = Path(app.srcdir)
    pages = api.write(docs) | evidence.write(docs) | house.write(docs) | landing.write(docs) | play.write(docs)
    pages["api/parameters.md"] = parameters.page()
    for path, content in pages.items():
        _write(docs / path, content)
    for stale in (docs / "api").rglob("*.rst"):
        if stale.relative_to(docs).as_posix() not in pages:
            stale.unlink()


def _write(path: Path, content: str | bytes) -> None:
    """Write a file unless its content is unchanged, so that Sphinx does not read it again."""
    data = content.encode() if isinstance(content, str) else content
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def setup(app: Any) -> dict[str, bool]:
    from tools import api, gallery, play

    app.connect("builder-inited", write_all, priority=1)
    app.connect("autodoc-process-docstring", api.show_groups, priority=900)  # after numpydoc
    app.connect("source-read", gallery.show_stored)
    app.connect("build-finished", play.copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
