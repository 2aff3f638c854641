"""A schedule on a real cluster, fired by the controller of Kubeflow Pipelines."""

import json

import pytest


@pytest.fixture
def schedule(cluster, package):
    """Writes the configuration with a schedule, and deletes that in the end."""
    configs = []

    def write(cron: str, **parameters):
        settings = cluster.settings() | {"schedule": {"name": cluster.pipeline, "cron": cron, "parameters": parameters}}
        configs.append(cluster.write(settings))
        return configs[-1]

    yield write
    cluster.petseg("schedule", "delete", "--yes", config=configs[-1], code=None)


def recurring_runs(cluster):
    """Returns what the controller itself has of the schedule."""
    return [found for found in cluster.objects("scheduledworkflows.kubeflow.org") if cluster.pipeline in str(found)]


def test_a_schedule_fires_changes_pauses_and_goes(cluster, package, schedule):
    config = schedule("*/2 * * * *", epochs=1)
    assert "create" in cluster.petseg("schedule", "apply", "--package", package[0], config=config).out
    [made] = recurring_runs(cluster)
    assert made["spec"].get("enabled")

    def fired():
        runs = cluster.petseg("kubeflow", "status", "--json", config=config).record
        return [run for run in runs if cluster.pipeline in run["pipeline"] and run["state"] == "running"]

    [run, *_] = cluster.wait(fired, "a run that the controller has started")
    assert run["settings"]["parameters"] == {"epochs": 1}
    refused = cluster.petseg("schedule", "apply", config=schedule("0 3 * * 1", epochs=1), code=1)
    assert "while a run of it goes on" in refused.err
    cluster.petseg("kubeflow", "cancel", run["run_id"], config=config)
    cluster.wait(
        lambda: cluster.status(run["run_id"], config)["state"] == "interrupted", "the end of the scheduled run"
    )

    cluster.petseg("schedule", "pause", config=config)
    [paused] = recurring_runs(cluster)
    assert not paused["spec"].get("enabled")
    weekly = schedule("0 3 * * 1", epochs=2)
    assert "0 3 * * 1" in cluster.petseg("schedule", "apply", config=weekly).out
    [changed] = recurring_runs(cluster)
    assert changed["spec"]["trigger"]["cronSchedule"]["cron"] == "0 0 3 * * 1"
    assert not changed["spec"].get("enabled")
    cluster.petseg("schedule", "resume", config=weekly)
    [shown] = json.loads(cluster.petseg("schedule", "list", "--json", config=weekly).out)
    assert (shown["name"], shown["enabled"]) == (cluster.pipeline, True)
    cluster.petseg("schedule", "delete", "--yes", config=weekly)
    assert recurring_runs(cluster) == []
