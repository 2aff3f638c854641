"""The graph: every component of the pipeline in order, the same for every runner.

Here and in what it stands on, TFX's modules are named one by one: `tfx.v1` loads the client of Vertex AI, too, which
takes a quarter of the time of all imports.
"""

import json

from google.protobuf import message
from tfx.components import Trainer
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2, transform_pb2

from components.data_validator import DataValidator
from components.drift_detector.component import DriftDetector
from components.import_schema import ImportSchema
from components.kserve_deployer.component import KServeDeployer
from components.model_evaluator.component import ModelEvaluator
from components.model_evaluator.gate import Gate
from components.model_probe.component import ModelProbe
from components.model_pusher.component import ModelPusher
from components.retraining_decider.component import RetrainingDecider
from components.run_report.component import RunReport
from components.segmentation_validator.component import SegmentationValidator
from components.served_model_resolver.component import ServedModelResolver
from components.statistics_gen import StatisticsGen
from components.suspect_finder.component import SuspectFinder
from components.tfds_example_gen.component import TfdsExampleGen
from components.transform import Transform
from pipeline.beam.arguments import arguments_for_tfx
from pipeline.component_settings import (
    NETWORK_INPUT_FIELDS,
    any_model_contract,
    decision_settings,
    drift_settings,
    evaluation_config,
    measurement_settings,
    model_contract,
    probe_settings,
    push_settings,
    reported_settings,
    schema_text,
    tfds_source,
    validator_settings,
)
from pipeline.config.evaluation import bounds_on_classes
from pipeline.config.schema import Config
from pipeline.kserve.service import deploy_request, watch_settings
from pipeline.nodes import (
    EVALUATOR,
    EXAMPLE_VALIDATOR,
    IMPORT_SCHEMA,
    PREPROCESSING_MODULE,
    PUSHER,
    REFERENCE_EVALUATOR,
    REPORT_MODULE,
    SUSPECT_FINDER,
    TRAINER,
    TRAINER_MODULE,
    TRANSFORM,
    WARM_START_RESOLVER,
    node_digest,
)
from pipeline.recipe import recipe_of
from trainer_module.config import SERVED
from trainer_module.features import REFERENCE_SPLIT


