"""KServe's real controller goes through a rollout as it was recorded, and petseg says what is there.

PETSEG_TEST_KSERVE is `NAMESPACE=URI`: where to deploy, and a push destination as the cluster sees it, with the versions
1 to 3 in KServeDeployer's folders.
"""

import os
import time
import uuid
from collections.abc import Iterator

import pytest
from kserve_rollouts import kept, recorded, replay

from components.kserve_deployer.cluster import Cluster, ClusterAccess
from components.kserve_deployer.service import is_standard, read_state
from components.kserve_deployer.traffic import asked, percentages, traffic
from pipeline.config.loading import load_config
from pipeline.kserve.service import deploy_request
from trainer_module.errors import PetsegError

SETTLING_SECONDS = 8
"""Until the pods that were taken out of service are gone."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    namespace = os.environ["PETSEG_TEST_KSERVE"].partition("=")[0]
    name = f"t{uuid.uuid4().hex[:6]}"
    found = Cluster(ClusterAccess(namespace=namespace, name=name, timeout_seconds=300))
    yield found
    path = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
    found._api.call("DELETE", path, name=name)


def test_a_rollout_goes_as_it_was_recorded(cluster):
    destination = os.environ["PETSEG_TEST_KSERVE"].partition("=")[2]
    overrides = [
        f"push.kserve.storage_uri={destination}",
        f"push.kserve.name={cluster.access.name}",
        f"push.kserve.namespace={cluster.access.namespace}",
        "push.kserve.deployment_mode=Standard",
        "push.kserve.cpu=0.1",
        "push.kserve.memory=1Gi",
    ]
    template = deploy_request(load_config(overrides=overrides)).template
    done = replay(
        [step["step"] for step in recorded("0.20.0")["steps"]],
        cluster,
        template,
        lambda version: f"{destination}/.kserve/{version}-only",
    )
    release, ours_before = "after_0.20.0", []
    for number, (step, came) in enumerate(done):
        if "does not split" in str(came):
            release = "0.20.0"
        steps = recorded(release)["steps"]
        theirs, theirs_before = steps[number], steps[number - 1]["pods"] if number else []
        assert isinstance(came, PetsegError) == ("error" in theirs), (step, came)
        time.sleep(SETTLING_SECONDS)
        service = cluster.read()
        assert service is not None
        assert is_standard(service)
        state = read_state(service, cluster.history(service["metadata"]["uid"]))
        assert percentages(traffic(service, state, cluster.route())) == asked(state), step
        pods = [
            {
                "name": pod["metadata"]["name"].replace(cluster.access.name, "pets", 1),
                "version": pod["metadata"]["labels"]["petseg/version"],
            }
            for pod in cluster.pods()
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        assert kept(ours_before, pods) == kept(theirs_before, theirs["pods"]), step
        ours_before = pods
