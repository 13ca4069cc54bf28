"""Training and mapping on STAC items: the same models and maps as of the files themselves, and what is kept of them."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio

import s2fin_cli
from s2fin_cli.core.facts import first_difference
from s2fin_cli.raster.class_names import read_run
from s2fin_cli.stack.assembly import build_stack, stack_of
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.input_identity import facts_of_inputs
from s2fin_cli.workflows.options.classify import ClassifyOptions
from tests.files import write_raster
from tests.stac.making import COG, item, save, write_bands

if TYPE_CHECKING:
    from tests.scenes import Run, Scene


def scene_item(scene: Scene, path: Path, **changes: object) -> str:
    """An item whose assets are the images of a scene."""
    files = {"image": scene.hsi, "heights": scene.lidar}
    assets = {key: {"href": str(file), "type": COG, "roles": ["data"]} for key, file in files.items()}
    own = item("scene")
    links = [{"rel": "self", "href": "https://e.org/items/scene"}]
    return save(path, {**own, "assets": assets, "links": links, **changes})


@pytest.mark.slow
def test_a_map_of_an_item_is_that_of_its_files(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    path = scene_item(scene, tmp_path / "item.json")
    images = {"hsi": f"{path}#assets=image", "lidar": f"{path}#assets=heights"}
    plain = s2fin_cli.classify(
        hsi=scene.hsi, lidar=scene.lidar, model=model, output=tmp_path / "plain.tif", vector=False
    )
    (tmp_path / "s2fin.toml").write_text("".join(f'{name} = "{Path(value).name}"\n' for name, value in images.items()))
    options = ("--config", tmp_path / "s2fin.toml")
    outputs = ("-o", tmp_path / "map.tif", "--no-vector", "--stac")
    made = run(*options, "classify", "--model", model, *outputs, "--workers", 1, "--work", tmp_path / "work")
    assert made.exit_code == 0, made.stderr
    with rasterio.open(tmp_path / "map.tif") as src, rasterio.open(plain.outputs.map) as other:
        assert np.array_equal(src.read(1), other.read(1))
    record = read_run(str(tmp_path / "map.tif"))
    assert record is not None
    assert [(file.option, file.path) for file in record.files[:2]] == list(images.items())
    assert all(file.sha256 is not None for file in record.files[:2])
    links = json.loads((tmp_path / "map.json").read_text())["links"]
    assert [(link["title"], link["href"]) for link in links[:2]] == [
        (f"{modality}: item scene", "https://e.org/items/scene") for modality in images
    ]


@pytest.mark.slow
def test_many_scenes_use_what_their_items_say(scene: Scene, model: Path, tmp_path: Path) -> None:
    path = scene_item(scene, tmp_path / "items.json")
    done = s2fin_cli.classify_all(
        scenes=path, images=("hsi=image", "lidar=heights"), model=model, output=tmp_path / "maps"
    )
    assert [each.status for each in done.scenes] == ["done"]
    again = s2fin_cli.classify_all(
        scenes=path, images=("hsi=image", "lidar=heights"), model=model, output=tmp_path / "maps"
    )
    assert [each.status for each in again.scenes] == ["skipped"]


def test_what_counts_of_a_stac_file_when_a_run_continues(tmp_path: Path) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", item(scale=0.1))
    inputs = [("msi", f"{path}#assets=red,blue")]
    before = facts_of_inputs(inputs)
    assert any("checksum of `msi` B04.tif" in name for name in before)
    save(tmp_path / "item.json", {**item(scale=0.1), "links": [{"rel": "root", "href": "https://e.org/"}]})
    assert facts_of_inputs(inputs) == before
    save(tmp_path / "item.json", item(scale=0.2))
    assert first_difference(before, facts_of_inputs(inputs)) == (
        "the scales of `msi` item.json#assets=red", "0.1", "0.2",
    )  # fmt: skip
    save(tmp_path / "item.json", item(scale=0.1))
    write_raster(tmp_path / "B02.tif", np.ones((40, 50), "uint16"))
    name, *_ = first_difference(before, facts_of_inputs(inputs)) or ("",)
    assert "of `msi` B02.tif" in name


def test_no_output_may_replace_a_stac_file_or_its_assets(tmp_path: Path) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", item())
    assert {path, str(tmp_path / "B02.tif")} <= input_files([f"{path}#assets=blue"]).keys()
    assert str(tmp_path / "B03.tif") not in input_files([f"{path}#assets=blue"])


def test_bands_of_several_resolutions_get_the_finest_grid(tmp_path: Path) -> None:
    write_bands(tmp_path)
    coarse = np.random.default_rng(0).integers(1, 99, (20, 25)).astype("uint16")
    write_raster(tmp_path / "B11.tif", coarse, transform=rasterio.Affine(20, 0, 500_000, 0, -20, 5_000_000))
    swir = {"B11": {"href": "B11.tif", "type": COG, "bands": [{"name": "B11", "eo:common_name": "swir16"}]}}
    path = save(tmp_path / "item.json", item(assets=swir))
    stack = build_stack({"msi": [f"{path}#assets=swir16,red"]})
    assert stack.grid.res == (10, 10)
    assert stack.image.band_names == ("B11", "B04")


def test_offsets_that_make_reflectances_negative_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", item(scale=0.0001, offset=-0.2))
    stack_of(ClassifyOptions(msi=f"{path}#assets=red,blue", output="map.tif"))
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "% of the pixels of band" in said
    assert "are negative with the declared offset, which may have been applied to the stored values already" in said
    caplog.clear()
    stack_of(ClassifyOptions(msi=f"{path}#offset=-0.1#assets=red,blue", output="map.tif"))
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_inspect_lists_items_and_assets_and_the_image_that_they_make(run: Run, tmp_path: Path) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "items.json", item("b", moment="2024-07-01T00:00:00Z"), item("a", scale=0.1))
    answer = json.loads(run("inspect", path, "--json").stdout)
    assert (answer["kind"], [each["id"] for each in answer["items"]], answer["rasters"]) == ("stac", ["a", "b"], [])
    assert "choose one with #item=ID" in answer["unclear"]
    (red,) = [each for each in answer["items"][0]["assets"] if each["key"] == "B04"]
    assert red["bands"][0]["common_name"] == "red"
    assert (red["bands"][0]["wavelength_nm"], red["bands"][0]["scale"]) == (665, 0.1)
    text = run("inspect", f"{path}#item=a#assets=red,green").stdout
    assert "other assets: visual, thumbnail, granule" in text
    assert text.count("40 px, 1 band of uint16") == 2
    assert "are applied, as its files declare none" in " ".join(text.split())
    missing = run("inspect", f"{path}#item=a#assets=nir")
    assert missing.exit_code == 1
    assert "has no asset 'nir'" in missing.stderr


def test_an_item_that_was_moved_with_its_files(tmp_path: Path) -> None:
    write_bands(tmp_path / "one")
    save(tmp_path / "one/item.json", item())
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert build_stack({"msi": [f"{tmp_path}/two/item.json#assets=red"]}).grid.shape == (40, 50)
