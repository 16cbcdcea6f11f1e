"""Run the code of the pages and compare its output with the page: ``make docs-outputs`` updates what has changed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
FOLDERS = ("start", "guide", "coming_from", "contributing")
PAGES = [
    *sorted(page for folder in FOLDERS for page in (DOCS / folder).rglob("*.md")),
    DOCS / "faq.md",
    DOCS / "serving.md",
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def steps_of(text: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """The code blocks of a page, each with the output that the page shows below it, or None."""
    for block, after in pairwise([*BLOCK.finditer(text), None]):
        if block is not None and block[1] == "python":
            yield block[2], after if after is not None and after[1] == "text" else None


def run(code: str, page: Path, names: dict[str, Any]) -> str:
    """Run a block with the `names` of the blocks before it, and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(page), "exec", dont_inherit=True), names)
    return printed.getvalue()


def _as_number(token: str) -> tuple[float, float] | None:
    """A number and the size of its last decimal, 0 for an integer; None if the token is not a number."""
    token = token.strip("[](){},:%")
    try:
        return float(token), 10.0 ** -len(token.partition(".")[2]) if re.fullmatch(r"-?\d+\.\d+", token) else 0.0
    except ValueError:
        return None


def is_alike(shown: str, printed: str) -> bool:
    """Whether the shown and the printed output agree: equal words and close numbers; after "…" anything may follow.

    The tolerance includes one unit of the last decimal, since close numbers may be rounded differently.
    """
    words, others = shown.split(), printed.split()
    if "…" in words:
        end = words.index("…")
        words, others = words[:end], others[:end]
    if len(words) != len(others):
        return False
    for word, other in zip(words, others, strict=True):
        a, b = _as_number(word), _as_number(other)
        if word != other and (a is None or b is None or abs(a[0] - b[0]) > 0.03 + 0.05 * abs(a[0]) + a[1]):
            return False
    return True


def renewed(page: Path) -> str:
    """The text of a page, in which outputs that differ are replaced by what the code prints now."""
    text, parts, end = page.read_text(), [], 0
    names: dict[str, Any] = {"__name__": "__main__"}
    for code, shown in steps_of(text):
        printed = run(code, page, names)
        if shown is not None and not is_alike(shown[2], printed):
            parts += [text[end : shown.start(2)], printed.rstrip("\n") + "\n"]
            end = shown.end(2)
    return "".join([*parts, text[end:]])


def main(names: list[str]) -> None:
    """Update the pages with these names, or all pages that show output."""
    os.environ["MPLBACKEND"] = "Agg"
    for page in [DOCS / f"{name}.md" for name in names] or PAGES:
        if all(shown is None for _, shown in steps_of(page.read_text())):
            continue
        print(page.relative_to(DOCS), flush=True)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            text = renewed(page)
        page.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
