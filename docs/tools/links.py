"""Check the built site: links inside it have a target, and no page loads a file from another host."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

LOADED = (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"))
"""Elements and attributes whose files a browser loads together with a page."""


def faults(site: Path) -> list[str]:
    """A line per broken link, and per file that is loaded from another host."""
    return [fault for page in pages(site) for fault in _page_faults(site, page)]


def pages(site: Path) -> list[Path]:
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts)


def _page_faults(site: Path, page: Path) -> Iterator[str]:
    soup = _parsed(page)
    here = page.relative_to(site)
    for tag, attribute in LOADED:
        for element in soup.find_all(tag):
            address = element.get(attribute, "")
            is_canonical = tag == "link" and "canonical" in (element.get("rel") or [])
            if urlsplit(address).scheme in ("http", "https") and not is_canonical:
                yield f"{here} loads {address}"
    for address in {e.get("href") or e.get("src") for e in soup.find_all(["a", "link", "img", "script", "source"])}:
        parts = urlsplit(address or "")
        if not address or parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file():
            yield f"{here} links to {address}, which does not exist"
        elif (anchor := _anchor(parts.fragment)) and target.suffix == ".html" and anchor not in _anchors(target):
            yield f"{here} links to {address}: the page has no such anchor"


def _anchor(fragment: str) -> str:
    """The anchor of a fragment, without a text fragment (the words that a browser searches for on the page)."""
    return unquote(fragment).partition(":~:")[0]


@cache
def _anchors(page: Path) -> frozenset[str]:
    elements = _parsed(page).find_all(lambda element: element.get("id") or element.get("name"))
    return frozenset(value for element in elements for value in (element.get("id"), element.get("name")) if value)


@cache
def _parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_bytes(), "html.parser")
