"""What is asked for before Beam starts: each thing that is missing or does not fit is one message."""

import socket
import sys
import zipfile

import pytest
from fake_flink import FakeFlink

from pipeline.beam import jars, preflight
from pipeline.beam.preflight import check_services, is_here
from trainer_module.errors import ConfigError

FLINK_JAR = "beam-runners-flink-1.19-job-server-2.77.0.jar"
DRIVERS = {name: f"org.apache.beam.runners.{name.lower()}.{name}JobServerDriver" for name in ("Flink", "Spark")}
ELSEWHERE = "192.0.2.1"  # of no machine (RFC 5737)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(preflight, "_SECONDS", 1)
    monkeypatch.setattr(jars, "_SECONDS", 1)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def flink():
    with FakeFlink() as server:
        yield server


@pytest.fixture
def job_server():
    """Beam's own in Python."""
    from apache_beam.runners.portability.local_job_service import LocalJobServicer

    servicer = LocalJobServicer()
    yield f"localhost:{servicer.start_grpc_server()}"
    servicer.stop()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


def jar(directory, name=FLINK_JAR, main_class=DRIVERS["Flink"]):
    path = directory / name
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\nMain-Class: {main_class}\r\n")
    return path


@pytest.fixture
def arguments(flink, tmp_path):
    """Of a runner on Flink for which everything is there."""
    return [
        "--runner=FlinkRunner", f"--flink_master={flink.master}", "--flink_version=1.19",
        f"--flink_job_server_jar={jar(tmp_path)}", f"--job_server_java_launcher={sys.executable}",
        "--environment_type=LOOPBACK",
    ]  # fmt: skip


