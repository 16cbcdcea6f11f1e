"""Screenshots of the built page: python -m web.pictures build/web folder."""

import io
import sys
from pathlib import Path

from PIL import Image

from web.browser import chromium, served

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
N_COLOURS = 64


def main(folder: Path, target: Path) -> None:
    """Write a screenshot for each size and colour scheme."""
    target.mkdir(parents=True, exist_ok=True)
    with served(folder) as address, chromium() as browser:
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(address)
                page.get_by_role("status").filter(has_text="is first").wait_for()
                page.wait_for_timeout(500)  # wait for the animation of the rows
                picture = page.screenshot(full_page=size == "phone")
                small = Image.open(io.BytesIO(picture)).quantize(N_COLOURS)
                small.save(target / f"page-{size}-{scheme}.png", optimize=True)
                page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
