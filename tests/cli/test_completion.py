"""What is completed, by the kind of the option and by the files on the line."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.drivers
from click.testing import CliRunner
from safetensors.numpy import save_file
from shapely import Point

from s2fin_cli.cli.completion.paths import KINDS, RASTERS
from s2fin_cli.cli.completion.shells import LINE, SHELLS, script, words_of
from s2fin_cli.cli.main import cli
from s2fin_cli.cli.parameters import FilePath
from s2fin_cli.reporting.files import FORMS
from tests.files import write_raster


def lines(line: str, shell: str = "zsh") -> list[list[str]]:
    """Type, value and help of each item for a line, as a script gets them from the command."""
    done = CliRunner().invoke(cli, [], prog_name="s2fin", env={"_S2FIN_COMPLETE": f"{shell}_complete", LINE: line})
    assert done.exit_code == 0
    return [text.split("\t") for text in done.stdout.splitlines() if text]


def completed(line: str, shell: str = "zsh") -> list[str]:
    return [value for _, value, _ in lines(line, shell)]


@pytest.fixture
def here(in_folder: Path) -> Path:
    """A folder with a file of each kind."""
    for name in ("a.tif", "b.TIFF", "model.s2fin", "s2fin.txt", "my map.tif", "hsi", "hsi.hdr", ".hidden.tif", "x.csv"):
        (in_folder / name).touch()
    (in_folder / "maps").mkdir()
    (in_folder / "maps" / "old.tif").touch()
    for number, name in enumerate(("points.gpkg", "points.shp", "points.geojson")):
        frame = gpd.GeoDataFrame({"land use": ["a"], f"code{number}": [1]}, geometry=[Point(1, 2)], crs=4326)
        frame.to_file(in_folder / name)
    return in_folder


@pytest.fixture
def model(here: Path) -> Path:
    classes = [{"name": name} for name in ("bare soil", "forest", "water")]
    save_file({"weight": np.zeros(1)}, here / "model.s2fin", metadata={"s2fin": json.dumps({"classes": classes})})
    return here / "model.s2fin"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("s2fin classify --hsi ", ["a.tif", "b.TIFF", "hsi", "maps/", "my map.tif"]),
        ("s2fin classify --hsi my", ["my map.tif"]),
        ("s2fin classify --hsi maps/", ["maps/old.tif"]),
        ("s2fin classify --hsi .h", [".hidden.tif"]),
        ("s2fin classify --hsi=a", ["a.tif"]),
        ("s2fin classify -m ", ["maps/", "model.s2fin"]),
        ("s2fin train --labels points", ["points.geojson", "points.gpkg", "points.shp"]),
        ("s2fin classify --aoi points.s", ["points.shp"]),
        ("s2fin train --classes ", ["maps/", "x.csv"]),
        ("s2fin train --labels s2", ["s2fin.txt"]),  # no file of the kind has such a name
        ("s2fin demo -o ", ["maps/"]),
        ("s2fin demo -o a", []),
        ("s2fin inspect p", [f"points.{end}" for end in ("cpg", "dbf", "geojson", "gpkg", "prj", "shp", "shx")]),
        ("s2fin classify --hsi https://example.org/a", []),
        ("s2fin classify --hsi s3://bucket/", []),
        ("s2fin classify --hsi /vsizip/a.zip/", []),
        ("s2fin classify --hsi missing/", []),
    ],
)
def test_files_by_kind(here: Path, line: str, expected: list[str]) -> None:
    assert completed(line) == expected


def test_paths_of_the_home_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert completed("s2fin classify --hsi ~/ma") == ["~/maps/"]
    assert completed("s2fin classify --hsi ~") == ["~/"]
    assert completed("s2fin train --labels ~/points.gpkg --label-field ") == ["land use", "code0"]
    assert completed("s2fin train --labels $HOME/points.gpkg --label-field ") == ["land use", "code0"]
    assert lines("s2fin classify --hsi $HOME/ma")[0][:2] == ["file", "$HOME/ma"]  # the shell itself completes it


def test_names_that_would_end_a_line_are_left_out(here: Path) -> None:
    (here / "a\nb.tif").touch()
    (here / "a\tc.tif").touch()
    (Path(os.fsdecode(os.fsencode(here / "a") + b"\xff.tif"))).touch()
    assert completed("s2fin classify --hsi a") == ["a.tif"]


def test_commands_options_and_choices(here: Path) -> None:
    assert ["plain", "train", "Train a model on images and labels"] in lines("s2fin ")
    assert completed("s2fin classify-") == ["classify-all"]
    assert lines("s2fin train --ds") == [["plain", "--dsm", "Surface or terrain heights"]]
    assert "--overwrite" in completed("s2fin train --hsi a.tif ")
    assert "--hsi" in completed("s2fin train --hsi a.tif --")  # it may be repeated
    assert "--seed" not in completed("s2fin train --seed 1 --")
    assert completed("s2fin train --split ") == ["auto", "polygons", "blocks", "random"]
    assert completed("s2fin --install-completion ") == [*SHELLS]


def test_fields_of_the_labels(here: Path) -> None:
    assert completed("s2fin train --labels points.gpkg --label-field ") == ["land use", "code0"]
    assert completed("s2fin train --labels points.shp --label-field co") == ["code1"]
    several = "s2fin train --labels points.gpkg --labels points.geojson --label-field "
    assert completed(several) == ["land use", "code0", "code2"]
    assert completed("s2fin evaluate --map a.tif --reference points.shp --label-field c") == ["code1"]
    assert completed("s2fin train --label-field ") == []
    assert completed("s2fin train --labels a.tif --label-field ") == []  # which is empty
    assert completed("s2fin train --labels missing.gpkg --label-field ") == []


def test_no_server_is_asked(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"/vsicurl/http://127.0.0.1:{server.getsockname()[1]}/x.geojson"
        (here / "far.vrt").write_text(
            f"<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>{source}</SrcDataSource></OGRVRTLayer>"
            "</OGRVRTDataSource>"
        )
        assert completed("s2fin train --labels far.vrt --label-field ") == []
        assert not select.select([server], [], [], 0)[0]


def test_fields_of_a_table_and_of_parquet(here: Path) -> None:
    (here / "t.csv").write_text("x,y,class\n1,2,a\n")
    gpd.GeoDataFrame({"kind": ["a"]}, geometry=[Point(1, 2)], crs=4326).to_parquet(here / "p.parquet")
    assert completed("s2fin train --labels t.csv --label-field ") == ["x", "y", "class"]
    assert completed("s2fin train --labels p.parquet --label-field ") == ["kind"]


def test_fields_of_the_project_files_labels(here: Path) -> None:
    (here / "s2fin.toml").write_text('labels = "points.gpkg"\n[classify]\nhsi = 1\n')  # the last line is wrong
    assert completed("s2fin train --label-field ") == []
    (here / "s2fin.toml").write_text('labels = "points.gpkg"\n')
    assert completed("s2fin train --label-field c") == ["code0"]
    (here / "s2fin.toml").rename(here / "maps" / "other.toml")
    assert completed("s2fin --config maps/ot") == ["maps/other.toml"]
    (here / "points.gpkg").rename(here / "maps" / "points.gpkg")
    assert completed("s2fin --config maps/other.toml train --label-field c") == ["code0"]


def test_several_tables_of_a_command_are_no_obstacle(here: Path) -> None:
    (here / "s2fin.toml").write_text('[[convert]]\noutput = "1.tif"\n[[convert]]\noutput = "2.tif"\n')
    assert completed("s2fin convert --va") == ["--variable"]


def test_classes_of_the_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines("s2fin classify --prior ")[0] == ["open", "bare soil=", ""]
    assert completed("s2fin classify --prior f") == ["forest="]
    assert completed("s2fin classify --prior forest=20 --prior ") == ["bare soil=", "water="]
    assert completed("s2fin classify --prior forest=2") == []
    model.rename("other.s2fin")
    assert completed("s2fin classify --prior ") == []
    assert completed("s2fin classify -m other.s2fin --prior f") == ["forest="]
    monkeypatch.setenv("S2FIN_MODEL", "other.s2fin")
    assert completed("s2fin classify --prior f") == ["forest="]
    assert completed("s2fin classify -m a.tif --prior f") == []


def test_bands_of_the_images(in_folder: Path) -> None:
    write_raster(in_folder / "a.tif", np.ones((3, 4, 4), np.uint8))
    with rasterio.open(in_folder / "a.tif", "r+") as image:
        image.descriptions = ("red", "green", "nir")
    write_raster(in_folder / "b.tif", np.ones((2, 4, 4), np.uint8))
    assert lines("s2fin train --hsi a.tif --bidx ") == [
        ["plain", "1", "red"], ["plain", "2", "green"], ["plain", "3", "nir"]
    ]  # fmt: skip
    both = "s2fin train --hsi a.tif --lidar b.tif"
    assert completed(f"{both} --bidx ") == ["hsi:", "lidar:", "1", "2", "3"]
    assert completed(f"{both} --bidx lidar:") == ["lidar:1", "lidar:2"]
    assert completed(f"{both} --bidx 1..") == ["1..1", "1..2", "1..3"]
    assert completed(f"{both} --bidx 1,3,") == ["1,3,1", "1,3,2", "1,3,3"]
    assert completed(f"{both} --nodata l") == ["lidar:"]
    assert completed(f"{both} --nodata lidar:") == ["lidar:none"]
    assert completed("s2fin train --hsi b.tif --hsi a.tif --bidx ") == ["1", "2", "3", "4", "5"]
    assert completed("s2fin align --like a.tif --lidar b.tif --bidx ") == ["1", "2"]


def test_assets_of_a_stac_file(in_folder: Path) -> None:
    assets = {
        "red": {"href": "B04.tif", "eo:bands": [{"name": "B04", "common_name": "red"}]},
        "nir": {"href": "B08.tif"},
        "thumbnail": {"href": "t.png", "roles": ["thumbnail"]},
    }
    items = [{"type": "Feature", "id": name, "properties": {}, "assets": assets} for name in ("S2A_1", "S2B_2")]
    (in_folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    assert completed("s2fin train --msi it") == ["items.json"]
    assert completed("s2fin train --msi items.json#") == ["items.json#assets=", "items.json#item="]
    assert completed("s2fin train --msi items.json#assets=") == [
        f"items.json#assets={name}" for name in ("red", "B04", "nir")
    ]
    assert completed("s2fin train --msi items.json#assets=red,n") == ["items.json#assets=red,nir"]
    assert completed("s2fin train --msi items.json#item=S2A_1#a") == ["items.json#item=S2A_1#assets="]
    assert completed("s2fin train --msi items.json#item=S2A_1,") == ["items.json#item=S2A_1,S2B_2"]
    assert completed("s2fin train --msi other.json#assets=") == []
    (in_folder / "other.json").write_text("{}")
    assert completed("s2fin train --msi other.json#assets=") == []
    (in_folder / "a#1.tif").touch()
    assert completed("s2fin train --msi a#") == ["a#1.tif"]


def test_patterns_of_scenes(in_folder: Path) -> None:
    assert completed("s2fin classify-all --images l") == ["lidar="]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("s2fin ", ["s2fin", ""]),
        ("s2fin a", ["s2fin", "a"]),
        (r"s2fin a\ b", ["s2fin", "a b"]),
        ("s2fin 'a b", ["s2fin", "a b"]),
        ("s2fin 'a b ", ["s2fin", "a b "]),
        ('s2fin "a', ["s2fin", "a"]),
        ("s2fin a#b", ["s2fin", "a#b"]),
        ("", [""]),
    ],
)
def test_words_of_a_line(line: str, words: list[str]) -> None:
    assert words_of(line) == words


def test_values_as_bash_needs_them(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_S2FIN_BREAKS", "\"'@><=;|&(:")
    assert completed("s2fin classify --prior b", "bash") == [r"bare\ soil="]
    assert completed("s2fin classify --prior 'b", "bash") == ["bare soil="]
    assert completed("s2fin classify --hsi my", "bash") == ["my map.tif"]  # bash quotes it as a file name
    assert completed("s2fin classify --hsi=my", "bash") == ["my map.tif"]
    assert completed("s2fin classify --hsi a.tif --sar a.tif --bidx hs", "bash") == ["hsi:"]
    assert completed("s2fin classify --hsi a.tif --sar a.tif --nodata hsi:", "bash") == ["none"]
    assert completed('s2fin classify --prior "b', "bash") == ["bare soil="]
    classes = [{"name": "it's $HOME"}]
    save_file({"weight": np.zeros(1)}, "odd.s2fin", metadata={"s2fin": json.dumps({"classes": classes})})
    assert completed("s2fin classify -m odd.s2fin --prior i", "bash") == [r"it\'s\ \$HOME="]
    assert completed("s2fin classify -m odd.s2fin --prior 'i", "bash") == [r"it'\''s $HOME="]
    assert completed('s2fin classify -m odd.s2fin --prior "i', "bash") == [r"it's \$HOME="]
    monkeypatch.setenv("_S2FIN_BREAKS", "\"'@><;|&(")
    assert completed("s2fin classify --hsi=my", "bash") == ["--hsi=my map.tif"]
    assert completed("s2fin classify --hsi a.tif --sar a.tif --nodata hsi:", "bash") == ["hsi:none"]


@pytest.mark.parametrize(
    ("typed", "inserted"),
    [("s", r"s\$HOME\'\`x\`="), ("'s", r"s$HOME'\''`x`="), ('"s', r"s\$HOME'\`x\`="), ("'it'\\''s", None)],
)
def test_what_bash_would_run_is_quoted(here: Path, typed: str, inserted: str | None) -> None:
    classes = [{"name": "s$HOME'`x`"}]
    save_file({"weight": np.zeros(1)}, here / "model.s2fin", metadata={"s2fin": json.dumps({"classes": classes})})
    assert completed(f"s2fin classify --prior {typed}", "bash") == ([] if inserted is None else [inserted])


@pytest.mark.parametrize("shell", SHELLS)
def test_controls_do_not_reach_the_terminal(here: Path, shell: str) -> None:
    classes = [{"name": name} for name in ("a\nb", "a\tb", "a\x1b[31mb", "ä b")]
    save_file({"weight": np.zeros(1)}, here / "model.s2fin", metadata={"s2fin": json.dumps({"classes": classes})})
    assert completed("s2fin classify --prior '", shell) == ["ä b="]
    write_raster(here / "a.tif", np.ones((1, 4, 4), np.uint8))
    with rasterio.open(here / "a.tif", "r+") as image:
        image.descriptions = ("near\x1b[31m\ninfrared",)
    assert lines("s2fin train --hsi a.tif --bidx ", shell) == [["plain", "1", "near[31m infrared"]]


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
def test_pipes_are_not_waited_for(here: Path) -> None:
    os.mkfifo(here / "pipe.gpkg")
    assert completed("s2fin train --labels pipe.gpkg --label-field ") == []
    assert completed("s2fin train --hsi pipe.gpkg --bidx ") == []
    assert completed("s2fin classify -m pipe.gpkg --prior ") == []


def test_fish_gets_the_option_before_the_value(here: Path) -> None:
    assert completed("s2fin classify --hsi=a", "fish") == ["--hsi=a.tif"]


def test_every_kind_of_file_is_known() -> None:
    kinds = {
        parameter.type.get_metavar(parameter, cli.make_context("s2fin", [], resilient_parsing=True))
        for command in (cli, *cli.commands.values())
        for parameter in command.params
        if isinstance(parameter.type, FilePath)
    }
    assert kinds - KINDS.keys() == {"FILE", "FILE|VARIABLE"}  # any file
    assert KINDS["REPORT"] == tuple(FORMS)


def test_suffixes_of_rasters_are_those_of_formats() -> None:
    written = {f".{suffix}" for suffix in rasterio.drivers.raster_driver_extensions()}
    # formats that GDAL reads only, ENVI's usual names, and containers
    assert {*RASTERS} - written <= {".dat", ".bsq", ".bip", ".hdf", ".h5", ".hgt", ".ntf", ".jp2", ".nc", ".kea"}


def test_neither_torch_nor_pandas_is_imported_nor_anything_printed(here: Path, model: Path) -> None:
    heavy = {"torch", "pandas", "geopandas", "shapely"}
    code = f"""
