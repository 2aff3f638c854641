"""Runs on a real cluster that decide first whether to train."""

import pytest
from real_cluster import states

EPOCHS = 2
"""Of the training, unlike that of any other run of the session: which is a reason."""


@pytest.fixture(scope="module")
def deciding(cluster):
    """A package of a configuration with a schedule, and the configuration."""
    return cluster.compile(cluster.settings() | {"schedule": {"cron": "0 3 * * 1"}})


def test_a_run_trains_where_there_is_a_reason_and_else_when_it_is_asked_to(cluster, deciding):
    record = cluster.submit(*deciding, epochs=EPOCHS, only_if_needed="true").record
    assert record["decision"]["trains"]
    assert record["pushed_model"] is not None

    record = cluster.submit(*deciding, epochs=EPOCHS, only_if_needed="true").record
    assert not record["decision"]["trains"]
    of_components = states(record)
    assert of_components.pop("RetrainingDecider") == "complete"
    assert set(of_components.values()) == {"skipped"}
    listed = cluster.petseg("kubeflow", "status", config=deciding[1]).out
    assert any(record["run_id"] in line and "skipped" in line for line in listed.splitlines())
    assert "condition" in cluster.log(record["run_id"], "Retraining-driver", deciding[1]).out.lower()

    record = cluster.submit(*deciding, epochs=EPOCHS).record
    assert record["decision"]["reasons"][0]["kind"] == "asked"
    assert states(record)["Trainer"] == "cached"
