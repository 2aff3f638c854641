"""`petseg serve` as a process: what it prints, a push while it serves, its page in Chromium, and its end."""

import base64
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import forked_processes
import pytest
from chromium import needs_chromium, opened_page
from selenium.webdriver import Keys
from serving_model import CLASS_NAMES, picture, write_model

from petseg.processes import command

PETSEG = Path(sys.executable).with_name("petseg")


class Server:
    """A running `petseg serve` of a directory of versions: the console command, or forked."""

    def __init__(self, pets: Path, *options: str, forked: bool = True) -> None:
        self.pets = pets
        self._options = options
        self._forked = forked

    def __enter__(self) -> "Server":
        start, popen = (
            (command("pipeline.cli"), forked_processes.Popen) if self._forked else ([PETSEG], subprocess.Popen)
        )
        arguments = [*start, "serve", str(self.pets), "--port", "0", *self._options]
        self.process = popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first_line = self.process.stdout.readline()
        self.url = re.search(r"http://\S+/", self.first_line)[0]
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.url + path, body, timeout=60) as answer:
            return answer.read()


@pytest.fixture(scope="module")
def pets(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("pushed") / "pets"
    base.mkdir()
    write_model(base, 1)
    return base


@pytest.fixture(scope="module")
def server(pets):
    with Server(pets) as server:
        yield server


def test_it_serves_takes_up_a_push_and_stops(tmp_path):
    pets = tmp_path / "pets"
    pets.mkdir()
    write_model(pets, 1)
    with Server(pets, "--label", "stable", forked=False) as server:
        assert server.first_line == f"serving pets, version 1: {server.url}\n"
        curl = server.process.stdout.readline()
        assert f"'{server.url}v1/models/pets:segment?output=overlay'" in curl
        row = {"b64": base64.b64encode(picture("green")).decode()}
        body = json.dumps({"instances": [row]}).encode()
        predictions = json.loads(server.ask("v1/models/pets/labels/stable:predict", body))["predictions"]
        assert {class_id for line in predictions[0]["mask"] for class_id in line} == {1}
        write_model(pets, 2)
        deadline = time.monotonic() + 60
        while json.loads(server.ask("readyz"))["version"] != "2":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        out, err = server.process.communicate(timeout=60)
        assert (server.process.returncode, out) == (0, "stopped\n")
        assert "version 2 is served; 1 ends its requests" in err
        assert "Traceback" not in err


def test_it_warns_where_others_can_reach_it_and_ends_at_ctrl_c(pets):
    with Server(pets, "--host", "0.0.0.0") as server:
        server.process.send_signal(signal.SIGINT)
        _, err = server.process.communicate(timeout=60)
        assert server.process.returncode == 0
        assert "warning: 0.0.0.0 can be reached from elsewhere, and there is no authentication" in err


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened_page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser):
    yield browser
    assert browser.errors == []


DONE = "!document.getElementById('result').hidden || !document.getElementById('error').hidden"
IDLE = "document.getElementById('busy').hidden"
TEXT = "document.getElementById('{}').innerText"


def drawn(page, canvas: str, x: float) -> list[int]:
    """Returns the colour in the middle of a canvas' column, at this share of its width."""
    return page.evaluate(
        f"(() => {{ const c = document.getElementById('{canvas}');"
        f" return [...c.getContext('2d').getImageData(c.width * {x}, c.height / 2, 1, 1).data.slice(0, 3)]; }})()"
    )


