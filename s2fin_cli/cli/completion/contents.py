"""Completion of what the files on the line hold: fields, classes and bands.

Nothing here imports torch or pandas, or asks a server: an answer has to be there at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

from s2fin_cli.cli.completion.paths import OPEN
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.modality import MODALITIES, passive_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    Items = list[CompletionItem[str]]

#: Packages that pyogrio imports where they are installed, in half a second, and that names of fields do not need.
_OPTIONAL = ("geopandas", "pandas", "pyarrow", "pyproj", "shapely")
#: What bands and values are separated by: a modality, numbers, ranges.
_PARTED = re.compile(r"^(.*(?:[:,]|\.\.))?(.*)$", re.DOTALL)


def fields(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Names of the fields of the labels, or of the reference, that the line or the project file names."""
    with _without_optional_imports():
        from s2fin_cli.vector.fields import field_names
    names: dict[str, None] = {}
    for path in _files(ctx, "labels") + _files(ctx, "reference"):
        with contextlib.suppress(Exception):  # a file that cannot be read has no fields to offer
            names |= dict.fromkeys(field_names(path))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def shares(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Names of the model's classes, each with "=" behind it, that have no share yet."""
    from s2fin_cli.model.header import class_names, find_model

    try:
        model = find_model(ctx.params.get("model"))
    except (S2finError, OSError):
        return []
    names = class_names(model) if model.is_file() else []
    given = {text.rpartition("=")[0] for text in ctx.params.get(str(param.name)) or ()}
    return [_open(f"{name}=") for name in names if name not in given and name.startswith(incomplete)]


def bands(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Numbers of an image's bands with their names, and the images where there are several."""
    from s2fin_cli.raster.opening import open_raster

    match = _PARTED.match(incomplete)
    head, start = (match[1] or "", match[2]) if match else ("", incomplete)
    modality = head.partition(":")[0] if ":" in head else _reference(ctx)
    described: list[str | None] = []
    for path in _files(ctx, modality or ""):
        with contextlib.suppress(S2finError), open_raster(path) as src:
            described += src.descriptions
    numbered = [(str(number), name) for number, name in enumerate(described, start=1)]
    found = [CompletionItem(head + text, help=name) for text, name in numbered if text.startswith(start)]
    return _images(ctx, incomplete) + found


def values(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The images whose value of no data can be given, and the word for none."""
    head = incomplete.rpartition(":")[0]
    word = f"{head}:none" if head else "none"
    return [*_images(ctx, incomplete), *([CompletionItem(word)] if word.startswith(incomplete) else [])]


def references(incomplete: str) -> Items | None:
    """What of a local STAC file can be meant as an image: parts behind "#", assets and items.

    Returns:
        None where the word is no reference to such a file.
    """
    from s2fin_cli.stac.document import read_items
    from s2fin_cli.stac.reference import SUFFIXES

    path, *parts = incomplete.split("#")
    local = os.path.expanduser(path)
    if not parts or not path.lower().endswith(SUFFIXES) or not os.path.isfile(local):
        return None
    key, mark, listed = parts[-1].partition("=")
    head = incomplete.removesuffix(parts[-1])
    if not mark:
        return [_open(f"{head}{name}=") for name in ("assets", "item") if name.startswith(key)]
    names: dict[str, None] = {}
    with contextlib.suppress(S2finError):
        for item in read_items(local):
            rasters = [asset for asset in item.assets.values() if asset.may_be_raster]
            of_item = {"item": [item.id], "assets": [name for asset in rasters for name in (asset.key, *asset.names)]}
            names |= dict.fromkeys(of_item.get(key, ()))
    start = listed.rpartition(",")[2]
    head = incomplete.removesuffix(start)
    return [CompletionItem(head + name) for name in names if name.startswith(start) and name not in listed.split(",")]


def patterns(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The images that files can be named for."""
    return [_open(f"{name}=") for name in MODALITIES if name.startswith(incomplete)]


def _open(value: str) -> CompletionItem[str]:
    """A value that goes on after it is inserted."""
    return CompletionItem(value, type=OPEN)


def _images(ctx: click.Context, incomplete: str) -> Items:
    """The images on the line, for options that take one before a colon."""
    given = [name for name in MODALITIES if ctx.params.get(name)]
    return [_open(f"{name}:") for name in given if len(given) > 1 and name.startswith(incomplete)]


def _reference(ctx: click.Context) -> str | None:
    """The image that bands belong to where no modality is named."""
    given = [name for name in MODALITIES if ctx.params.get(name)]
    return passive_of(given) or next(iter(given), None)


def _files(ctx: click.Context, name: str) -> list[str]:
    """The local files and folders that an option was given; nothing that would be waited for, such as a pipe."""
    value: Any = ctx.params.get(name) or ()
    given = [value] if isinstance(value, str) else value
    return [text for text in given if os.path.isfile(text) or os.path.isdir(text)]


@contextlib.contextmanager
def _without_optional_imports() -> Iterator[None]:
    """Keep pyogrio from importing what it can do without, while the block runs."""
    hidden: list[str] = [] if "pyogrio" in sys.modules else [name for name in _OPTIONAL if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # Python's way to say that there is none
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
