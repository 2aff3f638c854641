"""The table of nodes says of the graph what the graph is."""

import pytest

from pipeline import nodes
from pipeline.config.loading import load_config
from pipeline.graph import create_pipeline
from pipeline.nodes import COMPONENTS, code_modules


@pytest.fixture(scope="module")
def components():
    """Every component that a graph may have."""
    overrides = [
        "push.kserve.enabled=true", "push.kserve.storage_uri=pvc://models/pets", "trainer.warm_start=served",
        "evaluation.reference=synthetic_pets/tiny:1.0.0",
    ]  # fmt: skip
    config = load_config(preset="demo", overrides=overrides)
    return create_pipeline(config, pipeline_root="root", retrain=True).components


DRIVERS = {node_id: node.driver for node_id, node in COMPONENTS.items() if node.driver}


def test_the_table_and_the_graph_have_the_same_nodes(components):
    assert set(COMPONENTS) == {component.id for component in components} | set(DRIVERS)
    ids = {value for name, value in vars(nodes).items() if name.isupper() and isinstance(value, str)}
    modules = {nodes.PREPROCESSING_MODULE, nodes.TRAINER_MODULE, nodes.REPORT_MODULE}
    assert ids - modules == set(COMPONENTS)


def test_a_component_of_ours_runs_its_executor_and_what_else_the_table_names(components):
    for component in components:
        executor = component.executor_spec.executor_class.__module__
        if executor.startswith("components."):
            assert executor in COMPONENTS[component.id].code


def test_what_looks_at_the_world_has_a_driver_here_and_a_task_that_looks_or_no_cache_there(components):
    driven = {driver.component for driver in DRIVERS.values()}
    for component in components:
        looks = component.id in driven or not COMPONENTS[component.id].is_cacheable
        assert component.driver_class.__module__.startswith("components.") == looks, component.id


def test_a_driver_that_is_a_task_finds_what_the_driver_here_adds(components, monkeypatch):
    for node_id, driver in DRIVERS.items():
        monkeypatch.setattr(driver.function, lambda properties: properties)
        assert driver.added_properties({"as": "given"}) == {"as": "given"}
        [component] = [component for component in components if component.id == driver.component]
        assert node_id == f"{component.id}Driver"
        assert component.driver_class.__module__ == driver.function.rpartition(".")[0]
        assert COMPONENTS[node_id].code == (component.driver_class.__module__,)
        assert not COMPONENTS[node_id].is_cacheable


def test_suspects_are_looked_for_last_and_only_the_report_waits_for_that(components):
    [finder] = [component for component in components if component.id == nodes.SUSPECT_FINDER]
    assert nodes.PUSHER in {node.id for node in finder.upstream_nodes}
    assert {node.id for node in finder.downstream_nodes} == {nodes.RUN_REPORT}
    without = create_pipeline(load_config(preset="demo", overrides=["evaluation.suspects=0"]), pipeline_root="root")
    assert nodes.SUSPECT_FINDER not in {component.id for component in without.components}


def test_the_report_comes_after_all_that_leave_something_that_nobody_else_reads(components):
    report = components[-1]
    assert report.id == nodes.RUN_REPORT
    last = {component.id for component in components if component is not report and not component.downstream_nodes}
    assert last == set()
    assert {channel.producer_component_id for channel in report.inputs.values()} == {
        nodes.SEGMENTATION_VALIDATOR, nodes.STATISTICS_GEN, nodes.EXAMPLE_VALIDATOR, nodes.DRIFT_DETECTOR,
        nodes.TRAINER, nodes.SERVED_MODEL_RESOLVER, nodes.EVALUATOR, nodes.MODEL_PROBE, nodes.PUSHER,
        nodes.KSERVE_DEPLOYER, nodes.SUSPECT_FINDER, nodes.REFERENCE_EVALUATOR,
            nodes.RETRAINING_DECIDER,
    }  # fmt: skip


def test_modules_are_named_once():
    modules = code_modules()
    assert len(modules) == len(set(modules)) > 8
