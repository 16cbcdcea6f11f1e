"""The page that ranks in the browser, `examples/web`: part of the site if it was built, else a picture."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "web"


def write(docs: Path) -> dict[str, str]:
    """The text about it on the front page."""
    if (BUILT / "index.html").is_file():
        text = '<a href="play/index.html">Rank a simulated shop in this browser</a>: a model, three weights, a list.\n'
    elif (docs / "images" / "page.png").is_file():
        text = PICTURE
    else:
        text = ""
    return {"_generated/play.md": text}


PICTURE = """An exported model also runs [in a browser, without a server](serving.md#in-the-browser); `make web` builds
this page.

![Three weights, the front of clicks and conversions, and a ranked list](images/page.png)
"""


def copy(app: Any, exception: Exception | None) -> None:
    """Copy the page into the site, as `play`."""
    if exception is None and app.builder.name == "html" and (BUILT / "index.html").is_file():
        shutil.copytree(BUILT, Path(app.outdir) / "play", dirs_exist_ok=True)
