"""What can be known before Beam starts: whether a runner's job server and the services it needs are there, and fit.

Each check asks one thing and raises one `ConfigError` that says what was asked where, and what to do. None starts or
downloads anything.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from pipeline.beam.arguments import (
    AUTO_MASTERS,
    EXTERNAL,
    LOCAL_SPARK,
    LOOPBACK,
    is_set,
    job_server_runner,
    option,
    worker_kind,
)
from pipeline.beam.flink import Flink, FlinkError
from pipeline.beam.jars import GUIDE, JobServerJar, asked_for, check_jar, check_java
from trainer_module.errors import ConfigError

_SECONDS: Final = 10
_EMBEDDED: Final = "embed"
_FLINK_OF_JAR: Final = re.compile(r"flink-(\d+\.\d+)-job-server")


def check_services(arguments: Sequence[str]) -> None:
    """Checks what a runner needs that works through a job server; of other runners nothing is known.

    Args:
      arguments: Of Beam.

    Raises:
      ConfigError: Something is missing, does not answer or does not fit.
    """
    runner = job_server_runner(arguments)
    if runner is None:
        return
    endpoint = option(arguments, "job_endpoint")
    hosts: list[str] = []
    if endpoint == _EMBEDDED:
        return
    if endpoint:
        check_job_service(endpoint)
        hosts.append(_host_and_port(endpoint, "--job_endpoint")[0])
    if runner == "FlinkRunner":
        hosts += _check_flink(arguments, has_job_server=bool(endpoint))
    elif runner == "SparkRunner":
        hosts += _check_spark(arguments, has_job_server=bool(endpoint))
    elif not endpoint:
        raise ConfigError(
            f"{asked_for(arguments)}, which needs --job_endpoint=HOST:PORT of a job server that runs; {GUIDE}"
        )
    _check_workers(arguments, hosts)


def check_job_service(endpoint: str) -> None:
    """Checks that a job server of Beam answers at `--job_endpoint`.

    Raises:
      ConfigError: None does.
    """
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    _host_and_port(endpoint, "--job_endpoint")
    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            stub.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=_SECONDS, wait_for_ready=True
            )
        except grpc.RpcError as error:
            raise ConfigError(
                f"no job server of Beam answers at --job_endpoint={endpoint} within {_SECONDS} s "
                f"({error.code().name}); start it, or correct the address in pipeline.beam_args"
            ) from error


def _check_flink(arguments: Sequence[str], *, has_job_server: bool) -> list[str]:
    """Checks Flink itself, its release, and the job server for it; returns the hosts that its tasks run on."""
    from apache_beam.options.pipeline_options import FlinkRunnerOptions
    from apache_beam.version import __version__ as beam_version

    known = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    chosen = option(arguments, "flink_version")
    if chosen is not None and chosen not in known:
        raise ConfigError(
            f"--flink_version={chosen} in pipeline.beam_args: Beam {beam_version} works with Flink {', '.join(known)}"
        )
    version = chosen or known[-1]
    hosts: list[str] = []
    master = option(arguments, "flink_master") or AUTO_MASTERS[0]
    if master not in AUTO_MASTERS:
        flink = Flink(master)
        try:
            found, hosts = flink.version(), [flink.host, *flink.worker_hosts()]
        except FlinkError as error:
            raise ConfigError(
                f"no Flink answers at --flink_master={master} in pipeline.beam_args, asked at {flink.url}: {error}. "
                "Start it, or correct the address: it is that of the JobManager's REST API, 8081 by default"
            ) from error
        minor = ".".join(found.split(".")[:2])
        if minor != version:
            said = "says" if chosen else "is not given, so that Beam takes"
            advice = f"Set --flink_version={minor}" if minor in known else f"Run a Flink of {', '.join(known)}"
            raise ConfigError(
                f"the Flink at {flink.url} is {found}, and --flink_version {said} {version}; a job server is made for "
                f"one release of Flink. {advice}"
            )
    if not has_job_server:
        target = f":runners:flink:{version}:job-server:shadowJar"
        main_class = "org.apache.beam.runners.flink.FlinkJobServerDriver"
        jar = check_jar(arguments, JobServerJar("flink_job_server_jar", main_class, target))
        of_name = _FLINK_OF_JAR.search(jar)
        if of_name and of_name[1] != version:
            raise ConfigError(
                f"--flink_job_server_jar={jar} is for Flink {of_name[1]}, and --flink_version is {version}: give "
                f"beam-runners-flink-{version}-job-server-{beam_version}.jar"
            )
        if not is_set(arguments, "flink_submit_uber_jar") or master in AUTO_MASTERS:
            check_java(arguments)
    return hosts


def _check_spark(arguments: Sequence[str], *, has_job_server: bool) -> list[str]:
    """Checks that Spark's master listens, and the job server for it; returns the master's host."""
    hosts = []
    master = option(arguments, "spark_master_url") or LOCAL_SPARK
    if not master.startswith(LOCAL_SPARK):
        host, port = _host_and_port(master.rpartition("//")[2], "--spark_master_url")
        _check_listens(host, port, f"no Spark listens at --spark_master_url={master}")
        hosts.append(host)
    if not has_job_server:
        is_uber_jar = is_set(arguments, "spark_submit_uber_jar")
        target, main_class = (
            ":runners:spark:3:job-server:shadowJar",
            "org.apache.beam.runners.spark.SparkJobServerDriver",
        )
        check_jar(arguments, JobServerJar("spark_job_server_jar", main_class, target))
        if not is_uber_jar:
            check_java(arguments)
    return hosts


def _check_workers(arguments: Sequence[str], hosts: Sequence[str]) -> None:
    """Checks what is known of the workers.

    Args:
      arguments: Of Beam.
      hosts: Where what gives them their work runs, as far as it is known; none where the job server does it here.
    """
    kind = worker_kind(arguments)
    elsewhere = [host for host in hosts if not is_here(host)]
    if kind == LOOPBACK and elsewhere:
        raise ConfigError(
            f"--environment_type=LOOPBACK in pipeline.beam_args has the component's own process work, at an address of "
            f"this machine, and the runner's tasks run on {', '.join(elsewhere)}: use EXTERNAL with a pool of workers "
            f"there. {GUIDE}"
        )
    if kind != EXTERNAL:
        return
    address = option(arguments, "environment_config") or _service_address(arguments)
    if not address or address.lstrip().startswith("{"):
        return
    host, port = _host_and_port(address, "--environment_config")
    if not (elsewhere and is_here(host)):  # each machine of Flink has a pool of its own, which only it reaches
        _check_listens(host, port, f"no pool of workers listens at {address} (--environment_type=EXTERNAL)")


def _service_address(arguments: Sequence[str]) -> str | None:
    found = option(arguments, "environment_options", "environment_option") or ""
    return found.removeprefix("external_service_address=") if found.startswith("external_service_address=") else None


def _check_listens(host: str, port: int, otherwise: str) -> None:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        raise ConfigError(f"{otherwise} in pipeline.beam_args: {error}. Start it, or correct the address") from error


def is_here(host: str) -> bool:
    """Returns whether a name or an address is one of this machine.

    >>> is_here("localhost"), is_here("192.0.2.1")
    (True, False)
    """
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return all(_can_be_bound(address) for address in addresses)


def _can_be_bound(address: str) -> bool:
    family = socket.AF_INET6 if ipaddress.ip_address(address.partition("%")[0]).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _host_and_port(address: str, setting: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ConfigError(f"{setting} in pipeline.beam_args: expected HOST:PORT, got {address!r}")
    return host, port
