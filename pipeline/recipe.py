"""The recipe of a configuration: what models are told apart by that were trained on the same data."""

import hashlib
import json
from typing import Any, Final

from components.model_pusher.origin import Recipe
from pipeline.code_digest import code_digest
from pipeline.config.schema import Config
from pipeline.nodes import PREPROCESSING_MODULE, TRAINER_MODULE

_WHERE_THE_DATA_IS: Final = {
    "dataset",
    "data_dir",
    "download",
    "builder_modules",
    "splits",
    "hash_split",
    "window",
    "window_splits",
    "drift",
    "schema_file",
}
"""Settings of the data that decide on which examples are read, which their digests tell, or on none."""

_DIGITS: Final = 16


def recipe_of(config: Config) -> Recipe:
    """Returns how models of a configuration are trained and judged.

    Settings that have their default do not count, so that a petseg with more of them has the same recipe.
    """
    data = config.data.model_dump(mode="json", exclude=_WHERE_THE_DATA_IS, exclude_defaults=True)
    trainer = config.trainer.model_dump(mode="json", exclude={"epochs"}, exclude_defaults=True)
    bounds = [
        bound.model_dump(mode="json")
        for bound in config.evaluation.bounds()
        if (bound.metric, bound.kind, bound.slice) != ("accuracy", "min", {})
    ]
    return Recipe(
        settings=_digest({"data": data, "trainer": trainer}),
        code=code_digest(PREPROCESSING_MODULE, TRAINER_MODULE),
        epochs=config.trainer.epochs,
        gate=_digest({"bounds": sorted(bounds, key=json.dumps), "better_in": config.retraining.better_in}),
        min_accuracy=least_accuracy(config),
    )


def least_accuracy(config: Config) -> float:
    """Returns the least accuracy of a model that is pushed, 0 for none: every accuracy keeps a bound of 0."""
    bounds = config.evaluation.bounds()
    return next((b.bound for b in bounds if (b.metric, b.kind, b.slice) == ("accuracy", "min", {})), 0.0)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGITS]
