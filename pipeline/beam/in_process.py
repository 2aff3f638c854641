"""Beam's runner inside the process, as components get it."""

import shlex
from typing import TYPE_CHECKING, Any, Final

from petseg.processes import command

if TYPE_CHECKING:
    from apache_beam.runners.portability import fn_api_runner

_WORKER: Final = "apache_beam.runners.worker.sdk_worker_main"


def FnApiRunner() -> "fn_api_runner.FnApiRunner":  # noqa: N802 (Beam calls what it is told the name of)
    """Returns Beam's own, but for how it starts workers with `--direct_running_mode=multi_processing`.

    Beam starts them in the working directory, which Python would search first for what they are to run.
    """
    from apache_beam.portability import python_urns
    from apache_beam.runners.portability import fn_api_runner

    class Runner(fn_api_runner.FnApiRunner):
        def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
            for environment in pipeline_proto.components.environments.values():
                if environment.urn == python_urns.SUBPROCESS_SDK:
                    environment.payload = shlex.join(command(_WORKER)).encode()
            return super().run_via_runner_api(pipeline_proto, options)

    return Runner()
