"""Completion in real shells: the script is installed, a line is typed in a terminal, and the tab key is pressed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from s2fin_cli.cli.completion.shells import SHELLS
from s2fin_cli.cli.main import cli
from tests.cli.terminals import Terminal, command_in, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Name of a class that would be a command if it were not quoted.
ODD = "odd; $(touch made) `touch made` 'o' \"d\""
LABELS = Path(__file__).parents[2] / "examples" / "olinda" / "training.shp"


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, tmp_path: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """Each shell that is there, in a folder with files, with the script that s2fin installs."""
    home, folder, commands = (tmp_path / name for name in ("home", "work", "bin"))
    for each in (home, folder, commands):
        each.mkdir()
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}
    done = CliRunner().invoke(cli, ["--install-completion", request.param], env={**own, "ZDOTDIR": None})
    script = Path(done.stdout.splitlines()[0].removeprefix("written: "))
    for name in ("image.tif", "notes.txt", "my labels (1).gpkg"):
        (folder / name).touch()
    (folder / "my maps").mkdir()
    (folder / "my maps" / "map.tif").touch()
    (home / "scene.tif").touch()
    (folder / "training.shp").symlink_to(LABELS)
    for suffix in (".dbf", ".shx", ".prj"):
        (folder / f"training{suffix}").symlink_to(LABELS.with_suffix(suffix))
    classes = [{"name": name} for name in ("bare soil", "forest", ODD)]
    save_file({"weight": np.zeros(1)}, folder / "model.s2fin", metadata={"s2fin": json.dumps({"classes": classes})})
    item = {"type": "Feature", "id": "a", "assets": {name: {"href": f"{name}.tif"} for name in ("red", "nir")}}
    (folder / "items.json").write_text(json.dumps(item))
    path = f"{command_in(commands)}{os.pathsep}{environment['PATH']}"
    yield from opened(request.param, script, folder=folder, environment={**environment, **own, "PATH": path})


def test_the_tab_key(terminal: Terminal) -> None:
    assert terminal.words("s2fin classify --hsi im") == ["s2fin", "classify", "--hsi", "image.tif"]
    assert terminal.words("s2fin classify --prior b")[-1] == "bare soil="


@pytest.mark.slow
def test_the_tab_key_on_files(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.words("s2fin train --labels my\\ l")[-1] == "my labels (1).gpkg"
    assert terminal.words("s2fin train --labels 'my l")[-1] == "my labels (1).gpkg"
    assert terminal.words("s2fin classify --hsi my\\ maps/")[-1] == "my maps/map.tif"
    # zsh takes the slash away when the line goes on
    assert terminal.words("s2fin classify --hsi my")[-1].rstrip("/") == "my maps"
    assert terminal.words("s2fin classify --hsi=im")[-1] == "--hsi=image.tif"
    assert terminal.words("s2fin classify --hsi ~/sc")[-1] == f"{tmp_path / 'home'}/scene.tif"
    if terminal.shell != "fish":  # whose own function does not go on behind a variable
        assert terminal.words("s2fin classify --hsi $HOME/sc")[-1] == f"{tmp_path / 'home'}/scene.tif"


@pytest.mark.slow
def test_the_tab_key_on_values(terminal: Terminal) -> None:
    assert terminal.words("s2fin classi")[1] == "classify"
    assert terminal.words("s2fin train --labels training.shp --label-field ")[-1] == "class"
    assert terminal.words("s2fin classify --prior forest=20 --prior b")[-1] == "bare soil="
    assert terminal.words("s2fin classify --msi items.json#assets=red,n")[-1] == "items.json#assets=red,nir"
    assert terminal.words("s2fin classify --msi=items.json#assets=n")[-1] == "--msi=items.json#assets=nir"
    assert terminal.words("s2fin train --hsi a.tif --sar b.tif --nodata sar:n")[-1] == "sar:none"
    shown = terminal.shown("s2fin cl")
    assert "classify-all" in shown


@pytest.mark.slow
def test_a_name_is_never_run_as_a_command(terminal: Terminal, tmp_path: Path) -> None:
    for begin in ("o", "'o", '"o', "odd\\;"):
        # bash closes the quotes itself
        end = begin[0] if begin[0] in "'\"" and terminal.shell != "bash" else ""
        assert terminal.words(f"s2fin classify --prior {begin}", end=end)[-1] == f"{ODD}="
    assert not list(tmp_path.rglob("made"))


@pytest.mark.slow
def test_the_tab_key_where_nothing_can_be_completed(terminal: Terminal) -> None:
    assert terminal.words("s2fin classify --hsi https://example.org/a")[-1] == "https://example.org/a"
    assert terminal.words("s2fin train --labels image.tif --label-field x")[-1] == "x"
    shown = terminal.shown("s2fin train --labels image.tif --label-field ")
    assert "rror" not in shown
    assert "Traceback" not in shown


@pytest.mark.slow
def test_bash_loads_the_installed_script_by_itself(tmp_path: Path, environment: dict[str, str]) -> None:
    loader = Path("/usr/share/bash-completion/bash_completion")
    if not loader.is_file():
        pytest.skip("the package bash-completion is not installed")
    own = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    CliRunner().invoke(cli, ["--install-completion", "bash"], env=own)
    (tmp_path / "image.tif").touch()
    path = f"{command_in(tmp_path)}{os.pathsep}{environment['PATH']}"
    for terminal in opened("bash", loader, folder=tmp_path, environment={**environment, **own, "PATH": path}):
        assert terminal.words("s2fin classify --hsi im")[-1] == "image.tif"
