"""The graph: every component of the pipeline in order, the same for every runner."""

from importlib import resources
from pathlib import Path
from typing import Any

from google.protobuf import message, text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx

from components.import_schema.component import ImportSchema
from components.model_pusher.component import ModelPusher
from components.segmentation_evaluation.metric import eval_config
from components.tfds_example_gen.component import TfdsExampleGen
from components.tfds_example_gen.source import TfdsSource
from pipeline.code_digest import code_digest
from pipeline.config import Config
from trainer_module.errors import ConfigError

_PREPROCESSING_MODULE = "trainer_module.preprocessing"
_TRAINER_MODULE = "trainer_module.trainer"


def create_pipeline(
    config: Config,
    *,
    pipeline_root: str,
    enable_cache: bool = True,
    metadata_connection_config: message.Message | None = None,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; it knows no runner, and reads no data.

    Args:
      config: The resolved configuration.
      pipeline_root: Where the runner keeps artifacts: a directory or a URI.
      enable_cache: Re-use the outputs of earlier executions with the same inputs, settings and code.
      metadata_connection_config: How the runner reaches ML Metadata; None where it brings its own.
    """
    data = config.data
    network_input = {"data": data.model_dump(mode="json", include={*_NETWORK_INPUT_FIELDS})}

    # Encoded images and masks of each split, as they are in the data set; refuses what cannot be trained on.
    example_gen = TfdsExampleGen(_source(config), data.splits)

    # The curated schema: what every example must look like. Inferring it from the data would bless its defects.
    import_schema = ImportSchema(_schema_text(config.data.schema_file))

    # Distributions of labels, and sizes of the encoded images, for people and for the ExampleValidator.
    statistics_gen = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"], schema=import_schema.outputs["schema"]
    )

    # Anomalies of the statistics against the schema.
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=import_schema.outputs["schema"]
    )

    # Decodes, resizes and normalizes, in a graph that training, evaluation and serving share.
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=import_schema.outputs["schema"],
        preprocessing_fn=f"{_PREPROCESSING_MODULE}.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={**network_input, "code_digest": code_digest(_PREPROCESSING_MODULE)},
        disable_statistics=True,
    )

    # Trains the U-Net and exports it with its serving and evaluation signatures.
    trainer = tfx.components.Trainer(
        run_fn=f"{_TRAINER_MODULE}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config={
            **network_input,
            "trainer": config.trainer.model_dump(mode="json"),
            "code_digest": code_digest(_TRAINER_MODULE),
        },
    )

    # Measures the exported model on raw examples and blesses it when every bound holds.
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        example_splits=[config.evaluation.split],
        eval_config=_eval_config(config),
    )

    # Copies a blessed model to where serving looks for new versions, unless it is the one served there.
    pusher = ModelPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=config.serving_model_dir)
        ),
    ).with_id("Pusher")

    return tfx.dsl.Pipeline(
        pipeline_name=config.pipeline.name,
        pipeline_root=pipeline_root,
        components=[
            example_gen,
            import_schema,
            statistics_gen,
            example_validator,
            transform,
            trainer,
            evaluator,
            pusher,
        ],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(config.pipeline.beam_args),
    )


_NETWORK_INPUT_FIELDS = ("class_names", "mask_values", "image_size", "normalization")
"""The fields of `DataConfig` that preprocessing and training depend on; another data set is another input."""


def _source(config: Config) -> TfdsSource:
    fields: dict[str, Any] = config.data.model_dump(include=set(TfdsSource.model_fields))
    digest = code_digest("components.tfds_example_gen.executor")
    return TfdsSource(**fields | {"data_dir": config.data_dir, "code_digest": digest})


def _schema_text(name: str) -> str:
    """Reads the curated schema of that name, or the user's file."""
    curated = resources.files("pipeline") / "schemas" / f"{name}.pbtxt"
    file = curated if curated.is_file() else Path(name)
    try:
        text = file.read_text(encoding="utf-8")
        text_format.Parse(text, schema_pb2.Schema())
    except OSError as error:
        raise ConfigError(f"data.schema_file: cannot read {name!r}: {error.strerror}") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"data.schema_file: {name!r} is no schema in protobuf's text format: {error}") from error
    return text


def _eval_config(config: Config) -> message.Message:
    return eval_config(
        class_names=config.data.class_names,
        bounds={metric: (bound.min, bound.max) for metric, bound in config.evaluation.bounds().items()},
        slices=config.evaluation.slices,
        code_digest=code_digest("components.segmentation_evaluation.metric"),
    )
