"""Settings for tests that run in this process (not for the notebooks' kernels)."""

import os

import matplotlib
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread for each of several test processes and the kernels they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")
matplotlib.use("Agg")
settings.register_profile("course", derandomize=True, deadline=None)  # the same cases on every machine, slow ones too
settings.load_profile("course")
