"""QGIS without a window, and the plugin's modules; to be imported by scripts that QGIS's own Python runs."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProject

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "qgis_plugin"))
sys.path.append("/usr/share/qgis/python/plugins")  # Processing, where Debian puts it


class Feedback(QgsProcessingFeedback):  # type: ignore[misc] # QGIS has no types
    """Keeps what a run says, line by line."""

    def __init__(self) -> None:
        super().__init__(False)
        self.lines: list[str] = []

    def pushInfo(self, info: str) -> None:  # noqa: N802  QGIS's name
        self.lines.append(info)

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        self.lines.append(f"warning: {warning}")

    def reportError(self, error: str, fatalError: bool = False) -> None:  # noqa: N802, N803
        del fatalError
        self.lines.append(f"error: {error}")


#: QGIS while the script runs.
APPS: list[QgsApplication] = []


def start(platform: str = "external") -> None:
    """Start QGIS as a script has it, or as the platform that is named."""
    APPS.append(QgsApplication([], False, "", platform))
    APPS[0].initQgis()


def start_processing() -> None:
    """Processing with its own algorithms."""
    importlib.import_module("processing.core.Processing").Processing.initialize()


def plugin(module: str) -> Any:
    """A module of the plugin."""
    return importlib.import_module(f"s2fin.{module}")


def in_project() -> tuple[QgsProcessingContext, Feedback]:
    """A context with the project, and a feedback that keeps what is said."""
    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    context.setFeedback(feedback)
    return context, feedback


def answer(found: Any) -> NoReturn:
    """Print the answer of a script, and end without taking QGIS down, which may crash."""
    sys.stdout.write("\n" + json.dumps(found))
    sys.stdout.flush()
    os._exit(0)
