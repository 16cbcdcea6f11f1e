"""Look at the built site in headless Chromium: ``make docs-check``.

Every page at 1280 and 390 pixels, light and dark: no page is wider than the screen, no picture is broken, no script
fails, and the search finds what it should. Links are checked too.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import http.server
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.support.ui import WebDriverWait

from tools import links

FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars
""".split()
WIDTHS = {1280: 900, 390: 844}
MODES = ("light", "dark")
SHOWN = ("index", "api/generated/sklearn_fsmd.FSMDClassifier", "api/parameters", "gallery/index", "gallery/five_lines")
SHOWN += ("evidence/quality", "house", "guide/outputs", "guide/index")
"""Pages of which pictures are taken."""

WORDS = ("pCVR", "FSMDClassifier", "calibration")
"""What the search has to find."""

STATE = """
const wide = [...document.querySelectorAll('.bd-article *')].filter(e => {
    const r = e.getBoundingClientRect();
    if (r.width === 0 || r.right <= window.innerWidth + 1) return false;
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return false;
    return true;
});
return {
    width: document.documentElement.scrollWidth,
    wide: wide.slice(0, 3).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40)),
    broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.src),
    theme: document.documentElement.dataset.theme,
}
"""


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of the site, on the loopback."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that prints nothing."""

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        driver = webdriver.Chrome(options, service)
        try:
            yield driver
        finally:
            driver.quit()


def set_screen(driver: Any, width: int, mode: str) -> None:
    metrics = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1}
    metrics["mobile"] = False  # a telephone would shrink a page that is too wide, and nothing would be seen of it
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def look_at(driver: Any, address: str, name: str, pictures: Path | None) -> Iterator[str]:
    """A line per fault of one page."""
    set_screen(driver, 1280, "light")
    driver.get(f"{address}/{name}.html")
    driver.execute_script("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")
    for width in WIDTHS:
        for mode in MODES:
            set_screen(driver, width, mode)
            _wait_for(driver, "[...document.images].every(i => i.complete)")
            _wait_for(driver, f"document.documentElement.dataset.theme === '{mode}'")
            state = driver.execute_script(STATE)
            if state["width"] > width + 1 or state["wide"]:
                yield f"{name}, {width} px: wider than the screen ({state['width']}): {state['wide']}"
            for picture in state["broken"]:
                yield f"{name}, {width} px, {mode}: broken picture {picture}"
            if state["theme"] not in (mode, None):
                yield f"{name}: asked for {mode}, shown {state['theme']}"
            if pictures is not None:
                shoot(driver, pictures / f"{name.replace('/', '-')}-{width}-{mode}.png")
    for entry in driver.get_log("browser"):
        yield f"{name}: {entry['message']}"


def _wait_for(driver: Any, condition: str) -> None:
    """Until it is so, or a while: what is not so then, is found by the checks."""
    with contextlib.suppress(TimeoutException):
        WebDriverWait(driver, 10).until(lambda d: d.execute_script(f"return {condition}"))


def shoot(driver: Any, path: Path) -> None:
    """A picture of the page, at most 4,000 pixels of it."""
    width, height = driver.execute_script(
        "return [window.innerWidth, Math.min(document.documentElement.scrollHeight, 4000)]"
    )
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))


def search_for(driver: Any, address: str, word: str) -> list[str]:
    """The titles that a search finds."""
    driver.get(f"{address}/search.html?q={word}")
    found = "[...document.querySelectorAll('#search-results li a')]"
    _wait_for(driver, f"{found}.length > 0")
    return driver.execute_script(f"return {found}.map(a => a.textContent)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", nargs="*", help="pages, without .html")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    names = [path.relative_to(options.site).with_suffix("").as_posix() for path in links.pages(options.site)]
    names = [name for name in names if options.only is None or name in options.only]
    found = links.faults(options.site)
    with served(options.site) as address, browser() as driver:
        for name in names:
            found += look_at(driver, address, name, options.pictures if name in SHOWN else None)
        for word in WORDS:
            titles = search_for(driver, address, word)
            print(f"search {word!r}: {len(titles)} pages, first {titles[:3]}")
            if not titles:
                found.append(f"the search does not find {word!r}")
    print("\n".join(found))
    print(f"{len(names)} pages, {len(found)} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
