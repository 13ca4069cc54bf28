"""The setting of the plugin, among the options of Processing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from qgis.core import QgsSettings

if TYPE_CHECKING:
    from qgis.PyQt.QtGui import QIcon

#: Name of the setting, and where QGIS keeps it.
EXECUTABLE = "S2FIN_EXECUTABLE"
KEY = f"Processing/Configuration/{EXECUTABLE}"


def executable_setting() -> str:
    """The program that the user chose, empty if none."""
    return str(QgsSettings().value(KEY, "") or "").strip()


def add_settings(group: str, icon: QIcon) -> None:
    """Show the setting among the options of Processing.

    Args:
        group: the heading that it stands under.
        icon: the icon of the heading.
    """
    with contextlib.suppress(ImportError):  # Processing's own plugin may be turned off; the setting is then unused
        from processing.core.ProcessingConfig import ProcessingConfig, Setting  # noqa: PLC0415

        ProcessingConfig.settingIcons[group] = icon
        ProcessingConfig.addSetting(
            Setting(
                group,
                EXECUTABLE,
                "The s2fin program, or the folder of its environment",
                "",
                valuetype=Setting.FILE,
                placeholder="Leave blank to find it",
            )
        )
        ProcessingConfig.readSettings()


def remove_settings() -> None:
    """Take the setting out of the options of Processing."""
    with contextlib.suppress(ImportError, KeyError):
        from processing.core.ProcessingConfig import ProcessingConfig  # noqa: PLC0415

        ProcessingConfig.removeSetting(EXECUTABLE)
