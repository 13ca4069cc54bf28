"""One algorithm of the toolbox for each command of s2fin."""

from __future__ import annotations

import html
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingException, QgsProcessingUtils
from qgis.PyQt.QtGui import QIcon

from . import results
from .arguments import Values, is_to_be_loaded
from .command_line import command_line, shown, with_titles
from .executable import NotFoundError, Place, clean_environment, find
from .layers import InputFiles
from .parameters import parameters_of
from .process import RunError, run
from .settings import executable_setting
from .version import check_version

if TYPE_CHECKING:
    from qgis.core import QgsProcessingContext, QgsProcessingFeedback

    from .commands import Command, Description

#: The icon of the provider and of its algorithms.
ICON = str(Path(__file__).parent / "icon.svg")


class Algorithm(QgsProcessingAlgorithm):
    """A command of s2fin as QGIS runs it.

    Layers are turned into files before it runs, in the thread that owns them; s2fin runs in the background; results are
    loaded afterwards, in the first thread again. QGIS makes a new object for each run.

    Args:
        command: the command.
        description: that of all commands.
    """

    def __init__(self, command: Command, description: Description) -> None:
        super().__init__()
        self._command, self._description = command, description
        self._folder: Path | None = None
        self._files: InputFiles | None = None
        self._arguments: list[str] = []
        self._refused: Exception | None = None
        self._outputs: dict[str, str] = {}
        self._loaded: dict[str, QgsProcessingContext.LayerDetails] = {}
        self._shown: dict[str, str] = {}

    # ---- what QGIS shows of it; the names are QGIS's ----------------------------------------------------------------
    def createInstance(self) -> Algorithm:  # noqa: N802
        """A new object of the same command."""
        return Algorithm(self._command, self._description)

    def name(self) -> str:
        """The name in identifiers such as "s2fin:train"."""
        return self._command.name

    def displayName(self) -> str:  # noqa: N802
        """The name in the toolbox."""
        return self._command.title

    def group(self) -> str:
        """The group in the toolbox."""
        return self._command.group

    def groupId(self) -> str:  # noqa: N802
        """The group in identifiers."""
        return self._command.group.lower()

    def tags(self) -> list[str]:
        """Further words to find it by."""
        return [*self._command.tags, self._command.name]

    def icon(self) -> QIcon:
        """The icon in the toolbox."""
        return QIcon(ICON)

    def svgIconPath(self) -> str:  # noqa: N802
        """The icon where QGIS draws it by itself."""
        return ICON

    def shortDescription(self) -> str:  # noqa: N802
        """What it does, in a sentence."""
        return self._command.help[0]

    def shortHelpString(self) -> str:  # noqa: N802
        """What it does, beside the dialog."""
        return "".join(f"<p>{html.escape(part, quote=False)}</p>" for part in self._command.help)

    def helpUrl(self) -> str:  # noqa: N802
        """The page of the documentation."""
        return self._command.url

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: N802
        """Add the parameters."""
        for parameter in parameters_of(self._command):
            self.addParameter(parameter)

    def canExecute(self) -> tuple[bool, str]:  # noqa: N802
        """Whether there is a program to run, with what to do if there is none."""
        try:
            find(Place.here(executable_setting()))
        except NotFoundError as error:
            return False, str(error)
        return True, ""

    def checkParameterValues(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse what is missing before anything runs."""
        for option in self._command.options:
            given = (parameters.get(option.parameter), parameters.get(option.further))
            if option.kind == "labels" and option.required and all(value in (None, "", []) for value in given):
                return False, f"Choose a layer for “{option.title}”, or further layers below it"
        return super().checkParameterValues(parameters, context)

    # ---- a run ------------------------------------------------------------------------------------------------------
    def prepareAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Turn layers into files, in the thread that owns them."""
        try:
            self._folder = _new_folder()
            self._files = InputFiles(context, feedback, self._folder)
            self._take(parameters, context, self._files)
        except QgsProcessingException as error:
            # NOTE: QGIS would say in its log alone what is wrong here; what is raised below reaches every caller.
            self._refused = error
        except BaseException:
            self._remove_folder()
            raise
        return True

    def _take(self, parameters: dict[str, Any], context: QgsProcessingContext, files: InputFiles) -> None:
        """Take the values of the parameters."""
        values = Values(self, self._command, parameters, context, files).all()
        self._arguments = command_line(self._command, values)
        written = [option for option in self._command.options if option.is_output and values[option.name] is not None]
        self._outputs = {option.parameter: values[option.name] for option in written}
        self._loaded = context.layersToLoadOnCompletion()
        self._shown = {
            option.role or option.name: values[option.name]
            for option in written
            if is_to_be_loaded(parameters.get(option.parameter))
        }

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run s2fin, in the background."""
        try:
            if self._refused is not None:
                raise self._refused
            self._run(feedback)
        except (NotFoundError, RunError) as error:
            raise QgsProcessingException(str(error)) from None
        finally:
            self._remove_folder()
        return dict(self._outputs)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, feedback: QgsProcessingFeedback) -> None:
        place = Place.here(executable_setting())
        program = find(place)
        if (warning := check_version(program, self._description.version, place, feedback.isCanceled)) is not None:
            feedback.pushWarning(warning)
        feedback.pushCommandInfo(shown(program.name, self._arguments, for_windows=place.is_windows))
        run(
            [str(program), *self._arguments],
            environment=clean_environment(program, place),
            folder=str(self._folder),  # where no project file of s2fin is
            listener=feedback,
            worded=self._worded,
        )

    def _worded(self, message: str) -> str:
        """A message of s2fin in the words of the dialog, with layers by their names."""
        message = with_titles(self._command, message, self._description.titles)
        return message if self._files is None else self._files.worded(message)

    def postProcessAlgorithm(  # noqa: N802
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have QGIS load what was written, and open a report."""
        # NOTE: the dialog runs an algorithm in a thread with a context of its own, which forgets what is to be loaded.
        for path, details in self._loaded.items():
            if path in self._outputs.values() and not context.willLoadLayerOnCompletion(path):
                context.addLayerToLoadOnCompletion(path, details)
        titles = {option.role or option.name: option.title for option in self._command.options if option.is_output}
        results.load(context, feedback, self._shown, group=f"s2fin: {self._command.title}", titles=titles)
        return {}


def _new_folder() -> Path:
    """A folder for the files of a run.

    Raises:
        QgsProcessingException: none can be made.
    """
    # NOTE: QGIS names none if it cannot write to that of its settings, and one that the system has cleaned away.
    base = QgsProcessingUtils.tempFolder() or tempfile.gettempdir()
    try:
        os.makedirs(base, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="s2fin_", dir=base))
    except OSError as error:
        raise QgsProcessingException(f"no temporary folder can be made in {base}: {error}") from error
