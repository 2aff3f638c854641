"""Examples are looked at in order, a few at a time, and the thickness of their areas is that of a drawing."""

import threading

import numpy as np
import pytest

from pipeline.data.description.looking import mapped_in_order, thickness


def of(mask):
    return thickness(mask, np.bincount(mask.reshape(-1), minlength=256))


def test_a_stripe_is_as_thick_as_it_is_wide():
    mask = np.zeros((40, 90), np.uint8)
    mask[10:13] = 7
    found = of(mask)
    # 270 pixels with two sides of 90; of the others 3,330 with the same two.
    np.testing.assert_allclose(found[7], 2 * 270 / 180 / 60)
    np.testing.assert_allclose(found[0], 2 * 3330 / 180 / 60)
    assert found[1] == 0


def test_a_square_is_half_as_thick_as_its_side_and_many_are_no_thicker():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:30, 10:30] = 1
    np.testing.assert_allclose(of(mask)[1], 0.1)
    mask[60:80, 50:70] = 1
    np.testing.assert_allclose(of(mask)[1], 0.1)


def test_an_area_without_an_outline_is_as_thick_as_the_image():
    assert of(np.full((20, 30), 5, np.uint8))[5] == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_made_comes_in_order_and_little_waits(workers):
    taken = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    first_is_held = threading.Event()

    def double(number):
        if not number:
            first_is_held.wait(10)
        return 2 * number

    made = mapped_in_order(double, numbers(), workers)
    first_is_held.set()
    assert next(made) == 0
    assert len(taken) <= 4 * workers + 1
    assert [*made] == [*range(2, 200, 2)]


def test_an_error_of_the_work_is_raised_where_it_is_asked_for():
    made = mapped_in_order(lambda number: 1 // number, [1, 0], 2)
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        next(made)
