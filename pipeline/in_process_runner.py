"""Beam's runner of this machine, whose worker processes, where it is asked for them, see petseg's packages."""

import shlex
from typing import Any, Final

from apache_beam.portability import python_urns
from apache_beam.runners.portability import fn_api_runner

from petseg.processes import command

_WORKER: Final = "apache_beam.runners.worker.sdk_worker_main"


class FnApiRunner(fn_api_runner.FnApiRunner):
    """Beam's own, but for how it starts workers with `--direct_running_mode=multi_processing`.

    Beam starts them in the working directory, which Python would search first for what they are to run.
    """

    def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK:
                environment.payload = shlex.join(command(_WORKER)).encode()
        return super().run_via_runner_api(pipeline_proto, options)
