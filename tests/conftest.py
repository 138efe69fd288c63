"""Settings for tests that run in this process (not for the notebooks' kernels)."""

import matplotlib
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("course", derandomize=True, deadline=None)  # the same cases on every machine, slow ones too
settings.load_profile("course")
