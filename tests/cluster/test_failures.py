"""What fails on a real cluster, and what is said of it."""

from real_cluster import states


def test_a_component_that_fails_says_why(cluster, package):
    ended = cluster.submit(*package, code=1, dataset_version="9.9.9")
    assert ended.record["state"] == "failed"
    assert states(ended.record)["TfdsExampleGenDriver"] == "failed"
    assert "9.9.9" in ended.record["error"]
    log = cluster.log(ended.record["run_id"], "TfdsExampleGenDriver", package[1])
    assert "TfdsExampleGenDriver: failed: " in log.out


def test_a_driver_that_fails_says_where_to_look(cluster, package):
    account = f"{cluster.pipeline}-without-rights"
    cluster.kubectl("create", "serviceaccount", account)
    settings = cluster.settings(service_account=account)
    ended = cluster.submit(package[0], cluster.write(settings), code=1)
    assert "root-driver" in ended.record["error"]
    assert set(states(ended.record).values()) == {"skipped"}
    log = cluster.petseg("kubeflow", "logs", ended.record["run_id"], "root-driver", config=package[1])
    assert "forbidden" in log.out or "Forbidden" in log.out


def test_a_pod_that_has_no_place_says_why(cluster):
    settings = cluster.settings(resources={"cpu": 1000, "memory": "1Gi"})
    package, config = cluster.compile(settings)
    run_id = cluster.submit_only(package, config)

    def waits() -> bool:
        record = cluster.status(run_id, config)
        return any("Insufficient cpu" in node["summary"] for node in record["nodes"])

    cluster.wait(waits, "a pod that says why it waits")
    cluster.petseg("kubeflow", "cancel", run_id, config=config)
    cluster.wait(lambda: cluster.status(run_id, config)["state"] == "interrupted", "the end of a cancelled run")
