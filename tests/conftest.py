"""Settings for tests that run in this process (not for the notebooks' kernels)."""

import matplotlib

matplotlib.use("Agg")
