"""The commands as functions with keyword arguments, as `import s2fin_cli` has them.

Torch and GDAL are loaded on the first call. Editors and type checkers read `s2fin_cli/__init__.pyi`, which `python -m
tests.stub` writes from the same table.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.formats import RASTER_DRIVERS, VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.core.options import CONFLICTS, PRECISIONS, RESAMPLINGS
from s2fin_cli.workflows.in_memory import as_files, takes
from s2fin_cli.workflows.options.align import AlignOptions
from s2fin_cli.workflows.options.assemble import AssembleOptions
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.classify_all import VECTOR_FORMATS, ClassifyAllOptions
from s2fin_cli.workflows.options.compare import CompareOptions
from s2fin_cli.workflows.options.convert import ConvertOptions
from s2fin_cli.workflows.options.demo import DemoOptions
from s2fin_cli.workflows.options.doctor import DoctorOptions
from s2fin_cli.workflows.options.evaluate import EvaluateOptions
from s2fin_cli.workflows.options.inspect import InspectOptions
from s2fin_cli.workflows.options.predict import PredictOptions
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.options.sample import SampleOptions
from s2fin_cli.workflows.options.split import SplitOptions
from s2fin_cli.workflows.options.suggest import SuggestOptions
from s2fin_cli.workflows.options.train import TrainOptions

#: Constants that the texts of options name.
CONSTANTS = {
    "CONFLICTS": CONFLICTS,
    "PRECISIONS": PRECISIONS,
    "RASTER_DRIVERS": RASTER_DRIVERS,
    "RESAMPLINGS": RESAMPLINGS,
    "VECTOR_FORMATS": VECTOR_FORMATS,
    "VECTOR_OUTPUT_SUFFIXES": VECTOR_OUTPUT_SUFFIXES,
}

#: What the docstring of a function says whose options take more than paths.
_IN_MEMORY = (
    "Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either."
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2fin_cli.core.options import Options


@dataclass(frozen=True)
class Hook:
    """An argument of long jobs besides their options.

    Attributes:
        name: the keyword.
        type: its type, as it is written.
        text: what it is, for the docstring.
    """

    name: str
    type: str
    text: str


HOOKS = (
    Hook("progress", "Progress | None", "called as the work advances, see `s2fin_cli.core.progress.Progress`."),
    Hook("stop", "Stop | None", "ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`."),
)


@dataclass(frozen=True)
class Command:
    """A function of the Python API, which all but one are a command of the command line too.

    Attributes:
        name: name of the function, the command and the module in `workflows`.
        options: the class of its options, whose fields are the function's keywords.
        summary: what it does.
        returns: what its result is.
        hooks: the keywords besides the options.
        gives: name of the result's class, if it is one of another package.
    """

    name: str
    options: type[Options]
    summary: str
    returns: str
    hooks: tuple[Hook, ...] = ()
    gives: str | None = None

    @property
    def result(self) -> str:
        """The name of the result's class, in the module of the same name in `workflows` or in another package."""
        return self.gives or "".join(word.capitalize() for word in self.name.split("_")) + "Result"


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "align",
            AlignOptions,
            "Warp an image onto the grid of another and write it.",
            "where the aligned image is, and what offset was measured.",
            HOOKS,
        ),
        Command(
            "assemble",
            AssembleOptions,
            "Assemble a map from the shards that `classify` made.",
            "where the outputs are, and how many pixels each class has.",
            HOOKS,
        ),
        Command(
            "classify",
            ClassifyOptions,
            "Classify a scene with a trained model and write the map.",
            "where the outputs are, and how many pixels each class has.",
            HOOKS,
        ),
        Command(
            "classify_all",
            ClassifyAllOptions,
            "Classify many scenes with a trained model and write their maps.",
            "what became of each scene.",
            HOOKS,
        ),
        Command(
            "compare",
            CompareOptions,
            "Compare two class maps and write what changed.",
            "what changed, and where the files are.",
            HOOKS,
        ),
        Command(
            "convert",
            ConvertOptions,
            "Convert an array of a MATLAB file to a GeoTIFF.",
            "where the GeoTIFF is, and the array's shape.",
        ),
        Command(
            "demo",
            DemoOptions,
            "Train on the example scene, classify it and assess the map.",
            "where the results are, and the map's accuracy.",
            HOOKS,
        ),
        Command(
            "doctor",
            DoctorOptions,
            "Examine the installation, and find out whether it works.",
            "what was found of each part, and what to do about it.",
            HOOKS,
        ),
        Command(
            "evaluate",
            EvaluateOptions,
            "Assess a map's accuracy against reference labels.",
            "a report of the map's classes, areas and accuracy.",
        ),
        Command(
            "inspect",
            InspectOptions,
            "Describe a raster, a vector file or a model file.",
            "what the file holds.",
        ),
        Command(
            "report",
            ReportOptions,
            "Report on a map in one file: what it shows, how accurate it is, how it was made.",
            "the report, and where it is.",
        ),
        Command(
            "sample",
            SampleOptions,
            "Draw a stratified random sample of a map for interpreters.",
            "where the points are, and how many each class has.",
        ),
        Command(
            "split",
            SplitOptions,
            "Split labels into spatially separate training and test labels.",
            "where both label rasters are, and how many pixels each class has in them.",
        ),
        Command(
            "suggest",
            SuggestOptions,
            "Suggest the places of a scene where a label is worth most.",
            "where the points are, and why each place was chosen.",
            HOOKS,
        ),
        Command(
            "train",
            TrainOptions,
            "Train a model on images and labels and write it.",
            "where the model is, and how accurate it is on the pixels held out.",
            HOOKS,
        ),
    )
}
#: All functions: those of the commands, and one that only Python has.
FUNCTIONS = COMMANDS | {
    "predict": Command(
        "predict",
        PredictOptions,
        "Classify a scene with a trained model into memory, and write no file.",
        "the class of each pixel, its probability and what else was asked for.",
        HOOKS,
        gives="Dataset",
    )
}


