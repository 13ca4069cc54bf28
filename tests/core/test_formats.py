"""The table of formats: one entry is enough, and nothing else lists formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s2fin_cli.core.formats import (
    FORMATS,
    RASTER_DRIVERS,
    RASTER_SUFFIXES,
    VECTOR_OUTPUT_SUFFIXES,
    VECTOR_SUFFIXES,
    format_of,
    media_type,
    parts_of,
)  # fmt: skip
from s2fin_cli.core.sidecars import names_read_beside, written_beside

if TYPE_CHECKING:
    from tests.scenes import Run

ROOT = Path(__file__).parents[2]


def test_a_suffix_is_of_one_format() -> None:
    features = [suffix for each in FORMATS if not each.is_raster for suffix in each.suffixes]
    assert len(features) == len(set(features))
    assert not set(features) & set(RASTER_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in (*features, *RASTER_SUFFIXES))


def test_what_is_written() -> None:
    assert RASTER_DRIVERS == ("GTiff", "COG")
    assert VECTOR_OUTPUT_SUFFIXES == (".gpkg", ".shp", ".fgb", ".geojson", ".parquet", ".tab", ".sqlite")
    assert all(media_type(Path(f"a{suffix}")) for suffix in VECTOR_OUTPUT_SUFFIXES)
    assert not {".gpkg", ".sqlite"} & VECTOR_SUFFIXES, "they may hold rasters"


@pytest.mark.parametrize(
    ("name", "parts"), [("A.SHP", {"A.dbf", "A.shx"}), ("a.tab", {"a.dat", "a.map", "a.id", "a.ind"}), ("a.fgb", set())]
)
def test_parts_belong_to_their_dataset(name: str, parts: set[str]) -> None:
    assert parts <= {part.name for part in parts_of(Path(name))}
    assert parts <= {part.name for part in written_beside(Path(name))}
    assert {part.lower() for part in parts} <= set(names_read_beside(name))


def test_media_types() -> None:
    assert media_type(Path("a.TIF")) == "image/tiff; application=geotiff"
    assert media_type(Path("a.qml")) == media_type(Path("a.tif.aux.xml")) == "application/xml"
    assert media_type(Path("a.dbf")) == "application/vnd.dbf"
    assert media_type(Path("a.doc")) is None
    assert format_of(Path("a.doc")) is None


@pytest.mark.parametrize("command", ["classify", "sample"])
def test_help_lists_every_format_of_features(run: Run, command: str) -> None:
    answer = run(command, "--help").output
    assert all(suffix in answer for suffix in VECTOR_OUTPUT_SUFFIXES)


def test_the_documentation_lists_every_format_of_features() -> None:
    lines = (ROOT / "docs" / "reference" / "outputs.md").read_text(encoding="utf-8").splitlines()
    described = {line.split("`")[1] for line in lines if line.startswith("| `.")}
    assert described >= set(VECTOR_OUTPUT_SUFFIXES)
