"""Lists of scenes of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError, UsageError, describe_missing
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.scenes.collection import read_collection
from s2fin_cli.scenes.entry import SceneEntry, check_names, parse_images
from s2fin_cli.scenes.folder import read_folder
from s2fin_cli.scenes.table import read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from s2fin_cli.core.options import StrPath


def read_scenes(src_path: StrPath, images: Sequence[str], *, without: Collection[Path] = ()) -> list[SceneEntry]:
    """The scenes of a folder, a STAC item collection or a text table.

    Args:
        src_path: the folder or file.
        images: which files or assets are which image, each "MODALITY=FILES".
        without: folders in the folder that are not scenes.

    Raises:
        InputError: there are no scenes, the list cannot be read, or names are unsafe or not unique.
        UsageError: `images` makes no sense.
    """
    path, chosen = Path(src_path), parse_images(images)
    if is_dataset_name(src_path):
        raise InputError(f"the list of scenes must be a file or folder on this machine, not {src_path}; copy it first")
    try:
        entries = _read(path, chosen, without)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise InputError(describe_missing(path)) from error
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    check_names(entries)
    return entries


def _read(path: Path, images: dict[str, list[str]], without: Collection[Path]) -> list[SceneEntry]:
    if path.is_dir():
        return read_folder(path, images, without=without)
    with path.open("rb") as file:
        is_json = file.read(1 << 12).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    if is_json:
        return read_collection(path, images)
    if images:
        raise UsageError(f"`images` applies to folders and STAC item collections, and {path} names the images itself")
    return read_table(path)
