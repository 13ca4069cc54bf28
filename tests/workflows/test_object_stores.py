"""Images, labels and maps in object stores, served by a process of this machine."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
import rasterio
import torch

import s2fin_cli
from s2fin_cli.core.errors import InputError, OutputError, RasterError, S2finError, UsageError
from s2fin_cli.model.file import read_model
from s2fin_cli.raster.info import read_info
from s2fin_cli.stac.images import files_of, is_elsewhere
from s2fin_cli.workflows.input_identity import facts_of_inputs
from s2fin_cli.workflows.train import run as run_train
from tests.files import write_raster
from tests.object_store import ObjectStore, object_store
from tests.recipes import SMALL
from tests.reporting.pages import Page
from tests.scenes import Scene, make_image, tiny_options
from tests.stac.making import item, save
from tests.workflows.sharding import check_same_map, names, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.workflows.classify import ClassifyResult
    from tests.stac.making import item, save
from tests.scenes import Run

#: GDAL's settings for a quick end of what fails.
QUICK = {
    "GDAL_HTTP_RETRY_DELAY": "0.05", "GDAL_HTTP_MAX_RETRY": "2", "GDAL_HTTP_LOW_SPEED_TIME": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "2",
}  # fmt: skip


@pytest.fixture(scope="module")
def running(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store with a bucket `b` of the scene's files, and with images that cannot be had."""
    root = tmp_path_factory.mktemp("store")
    (root / "b").mkdir()
    for path in (scene.hsi, scene.lidar, scene.labels):
        shutil.copy(path, root / "b")
    stored: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "none"}
    for name in ("forbidden", "broken", "busy", "silent", "dropped"):
        (root / "b" / name).mkdir()
        write_raster(root / "b" / name / "hsi.tif", make_image(scene.truth), **stored)
    with object_store(root) as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in {**running.settings, **QUICK}.items():
        monkeypatch.setenv(name, value)
    running.requests()
    return running


def remote(scene: Scene, start: str) -> dict[str, str]:
    return {"hsi": f"{start}/{scene.hsi.name}", "lidar": f"{start}/{scene.lidar.name}"}


@pytest.fixture(scope="module")
def plain(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    folder = tmp_path_factory.mktemp("plain")
    result: ClassifyResult = s2fin_cli.classify(**options_of(scene, model, folder / "map.tif", stac=True))
    return result


@pytest.mark.parametrize(
    "start",
    ["/vsicurl/{url}/b", *(pytest.param(start, marks=pytest.mark.slow) for start in ("{url}/b", "/vsis3/b", "s3://b"))],
)
def test_images_in_a_store_give_the_same_map(
    scene: Scene, model: Path, tmp_path: Path, store: ObjectStore, plain: ClassifyResult, start: str
) -> None:
    given = {**options_of(scene, model, tmp_path / "map.tif", stac=True), **remote(scene, start.format(url=store.url))}
    check_same_map(s2fin_cli.classify(**given), plain)


@pytest.mark.slow
def test_shards_know_images_in_a_store(
    scene: Scene, model: Path, tmp_path: Path, store: ObjectStore, plain: ClassifyResult
) -> None:
    image = store.root / "b" / "changed.tif"
    shutil.copy(scene.hsi, image)
    given = options_of(scene, model, tmp_path / "map.tif", work=tmp_path / "run", shard_size=48, stac=True)
    given |= {**remote(scene, "/vsis3/b"), "hsi": f"/vsicurl/{store.url}/b/changed.tif"}
    s2fin_cli.classify(**given, shard="1/2")
    check_same_map(s2fin_cli.classify(**given), plain)
    write_raster(image, make_image(scene.truth, seed=5))
    # NOTE: GDAL remembers what it has read of a name.
    given["hsi"] = f"/vsicurl/http://localhost:{store.port}/b/changed.tif"
    with pytest.raises(
        InputError, match=r"the contents of `hsi` /vsicurl/http://localhost:\d+/b/changed.tif was nothi"
    ):
        s2fin_cli.classify(**given, overwrite=True)


def test_two_requests_open_an_image_where_the_store_lists_its_files(scene: Scene, store: ObjectStore) -> None:
    (store.root / "few").mkdir()  # GDAL remembers what it has seen listed
    shutil.copy(scene.hsi, store.root / "few")
    read_info(f"/vsis3/few/{scene.hsi.name}")
    assert [request[0] for request in store.requests()] == ["GET", "GET"]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["/vsicurl/{url}/b", "/vsis3/b"])
