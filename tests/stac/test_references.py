"""References to STAC files, and which items and assets they mean."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.core.errors import InputError, S2finError, UsageError
from s2fin_cli.core.names import absolute, in_folder, without_credentials
from s2fin_cli.stac.images import files_of, is_elsewhere, rasters_of
from s2fin_cli.stac.location import located
from s2fin_cli.stac.reference import Reference, find_reference
from tests.stac.making import asset, item, save

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


def means(path: str) -> list[str]:
    """What stands behind the name of the file in the rasters that a reference means."""
    return [name.partition("#")[2] for name in rasters_of(path)]


@given(
    st.lists(NAMES, unique=True, max_size=3),
    st.lists(NAMES, unique=True, min_size=1, max_size=3),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_a_reference_is_what_its_text_says(items: list[str], assets: list[str], offset: float | None) -> None:
    reference = Reference("items.json", tuple(assets), tuple(items), join=("tiles",), offset=offset)
    assert find_reference(str(reference)) == reference


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_assets_by_key_name_and_common_name(tmp_path: Path, version: str) -> None:
    path = save(tmp_path / "item.json", item(version=version))
    assert means(f"{path}#assets=B04,B02") == ["assets=B04", "assets=B02"]
    assert files_of(f"{path}#assets=red,B02") == [str(tmp_path / "B04.tif"), str(tmp_path / "B02.tif")]


@pytest.mark.parametrize(
    ("assets", "message"),
    [
        ("B05", r"item S2A_T32 in .*item\.json has no asset 'B05' .* its rasters are B02 \(blue\), B03 \(green\), B04"),
        ("thumbnail", "asset 'thumbnail' of S2A_T32 in .* is no raster of measured values .image/jpeg, thumbnail"),
        ("granule", "asset 'granule' of .* is no raster"),
        ("blue,,red", "the list 'blue,,red', in which each name must be there once and none be empty"),
        ("blue,blue", "each name must be there once"),
    ],
)
def test_assets_that_are_no_images(tmp_path: Path, assets: str, message: str) -> None:
    with pytest.raises(S2finError, match=message):
        files_of(f"{save(tmp_path / 'item.json', item())}#assets={assets}")


def test_a_common_name_of_two_assets_is_ambiguous(tmp_path: Path) -> None:
    again = {"B02_60m": asset("B02", "1.1") | {"bands": [{"name": "B02_60m", "eo:common_name": "blue"}]}}
    path = save(tmp_path / "item.json", item(assets=again))
    with pytest.raises(
        InputError, match=r"'blue' is the common name of 2 bands .* in the assets B02, B02_60m; name an"
    ):
        files_of(f"{path}#assets=blue")
    assert files_of(f"{path}#assets=B02") == [str(tmp_path / "B02.tif")]


def test_an_item_needs_no_assets_if_it_has_one_raster(tmp_path: Path) -> None:
    alone = item()
    del alone["assets"]["B03"], alone["assets"]["B04"]
    assert means(save(tmp_path / "alone.json", alone)) == ["assets=B02"]
    with pytest.raises(InputError, match=r"has 3 rasters; say which assets make the image, e\.g\. .*#assets=KEY,KEY"):
        rasters_of(save(tmp_path / "item.json", item()))


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("red,nir", "'red,nir' after #, which must be one of assets=..., item=..."),
        ("asset=red", "did you mean 'assets'"),
        ("assets=", "'assets=' after #"),
        ("assets=a#assets=b", "assets= twice"),
        ("scale=a#assets=B02", "the number 'a'"),
        ("scale=0#assets=B02", "the scale 0"),
        ("offset=nan#assets=B02", "the number 'nan'"),
        ("join=space#assets=B02", "join=space; it must be time, tiles or both"),
        ("datetime=June#assets=B02", "datetime=June cannot be understood"),
        ("datetime=2024-07-01/2024-06-01#assets=B02", "it ends before it begins"),
    ],
)
def test_references_that_make_no_sense(tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        rasters_of(f"{save(tmp_path / 'item.json', item())}#{rest}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"type": "Catalog", "stac_version": "1.1.0"},
            "is a STAC Catalog, which holds no images itself; save",
        ),
        ({"type": "Collection", "stac_version": "1.1.0"}, "is a STAC Collection"),
        ({"type": "FeatureCollection", "features": []}, "is an item collection without items"),
        ({"type": "FeatureCollection", "features": 5}, "is no STAC item or item collection"),
        ({"type": "Feature", "geometry": None}, "is no STAC item"),
        ({"type": "Feature", "id": 3, "assets": {}}, "its id is no text"),
        ([1], "is no STAC item or item collection"),
        ({"type": "Feature", "id": "a", "assets": {}, "properties": {"datetime": "June"}}, "is no STAC item"),
    ],
)
def test_files_without_items(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        rasters_of(f"{path}#assets=B02")


def test_files_that_are_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        rasters_of(tmp_path / "none.json#assets=B02")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json is no JSON"):
        rasters_of(tmp_path / "a.json#assets=B02")


def test_other_names_are_no_references(tmp_path: Path) -> None:
    (tmp_path / "a.json#assets=b").write_text("")
    (tmp_path / "labels.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    for name in ("a.tif", "a#b.tif", str(tmp_path / "a.json#assets=b"), str(tmp_path / "labels.geojson"), "no.json"):
        assert rasters_of(name) == [name]


def test_folders_whose_names_have_the_mark_of_parts(tmp_path: Path) -> None:
    (folder := tmp_path / "run#1").mkdir()
    path = save(folder / "item.json", item())
    assert find_reference(path) == Reference(path)
    assert find_reference(f"{path}#assets=red") == Reference(path, ("red",))
    assert files_of(f"{path}#assets=red") == [str(folder / "B04.tif")]
    assert absolute(f"{path}#assets=../a") == f"{path}#assets=../a"
    assert find_reference(str(folder / "B04.tif")) is None


def test_servers_that_do_not_answer_as_they_should() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/item.json"
        answers = threading.Thread(target=_answer_nonsense, args=(server,))
        answers.start()
        with pytest.raises(InputError, match=r"/item\.json cannot be read \(.*\); check the name and the connection"):
            rasters_of(f"{url}#assets=red")
        answers.join()
    with pytest.raises(InputError, match=r"cannot be read \(.*\); check the name and the connection"):
        rasters_of("http://127.0.0.1/an item.json#assets=red")


def _answer_nonsense(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"nonsense\r\n\r\n")


def test_references_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "items.json", *series(order=[0, 1, 2]))
    monkeypatch.chdir(tmp_path)
    name = "items.json#join=time#assets=red#datetime=2024-06-15/.."
    assert absolute(name) == f"{tmp_path}/{name}"
    assert in_folder(name, tmp_path) == f"{tmp_path}/{name}"
    assert len(rasters_of(absolute(name))) == 2
    url = "https://e.org/items.json?sig=secret#item=a#assets=red"
    assert without_credentials(url) == "https://e.org/items.json#item=a#assets=red"


def series(*, order: list[int]) -> list[dict[str, object]]:
    items = [
        item("late", moment="2024-07-01T10:00:00Z"),
        item("early", moment="2024-06-01T12:00:00+02:00"),
        item("noon", moment="2024-06-30T23:30:00Z"),
    ]
    return [items[number] for number in order]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_dates_are_in_order_whatever_the_order_in_the_file(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = save(tmp_path / "items.json", *series(order=list(order)))
    assert means(f"{path}#join=time#assets=red,blue") == [
        f"item={name}#join=time#assets={asset}" for name in ("early", "noon", "late") for asset in ("red", "blue")
    ]
    assert means(f"{path}#datetime=2024-06#join=time#assets=red") == [
        "item=early#join=time#assets=red",
        "item=noon#join=time#assets=red",
    ]
    assert means(f"{path}#item=late#assets=red") == ["item=late#assets=red"]
    assert means(f"{path}#datetime=2024-06-01#assets=red") == ["item=early#assets=red"]
    assert means(f"{path}#datetime=../2024-06-15#assets=red") == ["item=early#assets=red"]
    assert means(f"{path}#datetime=2024-06-30T23:30:00Z#assets=red") == ["item=noon#assets=red"]


def test_several_items_are_never_joined_unasked(tmp_path: Path) -> None:
    path = save(tmp_path / "items.json", *series(order=[0, 1, 2]))
    with pytest.raises(InputError, match="3 items, of 2024-06-01, 2024-06-30, 2024-07-01: early, noon, late; choose"):
        rasters_of(f"{path}#assets=red")
    with pytest.raises(InputError, match=r"of 3 dates .* choose it, e\.g\. #datetime=2024-06-01, or join the"):
        rasters_of(f"{path}#join=tiles#assets=red")
    with pytest.raises(InputError, match="has no item other; it has late, early, noon"):
        rasters_of(f"{path}#item=other#assets=red")
    with pytest.raises(InputError, match="no item of 2023; its dates are 2024-06-01, 2024-06-30"):
        rasters_of(f"{path}#datetime=2023#assets=red")
    twins = save(tmp_path / "twins.json", item("a"), item("b"))
    with pytest.raises(InputError, match=r"2 items of 2024-06-01 \(a, b\); if they are tiles"):
        rasters_of(f"{twins}#join=time#assets=red")
    with pytest.raises(InputError, match="several items with the id a"):
        rasters_of(f"{save(tmp_path / 'again.json', item('a'), item('a'))}#assets=red")


def test_tiles_of_several_dates(tmp_path: Path) -> None:
    tiles = [item(f"{day}{tile}", moment=f"2024-06-0{day}T10:00:00Z") for day in (1, 2) for tile in "ab"]
    path = save(tmp_path / "items.json", *tiles[::-1])
    assert means(f"{path}#join=tiles,time#assets=red") == [
        f"item={day}a,{day}b#join=tiles,time#assets=red" for day in (1, 2)
    ]
    assert means(f"{path}#datetime=2024-06-02#join=tiles#assets=red") == ["datetime=2024-06-02#join=tiles#assets=red"]


@pytest.mark.parametrize(
    ("href", "place", "where"),
    [
        ("./b%202.tif", "data/item.json", "data/b 2.tif"),
        ("b 2.tif", "item.json", "b 2.tif"),
        ("/abs/b.tif", "data/item.json", "/abs/b.tif"),
        ("file:///abs/b%202.tif", "data/item.json", "/abs/b 2.tif"),
        ("https://e.org/b 2.tif?sig=a%3D", "data/item.json", "https://e.org/b%202.tif?sig=a%3D"),
        ("s3://bucket/b 2.tif", "item.json", "s3://bucket/b 2.tif"),
        ("/vsizip/x.zip/b.tif", "item.json", "/vsizip/x.zip/b.tif"),
        ("../b.tif", "https://e.org/c/items/a.json", "https://e.org/c/b.tif"),
        ("./b.tif", "/vsicurl/https://e.org/c/a.json", "https://e.org/c/b.tif"),
        ("../b%202.tif", "s3://bucket/c/a.json", "s3://bucket/b 2.tif"),
        ("b.tif", "/vsis3/bucket/c/a.json", "s3://bucket/c/b.tif"),
    ],
)
def test_where_assets_are(href: str, place: str, where: str) -> None:
    assert located(href, place) == where


def test_alternate_references(tmp_path: Path) -> None:
    more = {"B02": asset("B02", "1.1") | {"alternate": {"s3": {"href": "s3://bucket/B02.tif"}}}}
    path = save(tmp_path / "item.json", item(assets=more))
    assert files_of(f"{path}#alternate=s3#assets=blue") == ["s3://bucket/B02.tif"]
    assert is_elsewhere(f"{path}#alternate=s3#assets=blue")
    assert not is_elsewhere(f"{path}#assets=blue")
    with pytest.raises(InputError, match="asset 'B03' of S2A_T32 has no alternate 's3', but none"):
        files_of(f"{path}#alternate=s3#assets=green")


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_store_whose_package_is_missing() -> None:
    with pytest.raises(InputError, match=r"gs://b/item\.json cannot be read: .*gcsfs.*; or copy the file to"):
        rasters_of("gs://b/item.json#assets=red")
    with pytest.raises(InputError, match="cannot be read as a STAC file under this name; copy it to this"):
        rasters_of("/vsizip/a.zip/item.json#assets=red")
