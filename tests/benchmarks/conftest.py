"""The benchmarks are scripts beside the packages, so their folder has to be on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

# NOTE: now, as pytest puts other test folders before it, and one of them holds a module of the same name.
import scenes  # noqa: F401
