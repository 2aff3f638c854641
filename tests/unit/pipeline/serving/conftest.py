"""A served tiny model, in process."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import serving_model


@pytest.fixture(scope="session")
def written_models(tmp_path_factory) -> Path:
    """A directory with the versions 1 and 2, for copies."""
    base = tmp_path_factory.mktemp("written")
    serving_model.write_model(base, 1)
    serving_model.write_model(base, 2, shift=1)
    return base


@pytest.fixture
def pets(written_models, tmp_path) -> Path:
    """A directory of versions that holds version 1."""
    base = tmp_path / "pets"
    base.mkdir()
    shutil.copytree(written_models / "1", base / "1")
    return base


@pytest.fixture
def make_service(pets):
    """Constructs the service of `pets` with other limits."""
    from pipeline.serving.batching import Measurements
    from pipeline.serving.limits import Limits
    from pipeline.serving.service import Service
    from pipeline.serving.versions import ModelVersions

    def make(**limits):
        bounds = dataclasses.replace(Limits(poll_seconds=0.05), **limits)
        measurements = Measurements()
        versions = ModelVersions.open(pets, None, bounds, measurements)
        return Service("pets", ("stable",), versions, bounds, measurements)

    return make


@pytest.fixture
def service(make_service):
    return make_service()


@pytest.fixture
def client(service):
    """A client of the application in process."""
    from starlette.testclient import TestClient

    from pipeline.serving.server import create_application

    with TestClient(create_application(service), raise_server_exceptions=False) as client:
        yield client
