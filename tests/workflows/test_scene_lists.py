"""Lists of scenes: tables, folders and STAC item collections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s2fin_cli.core.errors import InputError, S2finError, UsageError
from s2fin_cli.scenes.entry import SceneEntry
from s2fin_cli.scenes.read import read_scenes
from s2fin_cli.stac.images import files_of


def listed(path: Path, *images: str, without: tuple[Path, ...] = ()) -> dict[str, dict[str, Any]]:
    """The images of the scenes of a list, by name; paths relative to its folder."""
    folder = path if path.is_dir() else path.parent

    def shown(name: str) -> str:
        return str(Path(name).relative_to(folder)) if name.startswith(str(folder)) else name

    entries = read_scenes(path, images, without=without)
    return {
        entry.name: {
            **{modality: [shown(name) for name in names] for modality, names in entry.paths.items()},
            **({} if entry.aoi is None else {"aoi": shown(entry.aoi)}),
            **({} if entry.error is None else {"error": entry.error}),
        }
        for entry in entries
    }


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TABLES: dict[str, str | bytes] = {
    "plain": 'name,hsi,lidar,aoi\n"my north",x y.tif;z.tif,l.tif,\n007,sub/h.tif,/vsicurl/https://e.org/l.tif,a.gpkg\n',
    "semicolons": 'name;hsi;lidar;aoi\n"my north";"x y.tif; z.tif";l.tif;\n007;sub/h.tif;/vsicurl/https://e.org/l.tif;a.gpkg',
    "Excel": b'\xef\xbb\xbfsep=;\r\nName;HSI;LiDAR;AOI\r\nmy north;"x y.tif;z.tif";l.tif;\r\n\r\n007;sub/h.tif;'
    b"/vsicurl/https://e.org/l.tif;a.gpkg\r\n",
    "tabs": "hsi\tlidar\taoi\tname\nx y.tif;z.tif\tl.tif\t\tmy north\nsub/h.tif\t/vsicurl/https://e.org/l.tif\ta.gpkg\t007\n",
    "UTF-16": "name,hsi,lidar,aoi\nmy north,x y.tif;z.tif,l.tif\n007,sub/h.tif,/vsicurl/https://e.org/l.tif,a.gpkg\n".encode(
        "utf-16"
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_programs_write_them(tmp_path: Path, kind: str) -> None:
    assert listed(write(tmp_path / "list.csv", TABLES[kind])) == {
        "my north": {"hsi": ["x y.tif", "z.tif"], "lidar": ["l.tif"]},
        "007": {"hsi": ["sub/h.tif"], "lidar": ["/vsicurl/https://e.org/l.tif"], "aoi": "a.gpkg"},
    }


def test_scenes_are_called_like_their_passive_image(tmp_path: Path) -> None:
    table = write(tmp_path / "list.csv", 'msi,dsm\n"a, b.tif",d.tif\nsub/ç.tif,\n')
    assert listed(table) == {"a, b": {"msi": ["a, b.tif"], "dsm": ["d.tif"]}, "ç": {"msi": ["sub/ç.tif"]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("hsi,lidar\n", "has a header and no row"),
        ("hsi,lidr\na,b\n", "unknown column 'lidr'; did you mean 'lidar'"),
        ("lidar\na\n", "has no column hsi or msi"),
        (
            "hsi,lidar\na/x.tif,b\n\nb/x.tif,c\n",
            r"line 2 of .*list.csv and line 4 of .*list.csv have the same name, 'x'",
        ),
        ("name,hsi\nA,a\na,b\n", "have the same name, 'a'"),
        ("name,hsi\nok,a\n../x,a\n", r"line 3 of .*: '../x' cannot be the name of a scene: it has the character '/'"),
        ("name,hsi\n..,a\n", r"'..' cannot be the name of a scene: it is empty, or begins or ends with a dot"),
        ("name,hsi\n.x,a\n", "begins or ends with a dot"),
        ("name,hsi\n,a\n", "'' cannot be the name of a scene"),
        ("name,hsi\nCON:,a\n", "it has the character ':'"),
        (f"name,hsi\n{'x' * 201},a\n", "it has more than 200 bytes"),
        ("name,hsi\na,b,c\n", "more fields than its header"),
        ('{"type": "FeatureCollection", "features": []}', "is an item collection without items"),
        ('{"type": "FeatureCollection", "features": [{"id": 3, "assets": {}}]}', "its id is no text"),
        ('{"a": ' + "[" * 100_000, "is no JSON"),
        ("{", "is no JSON"),
    ],
)
def test_lists_that_make_no_sense(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_scenes(write(tmp_path / "list.csv", text), ())


def test_lists_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_scenes(tmp_path / "none.csv", ())
    with pytest.raises(InputError, match="must be a file or folder on this machine"):
        read_scenes("/vsicurl/https://e.org/list.csv", ())
    table = write(tmp_path / "list.csv", "hsi\na.tif\n")
    with pytest.raises(UsageError, match="`images` applies to folders and STAC item collections"):
        read_scenes(table, ("hsi={name}.tif",))


def test_a_folder_for_each_scene(tmp_path: Path) -> None:
    for name in (
        "b/hsi.tif",
        "b/lidar.tif",
        "b/hsi.tif.aux.xml",
        "a/msi.tif",
        "notes/hsi.hdr",
        ".x/hsi.tif",
        "maps/a.tif",
    ):
        write(tmp_path / name, "")
    found = listed(tmp_path, without=(tmp_path / "maps",))
    error = found["notes"].pop("error")
    assert found == {"a": {"msi": ["a/msi.tif"]}, "b": {"hsi": ["b/hsi.tif"], "lidar": ["b/lidar.tif"]}, "notes": {}}
    assert f"{tmp_path} has no image of this scene (notes/hsi.tif, notes/msi.tif, " in error


def test_patterns_of_files(tmp_path: Path) -> None:
    for name in (
        "a_hsi.tif",
        "a_dsm.tif",
        "a_b_hsi.tif",
        "a_b_dsm.tif",
        "a_b_dsm.tif.ovr",
        "c.d_hsi.tif",
        "readme.txt",
    ):
        write(tmp_path / name, "")
    assert listed(tmp_path, "hsi={name}_hsi.tif", "lidar={name}_dsm.tif") == {
        "a": {"hsi": ["a_hsi.tif"], "lidar": ["a_dsm.tif"]},
        "a_b": {"hsi": ["a_b_hsi.tif"], "lidar": ["a_b_dsm.tif"]},
        "c.d": {"hsi": ["c.d_hsi.tif"]},
    }


def test_patterns_of_folders_and_of_several_files(tmp_path: Path) -> None:
    for name in ("in/a/S2_a_1.tif", "in/a/B8.tif", "in/a/deep/d.tif", "in/b/S2_b_2.tif", "in/b/B8.tif", "in/c.txt"):
        write(tmp_path / name, "")
    images = ("msi=in/{name}/S2_{name}_?.tif", "msi=in/{name}/B8.tif", "dsm=in/{name}/*/d.tif")
    assert listed(tmp_path, *images) == {
        "a": {"msi": ["in/a/S2_a_1.tif", "in/a/B8.tif"], "dsm": ["in/a/deep/d.tif"]},
        "b": {"msi": ["in/b/S2_b_2.tif", "in/b/B8.tif"]},
    }


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("hsi={name}/*.tif", r"a/1.tif and .*a/2.tif both match the pattern .* for scene 'a'"),
        ("hsi=a/{name}_*.tif", "could belong to the scenes 'x' and 'x_y'"),
        ("hsi=*.tif", "must be relative to .* and have {name} where the scene's name is"),
        ("hsi=../{name}.tif", "must be relative to"),
        ("hsi=/{name}.tif", "must be relative to"),
        ("hsi", "it must be MODALITY=FILES"),
        ("hsi=", "it must be MODALITY=FILES"),
        ("his={name}.tif", "'his' is no image, did you mean 'hsi'"),
        ("hsi={name}.tiff", "holds no scenes: no file is called like {name}.tiff"),
    ],
)
def test_patterns_that_make_no_sense(tmp_path: Path, images: str, message: str) -> None:
    for name in ("a/1.tif", "a/2.tif", "a/x_y_z.tif"):
        write(tmp_path / name, "")
    with pytest.raises(S2finError, match=message):
        read_scenes(tmp_path, (images,))


def item(name: str, **assets: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "id": name, "geometry": None, "assets": assets}


def collection(path: Path, *items: dict[str, Any]) -> Path:
    return write(path, json.dumps({"type": "FeatureCollection", "features": items}))


def test_items_by_keys_and_by_common_names(tmp_path: Path) -> None:
    write(tmp_path / "with space.tif", "")
    path = collection(
        tmp_path / "items.json",
        item(
            "S2_1",
            B02={"href": "./with%20space.tif", "eo:bands": [{"name": "B02", "common_name": "blue"}]},
            B03={"href": "https://e.org/B03.tif?a=%20", "bands": [{"eo:common_name": "green"}]},
            visual={"href": "v.tif", "eo:bands": [{"common_name": "red"}, {"common_name": "blue"}]},
            dem={"href": "s3://bucket/dem.tif"},
        ),
        item("S2_2", B02={"href": "file:///data/b%202.tif"}, dem={"href": "../dem.tif"}),
    )
    found = listed(path, "msi=blue,B03", "dsm=dem")
    named = [f"items.json#item=S2_1#assets={assets}" for assets in ("blue,B03", "dem")]
    assert found["S2_1"] == {"msi": named[:1], "dsm": named[1:]}
    assert [files_of(tmp_path / name) for name in named] == [
        [str(tmp_path / "with space.tif"), "https://e.org/B03.tif?a=%20"],
        ["s3://bucket/dem.tif"],
    ]
    assert found["S2_2"]["error"].startswith(f"item 2 of {path}: item S2_2 in {path} has no asset 'blue' ")
    second = listed(path, "msi=B02", "dsm=dem")["S2_2"]
    assert second == {"msi": ["items.json#item=S2_2#assets=B02"], "dsm": ["items.json#item=S2_2#assets=dem"]}
    assert files_of(tmp_path / second["msi"][0]) == ["/data/b 2.tif"]
    assert files_of(tmp_path / second["dsm"][0]) == [str(tmp_path / "../dem.tif")]


def test_items_whose_assets_are_called_like_images(tmp_path: Path) -> None:
    items = item("a", hsi={"href": "h.tif"}, lidar={"href": "l.tif"}, thumbnail={"href": "t.png"}), item("b")
    found = listed(collection(tmp_path / "items.json", *items))
    assert found["a"] == {"hsi": ["items.json#item=a#assets=hsi"], "lidar": ["items.json#item=a#assets=lidar"]}
    assert "item 2 of" in found["b"]["error"]
    single = write(tmp_path / "item.json", json.dumps(items[0]))
    assert listed(single)["a"] == {"hsi": ["item.json#assets=hsi"], "lidar": ["item.json#assets=lidar"]}


def test_items_without_the_assets_are_refused(tmp_path: Path) -> None:
    path = collection(tmp_path / "items.json", item("a", B02={"href": "h.tif"}))
    with pytest.raises(UsageError, match=r"has assets named hsi, msi, .*; it has B02: say which"):
        read_scenes(path, ())
    with pytest.raises(UsageError, match=r"no item of .* has these assets; it has B02"):
        read_scenes(path, ("msi=B2",))


def test_bands_of_an_item_may_be_of_any_kind(tmp_path: Path) -> None:
    path = collection(tmp_path / "items.json", item("a", B02={"href": "h.tif", "eo:bands": 5}))
    with pytest.raises(UsageError, match="no item of"):
        read_scenes(path, ("msi=blue",))


def test_entries_know_their_place(tmp_path: Path) -> None:
    [entry] = read_scenes(write(tmp_path / "list.csv", "hsi\na.tif\n"), ())
    assert entry == SceneEntry("a", f"line 2 of {tmp_path / 'list.csv'}", {"hsi": (str(tmp_path / "a.tif"),)})
