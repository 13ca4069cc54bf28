"""Lists of scenes as text tables: a row for each scene, a column for each image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import nearest_name
from s2fin_cli.core.errors import InputError
from s2fin_cli.core.modality import MODALITIES, PASSIVE_NAMES, passive_of
from s2fin_cli.core.names import in_folder
from s2fin_cli.scenes.entry import SceneEntry
from s2fin_cli.vector.text_tables import read_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Columns besides those of the images: the scene's name and its area of interest.
NAME, AREA = "name", "aoi"
#: Separates several files of one image.
SEPARATOR = ";"


def read_table(path: Path) -> list[SceneEntry]:
    """The scenes of a table, in its order; paths are relative to its folder.

    Raises:
        InputError: it is no such table.
    """
    table = read_texts(path, error=InputError)
    columns = {str(column): str(column).strip().lower() for column in table}
    known = [NAME, *MODALITIES, AREA]
    for column, name in columns.items():
        if name not in known:
            raise InputError(f"{path}: unknown column {column!r}; {nearest_name(name, known)}; rename or remove it")
    if passive_of(columns.values()) is None:
        raise InputError(f"{path} has no column {' or '.join(PASSIVE_NAMES)}; its header must name the images")
    rows = table.rename(columns=columns).fillna("").to_dict("index")
    if not rows:
        raise InputError(f"{path} has a header and no row; write a row for each scene")
    texts = {line: {str(column): str(cell) for column, cell in row.items()} for line, row in rows.items()}
    return [_entry(row, where=f"line {line} of {path}", folder=path.parent) for line, row in texts.items()]


def _entry(row: Mapping[str, str], *, where: str, folder: Path) -> SceneEntry:
    """The scene of a row."""
    paths = {modality: _files(row.get(modality, ""), folder) for modality in MODALITIES}
    area = row.get(AREA, "").strip()
    name = row[NAME].strip() if NAME in row else _name_of(paths)
    given = {modality: files for modality, files in paths.items() if files}
    return SceneEntry(name, where, given, in_folder(area, folder) if area else None)


def _files(cell: str, folder: Path) -> tuple[str, ...]:
    return tuple(in_folder(part.strip(), folder) for part in cell.split(SEPARATOR) if part.strip())


def _name_of(paths: Mapping[str, tuple[str, ...]]) -> str:
    """A scene is called like the file of its passive image, if the table has no names."""
    files = [file for name in PASSIVE_NAMES for file in paths[name]]
    return Path(files[0]).stem if files else ""
