"""Keeps TFX from re-using an earlier deployment: the cluster may serve another model since."""

import time
from typing import Final

from tfx.orchestration.portable import data_types

from components.property_driver import PropertyDriver

ASKED_AT_KEY: Final = "asked_at"


class DeployerDriver(PropertyDriver):
    """Adds the time."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        return {ASKED_AT_KEY: time.time_ns()}
