"""A canary beside a stable version, both real HTTP servers behind the cluster's API, until it is decided on."""

import json
import threading

import pytest
from kserve_deployments import template_for, uri
from serving_pods import ServingPod, drawn_images, place

from components.kserve_deployer.canary import watch as watching
from components.kserve_deployer.canary.settings import WatchSettings
from components.kserve_deployer.canary.verdict import ExpectedDifference
from components.kserve_deployer.canary.watch import Ending, WatchTask, watch
from components.kserve_deployer.cluster import ClusterError
from components.kserve_deployer.rollout import deploy, deployed, promote, rollback
from trainer_module.errors import PetsegError

IMAGES = drawn_images(10)


@pytest.fixture(autouse=True)
def _impatient_watch(monkeypatch):
    monkeypatch.setattr(watching, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.01)


@pytest.fixture(params=["Knative", "Standard"])
def mode(request):
    return request.param


@pytest.fixture
def offered(api, controller, cluster, mode):
    """Deploys version 1, and version 2 as its canary."""
    for version in (1, 2):
        deploy(cluster, template_for(f"push.kserve.deployment_mode={mode}"), uri(version), 10)
    return cluster


def task(*, expected=0.1, dry_run=False, images=IMAGES, **changes):
    fields = {
        "requests": 40, "minutes": 5, "min_requests": 20, "pause_seconds": 0, "timeout_seconds": 20, "images": 10,
        "max_error_share": 0.01, "max_latency_ratio": 100, "max_difference": None,
    }  # fmt: skip
    return WatchTask(WatchSettings(**fields | changes), images, ExpectedDifference(expected), dry_run)


def ignore(progress):
    pass


def beside(api, cluster, canary, stable=None, a_task=None, on_progress=ignore):
    """Watches a canary's server beside a stable version's."""
    with stable or ServingPod() as one, canary as other:
        place(api, {"1": one, "2": other})
        return watch(cluster, a_task or task(), on_progress)


def traffic_of(cluster):
    state = deployed(cluster).state
    return state.stable, state.canary if state.percent else None


def test_one_that_answers_alike_is_promoted(api, offered):
    seen, canary = [], ServingPod()
    report = beside(api, offered, canary, on_progress=seen.append)
    assert (report.ending, traffic_of(offered)) == (Ending.PROMOTED, (uri(2), None)), report.summary
    assert report.outcome.summary.startswith("version 2 has all traffic")
    assert canary.predictions == 40
    assert "0.0% of the pixels have another class, up to 10.0% are expected" in report.summary
    assert [progress.said for progress in seen if progress.said] == ["nothing against it after 20 requests"]
    left = json.loads(json.dumps(report.as_json()))
    assert left["requests"] == {"stable": {"sent": 40, "failed": 0}, "canary": {"sent": 40, "failed": 0}}
    assert (left["ending"], left["decision"], left["images"]) == ("promoted", "promote", 10)
    assert left["outcome"]["traffic"] == {"2": 100}


def test_one_that_errs_is_rolled_back_at_the_first_look(api, offered):
    canary = ServingPod(fails_every=2)
    report = beside(api, offered, canary)
    assert (report.ending, traffic_of(offered)) == (Ending.ROLLED_BACK, (uri(1), None)), report.summary
    assert "10 of 20 requests to the canary failed, 0 of 20 to the stable version" in report.summary
    assert report.problems == {"stable": {}, "canary": {"500: out of memory": 10}}
    assert canary.predictions == 20


def test_one_that_answers_differently_is_rolled_back(api, offered):
    report = beside(api, offered, ServingPod(differs=True))
    assert (report.ending, traffic_of(offered)) == (Ending.ROLLED_BACK, (uri(1), None)), report.summary
    assert "10 of 10 images differ more than that" in report.summary