def refused(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check_services(arguments)
    return str(caught.value)


def test_what_fits_passes_also_as_components_are_given_it(arguments):
    check_services(arguments)
    check_services([*arguments, "--runner=pipeline.beam.job_runners.FlinkRunner"])


@pytest.mark.parametrize("runner", ["DirectRunner", "DataflowRunner", "PrismRunner"])
def test_of_runners_without_a_job_server_nothing_is_asked(runner):
    check_services([f"--runner={runner}"])


def test_a_release_that_beam_does_not_know_is_refused_with_those_that_it_does(arguments):
    text = refused([*arguments, "--flink_version=1.15"], r"--flink_version=1\.15 .*Beam 2\.\d+\.\d+ works with Flink")
    assert "1.19, 1.20" in text


def test_a_flink_of_another_release_is_refused(arguments, flink):
    refused(
        [*arguments, "--flink_version=1.20"], r"is 1\.19\.3, and --flink_version says 1\.20.*Set --flink_version=1\.19"
    )
    without = [argument for argument in arguments if not argument.startswith("--flink_version")]
    refused(without, r"is 1\.19\.3, and --flink_version is not given, so that Beam takes 2\.\d")
    flink.config["flink-version"] = "1.15.4"
    refused(arguments, r"is 1\.15\.4.*Run a Flink of 1\.19, ")


def test_a_flink_that_is_not_there_is_refused(arguments, closed_port):
    refused([*arguments, f"--flink_master={closed_port}"], f"no Flink answers at --flink_master={closed_port}.*refused")


def test_another_server_at_its_address_is_refused(arguments, flink):
    flink.fail(404, on="GET /config")
    refused(arguments, "no Flink answers at .*GET /config is answered with HTTP 404")


def test_loopback_workers_need_tasks_on_this_machine(arguments, flink):
    [manager] = flink.task_managers["taskmanagers"]
    manager["path"] = manager["path"].replace("localhost", ELSEWHERE)
    refused(arguments, rf"LOOPBACK .*the runner's tasks run on {ELSEWHERE}: use EXTERNAL")


def test_a_pool_of_workers_has_to_listen(arguments, listener, closed_port):
    check_services([*arguments, "--environment_type=EXTERNAL", f"--environment_config={listener}"])
    check_services(
        [*arguments, "--environment_type=EXTERNAL", f"--environment_options=external_service_address={listener}"]
    )
    external = [*arguments, "--environment_type=external"]
    refused([*external, f"--environment_config={closed_port}"], f"no pool of workers listens at {closed_port}")
    option = f"--environment_option=external_service_address={closed_port}"
    refused([*external, option], f"no pool of workers listens at {closed_port}")
    refused([*external, "--environment_config=pool"], r"--environment_config .* expected HOST:PORT, got 'pool'")


def test_a_pool_on_each_machine_of_flink_is_not_looked_for_here(arguments, flink, closed_port):
    [manager] = flink.task_managers["taskmanagers"]
    manager["path"] = manager["path"].replace("localhost", ELSEWHERE)
    check_services([*arguments, "--environment_type=EXTERNAL", f"--environment_config={closed_port}"])


def test_a_jar_has_to_be_a_job_server_for_the_runner(arguments, tmp_path):
    def with_jar(path):
        return [*arguments, f"--flink_job_server_jar={path}"]

    refused(with_jar(tmp_path / "none.jar"), r"none\.jar in pipeline\.beam_args is no file")
    refused(with_jar(tmp_path), "is no file")
    (tmp_path / "text.jar").write_text("<html>")
    refused(with_jar(tmp_path / "text.jar"), r"text\.jar .* cannot be read as a jar: File is not a zip file")
    with zipfile.ZipFile(tmp_path / "empty.jar", "w") as file:
        file.writestr("a", "b")
    refused(with_jar(tmp_path / "empty.jar"), r"cannot be read as a jar: .*MANIFEST")
    refused(with_jar(jar(tmp_path, "spark.jar", DRIVERS["Spark"])), "no job server for FlinkRunner: it starts .*Spark")
    other = jar(tmp_path, FLINK_JAR.replace("1.19", "1.20"))
    refused(with_jar(other), r"is for Flink 1\.20, and --flink_version is 1\.19: give beam-runners-flink-1\.19-job")
    check_services(with_jar("https://example.org/a.jar"))


def test_without_a_jar_beam_must_have_it_or_be_able_to_download_it(arguments, tmp_path, flink, monkeypatch):
    from apache_beam.utils.subprocess_server import JavaJarServer
    from apache_beam.version import __version__

    without = [argument for argument in arguments if "_jar=" not in argument]
    artifact, cache = "beam-runners-flink-1.19-job-server", tmp_path / "cache"
    place = f"org/apache/beam/{artifact}/{__version__}/{artifact}-{__version__}"
    cache.mkdir()
    for name in ("MAVEN_CENTRAL_REPOSITORY", "GOOGLE_MAVEN_MIRROR"):
        monkeypatch.setattr(JavaJarServer, name, f"{flink.host}/{name}")
    text = refused([*without, f"--jar_cache_dir={cache}"], "Beam would download beam-runners-flink-1.19.* and cannot")
    assert f"MAVEN_CENTRAL_REPOSITORY/{place}.jar is answered with HTTP 404" in text
    assert f"GOOGLE_MAVEN_MIRROR/{place}.jar is answered with HTTP 404" in text
    assert "--flink_job_server_jar=PATH" in text

    flink.fail(200, on="HEAD /MAVEN")
    check_services([*without, f"--jar_cache_dir={cache}"])
    jar(cache, FLINK_JAR.replace("2.77.0", __version__))
    check_services([*without, f"--jar_cache_dir={cache}"])


def test_java_has_to_be_there_where_it_is_used(arguments, job_server):
    without = [*arguments, "--job_server_java_launcher=no-such-java"]
    refused(without, "FlinkRunner, whose job server is a Java program, and there is no 'no-such-java' here")
    check_services([*without, "--flink_submit_uber_jar"])
    check_services([*without, f"--job_endpoint={job_server}"])


def test_a_job_server_that_runs_has_to_answer(job_server, listener, closed_port, flink):
    check_services(["--runner=PortableRunner", f"--job_endpoint={job_server}", "--environment_type=LOOPBACK"])
    check_services(["--runner=PortableRunner", "--job_endpoint=embed"])
    for silent in (listener, closed_port):
        message = f"no job server of Beam answers at --job_endpoint={silent} within 1 s .DEADLINE_EXCEEDED"
        refused(["--runner=PortableRunner", f"--job_endpoint={silent}"], message)
    refused(["--runner=PortableRunner", "--job_endpoint=here"], "expected HOST:PORT, got 'here'")
    refused(["--runner=PortableRunner"], "PortableRunner, which needs --job_endpoint=HOST:PORT")


def test_spark_has_to_listen_and_have_its_job_server(tmp_path, listener, closed_port):
    path = jar(tmp_path, "spark.jar", DRIVERS["Spark"])
    spark = ["--runner=spark", f"--spark_job_server_jar={path}", f"--job_server_java_launcher={sys.executable}"]
    check_services(spark)
    check_services([*spark, f"--spark_master_url=spark://{listener}"])
    refused([*spark, f"--spark_master_url=spark://{closed_port}"], "no Spark listens at --spark_master_url=spark://")
    refused([*spark, "--spark_job_server_jar=none.jar"], r"--spark_job_server_jar=none\.jar .* is no file")
    refused([*spark, "--job_server_java_launcher=no-such-java"], "there is no 'no-such-java'")


def test_a_machine_knows_its_own_names():
    assert [is_here(host) for host in ("localhost", "127.0.0.1", socket.gethostname())] == [True, True, True]
    assert [is_here(host) for host in (ELSEWHERE, "no-such-host.invalid")] == [False, False]
