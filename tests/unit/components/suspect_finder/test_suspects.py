"""The list for labellers."""

import csv
import io

import pytest

from components.suspect_finder.suspects import Kind, Region, Suspect, from_csv, to_csv

SUSPECTS = [
    Suspect(
        file_name=name, split="train", example_id=f"pets-train.tfrecord-00000-of-00001__{number}", score=0.75,
        contradicted=0.125, given_class="background", suggested_class="pet", kind=kind,
        region=Region(left=3, top=0, width=40, height=30),
    )
    for number, (name, kind) in enumerate([("a.jpg", Kind.BLANK), ('Höhe, "2"\n.jpg', Kind.OTHER)])
]  # fmt: skip


def test_a_list_that_was_written_is_read():
    assert from_csv(to_csv(SUSPECTS)) == SUSPECTS


def test_it_is_a_table_with_headings_in_the_order_of_the_ranks():
    headings, first, second = csv.reader(io.StringIO(to_csv(SUSPECTS)))
    assert headings[:3] == ["rank", "file_name", "split"]
    assert first == [
        "1", "a.jpg", "train", "pets-train.tfrecord-00000-of-00001__0", "0.7500", "0.1250", "background", "pet",
        "blank", "3", "0", "40", "30",
    ]  # fmt: skip
    assert second[:2] == ["2", 'Höhe, "2"\n.jpg']


@pytest.mark.parametrize("text", ["rank,file_name\n1,a.jpg\n", to_csv(SUSPECTS).replace("blank", "odd")])
def test_another_table_is_none(text):
    with pytest.raises(ValueError, match="Suspect"):
        from_csv(text)
