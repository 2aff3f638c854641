"""Which try of a component a process is, counted together with the pods before it."""

import pytest

from pipeline.config.kubeflow import Retry
from pipeline.kubeflow.attempts import Attempt, retry_environment
from trainer_module.errors import ConfigError

RETRY = Retry(max_count=2, backoff_seconds=60, backoff_factor=3, backoff_max_seconds=100)


def attempts(environment: dict[str, str]) -> list[int]:
    """Returns the numbers of all tries of one pod."""
    attempt = Attempt.of(environment)
    numbers = [attempt.number]
    while not attempt.is_last:
        environment = environment | attempt.next_environment
        attempt = Attempt.of(environment)
        numbers.append(attempt.number)
    return numbers


@pytest.mark.parametrize(
    ("index", "numbers"),
    [(None, [1, 2, 3]), ("0", [1, 2, 3]), ("1", [2, 3]), ("2", [3]), ("7", [8]), ("{{retries}}", [1, 2, 3])],
)
def test_the_pods_before_it_count(index, numbers):
    environment = retry_environment(RETRY) | ({} if index is None else {"KFP_RETRY_INDEX": index})
    assert attempts(environment) == numbers


def test_there_is_one_try_where_nobody_asks_for_more():
    assert attempts({}) == attempts(retry_environment(Retry(max_count=0))) == [1]
    assert attempts({"KFP_RETRY_INDEX": "1"}) == [2]


def test_pauses_grow_up_to_the_longest():
    assert [Attempt(number, RETRY).pause_seconds for number in (1, 2, 3)] == [60, 100, 100]
    assert Attempt(1, Retry(backoff_max_seconds=0)).pause_seconds == 0


def test_settings_that_cannot_be_read_are_named():
    with pytest.raises(ConfigError, match=r"PETSEG_RETRY is '3', no settings of kubeflow\.retry"):
        Attempt.of({"PETSEG_RETRY": "3"})
