"""s2fin: land-cover maps from two co-located rasters and a few labels.

Each command of the command line is a function of the same name here, with the same options and defaults.
"""

from __future__ import annotations

import os

from s2fin_cli.core.version import __version__
from s2fin_cli.workflows.functions import COMMANDS, FUNCTIONS, function_of

__all__ = [
    "__version__",
    "align",
    "assemble",
    "classify",
    "classify_all",
    "compare",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "inspect",
    "predict",
    "report",
    "sample",
    "split",
    "suggest",
    "train",
]

# NOTE: threads that spin while they wait make torch many times slower as soon as another process wants a core, and
# threads that do not spin at all make it a third slower when none does; so they spin for a short time. Both are read
# when torch is loaded, so they are set here, before any import of it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
# NOTE: where a thread has no handler of rasterio's, GDAL writes its warnings to stderr, among our messages; errors are
# raised all the same.
if "CPL_DEBUG" not in os.environ:
    os.environ.setdefault("CPL_LOG", os.devnull)

# NOTE: GDAL by default gives up a server at its first failure, and waits for a silent one without end. Of what it reads
# ahead it takes zeros for pixels where a connection was lost, so it must not. All of GDAL's copies in a process, and
# the processes that it starts, read the environment.
os.environ.setdefault("GDAL_HTTP_ENABLE_ADVISE_READ", "NO")
os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "3")
os.environ.setdefault("GDAL_HTTP_RETRY_DELAY", "1")
os.environ.setdefault("GDAL_HTTP_CONNECTTIMEOUT", "10")
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_LIMIT", "1")
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "20")

align = function_of(COMMANDS["align"])
assemble = function_of(COMMANDS["assemble"])
classify = function_of(COMMANDS["classify"])
classify_all = function_of(COMMANDS["classify_all"])
compare = function_of(COMMANDS["compare"])
convert = function_of(COMMANDS["convert"])
demo = function_of(COMMANDS["demo"])
doctor = function_of(COMMANDS["doctor"])
evaluate = function_of(COMMANDS["evaluate"])
inspect = function_of(COMMANDS["inspect"])
predict = function_of(FUNCTIONS["predict"])
report = function_of(COMMANDS["report"])
sample = function_of(COMMANDS["sample"])
split = function_of(COMMANDS["split"])
suggest = function_of(COMMANDS["suggest"])
train = function_of(COMMANDS["train"])