@pytest.mark.parametrize("mode", ["Standard"], indirect=True)
class TestInOneMode:
    def test_one_that_is_slow_is_rolled_back(self, api, offered):
        limits = task(requests=20, max_latency_ratio=1.5)
        report = beside(api, offered, ServingPod(seconds=0.1), ServingPod(seconds=0.01), limits)
        assert (report.ending, traffic_of(offered)) == (Ending.ROLLED_BACK, (uri(1), None)), report.summary
        assert report.verdict.reason.startswith("half of the requests take up to")

    def test_nothing_is_decided_on_too_few_requests(self, api, offered):
        report = beside(api, offered, ServingPod(fails_every=1), a_task=task(minutes=1e-6))
        assert (report.ending, traffic_of(offered)) == (Ending.UNDECIDED, (uri(1), uri(2)))
        assert "too few to decide on" in report.summary
        assert report.outcome is None

    def test_at_the_end_of_its_time_it_decides_on_what_it_has(self, api, offered, monkeypatch):
        clock = iter(range(100_000))
        monkeypatch.setattr(watching.time, "monotonic", lambda: next(clock) * 1.0)
        report = beside(api, offered, ServingPod(), a_task=task(requests=10_000, minutes=5))
        assert report.ending is Ending.PROMOTED, report.summary
        assert 20 <= report.evidence.canary.sent < 300

    def test_a_dry_run_changes_nothing(self, api, offered):
        before = json.dumps(api.services["pets"]["spec"])
        report = beside(api, offered, ServingPod(fails_every=1), a_task=task(dry_run=True))
        assert report.summary.startswith("version 2 would be rolled back: 20 of 20 requests")
        assert json.dumps(api.services["pets"]["spec"]) == before

    def test_a_canary_that_crashed_counts_as_failing(self, api, offered):
        with ServingPod() as stable:
            place(api, {"1": stable, "2": None})
            report = watch(offered, task(), ignore)
        assert report.ending is Ending.ROLLED_BACK
        [(reason, times)] = report.problems["canary"].items()
        assert reason.startswith("503: error trying to reach service")
        assert times == 20
        api.pods = api.pods[:1]

    def test_so_does_one_without_a_ready_pod(self, api, offered):
        with ServingPod() as stable:
            place(api, {"1": stable})
            report = watch(offered, task(), ignore)
        assert report.problems["canary"] == {"no pod is ready": 20}
        assert report.ending is Ending.ROLLED_BACK

    def test_a_pod_that_does_not_answer_in_time_fails(self, api, offered):
        canary = ServingPod()
        canary.stall(on="POST", times=1)
        report = beside(api, offered, canary, a_task=task(requests=20, timeout_seconds=0.5, max_error_share=0.1))
        assert report.problems["canary"] == {"504: no answer within 0.5 s": 1}
        assert report.ending is Ending.PROMOTED, report.summary

    def test_an_answer_without_a_mask_fails(self, api, offered, monkeypatch):
        canary = ServingPod()
        monkeypatch.setattr(canary, "_row", lambda image: {"mask": [[0]]})
        report = beside(api, offered, canary)
        assert report.problems["canary"] == {"200, but no mask_png_bytes: KeyError": 20}

    def test_what_fails_in_both_promotes_nothing(self, api, offered):
        report = beside(api, offered, ServingPod(fails_every=4), ServingPod(fails_every=4))
        assert (report.ending, traffic_of(offered)) == (Ending.UNDECIDED, (uri(1), uri(2)))
        assert "10 of 40 requests to the canary failed, 10 of 40 to the stable version" in report.summary

    def test_other_peoples_failing_requests_roll_back_too(self, api, offered):
        stable, canary = ServingPod(counts=True, others=(900, 9)), ServingPod(counts=True, others=(80, 20))
        stable.statuses["OK"] = 5000  # before the watch
        report = beside(api, offered, canary, stable)
        assert (report.evidence.traffic[0].sent, report.evidence.traffic[0].failed) == (909, 9)
        assert (report.evidence.traffic[1].sent, report.evidence.traffic[1].failed) == (100, 20)
        assert report.ending is Ending.ROLLED_BACK
        assert report.verdict.reason.startswith("of the traffic, 20 of 100 requests to the canary failed, 9 of 909")

    @pytest.mark.parametrize("change", [promote, rollback])
    def test_a_canary_that_somebody_else_decided_on_is_left_alone(self, api, offered, change):
        def interfere(progress):
            if progress.pairs == 5:
                change(offered)

        report = beside(api, offered, ServingPod(fails_every=1), on_progress=interfere)
        after = deployed(offered).described
        assert (report.ending, report.outcome) == (Ending.GONE, None)
        assert report.summary == f"version 2 is no canary beside version 1 any more; {after}"
        assert report.evidence.canary.sent < 20
        assert traffic_of(offered) == ((uri(2), None) if change is promote else (uri(1), None))

    @pytest.mark.parametrize("change", [promote, rollback])
    def test_the_same_at_the_last_moment(self, api, offered, monkeypatch, change):
        decide = watching.decide

        def interfere(*arguments, **options):
            change(offered)
            return decide(*arguments, **options)

        monkeypatch.setattr(watching, "decide", interfere)
        report = beside(api, offered, ServingPod(fails_every=1))
        after = deployed(offered).described
        assert (report.ending, report.outcome) == (Ending.GONE, None)
        assert report.summary == f"version 2 is no canary any more; {after}"
        assert traffic_of(offered) == ((uri(2), None) if change is promote else (uri(1), None))

    def test_two_watchers_decide_once(self, api, offered, make_cluster):
        reports = []
        with ServingPod() as one, ServingPod(fails_every=2) as other:
            place(api, {"1": one, "2": other})
            clusters = offered, make_cluster()
            watchers = [
                threading.Thread(target=lambda cluster=cluster: reports.append(watch(cluster, task(), ignore)))
                for cluster in clusters
            ]
            for watcher in watchers:
                watcher.start()
            for watcher in watchers:
                watcher.join()
        assert sorted(report.ending for report in reports) == [Ending.GONE, Ending.ROLLED_BACK]
        assert traffic_of(offered) == (uri(1), None)

    def test_a_busy_cluster_is_asked_again(self, api, offered):
        def disturb(progress):
            if progress.pairs == 3:
                api.fail(503, on="GET /apis/serving", times=9)  # four tries make a request

        report = beside(api, offered, ServingPod(), on_progress=disturb)
        assert report.ending is Ending.PROMOTED, report.summary

    def test_without_the_right_nothing_is_decided(self, api, offered):
        api.forbidden = {"create pods/proxy"}
        with pytest.raises(ClusterError, match=r"cannot ask the pods of 'pets': .*manifests/kserve_watch/watcher.yaml"):
            beside(api, offered, ServingPod())
        assert traffic_of(offered) == (uri(1), uri(2))

    def test_ctrl_c_leaves_the_canary_as_it_is(self, api, offered):
        def interrupt(progress):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            beside(api, offered, ServingPod(fails_every=1), on_progress=interrupt)
        assert traffic_of(offered) == (uri(1), uri(2))

    def test_without_a_canary_there_is_nothing_to_watch(self, api, offered):
        place(api, {"1": None, "2": None})
        promote(offered)
        with pytest.raises(PetsegError, match="there is no canary to watch: version 2 has all traffic"):
            watch(offered, task(), ignore)
