"""Check the built site in headless Chromium: ``make docs-check``.

Every page is checked at 1280 and 390 pixels, light and dark: no page is wider than the screen, no picture is broken, no
script fails, and the search finds some words. Links are checked too.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as BrowserTimeout

from tools import links

FLAGS = """
    --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update
    --disable-sync
""".split()
WIDTHS = {1280: 900, 390: 844}
MODES = ("light", "dark")
SHOWN = ("index", "api/generated/sklearn_fsmd.FSMDClassifier", "api/parameters", "gallery/index", "gallery/five_lines")
SHOWN += ("evidence/quality", "house", "guide/outputs", "guide/index")
"""Pages of which screenshots are taken."""

WORDS = ("pCVR", "FSMDClassifier", "calibration")
"""Words that the search must find."""

STATE = """() => {
    const clipped = e => {
        for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
            if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return true;
        return false;
    };
    const wide = [...document.querySelectorAll('.bd-article *')].filter(e => {
        const box = e.getBoundingClientRect();
        return box.width > 0 && box.right > window.innerWidth + 1 && !clipped(e);
    });
    return {
        width: document.documentElement.scrollWidth,
        wide: wide.slice(0, 3).map(e => e.tagName + ' ' + e.textContent.slice(0, 40)),
        broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.src),
        theme: document.documentElement.dataset.theme,
    };
}"""


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve the site on 127.0.0.1 and yield its address."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A request handler that prints nothing."""

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """Yield a page in Chromium; the environment variable CHROMIUM may name its path."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser.new_page()
        browser.close()


def look_at(shown: Page, address: str, name: str, pictures: Path | None) -> Iterator[str]:
    """Yield a line per fault of a page."""
    errors: list[str] = []
    listeners = {
        "pageerror": lambda error: errors.append(str(error)),
        "console": lambda message: errors.append(message.text) if message.type == "error" else None,
        "response": lambda response: (
            errors.append(f"{response.status} {response.url}") if response.status > 399 else None
        ),
    }
    for event, listener in listeners.items():
        shown.on(event, listener)
    shown.goto(f"{address}/{name}.html")
    shown.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")
    for width, height in WIDTHS.items():
        for mode in MODES:
            shown.set_viewport_size({"width": width, "height": height})
            shown.emulate_media(color_scheme=mode)
            _wait_for(shown, "[...document.images].every(i => i.complete)")
            _wait_for(shown, f"document.documentElement.dataset.theme === '{mode}'")
            state = shown.evaluate(STATE)
            if state["width"] > width + 1 or state["wide"]:
                yield f"{name}, {width} px: wider than the screen ({state['width']}): {state['wide']}"
            for picture in state["broken"]:
                yield f"{name}, {width} px, {mode}: broken picture {picture}"
            if state["theme"] != mode:
                yield f"{name}: asked for {mode}, shown {state['theme']}"
            if pictures is not None:
                shown.screenshot(path=pictures / f"{name.replace('/', '-')}-{width}-{mode}.png", full_page=True)
    for event, listener in listeners.items():
        shown.remove_listener(event, listener)
    yield from (f"{name}: {error}" for error in errors)


def _wait_for(shown: Page, condition: str) -> None:
    """Wait until the condition is true, or for ten seconds; the checks find what is still wrong then."""
    with contextlib.suppress(BrowserTimeout):
        shown.wait_for_function(condition, timeout=10_000)


def search_for(shown: Page, address: str, word: str) -> list[str]:
    """The titles of the pages that a search finds."""
    shown.goto(f"{address}/search.html?q={word}")
    results = "[...document.querySelectorAll('#search-results li a')]"
    _wait_for(shown, f"{results}.length > 0")
    return shown.evaluate(f"{results}.map(a => a.textContent)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", nargs="*", help="only these pages, without .html")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    names = [path.relative_to(options.site).with_suffix("").as_posix() for path in links.pages(options.site)]
    names = [name for name in names if options.only is None or name in options.only]
    faults = links.faults(options.site)
    with served(options.site) as address, page() as shown:
        for name in names:
            faults += look_at(shown, address, name, options.pictures if name in SHOWN else None)
        for word in WORDS:
            titles = search_for(shown, address, word)
            print(f"search {word!r}: {len(titles)} pages, first {titles[:3]}")
            if not titles:
                faults.append(f"the search does not find {word!r}")
    print("\n".join(faults))
    print(f"{len(names)} pages, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