import sys
from s2fin_cli.cli.main import main
try:
    main()
finally:
    assert not {heavy} & sys.modules.keys()
"""
    for line, first in (
        ("s2fin classify --prior f", "open\tforest="),
        ("s2fin train --labels points.gpkg --label-field c", "plain\tcode0"),
        ("s2fin train --labels model.s2fin --label-field ", ""),
        ("s2fin train --label-field='", ""),
    ):
        environment = {**os.environ, "_S2FIN_COMPLETE": "bash_complete", LINE: line}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert (done.stdout.strip(), done.stderr) == (first, ""), line


# ---- the scripts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_shown_by_its_option_and_by_clicks_variable(shell: str) -> None:
    shown = CliRunner().invoke(cli, ["--show-completion", shell])
    assert (shown.exit_code, shown.stdout) == (0, script(shell))
    by_variable = CliRunner().invoke(cli, [], prog_name="s2fin", env={"_S2FIN_COMPLETE": f"{shell}_source"})
    assert by_variable.stdout == script(shell)


@pytest.mark.parametrize(
    ("shell", "variables", "path", "hint"),
    [
        ("bash", {}, ".local/share/bash-completion/completions/s2fin", "bash-completion"),
        ("bash", {"XDG_DATA_HOME": "data"}, "data/bash-completion/completions/s2fin", "source"),
        ("bash", {"BASH_COMPLETION_USER_DIR": "own"}, "own/completions/s2fin", "source"),
        ("bash", {"BASH_COMPLETION_USER_DIR": "own:other"}, "own/completions/s2fin", "source"),
        ("zsh", {}, ".zfunc/_s2fin", "fpath=("),
        ("zsh", {"ZDOTDIR": "z"}, "z/.zfunc/_s2fin", "z/.zshrc"),
        ("fish", {}, ".config/fish/completions/s2fin.fish", "new terminal"),
        ("fish", {"XDG_CONFIG_HOME": "c"}, "c/fish/completions/s2fin.fish", "new terminal"),
    ],
)
def test_script_is_installed_where_the_shell_looks_for_it(
    in_folder: Path, shell: str, variables: dict[str, str], path: str, hint: str
) -> None:
    unset = dict.fromkeys(("XDG_DATA_HOME", "BASH_COMPLETION_USER_DIR", "ZDOTDIR", "XDG_CONFIG_HOME"))
    own = {name: str(in_folder / value) for name, value in variables.items()}
    environment = {**unset, "HOME": str(in_folder), "SHELL": f"/usr/bin/{shell}", **own}
    for arguments in (["--install-completion"], ["--install-completion", shell]):  # again, over what is there
        done = CliRunner().invoke(cli, arguments, env=environment)
        assert done.exit_code == 0
        assert done.stdout.startswith(f"written: {in_folder / path}\n")
        assert hint in done.stdout
        assert "delete that file" in done.stdout
        assert (in_folder / path).read_text() == script(shell)
        assert [file for file in in_folder.rglob("*") if file.is_file()] == [in_folder / path]


def test_somebody_elses_script_stays(in_folder: Path) -> None:
    path = in_folder / "fish" / "completions" / "s2fin.fish"
    path.parent.mkdir(parents=True)
    path.write_text("complete -c s2fin\n")
    done = CliRunner().invoke(cli, ["--install-completion", "fish"], env={"XDG_CONFIG_HOME": str(in_folder)})
    assert done.exit_code == 1
    assert "was not written by s2fin; move it away first" in done.stderr
    assert path.read_text() == "complete -c s2fin\n"


def test_a_link_to_the_script_stays(in_folder: Path) -> None:
    kept, path = in_folder / "kept.fish", in_folder / "fish" / "completions" / "s2fin.fish"
    path.parent.mkdir(parents=True)
    path.symlink_to(kept)
    for _ in range(2):  # of which the first makes the file
        done = CliRunner().invoke(cli, ["--install-completion", "fish"], env={"XDG_CONFIG_HOME": str(in_folder)})
        assert done.exit_code == 0
        assert (path.is_symlink(), kept.read_text()) == (True, script("fish"))


def test_place_that_cannot_be_written(in_folder: Path) -> None:
    (in_folder / "file").touch()
    environment = {"XDG_CONFIG_HOME": str(in_folder / "file")}
    done = CliRunner().invoke(cli, ["--install-completion", "fish"], env=environment)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {in_folder / 'file'}")


@pytest.mark.parametrize(
    ("arguments", "login", "found"),
    [(["tcsh"], "/bin/zsh", "for 'tcsh'"), ([], "/bin/dash", "for '/bin/dash'"), ([], None, "$SHELL is not set")],
)
def test_shell_without_a_script(arguments: list[str], login: str | None, found: str) -> None:
    done = CliRunner().invoke(cli, ["--show-completion", *arguments], env={"SHELL": login})
    assert done.exit_code == 2
    assert found in done.stderr
    assert "name one of bash, zsh, fish" in done.stderr


def test_pyogrio_in_this_process_has_what_it_needs() -> None:
    import pyogrio._compat

    assert pyogrio._compat.HAS_GEOPANDAS  # although completion hides it where pyogrio is not imported yet
