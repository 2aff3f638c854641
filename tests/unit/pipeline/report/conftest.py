"""A made-up run for the tests of its report."""

import pytest
import report_run

from pipeline.runs.record import RunRecord


@pytest.fixture
def record(tmp_path) -> RunRecord:
    return report_run.finished_run(tmp_path)
