"""The report in a browser: it fits a phone, and follows the reader's light or dark scheme. Needs Chromium."""

import html

import pytest
import report_run
from chromium import needs_chromium, opened_page

from pipeline.report.blocks import Gallery, Picture, PictureRow, Section
from pipeline.report.facts import Missing, run_facts
from pipeline.report.page import html as page_html
from pipeline.report.page import run_page

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

pytestmark = needs_chromium


@pytest.fixture
def report(tmp_path) -> str:
    """The address of a report."""
    pictures = [Picture(label, PIXEL) for label in ("image", "truth", "prediction", "errors")]
    gallery = Gallery("The worst", "Caption.", [PictureRow("a_file_name_without_spaces" * 4, "Cat", pictures)])
    record = report_run.finished_run(tmp_path)
    file = tmp_path / "report.html"
    nothing = Missing("None were looked for.")
    page = run_page(run_facts(record), Section("Pictures", [gallery]), nothing)
    file.write_text(page_html(page), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened_page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser):
    yield browser
    assert browser.errors == []


def test_sections_are_found_where_the_page_is_the_source_of_a_frame(report, page, tmp_path):
    """As Kubeflow's pages show it; there a link to a section would lead to the page around."""
    source = html.escape((tmp_path / "report.html").read_text(encoding="utf-8"))
    around = tmp_path / "around.html"
    around.write_text(f"<iframe sandbox='allow-scripts' srcdoc='{source}' width='900' height='600'></iframe>")
    page.open(around.as_uri())
    with page.frame():
        page.click("nav a:last-of-type")
        page.wait_for("scrollY > 0")
        assert page.evaluate("document.querySelector('h1').innerText").endswith("20260102-030405-000001")


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_needs_no_horizontal_scrolling(report, page, width):
    page.open(report, width=width)
    needed, has = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert needed == has <= width


def test_the_page_follows_the_scheme_of_the_reader(report, page):
    for dark, background in ((False, "rgb(246, 247, 249)"), (True, "rgb(14, 17, 22)")):
        page.open(report, width=390, dark=dark)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