def test_labels_and_maps_in_a_store(
    scene: Scene, model: Path, tmp_path: Path, store: ObjectStore, plain: ClassifyResult, start: str
) -> None:
    place = start.format(url=store.url)
    (store.root / "maps").mkdir(exist_ok=True)
    for path in plain.outputs.map.parent.glob("map.tif*"):
        shutil.copy(path, store.root / "maps")
    labels = f"{place}/{scene.labels.name}"
    there = tiny_options(scene, tmp_path / "m.s2fin", **{**remote(scene, place), "labels": labels})
    trained = [run_train(options, recipe=SMALL) for options in (there, tiny_options(scene, tmp_path / "n.s2fin"))]
    networks = [read_model(result.model)[0].state_dict() for result in trained]
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[1])
    found = s2fin_cli.evaluate(map=f"{place}/map.tif".replace("/b/", "/maps/"), reference=labels).to_dict()
    local = s2fin_cli.evaluate(map=plain.outputs.map, reference=scene.labels).to_dict()
    assert found.pop("reference") == labels
    assert local.pop("reference") == str(scene.labels)
    assert found == local
    given = options_of(scene, model, tmp_path / "a.tif", aoi=labels)
    expected_map = s2fin_cli.classify(**options_of(scene, model, tmp_path / "b.tif", aoi=scene.labels))
    check_same_map(s2fin_cli.classify(**given), expected_map)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["/vsicurl/{url}/b", "s3://b"])
def test_reports_on_maps_and_of_images_in_a_store(
    scene: Scene, model: Path, tmp_path: Path, store: ObjectStore, start: str
) -> None:
    images = remote(scene, start.format(url=store.url))
    made = s2fin_cli.classify(
        **{**options_of(scene, model, tmp_path / "map.tif"), **images}, report=tmp_path / "made.html"
    )
    layers = ["hsi", "lidar", "map", "confidence"]
    assert [layer["key"] for layer in read_page(tmp_path / "made.html")["pictures"]["layers"]] == layers
    bucket = f"own-{len(start)}"  # GDAL remembers what it has seen listed
    (store.root / bucket).mkdir()
    shutil.copy(made.outputs.map, store.root / bucket / "own.tif")
    there = start.format(url=store.url).removesuffix("b") + f"{bucket}/own.tif"
    cases: list[tuple[dict[str, Any], list[str]]] = [({}, ["map"]), ({**images}, ["hsi", "lidar", "map"])]
    for given, shown in cases:
        s2fin_cli.report(map=there, **given, output=tmp_path / "report.html", overwrite=True)
        found = read_page(tmp_path / "report.html")
        assert found["map"]["path"] == there
        assert [layer["key"] for layer in found["pictures"]["layers"]] == shown


def item_in(store: ObjectStore, scene: Scene, folder: str) -> Path:
    """An item in a bucket whose assets are the files beside it."""
    assets = {"image": {"href": f"./{scene.hsi.name}"}, "heights": {"href": scene.lidar.name}}
    path = store.root / folder / "item.json"
    save(path, {**item("remote"), "assets": assets})
    return path


