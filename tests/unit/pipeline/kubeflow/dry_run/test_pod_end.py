"""What the end of a pod means."""

import pytest

from pipeline.kubeflow.dry_run.pod import end_of_pod
from pipeline.runs.failures import explain_failure

LAST_LINE = "ZeroDivisionError: one of many"
TRACEBACK = f'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n{LAST_LINE}\n'
FAILED = "petseg 07:00:00 components.x.Executor: failed:"


@pytest.mark.parametrize(
    ("code", "written", "message", "foreseen"),
    [
        (2, f"{FAILED} the bound is 2; expected a share", "the bound is 2; expected a share", True),
        (1, f"{FAILED} two\nlines\n", "two\nlines", True),
        (1, f"x\n{TRACEBACK}{FAILED} {LAST_LINE}\n", LAST_LINE, False),
        (1, TRACEBACK, LAST_LINE, False),
        (3, "some words\nlast words\n", "the pod ended with exit code 3; its last words: last words", True),
        (3, "", "the pod ended with exit code 3", True),
        (None, "", "the pod failed", True),
        (-9, "x", "the pod was ended by SIGKILL; it may have run out of memory", True),
        (-11, "x", "the pod was ended by SIGSEGV; it may have run out of memory", True),
        (-15, "x", "the pod was ended by SIGTERM", True),
        (143, "terminated", "the pod was ended by SIGTERM", True),
    ],
)  # fmt: skip
def test_the_message_says_why(code, written, message, foreseen, tmp_path):
    failure = explain_failure(end_of_pod(code, written), tmp_path)
    assert failure == (message, foreseen)
