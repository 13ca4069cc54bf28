"""Items that other software made, and items in the forms that catalogues give them."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import pytest
import rio_stac
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.core.errors import MALFORMED, S2finError
from s2fin_cli.raster.info import read_info
from s2fin_cli.stac.images import files_of, rasters_of
from s2fin_cli.stac.items import Item
from s2fin_cli.stac.reference import Reference
from s2fin_cli.stac.selection import choose_assets, choose_items
from tests.files import write_raster
from tests.stac.making import BANDS, COG, item, save, write_bands

if TYPE_CHECKING:
    from pathlib import Path


def test_items_of_rio_stac(tmp_path: Path) -> None:
    write_bands(tmp_path, nodata=0)
    path = str(tmp_path / "B02.tif")
    when = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
    made = rio_stac.create_stac_item(path, input_datetime=when, with_proj=True, with_raster=True, with_eo=True)
    info, plain = read_info(save(tmp_path / "rio.json", made.to_dict())), read_info(path)
    assert (info.grid, info.nodata, info.scales, info.offsets) == (plain.grid, 0, (1,), (0,))
    assert (info.doubts, info.notes, info.acquired) == ((), (), when)


@pytest.mark.parametrize("is_collection", [False, True])
def test_items_that_pystac_saves(tmp_path: Path, is_collection: bool) -> None:
    write_bands(tmp_path / "data")
    when = dt.datetime(2024, 6, 1, 10, tzinfo=dt.UTC)
    made = pystac.Item("one", {"type": "Point", "coordinates": [9, 45]}, [9, 45, 9, 45], when, {})
    for key, (common_name, wavelength) in BANDS.items():
        bands = [{"name": key, "eo:common_name": common_name, "eo:center_wavelength": wavelength}]
        made.add_asset(
            key, pystac.Asset(str(tmp_path / f"data/{key}.tif"), media_type=COG, extra_fields={"bands": bands})
        )
    if is_collection:
        path = tmp_path / "items.json"
        pystac.ItemCollection([made]).save_object(str(path))
    else:
        path = tmp_path / "item.json"
        made.set_self_href(str(path))
        made.make_asset_hrefs_relative()
        made.save_object(include_self_link=False)
        assert "./data/B02.tif" in path.read_text()
    infos = [read_info(name) for name in rasters_of(f"{path}#assets=red,blue")]
    assert [info.band_names for info in infos] == [("B04",), ("B02",)]
    assert [info.wavelengths for info in infos] == [pytest.approx((665,)), pytest.approx((490,))]


def sentinel_of_earth_search() -> dict[str, Any]:
    """The form of Earth Search: keys are common names, each band again as JPEG 2000, and a picture with all of them."""

    def band(name: str, common_name: str) -> dict[str, Any]:
        return {"name": name, "common_name": common_name, "center_wavelength": 0.665, "full_width_half_max": 0.038}

    numbers = [{"nodata": 0, "data_type": "uint16", "bits_per_sample": 15, "scale": 0.0001, "offset": -0.1}]
    assets: dict[str, Any] = {}
    for name, key in (("blue", "B02"), ("green", "B03"), ("red", "B04")):
        fields = {"roles": ["data", "reflectance"], "eo:bands": [band(name, name)], "raster:bands": numbers}
        place = {"proj:shape": [40, 50], "proj:transform": [10, 0, 500_000, 0, -10, 5_000_000]}
        assets[name] = {"href": f"{key}.tif", "type": COG, "title": name, **place, **fields}
        assets[f"{name}-jp2"] = {"href": f"s3://b/{key}.jp2", "type": "image/jp2", **fields}
    rgb = [band(name, name) for name in ("red", "green", "blue")]
    assets["visual"] = {"href": "TCI.tif", "type": COG, "roles": ["visual"], "eo:bands": rgb}
    assets["granule_metadata"] = {"href": "m.xml", "type": "application/xml", "roles": ["metadata"]}
    assets["thumbnail"] = {"href": "L2A_PVI.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}
    facts = {
        "datetime": "2024-06-01T10:16:52.345000Z", "constellation": "sentinel-2", "proj:epsg": 32632,
        "s2:processing_baseline": "05.10", "earthsearch:boa_offset_applied": True,
    }  # fmt: skip
    return {**item("S2B_32TPT_20240601_0_L2A", version="1.0"), "properties": facts, "assets": assets}


def landsat_of_planetary_computer() -> dict[str, Any]:
    """The form of the Planetary Computer: scales and offsets that the files do not have."""
    band = {"name": "OLI_B4", "common_name": "red", "center_wavelength": 0.65}
    numbers = [{"unit": None, "scale": 2.75e-05, "nodata": 0, "offset": -0.2, "data_type": "uint16"}]
    red = {
        "href": "B04.tif",
        "type": COG,
        "roles": ["data"],
        "eo:bands": [band],
        "raster:bands": numbers,
    }
    heat = {"scale": 0.00341802, "nodata": 0, "offset": 149.0, "unit": "kelvin", "data_type": "uint16"}
    st_b10 = {"name": "TIRS_B10", "common_name": "lwir11", "center_wavelength": 10.9}
    lwir11 = {
        "href": "B03.tif",
        "type": COG,
        "roles": ["data", "temperature"],
        "eo:bands": [st_b10],
        "raster:bands": [heat],
    }
    qa = {"href": "B02.tif", "type": COG, "roles": ["cloud"]}
    facts = {"datetime": "2024-06-01T10:00:00Z", "platform": "landsat-8", "proj:epsg": 32632}
    return {**item("LC08", version="1.0"), "properties": facts, "assets": {"red": red, "lwir11": lwir11, "qa": qa}}


def test_sentinel_2_of_earth_search(tmp_path: Path) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", sentinel_of_earth_search())
    infos = [read_info(name) for name in rasters_of(f"{path}#assets=blue,green,red")]
    assert [(info.scales, info.offsets, info.nodata) for info in infos] == [((0.0001,), (0,), 0)] * 3
    assert len({info.doubts for info in infos}) == 1  # so that one warning is enough
    (doubt,) = infos[0].doubts
    assert "declares an offset, and also says that it has been applied" in doubt
    assert files_of(f"{path}#assets=red-jp2") == ["s3://b/B04.jp2"]


def test_landsat_of_the_planetary_computer(tmp_path: Path) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", landsat_of_planetary_computer())
    red, heat = (read_info(name) for name in rasters_of(f"{path}#assets=red,lwir11"))
    assert (red.scales, red.offsets, red.nodata, red.band_names) == ((2.75e-05,), (-0.2,), 0, ("OLI_B4",))
    assert (heat.scales, heat.offsets, heat.units) == ((0.00341802,), (149,), ("kelvin",))
    assert (red.doubts, heat.doubts) == ((), ())


#: What a field of an item may wrongly be.
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.just([1]), st.just({"href": 3}), st.just("2024-06-01T10:00:00Z"), st.just([{"scale": "a", "offset": []}]),
)  # fmt: skip


@given(st.data())
def test_whatever_an_item_holds_is_read_or_refused(data: st.DataObject) -> None:
    whole = copy.deepcopy(item(version=data.draw(st.sampled_from(["1.0", "1.1"])), scale=0.1, nodata=0))
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = whole
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if data.draw(st.booleans()) or not isinstance(place[key], dict | list):
                place[key] = copy.deepcopy(data.draw(ODD))
                break
            place = place[key]
    try:
        read = Item.of(json.loads(json.dumps(whole)), "item.json")
        choose_items([read], Reference("item.json", datetime="2024"))
        for chosen in choose_assets(read, ["red"]):
            assert chosen.asset.band(chosen.position or 0).scale is None or chosen.asset.href
    except S2finError:
        return
    except MALFORMED as error:
        pytest.fail(f"{error!r} of {whole}")


def test_a_raster_whose_item_is_odd_is_still_a_raster(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", np.ones((1, 8, 8), "uint8"))
    odd = {"proj:epsg": "x", "proj:code": 3, "proj:transform": [1, 2], "proj:wkt2": "no", "proj:projjson": {}}
    asset = {"href": "a.tif", "bands": [{"nodata": "inf", "raster:scale": float("inf"), "name": 3}], **odd}
    path = save(tmp_path / "item.json", {**item(), "assets": {"a": asset}})
    info = read_info(f"{path}#assets=a")
    assert (info.scales, info.offsets, info.band_names, info.doubts) == ((1,), (0,), ("a",), ())