def function_of(command: Command) -> Callable[..., Any]:
    """The function of a command; its signature and docstring come from the command's options."""
    hooks = {hook.name for hook in command.hooks}

    def function(*positional: Any, **keywords: Any) -> Any:
        if positional:
            first = "model" if command.gives is not None else fields(command.options)[0].name
            value = f'"{positional[0]}"' if isinstance(positional[0], str | PathLike) else repr(positional[0])
            raise UsageError(f"{command.name} takes keyword arguments: {command.name}({first}={value})")
        with as_files(command.name, keywords) as given:
            called = {name: value for name, value in given.items() if name in hooks and value is not None}
            options = command.options.from_kwargs({name: given[name] for name in given if name not in hooks})
            return import_module(f"s2fin_cli.workflows.{command.name}").run(options, **called)

    function.__name__ = function.__qualname__ = command.name
    function.__module__ = "s2fin_cli"
    function.__doc__ = docstring_of(command)
    function.__signature__ = signature_of(command)  # type: ignore[attr-defined]  # help() and notebooks read it
    return function


def signature_of(command: Command) -> inspect.Signature:
    """The signature of a command's function: keywords only, annotations as they are written."""
    keyword, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    taken = takes(command.name)
    parameters = [
        inspect.Parameter(
            field.name,
            keyword,
            annotation=str(field.type).replace("StrPath", taken[field.name][0] if field.name in taken else "StrPath"),
            default=empty if field.default is MISSING else field.default,
        )
        for field in fields(command.options)
    ]
    parameters += [inspect.Parameter(hook.name, keyword, annotation=hook.type, default=None) for hook in command.hooks]
    return inspect.Signature(parameters, return_annotation=command.result)


def docstring_of(command: Command) -> str:
    """The docstring of a command's function, with the texts of its options."""
    texts: dict[str, str] = {}
    for base in reversed(command.options.__mro__):
        texts |= _attribute_texts(inspect.cleandoc(base.__doc__ or ""))
    texts |= {hook.name: hook.text for hook in command.hooks}
    names = [field.name for field in fields(command.options)] + [hook.name for hook in command.hooks]
    arguments = "\n".join(_filled(f"{name}: {texts[name]}") for name in names if name in texts)
    summary = f"{command.summary}\n\n    {_IN_MEMORY}" if takes(command.name).keys() & set(names) else command.summary
    return (
        f"{summary}\n\n    Args:\n{arguments}\n\n    Returns:\n        {command.returns}\n\n    Raises:\n"
        "        S2finError: something is wrong with the options, inputs or outputs; nothing is written.\n    "
    )


def _attribute_texts(docstring: str) -> dict[str, str]:
    """Texts by name from the section "Attributes" of a docstring, with the values of the constants that they name."""
    _, _, section = docstring.partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", section, re.MULTILINE)
    return {
        name: re.sub(r"(?:see )?`([A-Z_]+)`", lambda name: listed(CONSTANTS[name[1]]), " ".join(text.split()))
        for name, text in found
    }


def _filled(text: str) -> str:
    """An argument's text as lines of a docstring."""
    return textwrap.fill(
        text, 120, initial_indent=" " * 8, subsequent_indent=" " * 12, break_long_words=False, break_on_hyphens=False
    )