def create_pipeline(
    config: Config,
    *,
    pipeline_root: str,
    enable_cache: bool = True,
    metadata_connection_config: message.Message | None = None,
    reset_baseline: bool = False,
    force_bless: str = "",
    retrain: bool = False,
    asked: bool = False,
) -> Pipeline:
    """Builds the pipeline; it knows no runner, and reads no data.

    Args:
      config: The resolved configuration.
      pipeline_root: Where the runner keeps artifacts: a directory or a URI.
      enable_cache: Re-use the outputs of earlier executions with the same inputs, settings and code.
      metadata_connection_config: How the runner reaches ML Metadata; None where it brings its own.
      reset_baseline: Judge the model as if none were served.
      force_bless: Why the model is to be pushed whatever the gate says; empty to obey the gate.
      retrain: Whether the run is to decide whether to train; then a model is pushed only if it is better than the
        served one beyond noise (`retraining.better_in`), and data that has lost a class is refused.
      asked: Whether such a run trains whatever it finds.
    """
    data = config.data
    network_input = {"data": data.model_dump(mode="json", include={*NETWORK_INPUT_FIELDS})}

    push_destination = pusher_pb2.PushDestination(
        filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=config.serving_model_dir)
    )
    gate = Gate(
        bounds=config.evaluation.bounds(),
        min_slice_examples=config.evaluation.min_slice_examples,
        better_in=config.retraining.better_in if retrain else None,
    )

    # Looks whether there is a reason to train; without one, nothing after it runs.
    decider = (
        RetrainingDecider(
            tfds_source(config),
            data.splits,
            push_destination=push_destination,
            recipe=recipe_of(config),
            gate=gate,
            settings=decision_settings(config),
            measurement=measurement_settings(config),
            asked=asked,
        )
        if retrain
        else None
    )

    # Encoded images and masks of each split, as they are in the data set.
    example_gen = TfdsExampleGen(tfds_source(config), data.splits)

    if decider:
        example_gen.add_upstream_node(decider)

    # Looks at each image and mask once; refuses, drops or tells what cannot be trained on or is odd.
    segmentation_validator = SegmentationValidator(
        examples=example_gen.outputs["examples"], settings=validator_settings(config)
    )
    examples = segmentation_validator.outputs["checked_examples"]

    # The curated schema: what every example must look like. Inferring it from the data would bless its defects.
    import_schema = ImportSchema(
        schema_text=schema_text(data.schema_file),
        examples=examples,
        slice_features=json.dumps(data.slice_features),
        code_digest=node_digest(IMPORT_SCHEMA),
    )

    # Distributions of labels, and sizes of the encoded images, for people and for the ExampleValidator.
    statistics_gen = StatisticsGen(examples=examples, schema=import_schema.outputs["schema"])

    # Anomalies of the statistics against the schema; refuses bounds that no model could keep on this data.
    example_validator = DataValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=import_schema.outputs["schema"],
        examples=examples,
        split=config.evaluation.split,
        class_names=data.class_names,
        bounds={} if force_bless else bounds_on_classes(config.evaluation, data.class_names),
        code_digest=node_digest(EXAMPLE_VALIDATOR),
    ).with_id(EXAMPLE_VALIDATOR)

    # Compares the data with what the served model was trained on; refuses it, if it is to, before what takes long. So
    # it does with images that models were evaluated on before, with a reference set that has changed, and in a
    # retraining, which nobody looks at, with data that has lost a class.
    drift_detector = (
        DriftDetector(
            findings=segmentation_validator.outputs["findings"],
            push_destination=push_destination,
            settings=drift_settings(config, retrain=retrain),
            reset=reset_baseline,
        )
        if data.drift.action != "off" or data.duplicates != "warn" or config.evaluation.reference or retrain
        else None
    )

    # Decodes, resizes and normalizes, in a graph that training, evaluation and serving share.
    transform = Transform(
        examples=examples,
        schema=import_schema.outputs["schema"],
        preprocessing_fn=f"{PREPROCESSING_MODULE}.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={**network_input, "code_digest": node_digest(TRANSFORM)},
        disable_statistics=True,
    )
    if drift_detector:
        transform.add_upstream_node(drift_detector)

    # The newest model that is served, for the Trainer to start from: another one trains again.
    warm_start = (
        ServedModelResolver(push_destination, any_model_contract()).with_id(WARM_START_RESOLVER)
        if config.trainer.warm_start == SERVED
        else None
    )

    # Trains the U-Net and exports it with its serving and evaluation signatures.
    trainer = Trainer(
        run_fn=f"{TRAINER_MODULE}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        base_model=warm_start.outputs["model"] if warm_start else None,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={
            **network_input,
            "trainer": config.trainer.model_dump(mode="json"),
            "code_digest": node_digest(TRAINER),
        },
    )

    trainer.add_upstream_node(example_validator)

    # The newest model that is served, to compare the new one with. It looks when the training is over: that may take
    # hours, in which another model may have been pushed.
    served_model = ServedModelResolver(push_destination, model_contract(config), reset=reset_baseline)
    served_model.add_upstream_node(trainer)

    # Metrics of the new model and of the served one, on the raw examples; blesses the new one when every bound holds.
    evaluator = ModelEvaluator(
        examples=examples,
        model=trainer.outputs["model"],
        baseline_model=served_model.outputs["model"],
        example_splits=[config.evaluation.split],
        eval_config=evaluation_config(config),
        gate=gate,
        force_bless=force_bless,
    ).with_id(EVALUATOR)

    # The same on the frozen reference set, whose images no run ever learns from, and which no new data changes: there a
    # retraining need not be better, but not worse.
    reference_evaluator = (
        ModelEvaluator(
            examples=examples,
            model=trainer.outputs["model"],
            baseline_model=served_model.outputs["model"],
            example_splits=[REFERENCE_SPLIT],
            eval_config=evaluation_config(config),
            gate=gate.model_copy(update={"equal_suffices": True}),
            force_bless=force_bless,
        ).with_id(REFERENCE_EVALUATOR)
        if config.evaluation.reference
        else None
    )

    # Loads the model as a server does, in a process of its own, and asks it what servers are asked.
    probe = ModelProbe(
        model=trainer.outputs["model"],
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        settings=probe_settings(config),
    )

    # Makes a model with all blessings the newest version where servers look, unless it is the newest there.
    pusher = ModelPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=probe.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        findings=segmentation_validator.outputs["findings"],
        reference_evaluation=reference_evaluator.outputs["evaluation"] if reference_evaluator else None,
        reference_blessing=reference_evaluator.outputs["blessing"] if reference_evaluator else None,
        push_destination=push_destination,
        settings=push_settings(config, is_retraining=retrain),
        recipe=recipe_of(config),
    ).with_id(PUSHER)

    # Has KServe serve the newest pushed model, and waits until it does; decides on a canary, if it is to.
    deployer = (
        KServeDeployer(
            pusher.outputs["pushed_model"],
            push_destination,
            deploy_request(config),
            examples=examples if config.push.kserve.promote == "auto" else None,
            watch=watch_settings(config) if config.push.kserve.promote == "auto" else None,
        )
        if config.push.kserve.enabled
        else None
    )

    # The masks that the new model contradicts most confidently, for people to look at; nothing depends on it.
    suspect_finder = (
        SuspectFinder(
            examples=examples,
            model=trainer.outputs["model"],
            shown=config.evaluation.suspects,
            code_digest=node_digest(SUSPECT_FINDER),
        )
        if config.evaluation.suspects
        else None
    )
    if suspect_finder:
        suspect_finder.add_upstream_node(pusher)  # what is to be served is served first

    components = [
        *([decider] if decider else []),
        example_gen,
        segmentation_validator,
        import_schema,
        statistics_gen,
        example_validator,
        *([drift_detector] if drift_detector else []),
        transform,
        *([warm_start] if warm_start else []),
        trainer,
        served_model,
        evaluator,
        *([reference_evaluator] if reference_evaluator else []),
        probe,
        pusher,
        *([deployer] if deployer else []),
        *([suspect_finder] if suspect_finder else []),
    ]

    # What came of all that, for people and for the pages of Kubeflow: last, and anew in every run.
    run_report = RunReport(
        report_fn=f"{REPORT_MODULE}.report_run",
        settings=reported_settings(config),
        node_ids=[component.id for component in components],
        inputs={
            "checked_examples": examples,
            "findings": segmentation_validator.outputs["findings"],
            "statistics": statistics_gen.outputs["statistics"],
            "anomalies": example_validator.outputs["anomalies"],
            "drift": drift_detector.outputs["drift"] if drift_detector else None,
            "model": trainer.outputs["model"],
            "model_run": trainer.outputs["model_run"],
            "baseline_model": served_model.outputs["model"],
            "evaluation": evaluator.outputs["evaluation"],
            "model_blessing": evaluator.outputs["blessing"],
            "reference_evaluation": reference_evaluator.outputs["evaluation"] if reference_evaluator else None,
            "reference_blessing": reference_evaluator.outputs["blessing"] if reference_evaluator else None,
            "infra_blessing": probe.outputs["blessing"],
            "pushed_model": pusher.outputs["pushed_model"],
            "deployed_model": deployer.outputs["deployed_model"] if deployer else None,
            "decision": decider.outputs["decision"] if decider else None,
            "suspects": suspect_finder.outputs["suspects"] if suspect_finder else None,
        },
    )

    return Pipeline(
        pipeline_name=config.pipeline.name,
        pipeline_root=pipeline_root,
        components=[*components, run_report],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=arguments_for_tfx(config.pipeline.beam_args),
    )
