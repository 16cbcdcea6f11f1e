"""Fixtures: the built page and its model, a browser, and pages without console errors or requests to other hosts."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from web import build
from web.browser import chromium, served

torch.set_num_threads(1)
AXE = Path(build.HERE / "node_modules" / "axe-core" / "axe.min.js")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The served page: `address`, `folder`, the Python `model`, the `shop` of shop.json, and all its `rows`."""
    folder = tmp_path_factory.mktemp("page")
    model = build.main(folder, n_samples=8000)
    shop = json.loads((folder / "shop.json").read_text())
    rows = [
        {**visitor, **shop["items"][j]}
        for visitor, chosen in zip(shop["visitors"], shop["candidates"], strict=True)
        for j in chosen
    ]
    with served(folder) as address:
        yield SimpleNamespace(address=address, folder=folder, model=model, shop=shop, rows=rows)


def frame(site, rows):
    """Return rows as the DataFrame that the Python model takes."""
    types = {c["name"]: "category" if c["holds"] == "categories" else "float64" for c in site.shop["columns"]}
    return pd.DataFrame(rows, dtype=object).astype(types)  # objects, since ids would lose digits as floats


@pytest.fixture(scope="session")
def browser():
    with chromium() as opened:
        yield opened


class Watched:
    """Opens pages, and records their console messages and requests."""

    def __init__(self, browser, site):
        self.browser, self.site, self.complaints, self.requests, self.contexts = browser, site, [], [], []

    def open(self, width=1280, height=900, **options):
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        context.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.site.address)
        return page

    def ready(self, **options):
        """Open a page and wait for its first ranking."""
        page = self.open(**options)
        page.get_by_role("status").filter(has_text="is first").wait_for()
        return page


@pytest.fixture
def watched(browser, site):
    watched = Watched(browser, site)
    yield watched
    for context in watched.contexts:
        context.close()
    assert watched.complaints == []
    assert [url for url in watched.requests if not url.startswith(f"{site.address}/")] == []


@pytest.fixture
def page(watched):
    return watched.ready()
