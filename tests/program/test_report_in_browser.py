"""The report as a person sees it: in a real browser, on a phone and on a desk, by day and night."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program.browser import DESKTOP, PHONE, Page, browsing
from tests.program.dwx import dwx
from tests.views.reported import HOSTILE, Log, eventful, hostile, large

SIZES = pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desk"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
CONTRAST = 4.5
"""What WCAG 2 asks for text (level AA)."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with reports in it."""
    place = tmp_path_factory.mktemp("reports")
    long_names = "a_name_without_any_place_to_break_it_at_" * 7
    logs: dict[str, Log] = {
        "eventful": eventful(),
        "broken": eventful(72),
        "hostile": hostile(),
        "long": hostile(long_names),
        "large": large(60, 20),
    }
    for name, log in logs.items():
        written = log.written(place / name)
        output = place / f"{name}.html"
        ended = dwx("report", str(written), "--format", "html", "--output", str(output), cwd=place)
        assert (ended.exit_code, ended.stdout) == (0, b"")
    return place


@SIZES
@SCHEMES
@pytest.mark.parametrize("name", ["eventful", "broken", "hostile", "long", "large"])
def test_the_page_is_as_wide_as_the_screen_and_fetches_nothing(
    page: Page, reports: Path, name: str, scheme: str, size: tuple[int, int]
) -> None:
    page.requested.clear()
    page.said.clear()
    shown = reports / f"{name}.html"
    page.show(shown, scheme, size)
    assert page.value("innerWidth") == size[0]
    wide, room = (page.value(f"document.documentElement.{of}Width") for of in ("scroll", "client"))
    assert wide == room
    assert page.value("document.querySelector('h1').getBoundingClientRect().height") > 0
    assert page.requested == [shown.as_uri()]
    assert page.said == []


@SIZES
def test_the_page_is_dark_for_who_prefers_that_and_else_light(
    page: Page, reports: Path, size: tuple[int, int]
) -> None:
    page.show(reports / "eventful.html", "light", size)
    assert min(page.pixel(2, 2)) > 240
    page.show(reports / "eventful.html", "dark", size)
    assert max(page.pixel(2, 2)) < 40


@SCHEMES
def test_what_is_written_can_be_told_from_its_background(
    page: Page, reports: Path, scheme: str
) -> None:
    for name in ("eventful", "broken"):
        page.show(reports / f"{name}.html", scheme, DESKTOP)
        assert page.value(FAINT % CONTRAST) == []


FAINT = """
(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = parts(colour).slice(0, 3).map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
  };
  const written = element => [...element.childNodes].some(
    node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  return [...document.querySelectorAll('main *')].filter(written).filter(element => {
    const pair = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < %s;
  }).map(element => element.outerHTML.slice(0, 80));
})()
"""


def test_no_text_is_cut_off_or_hidden_beneath_other_text_on_a_phone(
    page: Page, reports: Path
) -> None:
    for name in ("eventful", "long"):
        page.show(reports / f"{name}.html", "light", PHONE)
        wide = page.value(
            "[...document.querySelectorAll('main *')]"
            ".filter(one => !one.closest('svg') && !one.closest('.w, .ax'))"
            f".filter(one => one.getBoundingClientRect().right > {PHONE[0]})"
            ".map(one => one.outerHTML.slice(0, 80))"
        )
        assert wide == []


def test_the_charts_are_drawn(page: Page, reports: Path) -> None:
    page.show(reports / "eventful.html", "light", PHONE)
    for what in (".curve .l0", ".curve .l1", ".t .s", ".t .o", ".b .s"):
        box = f"document.querySelector('{what}').getBoundingClientRect()"
        assert page.value(f"{box}.width") > 0, what
    ticks = "[...document.querySelectorAll('.curve .y span')].map(one => one.textContent)"
    assert page.value(ticks) == ["0", "10", "100", "1,000", "10,000", "100,000"]


def test_a_script_in_a_text_is_shown_and_not_executed(page: Page, reports: Path) -> None:
    page.show(reports / "hostile.html", "light", DESKTOP)
    assert page.value("document.scripts.length") == 0
    assert "<script>alert(1)</script>" in HOSTILE
    assert "<script>alert(1)</script>" in page.value("document.body.innerText")


def test_a_script_put_into_the_page_afterwards_is_refused_by_its_policy(
    page: Page, reports: Path, tmp_path: Path
) -> None:
    whole = (reports / "eventful.html").read_text()
    spoilt = whole.replace(
        "</main>", "<script>document.title='x'</script><img src='http://127.0.0.1:9/x'></main>"
    )
    (tmp_path / "spoilt.html").write_text(spoilt)
    page.said.clear()
    page.show(tmp_path / "spoilt.html", "light", DESKTOP)
    assert page.value("document.title") != "x"
    assert len([one for one in page.said if "Content Security Policy" in one]) == 2


def test_nothing_is_hidden_on_paper(page: Page, reports: Path) -> None:
    page.show(reports / "eventful.html", "light", DESKTOP)
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        height = "document.querySelector('details table').getBoundingClientRect().height"
        assert page.value(height) > 100
    finally:
        page.call("Emulation.setEmulatedMedia", media="")
