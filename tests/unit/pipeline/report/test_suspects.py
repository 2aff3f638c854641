"""The suspect masks in the report, and their page beside it."""

import re

import numpy as np
import pytest
from PIL import Image
from report_run import CLASS_NAMES

from components.suspect_finder.suspects import Kind, Region, Suspect, picture_names, to_csv
from pipeline.report.page import write_report
from pipeline.runs.record import NodeRecord, NodeState
from trainer_module.model_card import mask_image

COUNT = 6
DRAWN = 5
SIDE = 20


@pytest.fixture
def suspects() -> list[Suspect]:
    kinds = [Kind.BLANK, Kind.OTHER, Kind.BLANK, Kind.EXCHANGED, Kind.SHIFTED, Kind.OTHER]
    return [
        Suspect(
            file_name="<twice>.jpg" if rank < 2 else f"{rank}.jpg", split="train",
            example_id=f"pets-train.tfrecord-00000-of-00001__{rank}", score=0.9 - rank / 10,
            contradicted=0.25, given_class="background", suggested_class="pet", kind=kind,
            region=Region(left=0, top=0, width=10, height=10),
        )
        for rank, kind in enumerate(kinds)
    ]  # fmt: skip


@pytest.fixture
def directory(record, suspects, tmp_path):
    """What SuspectFinder left: a list of six, and pictures of five."""
    directory = tmp_path / "suspects"
    (directory / "pictures").mkdir(parents=True)
    (directory / "suspects.csv").write_text(to_csv(suspects), encoding="utf-8")
    for rank in range(1, DRAWN + 1):
        image, given, model = (directory / "pictures" / name for name in picture_names(rank))
        Image.new("RGB", (SIDE, SIDE), "red").save(image)
        mask_image(np.ones((SIDE, SIDE), np.uint8), len(CLASS_NAMES)).save(given)
        mask_image(np.zeros((SIDE, SIDE), np.uint8), len(CLASS_NAMES)).save(model)
    outputs = {"suspects": str(directory)}
    record.nodes.append(NodeRecord(id="SuspectFinder", state=NodeState.COMPLETE, outputs=outputs))
    record.dataset.splits = {"train": 300, "eval": 30, "test": 12}
    return directory


def pages(record, directory):
    written = write_report(record, directory, with_pictures=False)
    return [file.read_text(encoding="utf-8") for file in (written.page, written.suspects)]


def test_the_report_shows_the_first_and_leads_to_all(record, directory, tmp_path):
    report, page = pages(record, tmp_path)
    assert "6 of 330 masks to look at" in report
    targets = re.findall(r'<a href="([^"#]+)"', report)
    assert targets == ["suspects.html", "suspects.csv"]
    assert all((tmp_path / target).is_file() for target in targets)
    assert (tmp_path / "suspects.csv").read_bytes() == (directory / "suspects.csv").read_bytes()
    assert [text.count('alt="given mask of ') for text in (report, page)] == [4, DRAWN]


def test_the_page_has_all_of_them_by_names_that_tell_them_apart(record, directory, tmp_path):
    _, page = pages(record, tmp_path)
    assert not re.search(r"https?://|@import|(src|href)=\"(?!#|data:|suspects\.csv)", page)
    for name in ("&lt;twice&gt;.jpg (train 00000__0)", "&lt;twice&gt;.jpg (train 00000__1)", "5.jpg"):
        assert name in page
    assert "#1 · score 0.900 · blank · 25% contradicted, background → pet · train" in page
    rows = dict(re.findall(r"<td[^>]*>(\w+)</td>\s*<td class=\"neutral number\">(\d)</td>", page))
    assert rows == {"blank": "2", "shifted": "1", "exchanged": "1", "other": "2"}


def test_a_run_that_looked_for_none_says_so(record, tmp_path):
    written = write_report(record, tmp_path, with_pictures=False)
    assert written.suspects is None
    assert "The run had no SuspectFinder." in written.page.read_text(encoding="utf-8")
    assert not (tmp_path / "suspects.html").exists()


def test_none_that_is_contradicted_is_good_news(record, directory, tmp_path):
    (directory / "suspects.csv").write_text(to_csv([]), encoding="utf-8")
    written = write_report(record, tmp_path, with_pictures=False)
    assert "None of 330 masks is contradicted" in written.page.read_text(encoding="utf-8")
    assert written.suspects is None


def test_a_list_that_is_damaged_costs_no_report(record, directory, tmp_path):
    (directory / "suspects.csv").write_text("rank,file_name\n1,a.jpg\n", encoding="utf-8")
    written = write_report(record, tmp_path, with_pictures=False)
    assert "cannot be read" in written.page.read_text(encoding="utf-8")
