"""Options that several commands have."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.console import set_up_logging
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.options import CONFLICTS, COREGISTRATIONS, DEVICES, RESAMPLINGS, InputOptions, LabelOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = Callable[..., Any]
    FileType = click.ParamType[str]
else:
    FileType = click.ParamType  # click before 8.4 knows it without the brackets only

#: A sentence about all images that the help of the last one ends with.
SEVERAL_FILES = "For an image in several files, repeat its option."


class FilePath(FileType):
    """A path, or one of GDAL's names of a dataset; in a project file it is relative to that file.

    Args:
        metavar: what kind of file it is, for the help.
    """

    name = "file"

    def __init__(self, metavar: str = "FILE") -> None:
        self._metavar = metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The kind of file, shown for the value in the help."""
        return self._metavar


def input_options(*, without: Sequence[str] = (), bands_of: str = "the passive image") -> Callable[[Command], Command]:
    """The images of a scene, and how they are stacked on one grid.

    Args:
        without: names of options that a command does not have.
        bands_of: the image that bands belong to where no modality is named.
    """

    def add(command: Command) -> Command:
        for option in reversed([made for name, made in _input_options(bands_of).items() if name not in without]):
            command = option(command)
        return command

    return add


def _image_options() -> dict[str, Callable[[Command], Command]]:
    texts = {name: modality.help for name, modality in MODALITIES.items()}
    texts[next(reversed(texts))] += f" {SEVERAL_FILES}"
    return {
        name: click.option(f"--{name}", type=FilePath("RASTER"), multiple=True, help=text)
        for name, text in texts.items()
    }


def _device_option() -> Callable[[Command], Command]:
    return click.option(
        "--device",
        type=click.Choice(DEVICES),
        default=InputOptions.device,
        show_default=True,
        help="Device to compute on.",
    )


def _input_options(bands_of: str) -> dict[str, Callable[[Command], Command]]:
    return {
        **_image_options(),
        "bidx": click.option(
            "-b",
            "--bidx",
            multiple=True,
            metavar="[MODALITY:]BANDS",
            help=f"Bands to use, e.g. 1..5,8 or lidar:1; without a modality, of {bands_of}.",
        ),
        "nodata": click.option(
            "--nodata",
            multiple=True,
            metavar="[MODALITY:]VALUE|none",
            help=f"Value that stands for no data, e.g. 0 or lidar:-9999; without a modality, of {bands_of}.  "
            "[default: what the files declare, and the value that fills the passive image's border]",
        ),
        "bounds": click.option(
            "--bounds",
            type=float,
            nargs=4,
            metavar="LEFT BOTTOM RIGHT TOP",
            help="Area of interest in the passive image's CRS.",
        ),
        "aoi": click.option("--aoi", type=FilePath("POLYGONS"), help="Area of interest: polygons, in any CRS."),
        "resampling": click.option(
            "--resampling",
            type=click.Choice(RESAMPLINGS),
            help="How the other images are warped onto the passive image's grid.  "
            "[default: average for much finer ones, else bilinear]",
        ),
        "coregister": click.option(
            "--coregister",
            type=click.Choice(COREGISTRATIONS),
            default=InputOptions.coregister,
            show_default=True,
            help="Whether to measure the offset of the other images from the passive one, and to shift them by it.",
        ),
        "device": _device_option(),
    }


def label_options(command: Command) -> Command:
    """Labels and how they become pixels."""
    for option in reversed(
        [
            click.option(
                "--labels", type=FilePath("LABELS"), required=True, help="Polygons, lines, points, or a raster."
            ),
            click.option("--label-field", help="Class field of the labels.  [default: the only field that can be it]"),
            click.option(
                "--label-buffer",
                type=float,
                metavar="DISTANCE",
                help="Buffer around points and lines, in CRS units.  "
                "[default: the pixel of a point, half a pixel around a line]",
            ),
            click.option("--classes", type=FilePath("CSV"), help="Class table with the columns id, name and color."),
            click.option(
                "--on-conflict",
                type=click.Choice(CONFLICTS),
                default=LabelOptions.on_conflict,
                show_default=True,
                help="What happens to pixels that features of different classes cover: they are dropped, refused, or "
                "assigned to the first or last feature.",
            ),
        ]
    ):
        command = option(command)
    return command


def overwrite_option(command: Command) -> Command:
    """Whether existing outputs may be replaced."""
    return click.option("--overwrite", is_flag=True, help="Replace existing outputs.")(command)


def json_option(command: Command) -> Command:
    """Whether to print the result for a program."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")(command)


def verbosity_options(command: Command) -> Command:
    """-q and -v, which set up the logging before the command runs."""

    @click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
    @click.option("-v", "--verbose", is_flag=True, help="Show details, and where in the code an error occurred.")
    @wraps(command)
    def wrapped(*args: Any, quiet: bool, verbose: bool, **kwargs: Any) -> Any:
        if quiet and verbose:
            raise click.UsageError("-q and -v exclude each other")
        level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
        set_up_logging(level, click.get_current_context().command.params)
        return command(*args, **kwargs)

    return wrapped
