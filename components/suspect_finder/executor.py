"""Has the model's contradictions ranked, and leaves the list and pictures of its first entries."""

from typing import Any, Final

import tensorflow as tf
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.artifact_properties import EXAMINED_EXAMPLES, SUSPECTS
from components.example_counts import count_records, expected_count
from components.suspect_finder.pictures import write_pictures
from components.suspect_finder.predictions import ExportedNetwork
from components.suspect_finder.ranking import find_suspects
from components.suspect_finder.suspects import SUSPECTS_FILE, to_csv

SUSPECTS_KEY: Final = "suspects"
SHOWN_KEY: Final = "shown"
CODE_DIGEST_KEY: Final = "code_digest"

SPLITS: Final = ("train", "eval")
"""What the training saw. Of the split that decides, the report shows the worst images."""


class Executor(base_executor.BaseExecutor):
    """SuspectFinder's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the list and the pictures.

        Raises:
          ModelError: The model was exported by a version of petseg without the functions that are asked.
        """
        examples, model = (
            artifact_utils.get_single_instance(input_dict[key])
            for key in (standard_component_specs.EXAMPLES_KEY, standard_component_specs.MODEL_KEY)
        )
        suspects = artifact_utils.get_single_instance(output_dict[SUSPECTS_KEY])
        network = ExportedNetwork.load(path_utils.serving_model_path(model.uri))
        directories = {split: artifact_utils.get_split_uri([examples], split) for split in SPLITS}
        files = {split: sorted(tf.io.gfile.glob(f"{directory}/*")) for split, directory in directories.items()}
        expected = expected_count(examples, SPLITS) or sum(map(count_records, directories.values()))
        ranking = find_suspects(network, files, expected)
        io_utils.write_string_file(f"{suspects.uri}/{SUSPECTS_FILE}", to_csv(ranking.suspects))
        shown = ranking.suspects[: exec_properties[SHOWN_KEY]]
        write_pictures(network, files, shown, suspects.uri)
        suspects.splits = list(SPLITS)
        suspects.set_int_custom_property(SUSPECTS, len(ranking.suspects))
        suspects.set_int_custom_property(EXAMINED_EXAMPLES, ranking.examined)
        logging.info("%d of %d masks are contradicted.", len(ranking.suspects), ranking.examined)
