"""A model behind the session loader, on which TensorFlow Serving is built: what it cannot load cannot be served."""

from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class SessionModel:
    """A loaded SavedModel, and the specification of its signatures."""

    def __init__(self, session: tf.compat.v1.Session, signatures: Any) -> None:
        self._session = session
        self.signatures = signatures

    @classmethod
    def load(cls, directory: str) -> Self:
        """Loads a SavedModel; raises whatever TensorFlow raises where that cannot be."""
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], directory)
        return cls(session, meta_graph.signature_def)

    def call(self, signature: str, values: Any) -> dict[str, NDArray[Any]]:
        """Returns the outputs of a signature that has one input, by name.

        Raises:
          InvalidArgumentError: The model refuses the input.
        """
        specification = self.signatures[signature]
        [placeholder] = (info.name for info in specification.inputs.values())
        outputs = {name: info.name for name, info in specification.outputs.items()}
        answers: dict[str, NDArray[Any]] = self._session.run(outputs, {placeholder: np.asarray(values)})
        return answers
