"""A made-up run for the tests of its report."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3]))
import report_run

from pipeline.run_record import RunRecord


@pytest.fixture
def record(tmp_path) -> RunRecord:
    return report_run.finished_run(tmp_path)
