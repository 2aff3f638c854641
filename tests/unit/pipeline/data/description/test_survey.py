"""What is said of a data set is what NumPy counts in its pictures."""

from collections import Counter

import numpy as np
import pytest
from survey_tiles import CARD, COUNTS, FLAWS, draw_tile

from components.segmentation_validator.kinds import Kind
from pipeline.data.description.survey import SAMPLE, median
from pipeline.data.description.tables import absent_classes, as_json, classes_table, findings_table, headline


def masks(start, count):
    return [draw_tile(index)[1] for index in range(start, start + count)]


def test_splits_and_classes_are_counted(surveys):
    found = surveys["survey_tiles"]
    assert found.splits == COUNTS
    start = 0
    for split, count in COUNTS.items():
        drawn = masks(start, count)
        summary = found.statistics.splits[split]
        assert summary.class_pixels.tolist() == [sum(int((m == v).sum()) for m in drawn) for v in CARD.mask_values]
        assert summary.images_with_class.tolist() == [sum((m == v).any() for m in drawn) for v in CARD.mask_values]
        assert summary.ignored_pixels == sum(int((m == 255).sum()) for m in drawn)
        assert summary.values == {"site": Counter(north=count // 2, south=count // 2)}
        start += count
    every = masks(0, start)
    values, counts = np.unique(np.concatenate([mask.reshape(-1) for mask in every]), return_counts=True)
    assert {v: int(found.value_pixels[v]) for v in np.flatnonzero(found.value_pixels)} == dict(
        zip(values.tolist(), counts.tolist(), strict=True)
    )
    assert found.heights == Counter(mask.shape[0] for mask in every)
    assert found.widths == Counter(mask.shape[1] for mask in every)
    assert not found.undeclared
    assert {split for split, _ in found.sample} == {*COUNTS}
    assert len(found.sample) == min(SAMPLE, start)


def test_the_thickness_of_a_road_is_its_width(surveys):
    # Two rows of 48×64 or 96×72, of which there are as many with a road: the median is one of the two, to 5 %.
    found = surveys["survey_tiles"].median_thickness(9)
    assert min(abs(found / (2 / np.sqrt(area)) - 1) for area in (48 * 64, 96 * 72)) < 0.05
    assert surveys["survey_tiles"].median_thickness(77) is None


def test_what_is_wrong_is_named(surveys):
    found = surveys["partly_declared"]
    by_kind = {kind: [each.file_name for each in examples] for kind, examples in found.findings.items()}
    assert by_kind[Kind.UNREADABLE_IMAGE] == ["tile_02.jpg"]
    assert by_kind[Kind.SIZE_MISMATCH] == ["tile_03.jpg"]
    assert by_kind[Kind.ONE_CLASS_MASK] == ["tile_04.jpg"]
    assert by_kind[Kind.SHARED_IMAGE] == ["tile_10.jpg", "tile_11.jpg"]
    assert found.undeclared == [2]
    assert found.finding_counts[Kind.UNDECLARED_VALUES] == 12 + 6 - len(FLAWS)
    assert found.splits == {"train": 12, "test": 6}
    assert found.statistics.splits["train"].examples == 10
    assert {each.partner.file_name for each in found.flawed if each.kind is Kind.SHARED_IMAGE} == {
        "tile_10.jpg",
        "tile_11.jpg",
    }
    assert "2 images in two splits" in [row[0].text for row in findings_table(found).rows]


def test_of_unknown_masks_every_value_is_listed(surveys):
    found = surveys["flawed_tiles"]
    rows = {row[0].text: row[1] for row in classes_table(found, {}).rows}
    assert rows == {f"value {value}": str(value) for value in (1, 2, 3, 9, 255)}
    assert "whose meaning nobody says" in headline(found)
    assert Kind.UNDECLARED_VALUES not in found.finding_counts


def test_json_has_the_numbers(surveys):
    found = as_json(surveys["survey_tiles"])
    road = found["classes"][3]
    drawn = masks(0, sum(COUNTS.values()))
    assert (road["name"], road["mask_value"], road["images"]) == ("road", 9, sum((m == 9).any() for m in drawn))
    assert road["pixels"] == sum(road["pixels_by_split"].values()) == found["mask_values"]["9"]["pixels"]
    assert found["sizes"]["width"] == {"least": 64, "median": 64, "greatest": 72}
    assert as_json(surveys["flawed_tiles"])["findings"]["size_mismatch"]["examples"][0]["file_name"] == "tile_03.jpg"


def test_a_class_that_a_split_has_not_is_told(opened):
    from pipeline.data.description.survey import survey

    said = ('data.class_names=["water", "forest", "field", "road", "rail"]', "data.mask_values=[1, 2, 3, 9, 30]")
    found = survey(opened("survey_tiles", *said, splits=["train[:1]", "validation"]), lambda _: None)
    [without] = [split for split, one in found.statistics.splits.items() if not one.class_pixels[3]]
    assert [*absent_classes(found)] == [
        "No image has a pixel of rail.",
        f"No image of {without} has a pixel of road.",
    ]


@pytest.mark.parametrize(("values", "middle"), [([3], 3), ([1, 2], 1), ([5, 1, 9], 5), ([], 0)])
def test_the_median_is_one_of_the_values(values, middle):
    assert median(Counter(values)) == middle
