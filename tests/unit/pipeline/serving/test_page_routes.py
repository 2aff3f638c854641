"""The page loads nothing from elsewhere, and its samples are drawn."""

import io
import re

import pytest
from PIL import Image


def test_the_page_is_one_file_that_needs_no_network(client):
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", answer.text)
    assert "<h1>pets</h1>" in answer.text
    assert 'version <span id="version">1</span>' in answer.text


def test_names_are_escaped(make_service):
    from starlette.testclient import TestClient

    from pipeline.serving.server import create_application

    service = make_service()
    service.name = "</script><b>"
    with TestClient(create_application(service)) as client:
        page = client.get("/").text
    assert "</script><b>" not in page
    assert page.count("</script>") == 1


def test_every_sample_of_the_page_is_a_picture(client):
    samples = re.findall(r'data-sample="(.+?)"', client.get("/").text)
    contents = [client.get(f"/{sample}").content for sample in samples]
    assert len(set(contents)) == len(samples) == 6
    assert all(min(Image.open(io.BytesIO(content)).size) >= 200 for content in contents)


@pytest.mark.parametrize("index", ["6", "-1", "x"])
def test_other_samples_are_refused(client, index):
    assert client.get(f"/samples/{index}.png").status_code in (400, 404)
