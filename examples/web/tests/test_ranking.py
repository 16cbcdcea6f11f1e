"""The page shows what Python computes, and follows the sliders."""

import numpy as np
import pytest

from sklearn_fsmd.ranking import weighted_product
from web.tests.conftest import frame

N, PAGE_SIZE = 24, 5


@pytest.fixture(scope="module")
def predicted(site):
    """P(click), P(conversion) and price of each candidate, of shape (visits, candidates, 3)."""
    X = frame(site, site.rows)
    p = site.model.predict_marginals(X).astype(float)
    return np.column_stack([p, X["price"]]).reshape(-1, N, 3)


def order_of(predicted, exponents):
    """Return the candidates of each visit from best to worst."""
    scores = [weighted_product(factors, exponents) for factors in predicted]
    return np.argsort(-np.array(scores), axis=1, kind="stable")


def totals_of(predicted, exponents):
    """Return the mean clicks, conversions and sales of a page."""
    shown = np.take_along_axis(predicted, order_of(predicted, exponents)[:, :PAGE_SIZE, None], axis=1)
    sales = (shown[..., 1] * shown[..., 2]).sum(axis=1).mean()
    return np.array([shown[..., 0].sum(axis=1).mean(), shown[..., 1].sum(axis=1).mean(), sales])


def shown_items(page):
    return [row.inner_text().split()[-1] for row in page.locator("#ranking .kind").all()]


def expected_items(site, predicted, exponents, visit=0):
    items, chosen = site.shop["items"], site.shop["candidates"][visit]
    return [str(items[chosen[i]]["item_id"]) for i in order_of(predicted, exponents)[visit]]


def set_slider(page, name, value):
    """Move a slider by keyboard: Home, then steps to the right."""
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    slider.press("Home")
    for _ in range(round(value / 0.05)):
        slider.press("ArrowRight")


def test_the_table(page, site, predicted):
    assert shown_items(page) == expected_items(site, predicted, [1, 1, 0])
    first = order_of(predicted, [1, 1, 0])[0, 0]
    click, conversion, price = predicted[0, first]
    rank, _, ctr, cvr, value = [cell.inner_text() for cell in page.locator("#ranking tr").first.locator("td, th").all()]
    assert rank == "1"
    assert (ctr, cvr) == (f"{click:.1%}", f"{conversion / click:.1%}")
    assert value == f"€{conversion * price:,.2f}"
    assert page.locator("#ranking tr").count() == N
    assert page.locator("#ranking tr:not(.hidden-from-visitor)").count() == PAGE_SIZE


def test_sliders_reorder_by_keyboard(page, site, predicted):
    before = shown_items(page)
    set_slider(page, "Price", 0.75)
    assert shown_items(page) == expected_items(site, predicted, [1, 1, 0.75]) != before
    set_slider(page, "Clicks", 0.2)
    set_slider(page, "Conversions", 1.3)
    assert shown_items(page) == expected_items(site, predicted, [0.2, 1.3, 0.75])
    assert page.locator(".exponent").all_inner_texts() == ["0.20", "1.30", "0.75"]


def test_sliders_reorder_while_they_are_dragged(page, predicted, site):
    box = page.get_by_role("slider", name="Price").bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    seen = []
    for share in (0.25, 0.5, 0.9):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        gamma = float(page.locator(".exponent").last.inner_text())
        assert shown_items(page) == expected_items(site, predicted, [1, 1, gamma])
        seen.append(tuple(shown_items(page)))
    page.mouse.up()
    assert len(set(seen)) > 1


@pytest.mark.parametrize(
    ("button", "exponents"),
    [("clicks", [1, 0, 0]), ("conversions", [0, 1, 0]), ("sales", [0, 1, 1]), ("both", [1, 1, 0])],
)
def test_presets(page, site, predicted, button, exponents):
    page.get_by_role("button", name="sales").click()
    chosen = page.get_by_role("button", name=button, exact=True)
    chosen.press("Enter")
    assert shown_items(page) == expected_items(site, predicted, exponents)
    assert page.locator("button[aria-pressed=true]").all_inner_texts() == [button]


def test_another_visitor(page, site, predicted):
    page.get_by_label("for").select_option(index=7)
    assert shown_items(page) == expected_items(site, predicted, [1, 1, 0], visit=7)


def test_what_a_page_brings(page, predicted):
    set_slider(page, "Price", 0.5)
    clicks, conversions, sales = totals_of(predicted, [1, 1, 0.5])
    totals = [page.locator(f"#total-{name}").inner_text() for name in ("clicks", "conversions", "sales")]
    assert totals == [f"{clicks:.2f}", f"{conversions:.2f}", f"€{sales:,.2f}"]
    page.get_by_role("button", name="sales").click()
    assert page.locator("#share-sales").inner_text() == "100 % of best"


def test_the_front(page, predicted):
    """The line is the Pareto front of all weights, and the ring marks the position of the sliders."""
    parts = [(a / 20, b / 20, (20 - a - b) / 20) for a in range(21) for b in range(21 - a)]
    points = np.array([totals_of(predicted, exponents)[:2] for exponents in parts])
    is_best = [not ((points >= p).all(axis=1) & (points > p).any(axis=1)).any() for p in points]
    front = np.unique(points[is_best].round(9), axis=0)

    dots = page.locator("#chart .reachable")
    assert dots.count() == len(points)
    drawn = page.locator("#chart .front").get_attribute("points").split()
    line = np.array([pair.split(",") for pair in drawn], float)
    to_pixels = [np.polyfit(points[:, i], pixels_of(dots, "cxcy"[2 * i : 2 * i + 2]), 1) for i in range(2)]
    expected = np.column_stack([np.polyval(to_pixels[i], front[:, i]) for i in range(2)])
    assert len(line) == len(front) > 5
    np.testing.assert_allclose(line, expected, atol=0.05)
    for exponents, button in ([1, 0, 0], "clicks"), ([0, 1, 1], "sales"):
        page.get_by_role("button", name=button).click()
        ring = [float(page.locator("#chart .current").get_attribute(name)) for name in ("cx", "cy")]
        point = totals_of(predicted, exponents)[:2]
        np.testing.assert_allclose(ring, [np.polyval(to_pixels[i], point[i]) for i in range(2)], atol=0.05)


def pixels_of(dots, name):
    return dots.evaluate_all(f"(dots) => dots.map((dot) => Number(dot.getAttribute('{name}')))")


def test_nothing_to_rank_by(page, site):
    set_slider(page, "Clicks", 0)
    set_slider(page, "Conversions", 0)
    page.get_by_role("status").filter(has_text="All three exponents are 0").wait_for()
    assert shown_items(page) == [str(site.shop["items"][j]["item_id"]) for j in site.shop["candidates"][0]]
