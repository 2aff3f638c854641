"""The manifests against Kubernetes' own schemas, and against what the pipeline's settings name."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from components.kserve_deployer.service import history_name
from pipeline.config.kserve import TENSORFLOW_SERVING
from pipeline.config.loading import load_config
from pipeline.config.schema import Config

KUBEFLOW = Path(__file__).parents[3] / "kubeflow"
# The oldest and newest releases of Kubernetes that Kubeflow Pipelines 2.14 to 2.17 may run on.
RELEASES = ("1.29", "1.34")
# Of kinds that Kubernetes knows only from an operator, or does not know at all.
FOREIGN = {"Kustomization", "ClusterConfig", "TFJob"}


def documents(folder):
    """Each file's objects, with the file's path to name them by."""
    for file in sorted((KUBEFLOW / folder).rglob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            yield pytest.param(document, id=f"{file.relative_to(KUBEFLOW)}:{document['kind']}")


MANIFESTS = [*documents("manifests"), *documents("examples")]


def objects(kind):
    return [param.values[0] for param in MANIFESTS if param.values[0]["kind"] == kind]


def pod_specs():
    return [job["spec"]["template"]["spec"] for job in objects("Job") + objects("Deployment")]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", [param for param in MANIFESTS if param.values[0]["kind"] not in FOREIGN])
def test_kubernetes_would_take_it(manifest, release):
    kubernetes_validate.validate(manifest, release, strict=True)


def test_the_schemas_see_a_mistake():
    (claim, _) = objects("PersistentVolumeClaim")
    with pytest.raises(kubernetes_validate.ValidationError, match="acessModes"):
        kubernetes_validate.validate({**claim, "spec": {"acessModes": ["ReadWriteOnce"]}}, RELEASES[0], strict=True)


@pytest.mark.parametrize("file", sorted(KUBEFLOW.rglob("kustomization.yaml")), ids=lambda file: file.parent.name)
def test_a_kustomization_names_all_files_beside_it_and_nothing_else(file):
    kustomization = yaml.safe_load(file.read_text())
    files = [name for name in kustomization["resources"] if name.endswith(".yaml")]
    assert sorted(files) == sorted(other.name for other in file.parent.glob("*.yaml") if other != file)
    for name in kustomization["resources"]:
        assert (file.parent / name).exists()


def test_the_claims_are_those_that_the_settings_name():
    kubeflow = Config().kubeflow
    claims = {claim["metadata"]["name"] for claim in objects("PersistentVolumeClaim")}
    assert claims == {kubeflow.data_cache.claim, kubeflow.serving_volume.claim}


def test_pods_mount_the_claims_where_the_components_do():
    kubeflow = Config().kubeflow
    paths = {volume.claim: volume.mount_path for volume in (kubeflow.data_cache, kubeflow.serving_volume)}
    for pod in pod_specs():
        claims = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["volumes"]
            if "persistentVolumeClaim" in volume
        }
        mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert claims
        for name, claim in claims.items():
            assert mounted[name] == paths[claim]


def test_pods_give_up_what_they_do_not_need():
    for pod in pod_specs():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
            assert {"requests", "limits"} <= set(container["resources"])


@pytest.fixture
def volumes():
    """Volumes that root and two other users have left files on."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        for name, owner, mode in (
            ("cache/data/pets/shard", (1000, 1000), 0o600),
            ("cache/checkpoints/a b/c", (2000, 3000), 0o400),
            ("serving/pets/1/model", (0, 0), 0o644),
        ):
            file = root / name
            file.parent.mkdir(parents=True)
            file.write_text("x")
            for path in (file, file.parent, file.parent.parent):
                os.chown(path, *owner)
                path.chmod(mode if path == file else mode | 0o100)
        (root / "elsewhere").touch(mode=0o600)
        (root / "serving" / "link").symlink_to(root / "elsewhere")
        yield root


