"""What the artifacts of a component tell where their files are out of reach: what is written on them, and their URIs.

It is less than `pipeline.runs.outputs` reads beside the files, in the same fields of the record.
"""

from collections.abc import Callable
from typing import Any, Final

from components import artifact_properties as properties
from pipeline.kubeflow.artifacts import StoredOutputs
from pipeline.nodes import (
    EVALUATOR,
    EXAMPLE_GEN,
    EXAMPLE_GEN_DRIVER,
    KSERVE_DEPLOYER,
    MODEL_PROBE,
    PUSHER,
    REFERENCE_EVALUATOR,
    RETRAINING_DECIDER,
    RUN_REPORT,
    SEGMENTATION_VALIDATOR,
    SERVED_MODEL_RESOLVER,
    WARM_START_RESOLVER,
)
from pipeline.runs.outputs import NodeFacts, node_facts
from pipeline.runs.record import EvaluatedReference, ProbeRecord

_METRICS: Final = "metrics"
_REPORT: Final = "report"
_FILES: Final = (_REPORT, "model_card")
"""Outputs of RunReport that are one file each, and fields of the record."""

_OF_OTHER_DATA: Final = (properties.EVALUATED_EXAMPLES, *properties.REFERENCE_METRICS)
"""Numbers of RunReport that are no metrics of the evaluated split."""

_WITHOUT_FILES: Final = (
    RETRAINING_DECIDER,
    EXAMPLE_GEN_DRIVER,
    EXAMPLE_GEN,
    SEGMENTATION_VALIDATOR,
    WARM_START_RESOLVER,
    SERVED_MODEL_RESOLVER,
    KSERVE_DEPLOYER,
)
"""Those of which `node_facts` reads no file."""


def remote_facts(node_id: str, outputs: StoredOutputs) -> NodeFacts | None:
    """Returns what a component's artifacts tell; None where that is nothing.

    Args:
      node_id: Id of the component.
      outputs: Its output artifacts by output name.
    """
    if not outputs:
        return None
    if node_id in _WITHOUT_FILES:
        return node_facts(node_id, outputs, {})
    reader = _READERS.get(node_id)
    try:
        return None if reader is None else reader(outputs)
    except KeyError:  # an output of that name is not there
        return None


def _evaluated(outputs: StoredOutputs) -> NodeFacts:
    blessing = outputs["blessing"][0]
    forced = blessing.get_string_custom_property(properties.FORCED_BECAUSE) or None
    blessed = bool(blessing.get_int_custom_property(properties.BLESSED)) and forced is None
    summary = ("blessed" if blessed else "not blessed") + (", pushed by force" if forced else "")
    return NodeFacts(summary, {"blessed": blessed, "force_blessed": forced})


def _evaluated_on_reference(outputs: StoredOutputs) -> NodeFacts:
    facts = _evaluated(outputs)
    evaluation = next(iter(outputs.get("evaluation", ())), None)
    dataset = evaluation.get_string_custom_property(properties.REFERENCE_DATASET) if evaluation else ""
    return NodeFacts(facts.summary, {"reference": EvaluatedReference(dataset=dataset, **facts.fields)})


def _probed(outputs: StoredOutputs) -> NodeFacts:
    blessing = outputs["blessing"][0]
    if blessing.get_int_custom_property(properties.BLESSED):
        return NodeFacts("it can be served", {"probe": ProbeRecord()})
    refusal = f"the reasons are in {blessing.uri}"
    return NodeFacts(f"refused: {refusal}", {"probe": ProbeRecord(refusals=[refusal])})


def _pushed(outputs: StoredOutputs) -> NodeFacts:
    artifact = outputs["pushed_model"][0]
    if not artifact.get_int_custom_property(properties.PUSHED):
        reason = artifact.get_string_custom_property(properties.NOT_PUSHED_BECAUSE)
        is_served = bool(artifact.get_string_custom_property(properties.ALREADY_SERVED))
        return NodeFacts(f"nothing: {reason}", {} if is_served else {"not_pushed": reason or None})
    destination = artifact.get_string_custom_property(properties.PUSHED_DESTINATION)
    return NodeFacts(destination, {"pushed_model": destination})


def _reported(outputs: StoredOutputs) -> NodeFacts:
    told = outputs[_METRICS][0].properties
    numbers = {name: value for name, value in sorted(told.items()) if isinstance(value, int | float)}
    blessed = numbers.pop(properties.BLESSED, None)
    numbers = {name: value for name, value in numbers.items() if name not in _OF_OTHER_DATA}
    fields: dict[str, Any] = {name: outputs[name][0].uri for name in _FILES if outputs.get(name)}
    fields["metrics"] = numbers
    if blessed is not None:
        fields["blessed"] = bool(blessed)
    if pushed := told.get(properties.PUSHED_MODEL):
        fields["pushed_model"] = pushed
    missing = [one.get_string_custom_property(properties.NOT_WRITTEN_BECAUSE) for one in outputs.get(_REPORT, ())]
    parts = [str(told.get(properties.VERDICT, "")), *(f"no report: {reason}" for reason in missing if reason)]
    return NodeFacts("; ".join(filter(None, parts)), fields)


_READERS: Final[dict[str, Callable[[StoredOutputs], NodeFacts]]] = {
    EVALUATOR: _evaluated,
    REFERENCE_EVALUATOR: _evaluated_on_reference,
    MODEL_PROBE: _probed,
    PUSHER: _pushed,
    RUN_REPORT: _reported,
}
