"""Modules of builders: found, missing, and hidden by a package of petseg's."""

import sys

import pytest

from components.tfds_example_gen.source import import_builder_modules
from trainer_module.errors import ConfigError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory on Python's path, with packages that petseg has, too."""
    for name in ("components", "pipeline"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "components" / "tiles.py").write_text("")
    (tmp_path / "trainer_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_tiles", None)


def message(*modules: str) -> str:
    with pytest.raises(ConfigError) as caught:
        import_builder_modules(modules)
    return str(caught.value)


def test_a_builder_beside_such_packages_is_found(project):
    (project / "own_tiles.py").write_text("from components.http_requests import CONNECT_SECONDS\n")
    import_builder_modules(["own_tiles"])
    assert sys.modules["own_tiles"].__file__ == str(project / "own_tiles.py")


@pytest.mark.parametrize(
    "line", ["import components.tiles", "from components import tiles", "import components.tiles as tiles"]
)
def test_what_petseg_hides_is_named_with_what_to_do(project, line):
    (project / "own_tiles.py").write_text(f"{line}\n")
    found = message("own_tiles")
    assert "cannot import 'own_tiles'" in found
    assert f"has a package 'components' of its own, which hides the one in '{project}/components/" in found
    assert "give yours another name" in found


def test_a_builder_of_a_hidden_name_is_named_too(project):
    assert "'trainer_module' is petseg's own and has no builder. petseg has a package" in message("trainer_module")
    assert str(project / "trainer_module.py") in message("trainer_module")
    assert str(project / "components") in message("components.tiles")


@pytest.mark.parametrize(("path", "said"), [("/a:/b", "which is '/a:/b'"), (None, "which is not set")])
def test_a_module_that_is_not_found_is_said_with_where_it_is_looked_for(monkeypatch, path, said):
    monkeypatch.setenv("PYTHONPATH", path) if path else monkeypatch.delenv("PYTHONPATH", raising=False)
    assert (
        f"cannot import 'no.such': No module named 'no'. It has to be installed, or its directory on PYTHONPATH, {said}"
        in message("no.such")
    )


def test_what_a_builder_lacks_is_its_own_matter(project):
    (project / "own_tiles.py").write_text("import no_such_library\n")
    assert message("own_tiles").endswith("cannot import 'own_tiles': No module named 'no_such_library'")
