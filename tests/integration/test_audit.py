"""`make audit`: uv's own audit of the real lock, answered by a stand-in for OSV.

OSV was not reachable to be recorded: the answers are what its documentation says of `/v1/querybatch` and
`/v1/vulns/{id}` (https://google.github.io/osv.dev/api/), as far as uv takes them.
"""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from fake_http_api import Answer, FakeApi

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools" / "bin" / "uv"
EXCEPTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["audit"]["ignore"]

pytestmark = pytest.mark.skipif(not UV.exists(), reason="the set-up has installed no uv")


class FakeOsv(FakeApi):
    """Knows vulnerabilities by the package that has them, each by two names."""

    def __init__(self, known):
        super().__init__()
        self.known = known

    def answer(self, request):
        if request.path == "/v1/querybatch":
            names = [query["package"]["name"] for query in request.json["queries"]]
            found = [[f"GHSA-{name}"] if name in self.known else [] for name in names]
            results = [{"vulns": [{"id": one, "modified": "2026-02-18T00:00:00Z"} for one in ids]} for ids in found]
            return Answer(json.dumps({"results": [result if result["vulns"] else {} for result in results]}))
        package = request.path.rpartition("/GHSA-")[2]
        alias = self.known[package]
        return Answer(json.dumps({
            "id": f"GHSA-{package}", "modified": "2026-02-18T00:00:00Z", "aliases": [alias], "summary": f"of {package}",
        }))  # fmt: skip


SCRIPT = ("bash", "scripts/audit.sh")
TARGET = ("make", "--old-file=setup", "audit")  # without its set-up


def audit(server, command=SCRIPT):
    environment = os.environ | {"PETSEG_AUDIT_URL": server, "UV_HTTP_RETRIES": "0", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_vulnerability_that_nobody_has_excepted_fails_it_and_is_named():
    with FakeOsv({"jinja2": "CVE-2026-0001"}) as osv:
        done = audit(osv.host, TARGET)
        asked = {query["package"]["name"] for query in osv.requests[0].json["queries"]}
    assert done.returncode == 2, "make's own, for any failure"
    assert "jinja2" in done.stdout
    assert "GHSA-jinja2: of jinja2" in done.stdout
    assert {"tfx", "fastapi", "tensorflow-cpu", "mypy"} <= asked, "extras and development, too"


def test_what_is_excepted_with_a_reason_fails_nothing():
    assert len(EXCEPTED) == 1
    with FakeOsv({"pyarrow": EXCEPTED[0]}) as osv:
        done = audit(osv.host)
    assert done.returncode == 0, done.stdout
    assert "Found no known vulnerabilities" in done.stderr
    assert "does not match" not in done.stderr


def test_an_exception_that_is_none_any_more_is_told():
    with FakeOsv({}) as osv:
        done = audit(osv.host)
    assert done.returncode == 0
    assert f"`{EXCEPTED[0]}` does not match any vulnerability" in done.stderr


@pytest.mark.parametrize("status", [None, 503])
def test_no_answer_is_one_line_and_not_taken_for_a_good_one(status):
    with FakeOsv({}) as osv:
        if status is not None:
            osv.fail(status, times=9)
        else:
            osv.close()
        done = audit(osv.host)
        assert done.returncode == 3
        [line] = done.stderr.splitlines()
        assert line.startswith(f"petseg audit: nothing was checked, for {osv.host} gave no answer: ")
        assert line.endswith("Connection refused (os error 111)") or "503 Service Unavailable" in line
        assert not done.stdout
        assert (target := audit(osv.host, TARGET)).returncode == 0
        assert target.stderr == done.stderr
