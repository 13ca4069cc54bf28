"""Descriptions of STAC files as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

#: Items that are listed at most.
MOST_ITEMS = 20


def print_stac(stac: dict[str, Any], console: Console, print_raster: Callable[[dict[str, Any], Console], None]) -> None:
    """Print the description of a STAC file, as `workflows.inspect_stac.describe_stac` gives it.

    Args:
        stac: what to print.
        console: where to.
        print_raster: prints the description of a raster.
    """
    items = stac["items"]
    console.print(Text(f"STAC file {stac['path']}, {len(items)} item{'s' * (len(items) > 1)}"))
    for item in items[:MOST_ITEMS]:
        console.print(Text(f"  {item['id']}  {item['datetime'] or 'no time'}"))
    if len(items) > MOST_ITEMS:
        console.print(f"  and {len(items) - MOST_ITEMS} more")
    assets = list({asset["key"]: asset for item in items for asset in item["assets"]}.values())
    _print_assets([asset for asset in assets if asset["may_be_raster"]], console)
    if others := [asset["key"] for asset in assets if not asset["may_be_raster"]]:
        console.print(Text(f"other assets: {', '.join(others)}"))
    if stac["unclear"] is not None:
        console.print(Text(f"as an image: {stac['unclear']}"))
    for raster in stac["rasters"]:
        console.print()
        print_raster(raster, console)


def _print_assets(assets: Iterable[dict[str, Any]], console: Console) -> None:
    table = Table("asset", "bands", "common names", "nm", "scale", "offset", "nodata", box=None, header_style="bold")
    for asset in assets:
        names = ("name", "common_name", "wavelength_nm", "scale", "offset", "nodata")
        table.add_row(Text(asset["key"]), *(Text(_shown(asset["bands"], name)) for name in names))
    console.print(table)


def _shown(bands: Iterable[dict[str, Any]], name: str) -> str:
    """The values of bands, each once; "-" where there are none."""
    values = dict.fromkeys(band[name] for band in bands if band[name] is not None)
    return ", ".join(value if isinstance(value, str) else f"{value:.6g}" for value in values) or "-"
