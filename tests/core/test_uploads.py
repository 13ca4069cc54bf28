"""Outputs in an object store, which may fail at any step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from s2fin_cli.core.errors import OutputError, UsageError
from s2fin_cli.core.uploads import store_url, uploads_of


class Faulty(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store in memory whose uploads or deletions fail.

    Attributes:
        fails: which upload fails, from 1, and how: it raises an error, before or after a part has arrived, or what
            arrives is cut.
        keeps: whether nothing can be deleted.
    """

    protocol = "faulty"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fails: ClassVar[tuple[int, Any]] = (0, None)
    keeps = False
    uploads = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("faulty://")))

    def put_file(self, lpath: str, rpath: str, **how: Any) -> None:
        Faulty.uploads += 1
        number, fault = self.fails
        content = Path(lpath).read_bytes()
        if Faulty.uploads == number:
            if isinstance(fault, BaseException):
                self.pipe_file(rpath, content[:3])
                raise fault
            content = content[:-1]
        self.pipe_file(rpath, content)

    def rm_file(self, path: str) -> None:
        if self.keeps:
            raise OSError("not allowed")
        super().rm_file(path)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Faulty]]:
    """An empty store, and a folder for temporary files of the test's own."""
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    Faulty.store.clear()
    Faulty.fails, Faulty.keeps, Faulty.uploads = (0, None), False, 0
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield Faulty
    Faulty.store.clear()


GIVEN: dict[str, Any] = {"output": "faulty://b/x/map.tif", "polygons": "faulty://b/map.shp", "confidence": None}


def upload(*, overwrite: bool = False) -> None:
    with uploads_of(GIVEN) as uploads:
        assert uploads is not None
        paths = list(uploads.paths.values())
        uploads.check(paths, overwrite=overwrite)
        paths[0].write_bytes(b"a map")
        Path(f"{paths[0]}.aux.xml").write_bytes(b"classes")
        paths[1].write_bytes(b"polygons")
        paths[1].with_suffix(".dbf").write_bytes(b"a table")
        uploads.upload(paths)


ALL = ["/b/map.dbf", "/b/map.shp", "/b/x/map.tif", "/b/x/map.tif.aux.xml"]


def test_all_files_arrive_and_none_stays_here(store: type[Faulty], tmp_path: Path) -> None:
    upload()
    assert sorted(store.store) == ALL
    assert list(store.store)[-1] == "/b/x/map.tif"
    assert store.store["/b/x/map.tif"].getvalue() == b"a map"
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("fault", [OSError("no such bucket"), RuntimeError(), "cut", KeyboardInterrupt()])
def test_a_failed_upload_leaves_nothing_there_and_all_here(
    store: type[Faulty], tmp_path: Path, number: int, fault: Any
) -> None:
    store.fails = (number, fault)
    kind = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else OutputError
    with pytest.raises(kind) as raised:
        upload()
    assert not store.store
    left = sorted(path.relative_to(tmp_path) for path in (tmp_path / "tmp").rglob("*") if path.is_file())
    if kind is KeyboardInterrupt:
        assert not left
        return
    assert [path.parts[2:] for path in left] == [tuple(name.split("/")[1:]) for name in ALL]
    folder = tmp_path / left[0].parts[0] / left[0].parts[1]
    assert f"nothing of this run is left there, and the finished files are kept in {folder}: upload" in str(
        raised.value
    )
    assert str(raised.value).startswith("uploading faulty://b/")


@pytest.mark.parametrize("number", [1, 3])
def test_an_old_map_does_not_stay_without_what_belongs_to_it(store: type[Faulty], number: int) -> None:
    upload()
    store.fails, store.uploads = (number, OSError("gone")), 0
    with pytest.raises(OutputError, match="failed"):
        upload(overwrite=True)
    assert "/b/x/map.tif" not in store.store


def test_what_cannot_be_deleted_is_named(store: type[Faulty]) -> None:
    store.fails, store.keeps = (3, OSError("gone")), True
    with pytest.raises(OutputError, match=r"failed \(gone\); faulty://b/map.dbf, .* could not be deleted, and the fin"):
        upload()


def test_what_is_there_is_kept_or_replaced_with_all_that_belongs_to_it(store: type[Faulty]) -> None:
    fs = Faulty()
    for name in ("b/map.shp", "b/map.prj", "b/x/map.tif.ovr", "b/x/other.tif"):
        fs.pipe_file(name, b"old")
    with pytest.raises(OutputError, match=r"faulty://b/map.shp already exists; give `overwrite=True`"):
        upload()
    assert len(store.store) == 4
    upload(overwrite=True)
    assert sorted(store.store) == sorted([*ALL, "/b/x/other.tif"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"confidence": "c.tif"},
            "`output` is faulty://b/x/map.tif, .* `confidence` is c.tif; give all outputs the sa",
        ),
        ({"confidence": "memory://b/c.tif"}, "give all outputs the same kind of place"),
        ({"output": "faulty://map.tif"}, "it must name an object in a bucket"),
        ({"output": "faulty://b/../map.tif"}, "it must name an object in a bucket"),
        (
            {"output": "nosuch://b/map.tif", "polygons": None},
            "nosuch://b/map.tif cannot be written: Protocol not known",
        ),
        ({"output": "https://x/map.tif", "polygons": None}, "as it is an address of the web"),
        ({"output": "/vsicurl/http://x/map.tif", "polygons": None}, "a name of GDAL's that no output can have"),
        ({"output": Path("s3://b/map.tif"), "polygons": None}, "a URL without its second slash"),
    ],
)
def test_places_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message), uploads_of({**GIVEN, **changes}):
        pass
    assert not list((tmp_path / "tmp").iterdir())


def test_names_of_gdals_file_systems_and_paths() -> None:
    assert store_url("/vsis3/b/map.tif") == "s3://b/map.tif"
    assert store_url("/vsigs/b/map.tif") == "gs://b/map.tif"
    assert [store_url(path) for path in ("map.tif", "/a/map.tif", Path("a/b:c.tif"), r"C:\a\map.tif")] == [None] * 4


def test_a_folder_for_temporary_files_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        pytest.raises(OutputError, match=r"none first, which cannot be used \(No such .*\); set TMPDIR"),
        uploads_of(GIVEN),
    ):
        pass


def test_a_disk_that_is_too_small_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with uploads_of(GIVEN) as uploads:
        assert uploads is not None
        uploads.check_space(0)
        assert not caplog.text
        uploads.check_space(10**18)
    assert "without compression they take 1000000000.0 GB; set TMPDIR" in caplog.text
