"""The servers that the configuration names: Kubeflow Pipelines, KServe's cluster, MLflow; and who is told of runs.

Each is asked in a process of its own, and each request waits a few seconds and is sent once. Nothing is changed on a
server, and nobody is told anything.
"""

import importlib
import os
from importlib import metadata
from typing import Any, Final

from components.kubernetes_api import is_in_cluster
from pipeline.config.schema import Config
from pipeline.doctor.apart import NoAnswerError, ask
from pipeline.doctor.findings import Finding, not_seen, not_used, ok, problem, warning
from pipeline.notifications.secrets import missing_secrets
from pipeline.runs.process import environment_variables
from pipeline.runs.store import RunStore
from pipeline.tracking.address import Address
from pipeline.tracking.delivery import left_over
from pipeline.tracking.outbox import DIRECTORY, Outbox
from pipeline.tracking.rollouts import waiting_moves

READ_SECONDS: Final = 5
"""Longest pause of an answer."""

SERVICE_SECONDS: Final = 60.0
"""How long all questions to a server may take, the start of the process and of the server's client among them."""


def look_at_service(name: str, config: Config, *, offline: bool) -> list[Finding]:
    """Tells what a server of `pipeline.doctor.apart.QUESTIONS` answers, where the configuration uses it."""
    if reason := _why_not_used(name, config):
        return [not_used(name, reason)]
    if offline:
        return [not_seen(name, "--offline")]
    try:
        return [Finding.model_validate(finding) for finding in ask(name, config, SERVICE_SECONDS)]
    except NoAnswerError as error:
        return [problem(name, str(error))]


def look_at_kubeflow(config: Config) -> list[Finding]:
    """Tells whether Kubeflow Pipelines answers, and what it has of the pipeline and its schedule."""
    from pipeline.kubeflow.client import connect
    from pipeline.kubeflow.recurring_runs import RecurringRuns

    settings, name = config.kubeflow, config.pipeline.name
    client = connect(settings, backoff_seconds=None, read_seconds=READ_SECONDS)
    release = f"release {client.release}" if client.release else "of a release that it does not tell"
    namespace = f"namespace {client.namespace}, of many users" if client.namespace else "one user"
    of_ours = f"the packages of petseg are made by kfp {metadata.version('kfp')}"
    findings = [ok("Kubeflow", f"{client.access.host} answers, {release}, {namespace}; {of_ours}")]
    if client.pipeline_id(name) is None:
        upload = "petseg kubeflow submit FILE, or --upload-only FILE, uploads one"
        findings.append(ok("its pipeline", f"it has no package of {name!r} yet; {upload}"))
    else:
        findings.append(ok("its pipeline", f"it has {name!r}"))
    if config.schedule.cron is None:
        return findings
    wanted = config.schedule.name or name
    found = [run for run in RecurringRuns(client).all() if run.name == wanted]
    if not found:
        apply = "petseg schedule apply; or with --local, where this machine is to fire it"
        findings.append(
            warning("its schedule", f"schedule.cron is set, and the server has no schedule {wanted!r}", apply)
        )
    elif not any(run.enabled for run in found):
        findings.append(warning("its schedule", f"{wanted!r} is paused", f"petseg schedule resume {wanted}"))
    else:
        findings.append(ok("its schedule", f"{wanted!r} fires"))
    return findings


def look_at_kserve(config: Config) -> list[Finding]:
    """Tells whether the cluster answers, has KServe, and lets its InferenceService be deployed."""
    from components.kserve_deployer.cluster import Cluster
    from components.kserve_deployer.service import is_ready
    from pipeline.kserve.service import cluster_access, deploy_request

    deploy_request(config)
    access = cluster_access(config)
    cluster = Cluster(access, backoff_seconds=None, read_seconds=READ_SECONDS)
    service = cluster.read()
    state = "not deployed yet" if service is None else "ready" if is_ready(service) else "not ready"
    found = f"{access.namespace}/{access.name} is {state}"
    if refused := cluster.refused_rights():
        missing = f"{found}; the account may not {', '.join(refused)}"
        return [
            problem("KServe", missing, "kubectl apply -f kubeflow/manifests/kserve/deployer.yaml, for this account")
        ]
    if state == "not ready":
        return [warning("KServe", found, "petseg kserve status tells why")]
    return [ok("KServe", f"{found}; the account may deploy it")]