def test_an_item_in_a_store_and_its_assets(scene: Scene, store: ObjectStore) -> None:
    item_in(store, scene, "b")
    for start in (f"{store.url}/b", f"/vsicurl/{store.url}/b"):
        name = f"{start}/item.json#assets=image"
        assert files_of(name) == [f"{store.url}/b/{scene.hsi.name}"]
        assert (read_info(name).grid, is_elsewhere(name)) == (read_info(scene.hsi).grid, True)
        assert f"the contents of `hsi` {name}" in facts_of_inputs([("hsi", name)])
    with pytest.raises(InputError, match=r"none\.json cannot be read .*404.*; check the name and the connection"):
        read_info(f"{store.url}/b/none.json#assets=image")
    with pytest.raises(InputError, match=r"a\.json cannot be read .*403.*; sign in or sign the URL first, or save"):
        read_info(f"{store.url}/b/forbidden/a.json#assets=image")


def test_an_asset_that_a_server_refuses(store: ObjectStore, tmp_path: Path) -> None:
    asset = {"href": f"{store.url}/b/forbidden/hsi.tif"}
    path = save(tmp_path / "item.json", {**item("signed"), "assets": {"image": asset}})
    with pytest.raises(RasterError) as raised:
        read_info(f"{path}#assets=image")
    assert str(raised.value).startswith(f"asset 'image' of signed in {path}: {asset['href']} is not a raster")
    assert str(raised.value).endswith("or sign the item with the catalogue's tool and save it again")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("s3fs") is None, reason="s3fs, of the extra cloud, is not installed")
def test_an_item_on_s3(scene: Scene, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    item_in(store, scene, "b")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"anon": True, "endpoint_url": store.url})
    for start in ("s3://b", "/vsis3/b"):
        assert read_info(f"{start}/item.json#assets=image").grid == read_info(scene.hsi).grid
    with pytest.raises(
        InputError, match=r"s3://b/none\.json cannot be read \(.*\); check its name and the credentials"
    ):
        read_info("s3://b/none.json#assets=image")


def read_page(path: Path) -> dict[str, Any]:
    return Page.of(path.read_text(encoding="utf-8")).data


@pytest.mark.parametrize(
    "kind",
    ["missing", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("forbidden", "broken", "busy", "silent"))],
)
def test_an_image_that_cannot_be_had_is_refused_in_one_sentence(
    scene: Scene, model: Path, tmp_path: Path, store: ObjectStore, kind: str
) -> None:
    for place in (f"/vsicurl/{store.url}/b/{kind}/hsi.tif", f"/vsis3/b/{kind}/hsi.tif"):
        with pytest.raises(RasterError) as raised:
            s2fin_cli.classify(**options_of(scene, model, tmp_path / "map.tif", hsi=place))
        assert str(raised.value).startswith(f"{place} is not a raster that GDAL can read (")
        assert str(raised.value).endswith("); check the name, the credentials and the connection")
    assert not names(tmp_path)


@pytest.mark.parametrize("on_read_error", ["fail", "skip"])
def test_a_connection_that_is_lost_is_no_data_and_no_damage(
    scene: Scene, model: Path, tmp_path: Path, store: ObjectStore, on_read_error: str
) -> None:
    """GDAL must not take what has not arrived for zeros, nor s2fin for a damaged file."""
    place = f"/vsicurl/{store.url}/b/dropped/hsi.tif"
    with pytest.raises(
        S2finError, match=rf"{place} cannot be read .*; check the connection and try again, or copy the"
    ):
        s2fin_cli.classify(
            **options_of(scene, model, tmp_path / "map.tif", hsi=place, nodata="none", on_read_error=on_read_error)
        )
    assert not names(tmp_path)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store in memory, and a folder for temporary files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


def fetched(memory: Any, folder: Path) -> Path:
    """What is in the store, in a folder."""
    folder.mkdir()
    for name in memory.find("/"):
        (folder / Path(name).name).write_bytes(memory.cat_file(name))
    return folder