def prepare(volumes: Path, capabilities: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the job's command with the capabilities of its pod."""
    (job,) = objects("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    *shell, script = container["command"]
    for mounted in ("/cache", "/serving"):
        assert mounted in script
        script = script.replace(mounted, f"{volumes}{mounted}")
    kept = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    dropped = ["setpriv", f"--bounding-set={kept}", f"--inh-caps={kept}", "--no-new-privs", "--clear-groups"]
    return subprocess.run([*dropped, *shell, script], capture_output=True, text=True)


def capabilities_of_the_job() -> list[str]:
    (job,) = objects("Job")
    pod = job["spec"]["template"]["spec"]
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (0, 0)
    return pod["containers"][0]["securityContext"]["capabilities"]["add"]


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can give files to other users"
)


@needs_root
def test_all_that_is_on_the_prepared_volumes_is_writable_for_the_image_s_group(volumes):
    done = prepare(volumes, capabilities_of_the_job())
    assert (done.returncode, done.stderr) == (0, "")
    assert "USER 1000:0" in (KUBEFLOW / "Dockerfile").read_text()
    image_user = {"user": 1000, "group": 0, "extra_groups": []}
    for file in ("cache/data/pets/shard", "cache/checkpoints/a b/c", "serving/pets/1/model"):
        append = f"echo y >> '{file}' && mkdir '{Path(file).parent}/new'"
        subprocess.run(["sh", "-c", append], cwd=volumes, check=True, **image_user)
        new = (volumes / file).with_name("new").stat()
        assert (new.st_gid, new.st_mode & stat.S_ISGID) == (0, stat.S_ISGID)
    assert stat.S_IMODE((volumes / "elsewhere").stat().st_mode) == 0o600
    assert [stat.S_IMODE((volumes / name).stat().st_mode) for name in ("cache", "serving")] == [0o2775] * 2


@needs_root
def test_what_is_right_on_a_volume_is_left_alone(volumes):
    def changes() -> dict[Path, int]:
        return {path: path.stat().st_ctime_ns for path in sorted(volumes.glob("*/**/*"))}

    prepare(volumes, capabilities_of_the_job())
    before = changes()
    assert prepare(volumes, capabilities_of_the_job()).returncode == 0
    assert changes() == before


@needs_root
@pytest.mark.parametrize("capability", ["CHOWN", "FOWNER"])
def test_the_job_needs_the_capabilities_that_it_asks_for(volumes, capability):
    assert prepare(volumes, [name for name in capabilities_of_the_job() if name != capability]).returncode == 1


def role(name):
    (found,) = [role for role in objects("Role") if role["metadata"]["name"] == name]
    return found


def rights(role):
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_runner_may_read_and_report_but_change_nothing_else():
    runner = role("petseg-runner")
    changing = {key: found - {"get", "list", "watch"} for key, found in rights(runner).items()}
    assert {key: found for key, found in changing.items() if found} == {
        ("argoproj.io", "workflowtaskresults"): {"create", "patch"},
        ("argoproj.io", "workflowtasksets/status"): {"patch"},
    }
    named = [rule for rule in runner["rules"] if {"secrets", "configmaps"} & set(rule["resources"])]
    assert all("resourceNames" in rule for rule in named)
    assert "*" not in str(runner["rules"])


def test_the_deployer_may_do_what_its_requests_need():
    assert rights(role("petseg-kserve-deployer")) == {
        ("serving.kserve.io", "inferenceservices"): {"get", "create", "patch"},
        ("", "configmaps"): {"get", "create", "patch"},
        ("gateway.networking.k8s.io", "httproutes"): {"get"},
        ("", "pods"): {"get", "list"},
        ("", "events"): {"get", "list"},
    }
    assert rights(role("petseg-kserve-watcher")) == {("", "pods/proxy"): {"get", "create"}}
    (named,) = [rule for rule in role("petseg-kserve-deployer")["rules"] if "configmaps" in rule["resources"]]
    assert named["resourceNames"] == [history_name("petseg-demo")]


def test_the_roles_are_bound_to_the_account_of_the_runs():
    (account,) = objects("ServiceAccount")
    for binding in objects("RoleBinding"):
        role(binding["roleRef"]["name"])
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]


def test_the_runner_may_read_the_secrets_that_the_object_stores_name():
    rules = role("petseg-runner")["rules"]
    (readable,) = [rule["resourceNames"] for rule in rules if rule["resources"] == ["secrets"]]
    named = [re.search(r"secretName: (\S+)", launcher["data"]["providers"])[1] for launcher in objects("ConfigMap")]
    assert len(named) == 2
    assert set(named) <= set(readable)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_the_launcher_gets_settings_for_the_store_of_its_root(scheme):
    (launcher,) = [each for each in objects("ConfigMap") if each["data"]["defaultPipelineRoot"].startswith(scheme)]
    assert launcher["metadata"]["name"] == "kfp-launcher"
    (provider,) = yaml.safe_load(launcher["data"]["providers"])
    assert provider == scheme


def test_the_server_asks_for_the_model_it_serves():
    (deployment,) = objects("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert container["image"] == f"tensorflow/serving:{TENSORFLOW_SERVING}"
    assert environment["MODEL_NAME"] == load_config(preset="demo").pipeline.name
    assert environment["MODEL_BASE_PATH"] == Config().kubeflow.serving_volume.mount_path
    assert container["readinessProbe"]["httpGet"]["path"] == f"/v1/models/{environment['MODEL_NAME']}"
    (service,) = objects("Service")
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} == {port["name"] for port in container["ports"]}


def test_no_manifest_holds_a_secret():
    assert not objects("Secret")