def look_at_mlflow(config: Config) -> list[Finding]:
    """Tells whether the MLflow server answers, its release, and whether it has the experiment."""
    from pipeline.tracking.errors import told
    from pipeline.tracking.server import TIMEOUT_VARIABLE, TrackingServer

    address = Address.of_config(config)
    if address is None:
        return []
    with environment_variables({TIMEOUT_VARIABLE: str(READ_SECONDS)}), told(address.uri):
        server = TrackingServer(address)
        experiment = server.client.get_experiment_by_name(address.experiment)
        found = f"{address.uri} answers{_release(address.uri)}"
    if experiment is None:
        return [ok("MLflow", f"{found}; the first run makes the experiment {address.experiment!r}")]
    if experiment.lifecycle_stage != "active":
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}, or set tracking.experiment"
        return [problem("MLflow", f"{found}; its experiment {address.experiment!r} was deleted", restore)]
    return [ok("MLflow", f"{found}; it has the experiment {address.experiment!r}")]


def look_at_outbox(config: Config) -> Finding:
    """Tells what an MLflow server has not heard of the runs; asks no server."""
    store = RunStore(config.pipeline.root)
    waiting = []
    for run_id in store.run_ids():
        outbox = Outbox.open(store.runs_dir / run_id / DIRECTORY)
        if outbox is not None and outbox.waits and run_id != store.active_run():
            waiting.append(f"{run_id}: {left_over(outbox) or 'its end'}")
    moves = len(waiting_moves(store.root))
    if not waiting and not moves:
        return not_used("unsent runs", "nothing waits for an MLflow server")
    found = f"of {len(waiting)} runs something waits; {waiting[0]}" if waiting else f"{moves} changes of aliases wait"
    return warning("unsent runs", found, f"petseg track sync --pipeline-root {store.root}")


def look_at_notification(config: Config) -> Finding:
    """Tells whether people can be told of runs: channels, and the secrets for them; nothing is sent."""
    settings = config.notification
    channels = [name for name, is_set in (("webhook", settings.webhook), ("mail", bool(settings.mail_to))) if is_set]
    if not channels or settings.when == "never":
        return not_used("notification", "no webhook and no mail_to" if not channels else "notification.when is never")
    if missing := missing_secrets(settings, os.environ):
        return problem("notification", "; ".join(missing))
    to = f" to {', '.join(settings.mail_to)} by {settings.smtp_host}" if settings.mail_to else ""
    found = f"{' and '.join(channels)}{to}, {settings.when}; the secrets are there"
    return ok("notification", f"{found}; petseg notify --test tries it")


def _why_not_used(name: str, config: Config) -> str:
    """Returns why the configuration does without a server; empty where it uses it."""
    if name == "Kubeflow":
        return "" if config.kubeflow.host or is_in_cluster() else "kubeflow.host is not set"
    if name == "KServe":
        return "" if config.push.kserve.enabled else "push.kserve.enabled is false"
    if Address.of_config(config) is not None:
        return ""
    return (
        "neither tracking.mlflow nor MLFLOW_TRACKING_URI is set"
        if config.tracking.enabled
        else "tracking.enabled is false"
    )


def _release(uri: str) -> str:
    """Returns the release of an MLflow server, which only pages' hosts tell; empty where it does not."""
    credentials: Any = importlib.import_module("mlflow.utils.credentials")
    requests: Any = importlib.import_module("mlflow.utils.rest_utils")
    try:
        answer = requests.http_request(credentials.get_default_host_creds(uri), "/version", "GET")
    except Exception:  # noqa: BLE001 (it has answered; what else it tells can be done without)
        return ""
    return f", release {answer.text.strip()}" if answer.ok and len(answer.text) < 32 else ""
