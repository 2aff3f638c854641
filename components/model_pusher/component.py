"""The contract of ModelPusher."""

from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec

from components.model_pusher.executor import Executor


class ModelPusher(tfx.components.Pusher):
    """Pusher that looks first: when the newest served version is this very model, nothing is pushed.

    Outputs:
      pushed_model: `PushedModel` as of TFX's Pusher; custom property `already_served` names the version that made a
        push needless.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
