"""The report in a browser: it fits a phone, and follows the reader's light or dark scheme. Needs Chromium."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
import report_run

from pipeline.report.blocks import Gallery, Picture, PictureRow, Section
from pipeline.report.facts import run_facts
from pipeline.report.page import html as page_html
from pipeline.report.page import run_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DARK = "--blink-settings=preferredColorScheme=0"
LIGHT = "--blink-settings=preferredColorScheme=1"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
FRAME = """<!doctype html><iframe id="page" style="width: {width}px; height: 800px; border: 0" srcdoc="{page}"></iframe>
<script>
document.getElementById("page").onload = (event) => {{
  const root = event.target.contentDocument.documentElement;
  const style = event.target.contentWindow.getComputedStyle(event.target.contentDocument.body);
  document.title = [root.scrollWidth, root.clientWidth, style.backgroundColor].join(";");
}};
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture
def page(tmp_path) -> str:
    pictures = [Picture(label, PIXEL) for label in ("image", "truth", "prediction", "errors")]
    gallery = Gallery("The worst", "Caption.", [PictureRow("a_file_name_without_spaces" * 4, "Cat", pictures)])
    record = report_run.finished_run(tmp_path)
    return page_html(run_page(run_facts(record), Section("Pictures", [gallery])))


def seen(page: str, directory: Path, width: int, scheme: str) -> list[str]:
    """Returns what the page needs and has of width, and the colour of its background."""
    file = directory / "frame.html"
    file.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", scheme]
    command = [CHROMIUM, *flags, f"--user-data-dir={directory / 'profile'}", "--dump-dom", file.as_uri()]
    document = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return re.search("<title>(.+?)</title>", document)[1].split(";")


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_needs_no_horizontal_scrolling(page, tmp_path, width):
    needed, has, _ = seen(page, tmp_path, width, LIGHT)
    assert int(needed) == int(has) <= width


def test_the_page_follows_the_scheme_of_the_reader(page, tmp_path):
    light, dark = (seen(page, tmp_path, 390, scheme)[2] for scheme in (LIGHT, DARK))
    assert light == "rgb(246, 247, 249)"
    assert dark == "rgb(14, 17, 22)"
