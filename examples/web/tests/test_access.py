"""The page on a phone, by keyboard, in dark mode, with a screen reader, and when something fails."""

import pytest

from web.tests.conftest import AXE

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(watched, size, scheme):
    """Labels, contrast, landmarks, names: WCAG 2.2 AA and the best practices of axe."""
    page = watched.ready(**size, color_scheme=scheme)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    assert {f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in found["violations"]} == set()


def test_dark_is_dark(watched):
    colours = [
        watched.ready(color_scheme=scheme).evaluate("getComputedStyle(document.documentElement).backgroundColor")
        for scheme in ("light", "dark")
    ]
    light, dark = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert light > 3 * 240
    assert dark < 3 * 40


@pytest.mark.parametrize("width", [320, 390, 640, 1280])
def test_nothing_is_cut_off(watched, width):
    page = watched.ready(width=width, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("button", "input", "#ranking td"):
        for box in (element.bounding_box() for element in page.locator(name).all()):
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_on_a_phone_sliders_stay_in_sight(watched):
    page = watched.ready(**PHONE, has_touch=True, is_mobile=True)
    page.locator("#ranking tr").nth(20).scroll_into_view_if_needed()
    box = page.get_by_role("slider", name="Price").bounding_box()
    assert 0 < box["y"] < 200
    before = page.locator("#ranking .kind").all_inner_texts()
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert page.locator("#ranking .kind").all_inner_texts() != before


def test_keyboard_reaches_everything_and_shows_where_it_is(page):
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(({id, innerText}, {outlineStyle}) => [id || innerText, outlineStyle])"
            "(document.activeElement, getComputedStyle(document.activeElement))"
        )
        reached.append(name)
        assert outline == "solid"
    assert reached == ["clicks", "conversions", "price", "clicks", "conversions", "both", "sales", "visitor"]


def test_screen_readers_hear_the_end_of_a_movement(page):
    assert page.get_by_role("status").count() == 1
    page.evaluate(
        "() => { window.heard = [];"
        "new MutationObserver(() => heard.push(document.getElementById('status').textContent))"
        ".observe(document.getElementById('status'), {childList: true}) }"
    )
    moved = "for (let i = 0; i < 10; i++) { slider.stepUp(); slider.dispatchEvent(new Event('input')); }"
    page.get_by_role("slider", name="Price").evaluate(f"(slider) => {{ {moved} }}")
    page.wait_for_timeout(1500)
    heard = page.evaluate("heard")
    assert len(heard) == 1
    first = page.locator("#ranking .kind").first.inner_text()
    total = page.locator("#total-clicks").inner_text()
    assert heard[0].startswith(f"{first} is first. A page brings {total} clicks")
    assert f"are at {total} clicks" in page.locator("#chart-text").text_content()


@pytest.mark.parametrize(("motion", "moves"), [("no-preference", True), ("reduce", False)])
def test_rows_move_unless_the_reader_wants_no_motion(watched, motion, moves):
    page = watched.ready(reduced_motion=motion)
    page.get_by_role("button", name="sales").click()
    assert (page.evaluate("document.getAnimations().length") > 0) == moves


def test_a_model_that_is_missing(watched, site):
    context = watched.browser.new_context()
    page = context.new_page()
    page.route("**/model.onnx", lambda route: route.fulfill(status=404))
    page.goto(site.address)
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text().startswith("The page cannot be shown: ")
    assert page.get_by_role("slider", name="Price").is_disabled()
    context.close()
