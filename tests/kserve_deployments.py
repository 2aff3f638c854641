"""What tests of KServe deploy: an InferenceService `pets` in the namespace `models`, and versions for it."""

from typing import Any

from pipeline.config.loading import load_config
from pipeline.kserve.service import deploy_request

SETTINGS = (
    "push.kserve.enabled=true",
    "push.kserve.name=pets",
    "push.kserve.namespace=models",
    "push.kserve.storage_uri=pvc://petseg-serving/pets",
)


def template_for(*overrides: str) -> dict[str, Any]:
    """Returns the InferenceService that the settings describe."""
    return deploy_request(load_config(overrides=[*SETTINGS, *overrides])).template


def uri(version: int) -> str:
    """Returns the storage URI of a version."""
    return f"pvc://petseg-serving/pets/.kserve/{version}-only"
