"""The setting of the plugin among the options of Processing, as JSON: what an algorithm says when it is chosen.

python3 -m tests.qgis.inside.choose_program PROGRAM
"""

from __future__ import annotations

import importlib
import sys

from qgis.core import QgsApplication

from tests.qgis.inside.started import answer, plugin, start, start_processing

start()
start_processing()
CONFIG = importlib.import_module("processing.core.ProcessingConfig").ProcessingConfig
ADDED = plugin("plugin").Plugin(None)
ADDED.initGui()
FOUND = {"settings": [setting.name for setting in CONFIG.getSettings()["s2fin"]], "runs": []}
for program in ("", sys.argv[1], "/usr"):
    CONFIG.setSettingValue("S2FIN_EXECUTABLE", program)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("s2fin:train")
    FOUND["runs"].append(algorithm.canExecute())
CONFIG.setSettingValue("S2FIN_EXECUTABLE", "")
ADDED.unload()
FOUND["left"] = [*CONFIG.getSettings().get("s2fin", []), QgsApplication.processingRegistry().providerById("s2fin")]
answer(FOUND)
