"""The nodes of the pipeline: what each is called, the code it runs, and whether a server's cache may answer for it.

`pipeline.graph` wires them; whatever else speaks of a node takes its id, and what else is true of it, from here.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline.code_digest import code_digest

RETRAINING_DECIDER: Final = "RetrainingDecider"
EXAMPLE_GEN: Final = "TfdsExampleGen"
EXAMPLE_GEN_DRIVER: Final = "TfdsExampleGenDriver"
SEGMENTATION_VALIDATOR: Final = "SegmentationValidator"
IMPORT_SCHEMA: Final = "ImportSchema"
STATISTICS_GEN: Final = "StatisticsGen"
EXAMPLE_VALIDATOR: Final = "ExampleValidator"
DRIFT_DETECTOR: Final = "DriftDetector"
TRANSFORM: Final = "Transform"
WARM_START_RESOLVER: Final = "WarmStartResolver"
WARM_START_RESOLVER_DRIVER: Final = "WarmStartResolverDriver"
TRAINER: Final = "Trainer"
SERVED_MODEL_RESOLVER: Final = "ServedModelResolver"
SERVED_MODEL_RESOLVER_DRIVER: Final = "ServedModelResolverDriver"
EVALUATOR: Final = "Evaluator"
REFERENCE_EVALUATOR: Final = "ReferenceEvaluator"
MODEL_PROBE: Final = "ModelProbe"
PUSHER: Final = "Pusher"
KSERVE_DEPLOYER: Final = "KServeDeployer"
SUSPECT_FINDER: Final = "SuspectFinder"
RUN_REPORT: Final = "RunReport"

PREPROCESSING_MODULE: Final = "trainer_module.preprocessing"
TRAINER_MODULE: Final = "trainer_module.trainer"
REPORT_MODULE: Final = "pipeline.report.run_report"


class Driver(NamedTuple):
    """What the driver of a component does for TFX's cache: a task of its own on Kubeflow, where no drivers run."""

    component: str
    """Whose driver it is."""

    function: str
    """Dotted name of what takes the component's execution properties and returns the one to add, by its name."""

    adds: str
    """The name of that property."""

    def added_properties(self, exec_properties: Mapping[str, Any]) -> dict[str, str]:
        """Looks at the world, and returns what the component gets beside its own execution properties."""
        module, _, name = self.function.rpartition(".")
        added: dict[str, str] = getattr(importlib.import_module(module), name)(exec_properties)
        return added


class Node(NamedTuple):
    """What is to be known of a node without building the graph."""

    code: tuple[str, ...] = ()
    """The modules whose code, with all that they import, it runs; none where it is TFX's own."""

    is_cacheable: bool = True
    """Whether a server's cache may answer for it: not where it looks at what the server cannot see, as the data set and
    the models that are served, and no task before it has looked, nor where each run is to have its own. Runs on this
    machine have drivers that look."""

    driver: Driver | None = None
    """Of a task that is a driver; None for a component."""


COMPONENTS: Final = {
    RETRAINING_DECIDER: Node(("components.retraining_decider.executor",), is_cacheable=False),
    EXAMPLE_GEN_DRIVER: Node(
        ("components.tfds_example_gen.component",),
        is_cacheable=False,
        driver=Driver(EXAMPLE_GEN, "components.tfds_example_gen.component.fingerprint", "input_fingerprint"),
    ),
    EXAMPLE_GEN: Node(("components.tfds_example_gen.executor",)),
    SEGMENTATION_VALIDATOR: Node(("components.segmentation_validator.executor",)),
    IMPORT_SCHEMA: Node(("components.import_schema",)),
    STATISTICS_GEN: Node(("components.statistics_gen",)),
    EXAMPLE_VALIDATOR: Node(("components.data_validator",)),
    DRIFT_DETECTOR: Node(("components.drift_detector.executor",), is_cacheable=False),
    TRANSFORM: Node((PREPROCESSING_MODULE, "components.transform")),
    WARM_START_RESOLVER_DRIVER: Node(
        ("components.served_model_resolver.component",),
        is_cacheable=False,
        driver=Driver(WARM_START_RESOLVER, "components.served_model_resolver.component.served_model", "served_model"),
    ),
    WARM_START_RESOLVER: Node(("components.served_model_resolver.executor",)),
    TRAINER: Node((TRAINER_MODULE,)),
    SERVED_MODEL_RESOLVER_DRIVER: Node(
        ("components.served_model_resolver.component",),
        is_cacheable=False,
        driver=Driver(SERVED_MODEL_RESOLVER, "components.served_model_resolver.component.served_model", "served_model"),
    ),
    SERVED_MODEL_RESOLVER: Node(("components.served_model_resolver.executor",)),
    EVALUATOR: Node(("components.model_evaluator.executor", "components.model_evaluator.metric")),
    REFERENCE_EVALUATOR: Node(("components.model_evaluator.executor", "components.model_evaluator.metric")),
    MODEL_PROBE: Node(("components.model_probe.executor", "components.model_probe.serving_process")),
    PUSHER: Node(("components.model_pusher.executor",), is_cacheable=False),
    KSERVE_DEPLOYER: Node(("components.kserve_deployer.executor",), is_cacheable=False),
    SUSPECT_FINDER: Node(("components.suspect_finder.executor",)),
    RUN_REPORT: Node(("components.run_report.executor", REPORT_MODULE), is_cacheable=False),
}
"""All that a graph may have, in its order."""


def node_digest(node_id: str) -> str:
    """Returns the digest of the code that a node runs (`code_digest`), an argument of the component for TFX's cache."""
    return code_digest(*COMPONENTS[node_id].code)


def component_of(node_id: str) -> str:
    """Returns the component that a driver drives; of any other node its own id."""
    node = COMPONENTS.get(node_id)
    return node.driver.component if node and node.driver else node_id


def code_modules() -> list[str]:
    """Returns the modules that all nodes run, each once."""
    return list(dict.fromkeys(module for node in COMPONENTS.values() for module in node.code))
