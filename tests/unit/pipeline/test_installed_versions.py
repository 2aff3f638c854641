from importlib import metadata

import pytest

from pipeline.code_digest import code_digest, installed_version


@pytest.fixture
def cpu_image(monkeypatch):
    """An environment with tensorflow-cpu in the place of tensorflow."""
    version = metadata.version

    def without_tensorflow(name):
        if name == "tensorflow":
            raise metadata.PackageNotFoundError(name)
        return version("tensorflow" if name == "tensorflow-cpu" else name)

    monkeypatch.setattr(metadata, "version", without_tensorflow)


def test_the_version_of_a_distribution():
    assert installed_version("click") == metadata.version("click")


def test_tensorflow_cpu_stands_in(cpu_image):
    assert installed_version("tensorflow").startswith("2.21.")


def test_code_has_the_same_digest_in_the_cpu_image(request):
    here = code_digest("trainer_module.errors")
    request.getfixturevalue("cpu_image")
    assert code_digest("trainer_module.errors") == here


def test_nothing_else_stands_in(cpu_image):
    with pytest.raises(metadata.PackageNotFoundError, match="no-such-thing"):
        installed_version("no-such-thing")
