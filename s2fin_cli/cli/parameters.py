"""Options that several commands have."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.completion import contents
from s2fin_cli.cli.completion.paths import paths
from s2fin_cli.cli.console import set_up_logging
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.options import CONFLICTS, COREGISTRATIONS, DEVICES, RESAMPLINGS, InputOptions, LabelOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

    Command = Callable[..., Any]
    FileType = click.ParamType[str]
else:
    FileType = click.ParamType  # click before 8.4 knows it without the brackets only


logger = logging.getLogger(__name__)

#: Key in a click context's `meta` of a project file that was found rather than named; it is shown once.
PROJECT_FOUND = "s2fin_cli.project_found"


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

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Folders, and files of this kind; what a STAC file has to offer as images."""
        found = contents.references(incomplete) if "#" in incomplete else None
        return paths(incomplete, self._metavar) if found is None else found


@dataclass(frozen=True)
class Wording:
    """How the help of a command calls its images.

    Attributes:
        reference: the image whose grid the others get.
        warped: those others.
        bands_of: the image that bands belong to where no modality is named.
        nodata: what is no data by default.
        has_roles: whether the modality of an image decides whose grid the map gets.
    """

    reference: str
    warped: str
    bands_of: str
    nodata: str
    has_roles: bool


#: Of commands on a scene.
OF_SCENE = Wording(
    reference="the passive image",
    warped="the other images",
    bands_of="the passive image",
    nodata="what the files declare, and the value that fills the passive image's border",
    has_roles=True,
)


def input_options(*, without: Sequence[str] = (), wording: Wording = OF_SCENE) -> Callable[[Command], Command]:
    """The images of a scene, and how they are stacked on one grid.

    Args:
        without: names of options that a command does not have.
        wording: how the help calls the images.
    """

    def add(command: Command) -> Command:
        for option in reversed([made for name, made in _input_options(wording).items() if name not in without]):
            command = option(command)
        return command

    return add


def image_options(command: Command) -> Command:
    """The images of a scene, of which nothing but pictures is made."""
    for option in reversed(_image_options(replace(OF_SCENE, has_roles=False)).values()):
        command = option(command)
    return command


def _image_options(wording: Wording) -> dict[str, Callable[[Command], Command]]:
    texts = {
        name: f"{modality.help} {modality.help_of_role if wording.has_roles else ''}".strip()
        for name, modality in MODALITIES.items()
    }
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
        help="Device that computes; auto takes a CUDA device if there is one.",
    )


def _input_options(wording: Wording) -> dict[str, Callable[[Command], Command]]:
    return {
        **_image_options(wording),
        "bidx": click.option(
            "-b",
            "--bidx",
            multiple=True,
            metavar="[MODALITY:]BANDS",
            shell_complete=contents.bands,
            help=f"Bands to use, e.g. 1..5,8 or lidar:1; without a modality, of {wording.bands_of}.",
        ),
        "nodata": click.option(
            "--nodata",
            multiple=True,
            metavar="[MODALITY:]VALUE|none",
            shell_complete=contents.values,
            help=f"Value that stands for no data, e.g. 0 or lidar:-9999; without a modality, of {wording.bands_of}.  "
            f"[default: {wording.nodata}]",
        ),
        **_area_options(wording),
        "resampling": click.option(
            "--resampling",
            type=click.Choice(RESAMPLINGS),
            help=f"Resampling method for warping {wording.warped} onto the grid of {wording.reference}.  "
            "[default: average for a much finer image, else bilinear]",
        ),
        "coregister": click.option(
            "--coregister",
            type=click.Choice(COREGISTRATIONS),
            default=InputOptions.coregister,
            show_default=True,
            help=f"What happens to the offset of {wording.warped} from {wording.reference}: nothing (off), or it is "
            "measured and corrected (shift).",
        ),
        "device": _device_option(),
    }


def _area_options(wording: Wording) -> dict[str, Callable[[Command], Command]]:
    return {
        "bounds": click.option(
            "--bounds",
            type=float,
            nargs=4,
            metavar="LEFT BOTTOM RIGHT TOP",
            help=f"Area of interest in the CRS of {wording.reference}.",
        ),
        "aoi": click.option("--aoi", type=FilePath("POLYGONS"), help="Area of interest: polygons, in any CRS."),
    }


def label_options(command: Command, *, required: bool = True, more: str = "") -> Command:
    """Labels and how they become pixels; whether there must be some, and what else the help says of them."""
    for option in reversed(
        [
            click.option(
                "--labels",
                type=FilePath("LABELS"),
                multiple=True,
                required=required,
                help="Polygons, lines, points, or a raster; repeat it for several files. Features without a class are "
                f"skipped. Where several files label a pixel, the last file decides.{more}",
            ),
            click.option(
                "--label-field",
                shell_complete=contents.fields,
                help="Class field of the labels; of several files, those without it go by their own.  "
                "[default: the only possible field]",
            ),
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
                "assigned to the first or last feature. Where files disagree, the last file wins; with first, the "
                "first file wins; with error, the run stops.",
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
        context = click.get_current_context()
        set_up_logging(level, context.command.params)
        if (found := context.meta.pop(PROJECT_FOUND, None)) is not None:
            logger.info("project file: %s, found in the current directory", found)
        return command(*args, **kwargs)

    return wrapped
