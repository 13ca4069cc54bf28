"""Options of inspection."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.options import Options, StrPath


@dataclass(frozen=True, kw_only=True)
class InspectOptions(Options):
    """Options of `s2fin inspect`.

    Attributes:
        src: raster, model file, vector file or STAC file to describe.
        stac: where to write the STAC item that a model carries, a `.json` file; None for none.
        overwrite: whether an existing `stac` may be replaced.
    """

    src: StrPath
    stac: StrPath | None = None
    overwrite: bool = False
