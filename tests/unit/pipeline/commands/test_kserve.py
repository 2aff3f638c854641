"""`petseg kserve`, against a cluster in memory."""

import json
import subprocess
import sys

import pytest
from fake_kserve_controller import URL, FakeController, make_pod
from fake_kubernetes_api import FakeKubernetesApi
from kserve_deployments import template_for, uri
from mlflow_server import free_port
from serving_pods import ServingPod, drawn_images, place

from components.kserve_deployer import readiness
from components.kserve_deployer.canary import watch as watching
from components.kserve_deployer.cluster import Cluster, ClusterAccess
from components.kserve_deployer.rollout import deploy
from pipeline import cli


@pytest.fixture
def api():
    with FakeKubernetesApi() as server:
        server.on_service_read = FakeController(server)
        yield server


@pytest.fixture
def petseg(api, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0.005)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = tmp_path / "kserve.toml"
    lines = ['name = "pets"', 'namespace = "models"', f'kubeconfig = "{api.write_kubeconfig(tmp_path)}"']
    config.write_text("\n".join(["[push.kserve]", *lines]))

    def run(*arguments):
        code = cli.exit_code(["kserve", *arguments, "--config", str(config)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def canary(api, petseg, tmp_path):
    """Deploys version 1, then version 2 as a canary."""
    access = ClusterAccess(kubeconfig=str(tmp_path / "kubeconfig"), namespace="models", name="pets", timeout_seconds=10)
    template = template_for("push.kserve.deployment_mode=Knative")
    for version in (1, 2):
        deploy(Cluster(access), template, uri(version), 10)


def test_help_loads_no_client_and_status_nothing_that_computes(api, petseg, canary, tmp_path):
    code = (
        "import sys\nfrom pipeline.cli import exit_code\n"
        "for words in ('--help', 'status --help', 'promote --help', 'rollback --help', 'watch --help'):\n"
        "    assert exit_code(['kserve', *words.split()]) == 0\n"
        "heavy = {'tensorflow', 'tfx', 'kfp', 'fastapi', 'apache_beam', 'ml_metadata', 'matplotlib', 'pandas'}\n"
        "assert not heavy & sys.modules.keys() and 'kubernetes' not in sys.modules, heavy & sys.modules.keys()\n"
        "assert exit_code(['kserve', 'status', '--config', 'kserve.toml']) == 0\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr


def test_status_shows_models_traffic_conditions_and_pods(api, petseg, canary):
    waiting = {"name": "kserve-container", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    api.on_service_read = lambda service: None
    api.pods.append(make_pod("pets", "1", ready=False, containerStatuses=[waiting]))
    code, out, _ = petseg("status")
    assert code == 0
    assert [line.rstrip() for line in out.splitlines()] == [
        "models/pets: ready",
        "version 2 has 10 % of the traffic, version 1 90 %",
        URL,
        "model: UpToDate",
        "",
        "version  revision or service   traffic",
        "2        pets-predictor-00002  10 %",
        "1        pets-predictor-00001  90 %",
        "",
        "condition       status  reason",
        "Ready           True",
        "PredictorReady  True",
        "",
        "pod                        version  phase    ready  restarts  trouble",
        f"{api.pods[0]['metadata']['name']}  2        Running  yes    0",
        "pets-predictor-1-x         1        Pending  no     2         kserve-container: CrashLoopBackOff",
    ]


def test_status_of_what_is_not_ready_is_1_and_says_why(api, petseg, canary):
    info = {"reason": "ModelLoadFailed", "message": "no weights"}
    api.on_service_read.failure = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": info}
    code, out, _ = petseg("status")
    assert code == 1
    assert "models/pets: not ready" in out
    assert "BlockedByFailedLoad: ModelLoadFailed: no weights" in out
    assert "ReadyMissing: why" in out


def test_json_is_the_record(api, petseg, canary):
    code, out, _ = petseg("status", "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["name"], record["namespace"], record["url"], record["ready"]) == ("pets", "models", URL, True)
    assert record["state"] == {
        "stable": uri(1), "canary": uri(2), "percent": 10, "previous": None, "stable_name": None, "canary_name": None
    }  # fmt: skip
    assert [share["percent"] for share in record["traffic"]] == [10, 90]
    assert record["pods"][0]["version"] == "2"


def test_promote_and_rollback(api, petseg, canary):
    code, out, _ = petseg("promote")
    assert (code, out) == (0, f"version 2 has all traffic at {URL}\n")
    code, out, _ = petseg("rollback", "--json")
    assert code == 0
    assert json.loads(out) == {
        "changed": True, "url": URL, "stable": uri(1), "canary": None, "canary_percent": None, "previous": uri(2),
        "traffic": {"1": 100},
    }  # fmt: skip
    assert petseg("rollback")[1] == "version 2 was rolled back already; version 1 has all traffic\n"


def test_a_tracker_that_is_down_is_told_later_and_keeps_no_model_from_being_served(api, petseg, canary, tmp_path):
    root = tmp_path / "root"
    tracked = ["--set", f"tracking.mlflow=http://127.0.0.1:{free_port()}", "--set", f"pipeline.root={root}"]
    code, out, err = petseg("promote", *tracked)
    assert (code, out) == (0, f"version 2 has all traffic at {URL}\n")
    assert "MLflow's aliases wait to be moved by `petseg track sync`" in err
    [move] = json.loads((root / "tracking_aliases.json").read_text())["moves"].values()
    assert move["aliases"] == {"champion": "2", "challenger": None}


def test_what_is_not_there_is_an_error(petseg):
    for command in ("status", "promote", "rollback"):
        code, out, err = petseg(command)
        assert (code, out) == (1, "")
        assert "there is no InferenceService 'pets' in the namespace 'models'; a run with push.kserve.enabled" in err


def test_a_refusal_is_an_error_in_words(api, petseg, canary):
    api.edit("pets", "spec.predictor.canaryTrafficPercent", 50)
    api.forbidden = {"patch inferenceservices"}
    code, _, err = petseg("promote")
    assert code == 1
    assert "cannot apply the InferenceService 'pets'" in err
    assert "Traceback" not in err


def test_a_context_that_does_not_exist_is_a_mistake_of_the_settings(petseg):
    code, _, err = petseg("status", "--set", "push.kserve.context=nope")
    assert code == 2
    assert "push.kserve.context is 'nope'" in err


def test_a_misspelt_command_is_told(petseg):
    code, _, err = petseg("promot")
    assert code == 2
    assert "did you mean 'promote'?" in err


@pytest.fixture
def watch(api, petseg, canary, tmp_path, monkeypatch):
    """Runs `petseg kserve watch` on a folder of images, beside a good stable version."""
    monkeypatch.setattr(watching, "REFRESH_SECONDS", 0.02)
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(drawn_images(9)):
        (folder / f"{number}.PNG").write_bytes(image)

    def run(server, *arguments):
        with ServingPod() as stable, server:
            place(api, {"1": stable, "2": server})
            settings = ("watch.max_latency_ratio=100", "watch.min_requests=20", "watch.max_difference=0.1")
            overrides = [word for setting in settings for word in ("--set", f"push.kserve.{setting}")]
            return petseg("watch", "--images", str(folder), "--once", *overrides, *arguments)

    return run


def test_watch_promotes_and_says_why(watch):
    code, out, err = watch(ServingPod(), "--requests", "20")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "passed  0 of 20 requests to the canary failed, 0 of 20 to the stable version"
    assert lines[2].startswith("passed  0.0% of the pixels have another class, up to 10.0% are expected; 0 of 9 images")
    assert lines[-2] == "version 2 was promoted"
    assert lines[-1] == f"version 2 has all traffic at {URL}"


def test_watch_that_rolls_back_ends_with_3(watch, petseg):
    code, out, _ = watch(ServingPod(differs=True), "--requests", "20", "--json")
    report = json.loads(out)
    assert (code, report["ending"], report["outcome"]["traffic"]) == (3, "rolled back", {"1": 100})
    assert {check["name"]: check["state"] for check in report["checks"]} == {
        "errors": "passed", "latency": "passed", "differences": "failed"
    }  # fmt: skip
    code, _, err = petseg("watch")
    assert code == 1
    assert "there is no canary to watch: version 1 has all traffic" in err


def test_watch_that_decides_nothing_ends_with_4(watch, petseg):
    code, out, _ = watch(ServingPod(), "--minutes", "0.00001")
    assert code == 4
    assert out.startswith("version 2 is left as it is: 0 requests to each version, and 20 are needed")
    assert watch(ServingPod(), "--requests", "20", "--dry-run")[:1] == (0,)
    assert petseg("status")[1].splitlines()[1] == "version 2 has 10 % of the traffic, version 1 90 %"


def test_watch_says_at_once_what_it_cannot_do(watch, petseg, tmp_path):
    code, _, err = watch(ServingPod(), "--requests", "10")
    assert code == 2
    assert "push.kserve.watch.min_requests is 20, more than" in err or "greater than or equal to 20" in err
    (tmp_path / "few").mkdir()
    code, _, err = petseg("watch", "--images", str(tmp_path / "few"))
    assert code == 2
    assert "has 0 JPEG or PNG files, and a canary is compared on 8 at least" in err
    assert "notice: the canary cannot be promoted: how much they may differ is not known" in err