@needs_chromium
def test_a_sample_is_chosen_by_keyboard(server, page):
    page.open(server.url)
    for _ in range(20):
        page.press(Keys.TAB)
        if page.evaluate("document.activeElement.dataset.sample ?? ''") == "samples/1.png":
            break
    page.press(Keys.ENTER)
    page.wait_for(DONE)
    rows = page.evaluate(TEXT.format("classes")).splitlines()
    shares = [float(re.search(r"([\d.]+) %", row)[1]) for row in rows]
    assert [row.split()[0] for row in rows] == CLASS_NAMES
    assert sum(shares) == pytest.approx(100, abs=0.2)
    expected = json.loads(server.ask("v1/models/pets:segment?output=json", server.ask("samples/1.png")))
    assert shares == pytest.approx([100 * one["share"] for one in expected["classes"]], abs=0.06)
    facts = page.evaluate(TEXT.format("facts"))
    assert f"{expected['width']} × {expected['height']}" in facts
    assert re.search(r"model\s+[\d.]+ ms", facts)
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


@needs_chromium
def test_a_file_is_shown_with_mask_and_overlay_and_the_slider_moves_it(server, page, tmp_path):
    file = tmp_path / "stripes.png"
    file.write_bytes(picture("red", "green", size=(60, 40)))
    page.open(server.url)
    page.set_file("#file", file)
    page.wait_for(DONE)
    classes = json.loads(server.ask("v1/models/pets:segment?output=json", file.read_bytes()))["classes"]
    colors = [one["color"] for one in classes]
    assert drawn(page, "image", 0.1) == [255, 0, 0]
    assert [drawn(page, "mask", x) for x in (0.1, 0.9)] == colors[:2]
    assert drawn(page, "overlay", 0.9) == [0, 255, 0]
    half_way = [0.45 * red + 0.55 * own for red, own in zip([255, 0, 0], colors[0], strict=True)]
    assert drawn(page, "overlay", 0.1) == pytest.approx(half_way, abs=2)
    for opacity, expected in ((0, [255, 0, 0]), (100, colors[0])):
        page.evaluate(
            "(() => { const slider = document.getElementById('opacity');"
            f" slider.value = {opacity}; slider.dispatchEvent(new Event('input')); }})()"
        )
        assert drawn(page, "overlay", 0.1) == pytest.approx(expected, abs=1)


@needs_chromium
def test_a_pasted_picture_of_another_kind_is_encoded_anew(server, page):
    page.open(server.url)
    page.evaluate(
        "(async () => { const canvas = new OffscreenCanvas(50, 30); const context = canvas.getContext('2d');"
        " context.fillStyle = '#00f'; context.fillRect(0, 0, 50, 30);"
        " const file = new File([await canvas.convertToBlob({type: 'image/webp'})], 'x.webp', {type: 'image/webp'});"
        " const data = new DataTransfer(); data.items.add(file);"
        " document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data})); })()"
    )
    page.wait_for(DONE)
    assert re.search(r"border\s+100.0 %", page.evaluate(TEXT.format("classes")))
    assert "50 × 30" in page.evaluate(TEXT.format("facts"))


@needs_chromium
def test_errors_are_told_in_words(server, page, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("no picture")
    page.open(server.url)
    page.set_file("#file", file)
    page.wait_for(DONE)
    assert page.evaluate(TEXT.format("error")) == "notes.txt is no picture that this browser can read."
    page.evaluate('window.fetch = async () => new Response(\'{"error": "too much to do"}\', {status: 429})')
    file = tmp_path / "pet.png"
    file.write_bytes(picture("red"))
    page.set_file("#file", file)
    page.wait_for(f"{IDLE} && {TEXT.format('error')} === 'too much to do'")
    page.evaluate("window.fetch = async () => { throw new TypeError('network'); }")
    page.set_file("#file", file)
    page.wait_for(f"{IDLE} && {TEXT.format('error')} === 'The server does not answer. Is it still running?'")
    assert page.evaluate("document.getElementById('result').hidden")


@needs_chromium
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_fits_and_follows_the_scheme_of_the_reader(server, page, width):
    for dark, background in ((False, "rgb(246, 247, 249)"), (True, "rgb(14, 17, 22)")):
        page.open(server.url, width=width, dark=dark)
        page.evaluate("document.querySelector('[data-sample]').click()")
        page.wait_for(DONE)
        needed, has = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert needed == has <= width
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
