"""Assets of STAC items as rasters: what their items add to their files, and tiles side by side."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from s2fin_cli.core.errors import GeoreferencingError, RasterError, S2finError
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.stac.images import rasters_of
from tests.files import CRS_CODE, TRANSFORM, write_raster
from tests.stac.making import BANDS, COG, asset, item, save, write_bands

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VERSIONS = ("1.0", "1.1")


def stored(name: str) -> NDArray[np.float32]:
    """Stored values of a raster on its own grid, NaN where there is no data."""
    info = read_info(name)
    with open_on_grid(name, info.grid, indexes=info.indexes) as reader:
        return reader.read(info.grid.window)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_item_says_what_its_files_lack(tmp_path: Path, version: str) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", item(version=version, nodata=1234, scale=0.0001, offset=-0.1, unit="1"))
    (name,) = rasters_of(f"{path}#assets=red")
    info = read_info(name)
    assert (info.src_path, info.band_names, info.units) == (name, ("B04",), ("1",))
    assert info.wavelengths == pytest.approx((665,))
    assert (info.scales, info.offsets, info.nodata) == ((0.0001,), (-0.1,), 1234)
    assert str(info.acquired) == "2024-06-01 10:00:00+00:00"
    assert info.doubts == ()
    assert [note.removeprefix(f"item S2A_T32 in {path}: ") for note in info.notes] == [
        "scale 0.0001 and offset -0.1 are applied, as its files declare none",
        "its nodata value is used, 1234, as its files declare none",
    ]
    values = stored(str(tmp_path / "B04.tif"))
    values[values == 1234] = np.nan
    assert np.isnan(values).any()
    assert np.array_equal(stored(name), values, equal_nan=True)


def test_an_item_without_metadata_leaves_a_file_as_it_is(tmp_path: Path) -> None:
    write_bands(tmp_path, nodata=0)
    plain = read_info(tmp_path / "B02.tif")
    info = read_info(f"{save(tmp_path / 'item.json', item())}#assets=B02")
    assert (info.grid, info.nodata, info.scales, info.offsets) == (plain.grid, 0, (1,), (0,))
    assert (info.doubts, info.notes, info.block_shape) == ((), (), plain.block_shape)


def test_what_a_file_declares_comes_first(tmp_path: Path) -> None:
    write_bands(tmp_path, nodata=0)
    with rasterio.open(tmp_path / "B02.tif", "r+") as dst:
        dst.scales, dst.offsets = (0.5,), (1,)
        dst.set_band_description(1, "its own name")
        dst.update_tags(1, wavelength="500", wavelength_units="nm")
    place = {"proj:epsg": 4326, "proj:transform": [1, 0, 0, 0, -1, 0]}
    path = save(tmp_path / "item.json", item(nodata=7, scale=1.0, offset=0.0, properties=place))
    info = read_info(f"{path}#assets=B02")
    assert (info.scales, info.offsets, info.nodata, info.band_names) == ((0.5,), (1,), 0, ("its own name",))
    assert info.wavelengths == (500,)
    assert info.grid == read_info(tmp_path / "B02.tif").grid
    assert list(info.doubts) == [
        f"{tmp_path}/B02.tif has the CRS EPSG:32632, and its item says EPSG:4326; the file's is used",
        f"item S2A_T32 in {path} says that the nodata value is 7, and its files declare 0, which is used; if both "
        "stand for no data, give the other one with `nodata`",
    ]


def test_two_scales_are_refused_until_one_is_given(tmp_path: Path) -> None:
    write_bands(tmp_path)
    with rasterio.open(tmp_path / "B02.tif", "r+") as dst:
        dst.scales = (0.5,)
    path = save(tmp_path / "item.json", item(scale=0.0001))
    with pytest.raises(RasterError, match=r"declares scale 0\.5 and offset 0, and its item says scale 0\.0001 and off"):
        read_info(f"{path}#assets=B02")
    info = read_info(f"{path}#scale=0.0001#offset=0#assets=B02")
    assert (info.scales, info.offsets) == ((0.0001,), (0,))
    same = read_info(f"{save(tmp_path / 'same.json', item(scale=0.50000001))}#assets=B02")
    assert (same.scales, same.doubts, same.notes) == ((0.5,), (), ())


@pytest.mark.parametrize("version", VERSIONS)
def test_an_offset_that_was_applied_is_not_applied_again(tmp_path: Path, version: str) -> None:
    write_bands(tmp_path)
    facts = {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}
    path = save(tmp_path / "item.json", item(version=version, properties=facts, scale=0.0001, offset=-0.1))
    info = read_info(f"{path}#assets=B02")
    assert (info.scales, info.offsets) == ((0.0001,), (0,))
    assert "(boa_offset_applied), so it is not applied again; if it was not, give it behind" in info.doubts[0]
    given = read_info(f"{path}#offset=-0.1#assets=B02")
    assert (given.scales, given.offsets, given.doubts) == ((0.0001,), (-0.1,), ())
    declare(tmp_path / "B02.tif", scale=0.0001, offset=-0.1)
    info = read_info(f"{path}#assets=B02")
    assert (info.scales, info.offsets) == ((0.0001,), (-0.1,))
    assert "its files declare one, which is applied; if that is twice, leave it out: " in info.doubts[0]
    assert read_info(f"{path}#offset=0#assets=B02").doubts == ()


def declare(path: Path, *, scale: float, offset: float) -> None:
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = (scale,), (offset,)


@pytest.mark.parametrize(
    ("baseline", "raster", "rest", "is_doubtful"),
    [
        ("05.09", {}, "", True),
        ("04.00", {}, "", True),
        ("05.09", {"scale": 0.0001}, "", True),
        ("03.01", {}, "", False),
        ("unknown", {}, "", False),
        ("05.09", {"scale": 0.0001, "offset": -0.1}, "", False),
        ("05.09", {}, "offset=-1000#", False),
        ("05.09", {}, "offset=0#", False),
    ],
)
def test_later_products_of_sentinel_2_without_an_offset(
    tmp_path: Path, baseline: str, raster: dict[str, Any], rest: str, is_doubtful: bool
) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", item(properties={"s2:processing_baseline": baseline}, **raster))
    doubts = read_info(f"{path}#{rest}assets=B02").doubts
    assert [f"baseline {baseline}" in doubt for doubt in doubts] == [True] * is_doubtful
    wanted = "#offset=-0.1, or #offset=0" if raster else "#offset=-1000, or #offset=0"
    assert all(wanted in doubt for doubt in doubts)


@pytest.mark.parametrize(
    "fields",
    [
        {"proj:epsg": 32632},
        {"proj:code": "EPSG:32632"},
        {"proj:wkt2": rasterio.crs.CRS.from_epsg(32632).to_wkt(version="WKT2_2019")},
        {"proj:code": None, "proj:projjson": rasterio.crs.CRS.from_epsg(32632).to_dict(projjson=True)},
    ],
)
@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_an_item_says_where_a_file_is(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_bands(tmp_path, crs=None, transform=None)
    transform = {"proj:transform": [*TRANSFORM]}  # nine numbers
    info = read_info(f"{save(tmp_path / 'item.json', item(properties=fields | transform))}#assets=B02")
    assert (str(info.grid.crs), info.grid.transform) == ("EPSG:32632", TRANSFORM)
    (note,) = info.notes
    assert note.endswith("/item.json: its CRS and position are used, as its files have none")
    with open_raster(info.src_path) as src:
        assert (src.crs.to_epsg(), src.transform, src.read(1).sum()) == (32632, TRANSFORM, stored_sum(tmp_path))


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_items_never_have_other_files_or_servers_read_for_a_crs(tmp_path: Path) -> None:
    write_bands(tmp_path, crs=None, transform=None)
    (wkt := tmp_path / "crs.wkt").write_text(rasterio.crs.CRS.from_epsg(32632).to_wkt())
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/crs"
        for text in (url, str(wkt), f"/vsicurl/{url}"):
            path = save(tmp_path / "item.json", item(properties={"proj:code": text, "proj:wkt2": text}))
            assert read_info(f"{path}#assets=B02").grid.crs is None
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has asked
            server.accept()


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_numbers_and_depths_that_nothing_holds(tmp_path: Path) -> None:
    write_bands(tmp_path, crs=None, transform=None)
    deep: dict[str, Any] = {}
    for _ in range(700):
        deep = {"a": deep}
    fields = {"proj:epsg": 10**40, "proj:projjson": deep, "proj:transform": [10**400, 0, 0, 0, -10, 0]}
    grid = read_info(f"{save(tmp_path / 'item.json', item(properties=fields))}#assets=B02").grid
    assert grid.crs is None
    assert grid.transform == Affine.identity()
    path = save(tmp_path / "item.json", item(scale=0))
    with pytest.raises(RasterError, match=r"has the scale 0, which leaves no values; .*#scale=0\.0001#assets=B02"):
        read_info(f"{path}#assets=B02")


def stored_sum(folder: Path) -> int:
    with rasterio.open(folder / "B02.tif") as src:
        return int(src.read(1).sum(dtype=int))


def test_an_items_transform_of_another_resolution_is_not_that_of_every_asset(tmp_path: Path) -> None:
    write_bands(tmp_path)
    coarse = {"proj:transform": [20, 0, 500_000, 0, -20, 5_000_000], "proj:shape": [20, 25]}
    assert not read_info(f"{save(tmp_path / 'item.json', item(properties=coarse))}#assets=B02").doubts
    own = {"B02": asset("B02", "1.1") | {"proj:transform": [10, 0, 500_200, 0, -10, 5_000_000]}}
    (doubt,) = read_info(f"{save(tmp_path / 'own.json', item(assets=own))}#assets=B02").doubts
    assert "and its item says (10.0, 0.0, 500200.0, 0.0, -10.0, 5000000.0); the file's is used" in doubt


def whole_image(folder: Path, bands: int, *, listed: int = 4, **how: Any) -> str:
    """An item with one asset of several bands."""
    values = np.arange(bands * 40 * 50).reshape(bands, 40, 50).astype("uint16")
    write_raster(folder / "image.tif", values, **how)
    names = [("b", "blue"), ("g", "green"), ("r", "red"), ("n", "nir")][:listed]
    described = [{"name": name, "eo:common_name": common, "raster:scale": 0.5} for name, common in names]
    image = {"href": "image.tif", "type": COG, "bands": described}
    return save(folder / "item.json", {**item(), "assets": {"image": image}})


@pytest.mark.parametrize("how", [{}, {"alpha": np.full((40, 50), True), "photometric": None}])
def test_single_bands_of_an_asset(tmp_path: Path, how: dict[str, Any]) -> None:
    path = whole_image(tmp_path, 4, **how)
    every, (nir,), (green,) = read_info(path), rasters_of(f"{path}#assets=nir"), rasters_of(f"{path}#assets=g")
    assert (every.indexes, every.band_names, every.scales) == ((1, 2, 3, 4), ("b", "g", "r", "n"), (0.5,) * 4)
    assert (read_info(nir).indexes, read_info(nir).band_names) == ((4,), ("n",))
    assert (read_info(green).indexes, read_info(green).band_names, read_info(green).scales) == ((2,), ("g",), (0.5,))
    assert np.array_equal(stored(green)[0], stored(str(tmp_path / "image.tif"))[1])


def test_what_an_item_says_once_of_all_bands_of_an_asset(tmp_path: Path) -> None:
    whole_image(tmp_path, 3)
    bands = {
        "eo:bands": [{"name": name} for name in "abc"],
        "raster:bands": [{"scale": 0.5, "offset": -1, "nodata": 0}],
    }
    whole = {"image": {"href": "image.tif", "type": COG, "roles": ["data"], **bands}}
    info = read_info(f"{save(tmp_path / 'other.json', item(version='1.0', assets=whole))}#assets=image")
    assert (info.band_names, info.scales, info.offsets, info.nodata) == (("a", "b", "c"), (0.5,) * 3, (-1,) * 3, 0)


def test_an_item_that_lists_other_bands_than_its_file_has(tmp_path: Path) -> None:
    path = whole_image(tmp_path, 3)
    info = read_info(path)
    assert (info.band_names, info.scales) == (("", "", ""), (1, 1, 1))
    assert "has 3 bands, and its item describes 4, so what the item says of them is ignored" in info.doubts[0]
    with pytest.raises(RasterError, match="so none can be chosen by its name; name the asset by its key"):
        read_info(f"{path}#assets=nir")


def test_bands_of_several_dates_are_named_by_date_and_have_no_wavelength(tmp_path: Path) -> None:
    dates = {"2024-07-01": "b", "2024-06-01": "a"}
    for number, folder in enumerate(dates.values()):
        write_bands(tmp_path / folder, shift=number)
    items = [item(folder, moment=f"{date}T10:00:00Z", folder=folder) for date, folder in dates.items()]
    infos = [read_info(name) for name in rasters_of(f"{save(tmp_path / 'i.json', *items)}#join=time#assets=blue,red")]
    assert [info.band_names for info in infos] == [
        (f"{band} {date}",) for date in sorted(dates) for band in ("B02", "B04")
    ]
    assert all(info.wavelengths is None for info in infos)
    assert np.array_equal(stored(infos[0].src_path), stored(str(tmp_path / "a/B02.tif")))


def write_tiles(folder: Path, **how: Any) -> tuple[str, NDArray[np.float32]]:
    """Three tiles around an empty quarter that overlap by two pixels, and what they should be together."""
    whole = np.full((78, 98), np.nan, np.float32)
    items = []
    for number, (name, row, col) in enumerate((("a", 0, 0), ("b", 0, 48), ("c", 38, 0))):
        transform = TRANSFORM * Affine.translation(col, row)
        write_bands(folder / name, shift=number, transform=transform, **how)
        with rasterio.open(folder / name / "B02.tif") as src:
            values = src.read(1, masked=True).astype("float32").filled(np.nan)
        part = whole[row : row + 40, col : col + 50]
        part[...] = np.where(np.isnan(part), values, part)  # the first one is on top
        items.append(item(name, folder=name))
    return save(folder / "items.json", *items), whole


HOLES = np.random.default_rng(5).random((40, 50)) < 0.8


@pytest.mark.parametrize("how", [{}, {"nodata": 1500}, {"nodata": 0}, {"mask": HOLES}])
def test_tiles_side_by_side(tmp_path: Path, how: dict[str, Any]) -> None:
    path, expected = write_tiles(tmp_path, **how)
    (name,) = rasters_of(f"{path}#join=tiles#assets=blue")
    info = read_info(name)
    assert (info.grid.transform, info.grid.shape, str(info.grid.crs)) == (TRANSFORM, (78, 98), CRS_CODE)
    assert (info.band_names, info.src_path) == (("B02",), name)
    assert ["a tile covers its neighbour even if it is empty" in doubt for doubt in info.doubts] == [True] * (not how)
    assert np.isnan(expected[40:, 50:]).all()  # where no tile is
    assert np.array_equal(stored(name)[0], expected, equal_nan=True)


def test_tiles_that_only_touch_cover_nothing(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_bands(tmp_path / name, transform=TRANSFORM * Affine.translation(0, 40 * number))
    path = save(tmp_path / "items.json", item("a", folder="a"), item("b", folder="b"))
    info = read_info(f"{path}#join=tiles#assets=B02")
    assert (info.grid.shape, info.doubts) == ((80, 50), ())


def test_tiles_are_the_same_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    path, expected = write_tiles(tmp_path)
    items = [item(name, folder=name) for name in "abc"]
    for order in itertools.permutations(items):
        save(tmp_path / "items.json", *order)
        assert np.array_equal(stored(f"{path}#join=tiles#assets=B02")[0], expected, equal_nan=True)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"crs": "EPSG:32633"}, r"the tiles are in several CRSs \(EPSG:32632, EPSG:32633\) and cannot be joined"),
        ({"transform": TRANSFORM * Affine.translation(48.5, 0)}, "the tiles are no parts of one grid"),
        ({"transform": TRANSFORM * Affine.translation(48, 0) * Affine.scale(2)}, "the tiles are no parts of one grid"),
        ({"transform": TRANSFORM * Affine.translation(60, 0)}, "the tiles neither touch nor overlap"),
        ({}, "several of the items cover the same place"),
        ({"nodata": 0, "transform": TRANSFORM * Affine.translation(48, 0)}, "as their nodatavals differ"),
    ],
)
def test_items_that_are_no_tiles_of_one_image(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    write_bands(tmp_path / "a")
    write_bands(tmp_path / "b", **how)
    path = save(tmp_path / "items.json", item("a", folder="a"), item("b", folder="b"))
    with pytest.raises((GeoreferencingError, RasterError), match=message):
        read_info(f"{path}#join=tiles#assets=B02")


def test_a_tile_that_gets_lost_is_never_read_as_zeros(tmp_path: Path) -> None:
    path, _ = write_tiles(tmp_path)
    name = f"{path}#join=tiles#assets=B02"
    content = (tmp_path / "b/B02.tif").read_bytes()
    with pytest.raises((RasterError, rasterio.errors.RasterioError)):
        read_without(tmp_path / "b/B02.tif", name)
    with pytest.raises(RasterError):
        stored(name)
    (tmp_path / "b/B02.tif").write_bytes(content)
    with pytest.raises(RasterError, match="which could not be read before and would be read as zeros now"):
        stored(name)


def read_without(lost: Path, name: str) -> None:
    """Read a raster of which a tile is deleted once it is open."""
    with open_raster(name) as src:
        lost.unlink()
        src.read()


def test_tiles_of_which_one_is_scaled_otherwise(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_bands(tmp_path / name, transform=TRANSFORM * Affine.translation(48 * number, 0))
    path = save(tmp_path / "items.json", item("a", folder="a", scale=0.1), item("b", folder="b", scale=0.2))
    with pytest.raises(RasterError, match=r"as their scales differ: .*item=a#.* has \(0\.1,\), and .* has \(0\.2,\)"):
        read_info(f"{path}#join=tiles#assets=B02")


def test_assets_that_cannot_be_read(tmp_path: Path) -> None:
    path = save(tmp_path / "item.json", item())
    with pytest.raises(RasterError, match=r"asset 'B02' of S2A_T32 in .*item\.json: .*B02\.tif does not exist"):
        read_info(f"{path}#assets=blue")
    (tmp_path / "B02.tif").write_text("no raster")
    with pytest.raises(RasterError, match=r"asset 'B02' of S2A_T32 in .*: .*B02\.tif is not a raster"):
        read_info(f"{path}#assets=blue")


@pytest.mark.parametrize("href", ["http://[bad/B02.tif", "file://[bad/B02.tif"])
def test_references_that_are_no_urls(tmp_path: Path, href: str) -> None:
    path = save(tmp_path / "item.json", item(assets={"B02": asset("B02", "1.1") | {"href": href}}))
    with pytest.raises(S2finError, match=r"asset 'B02' of S2A_T32 in .*item\.json.*Invalid IPv6 URL"):
        read_info(f"{path}#assets=B02")


def test_several_rasters_where_one_is_needed(tmp_path: Path) -> None:
    write_bands(tmp_path)
    path = save(tmp_path / "item.json", item())
    assert len(rasters_of(f"{path}#assets={','.join(BANDS)}")) == 3
    with pytest.raises(ValueError, match="means 2 rasters, and one is needed here; name one item and one asset"):
        read_info(f"{path}#assets=red,blue")
