"""What unit and integration tests share: the environment that they run in."""

import os
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.pop("MLFLOW_TRACKING_URI", None)  # somebody's own server is not for runs of tests
# A shell starts its background jobs with SIGINT ignored, nohup what it runs with SIGHUP; so would be what tests start
# and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# TFX gives Beam the arguments of the process, and its parser takes `-v` for its own.
del sys.argv[1:]