def test_a_map_in_a_store_is_that_of_a_file(
    run: Run, scene: Scene, model: Path, tmp_path: Path, memory: Any, plain: ClassifyResult
) -> None:
    arguments = ["classify", *scene.arguments, "-m", model, "--device", "cpu", "-o", "memory://b/x/map.tif"]
    result = run(
        *arguments, "--stac", "--confidence", "memory://b/x/c.tif", "--report", "memory://b/x/r.html", "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert '"map": "memory://b/x/map.tif"' in result.stdout
    found = fetched(memory, tmp_path / "got")
    assert names(found) == {"map.tif", "map.tif.aux.xml", "map.qml", "map.gpkg", "map.json", "c.tif", "r.html"}
    report = (found / "r.html").read_text(encoding="utf-8")
    assert "memory://b/x/map.tif" in report
    assert str(tmp_path / "tmp") not in report
    for name in ("map.tif", "map.tif.aux.xml", "map.qml"):
        assert (found / name).read_bytes() == (plain.outputs.map.parent / name).read_bytes()
    item = (found / "map.json").read_text()
    assert str(tmp_path / "tmp") not in item
    assert scene.hsi.as_uri() in item
    assert '"./map.gpkg"' in item
    assert names(tmp_path) == {"tmp", "got"}
    assert not names(tmp_path / "tmp")
    result = run(*arguments)
    assert (result.exit_code, "error: memory://b/x/map.tif already exists; give --overwrite" in result.stderr) == (
        1,
        True,
    )
    assert run(*arguments, "--overwrite", "--no-vector").exit_code == 0
    assert not names(tmp_path / "tmp")


def test_shards_are_assembled_in_a_store(
    scene: Scene, model: Path, tmp_path: Path, memory: Any, plain: ClassifyResult
) -> None:
    given = {**options_of(scene, model, tmp_path / "map.tif", work=tmp_path / "run"), "output": "memory://b/map.tif"}
    assert s2fin_cli.classify(**given, shard="1/1").to_dict()["map"] is None
    assert not memory.store
    s2fin_cli.assemble(work=tmp_path / "run", output="memory://b/map.tif")
    assert memory.cat_file("/b/map.tif") == plain.outputs.map.read_bytes()
    with pytest.raises(OutputError, match=r"memory://b/map\.tif already exists"):
        s2fin_cli.classify(**given)
    assert names(tmp_path) == {"run", "tmp"}


@pytest.mark.parametrize("place", ["s3://b/run", "/vsis3/b/run", Path("s3://b/run")])
def test_a_work_folder_in_a_store_is_refused(scene: Scene, in_folder: Path, place: Any) -> None:
    message = r"`work` is .*; it must be a folder on this machine or on a shared disk"
    with pytest.raises(UsageError, match=message):
        s2fin_cli.classify(**scene.images, output="map.tif", work=place)
    with pytest.raises(UsageError, match=message):
        s2fin_cli.assemble(output="map.tif", work=place)
    assert not names(in_folder)


def test_other_outputs_in_a_store_are_refused(run: Run, scene: Scene, in_folder: Path) -> None:
    result = run("train", *scene.arguments, "--labels", scene.labels, "-o", "s3://b/m.s2fin")
    assert result.exit_code == 1
    assert "m.s2fin cannot be written: it is no path of this machine; write a file, and copy it there" in result.stderr
    assert not names(in_folder)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("s3fs") is None, reason="s3fs, of the extra cloud, is not installed")
def test_a_map_on_s3(
    scene: Scene, model: Path, store: ObjectStore, plain: ClassifyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fsspec.config.conf, "s3", {"anon": True, "endpoint_url": store.url})
    (store.root / "new").mkdir()
    given = options_of(scene, model, Path("map.tif"))
    s2fin_cli.classify(**{**given, "output": "s3://new/a/map.tif"})
    with rasterio.open("/vsis3/new/a/map.tif") as src, rasterio.open(plain.outputs.map) as other:
        assert np.array_equal(src.read(), other.read())
    with pytest.raises(OutputError, match=r"s3://new/a/map\.tif already exists"):
        s2fin_cli.classify(**{**given, "output": "/vsis3/new/a/map.tif"})
