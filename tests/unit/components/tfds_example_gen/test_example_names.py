"""What examples are called where several have the same file name."""

import subprocess
import sys

from components.tfds_example_gen.example_names import is_tfds_id, shown_names


def test_file_names_of_one_example_alone_stay():
    assert shown_names(
        {"a-test.tfrecord-00000-of-00001__0": "x.jpg", "a-test.tfrecord-00000-of-00001__1": "y.jpg"}
    ) == {
        "a-test.tfrecord-00000-of-00001__0": "x.jpg",
        "a-test.tfrecord-00000-of-00001__1": "y.jpg",
    }


def test_file_names_that_repeat_get_the_place_in_the_split():
    ids = [f"field_tiles-test.tfrecord-0000{shard}-of-00002__{position}" for shard in (0, 1) for position in (5, 12)]
    names = shown_names(dict.fromkeys(ids, "image.jpg") | {"field_tiles-test.tfrecord-00000-of-00002__0": "other.jpg"})
    assert list(names.values()) == [
        "image.jpg (test 00000__5)",
        "image.jpg (test 00000__12)",
        "image.jpg (test 00001__5)",
        "image.jpg (test 00001__12)",
        "other.jpg",
    ]


def test_places_that_are_the_same_give_way_to_the_whole_id():
    ids = ["one/a-test.tfrecord-00000-of-00001__5", "two/a-test.tfrecord-00000-of-00001__5", "anything else"]
    assert list(shown_names(dict.fromkeys(ids, "x.jpg")).values()) == [f"x.jpg ({example_id})" for example_id in ids]


def test_an_id_for_want_of_a_file_name_is_known_as_one():
    assert is_tfds_id("oxford_iiit_pet-train.tfrecord-00003-of-00004__911")
    assert is_tfds_id("one/a-test.array_record-00000-of-00001__5")
    assert not is_tfds_id("train-00003-of-00004__911.jpg")


def test_names_need_no_tensorflow():
    code = "import components.tfds_example_gen.example_names, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
