"""The nodes of the pipeline: what each is called, the code it runs, and whether a server's cache may answer for it.

`pipeline.graph` wires them; whatever else speaks of a node takes its id, and what else is true of it, from here.
"""

from typing import Final, NamedTuple

from pipeline.code_digest import code_digest

EXAMPLE_GEN: Final = "TfdsExampleGen"
EXAMPLE_GEN_DRIVER: Final = "TfdsExampleGenDriver"
"""A task of its own on Kubeflow, where drivers do not run; elsewhere TfdsExampleGen's driver."""

SEGMENTATION_VALIDATOR: Final = "SegmentationValidator"
IMPORT_SCHEMA: Final = "ImportSchema"
STATISTICS_GEN: Final = "StatisticsGen"
EXAMPLE_VALIDATOR: Final = "ExampleValidator"
DRIFT_DETECTOR: Final = "DriftDetector"
TRANSFORM: Final = "Transform"
WARM_START_RESOLVER: Final = "WarmStartResolver"
TRAINER: Final = "Trainer"
SERVED_MODEL_RESOLVER: Final = "ServedModelResolver"
EVALUATOR: Final = "Evaluator"
MODEL_PROBE: Final = "ModelProbe"
PUSHER: Final = "Pusher"
KSERVE_DEPLOYER: Final = "KServeDeployer"
SUSPECT_FINDER: Final = "SuspectFinder"
RUN_REPORT: Final = "RunReport"

PREPROCESSING_MODULE: Final = "trainer_module.preprocessing"
TRAINER_MODULE: Final = "trainer_module.trainer"
REPORT_MODULE: Final = "pipeline.report.run_report"


class Node(NamedTuple):
    """What is to be known of a node without building the graph."""

    code: tuple[str, ...] = ()
    """The modules whose code, with all that they import, it runs; none where it is TFX's own."""

    is_cacheable: bool = True
    """Whether a server's cache may answer for it: not where it looks at what the server cannot see, as the data set and
    the models that are served, nor where each run is to have its own. Runs on this machine have drivers that look."""


COMPONENTS: Final = {
    EXAMPLE_GEN_DRIVER: Node(("components.tfds_example_gen.component",), is_cacheable=False),
    EXAMPLE_GEN: Node(("components.tfds_example_gen.executor",)),
    SEGMENTATION_VALIDATOR: Node(("components.segmentation_validator.executor",)),
    IMPORT_SCHEMA: Node(("components.import_schema",)),
    STATISTICS_GEN: Node(("components.statistics_gen",)),
    EXAMPLE_VALIDATOR: Node(("components.data_validator",)),
    DRIFT_DETECTOR: Node(("components.drift_detector.executor",), is_cacheable=False),
    TRANSFORM: Node((PREPROCESSING_MODULE, "components.transform")),
    WARM_START_RESOLVER: Node(("components.served_model_resolver.executor",), is_cacheable=False),
    TRAINER: Node((TRAINER_MODULE,)),
    SERVED_MODEL_RESOLVER: Node(("components.served_model_resolver.executor",), is_cacheable=False),
    EVALUATOR: Node(("components.model_evaluator.executor", "components.model_evaluator.metric")),
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


def code_modules() -> list[str]:
    """Returns the modules that all nodes run, each once."""
    return list(dict.fromkeys(module for node in COMPONENTS.values() for module in node.code))
