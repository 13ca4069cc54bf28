"""One spoilt file of a kind, the command that is given it, and what its answer must be."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import struct
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from safetensors.torch import load_file, save

from s2fin_cli.model.file import CHECKSUM_KEY
from s2fin_cli.model.header import METADATA_KEY
from tests.hostile.judge import what_is_wrong
from tests.hostile.spoil import as_json, spoil_bytes, spoil_database, spoil_tags, spoil_text, spoil_values

if TYPE_CHECKING:
    import torch

    from tests.hostile.server import Outcome, Server
    from tests.hostile.world import World

#: Makes, spoils and runs a case in an empty folder: the command's outcome, and what is wrong with it or None.
Maker = Callable[["World", "Server", Random, Path], tuple["Outcome", "str | None"]]
#: Files of text, by suffix.
_TEXTS = (".vrt", ".hdr", ".xml", ".geojson", ".csv", ".prj", ".cpg", ".kml", ".gml", ".json", ".toml")


def _spoil_file(rng: Random, path: Path) -> None:
    """Spoil a file in a way that suits its format, or any way."""
    content, way = path.read_bytes(), rng.random()
    if path.suffix in _TEXTS and way < 0.6:
        path.write_bytes(spoil_text(rng, content.decode("utf-8")))
    elif path.suffix in (".geojson", ".json") and way < 0.9:
        path.write_bytes(as_json(spoil_values(rng, json.loads(content))))
    elif path.suffix == ".gpkg" and way < 0.7:
        spoil_database(rng, path)
    elif content[:4] == b"II*\0" and way < 0.5:
        path.write_bytes(spoil_tags(rng, content))
    else:
        path.write_bytes(spoil_bytes(rng, content, head=None if way > 0.9 else 400))


def _copied(files: list[Path], folder: Path) -> Path:
    """A copy of files in a folder; the first one."""
    for path in files:
        shutil.copyfile(path, folder / path.name)
    return folder / files[0].name


def _spoil_one(rng: Random, folder: Path) -> None:
    files = sorted(folder.iterdir())
    _spoil_file(rng, rng.choice(files))


# ---- rasters ---------------------------------------------------------------------------------------------------------


def spoilt_raster(world: World, server: Server, rng: Random, folder: Path) -> tuple[Outcome, str | None]:
    """A raster, as an image, as labels or as a map."""
    name = rng.choice(sorted(world.rasters))
    path = _copied(world.rasters[name], folder)
    _spoil_one(rng, folder)
    command = rng.choice(_RASTER_COMMANDS[{"labels.tif": "labels", "map.tif": "map"}.get(name, "image")])
    arguments = [part.format(path=path.name, w=world) for part in command]
    outcome = server.run(folder, *arguments, "-q")
    if (wrong := what_is_wrong(outcome)) or outcome.code:
        return outcome, wrong
    held = server.call(folder, "tests.hostile.oracles:raster", path.name, *["1"] * ("lidar:1" in arguments))
    if held.code:
        return outcome, f"answers, although rasterio ends with {held.code}"
    return outcome, _raster_mistake(arguments, outcome, held.answer, server=server, world=world, folder=folder)


_RASTER_COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "image": (
        ("inspect", "{path}", "--json"),
        ("classify", "--hsi", "{path}", "--lidar", "{w.scene.lidar}", "-m", "{w.model}", "-o", "out.tif"),
        ("classify", "--hsi", "{w.scene.hsi}", "--lidar", "{path}", "-b", "lidar:1", "-o", "out.tif",
         "-m", "{w.model}"),
    ),
    "labels": (
        ("inspect", "{path}", "--json"),
        ("evaluate", "--map", "{w.map}", "--reference", "{path}", "--json"),
        ("split", "--labels", "{path}", "--like", "{w.scene.hsi}", "--train", "out.tif", "--test", "b.tif", "--json",
         "--distance", "2"),
    ),
    "map": (
        ("inspect", "{path}", "--json"),
        ("evaluate", "--map", "{path}", "--reference", "{w.scene.labels}", "--json"),
        ("sample", "--map", "{path}", "-o", "out.geojson", "--size", "30", "--least", "5", "--json"),
    ),
}  # fmt: skip


def _raster_mistake(
    arguments: list[str], outcome: Outcome, held: dict[str, Any], *, server: Server, world: World, folder: Path
) -> str | None:
    """What is wrong with an answer, by what rasterio finds in the raster."""
    if held["error"] not in (None, "too large"):
        return f"answers, although rasterio says: {held['error']}"
    if arguments[0] == "inspect":
        answer = outcome.answer
        if [answer["height"], answer["width"], answer["transform"]] != [*held["shape"][1:], held["transform"]]:
            return "has another grid than rasterio"
        return None
    if arguments[0] == "classify":
        image = held if arguments[2] == arguments[2].split("/")[-1] else None
        found = server.call(folder, "tests.hostile.oracles:raster", "out.tif").answer
        if found["error"]:
            return f"writes a map that rasterio cannot read: {found['error']}"
        if image and (found["shape"][1:], found["transform"]) != (image["shape"][1:], image["transform"]):
            return "writes a map on another grid"
    return _difference(arguments, outcome, held, server=server, world=world, folder=folder)


def _difference(
    arguments: list[str], outcome: Outcome, held: dict[str, Any], *, server: Server, world: World, folder: Path
) -> str | None:
    """Where the raster holds what the sound one held, its answer must be the same."""
    name = next(part for part in arguments[1:] if part in world.rasters)
    source = folder / "sound"
    source.mkdir()
    _copied(world.rasters[name], source)
    sound = server.call(source, "tests.hostile.oracles:raster", name, *["1"] * ("lidar:1" in arguments)).answer
    if (
        sound.get("digest") != held.get("digest")
        or sound["crs"] != held["crs"]
        or sound["transform"] != held["transform"]
    ):
        return None
    expected = server.run(source, *arguments, "-q")
    if "--json" in arguments:
        return None if expected.stdout == outcome.stdout else "answers otherwise than for the sound raster"
    one, other = (server.call(place, "tests.hostile.oracles:raster", "out.tif").answer for place in (folder, source))
    return None if one == other else "writes another map than for the sound raster"


# ---- vectors ---------------------------------------------------------------------------------------------------------


def spoilt_vector(world: World, server: Server, rng: Random, folder: Path) -> tuple[Outcome, str | None]:
    """A vector file or table, as labels, reference or area of interest."""
    name = rng.choice(sorted(world.vectors))
    path = _copied(world.vectors[name], folder)
    _spoil_one(rng, folder)
    arguments = [part.format(path=path.name, w=world) for part in rng.choice(_VECTOR_COMMANDS)]
    outcome = server.run(folder, *arguments, "-q")
    if (wrong := what_is_wrong(outcome)) or outcome.code:
        return outcome, wrong
    source = folder / "sound"
    source.mkdir()
    _copied(world.vectors[name], source)
    if name.endswith((".csv", ".parquet")):  # which we read ourselves
        same = all(
            (source / file.name).read_bytes() == (folder / file.name).read_bytes() for file in world.vectors[name]
        )
    else:
        held, sound = (server.call(place, "tests.hostile.oracles:vector", name) for place in (folder, source))
        if held.code:
            return outcome, f"answers, although GDAL ends with {held.code}"
        # NOTE: what is described is what headers say; what they promise in vain is warned of
        if (error := held.answer["error"]) and not (arguments[0] == "inspect" and "cut off" in outcome.stderr):
            return outcome, f"answers, although GDAL says: {error}"
        same = held.answer == sound.answer
    if same and server.run(source, *arguments, "-q").stdout != outcome.stdout:
        return outcome, "answers otherwise than for the sound file"
    return outcome, None


_VECTOR_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("inspect", "{path}", "--json"),
    ("evaluate", "--map", "{w.map}", "--reference", "{path}", "--label-field", "class", "--json"),
    ("evaluate", "--map", "{w.map}", "--reference", "{path}", "--json"),
    ("split", "--labels", "{path}", "--label-field", "class", "--like", "{w.scene.hsi}", "--train", "a.tif", "--test",
     "b.tif", "--distance", "2", "--json"),
    ("align", "--like", "{w.scene.hsi}", "--lidar", "{w.scene.lidar}", "--aoi", "{path}", "-o", "a.tif", "--json"),
)  # fmt: skip

# ---- models ----------------------------------------------------------------------------------------------------------


def spoilt_model(world: World, server: Server, rng: Random, folder: Path) -> tuple[Outcome, str | None]:
    """A model file: bytes, header, or a description with a right checksum."""
    path = folder / "model.s2fin"
    content, way = world.model.read_bytes(), rng.random()
    (size,) = struct.unpack_from("<Q", content)
    is_forged = way > 0.5
    if way < 0.3:
        path.write_bytes(spoil_bytes(rng, content, head=8 + size))
    elif way < 0.5:
        header = as_json(spoil_values(rng, json.loads(content[8 : 8 + size])))
        path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    else:
        path.write_bytes(_forged(rng, world.model))
    arguments = ["inspect", path.name, "--json"]
    if rng.random() < 0.7:
        arguments = ["classify", *world.scene.arguments, "-m", path.name, "-o", "out.tif", "--no-vector", "--stac"]
        arguments += ["--stride", "1"]
    outcome = server.run(folder, *arguments, "-q")
    if (wrong := what_is_wrong(outcome)) or outcome.code:
        return outcome, wrong
    if arguments[0] == "inspect":
        sound = server.run(world.model.parent, "inspect", "model.s2fin", "--json", "-q")
        same = sound.stdout == outcome.stdout
        return outcome, None if same or is_forged else "describes another model"
    found, sound = (
        server.call(folder, "tests.hostile.oracles:raster", place).answer for place in ("out.tif", world.map)
    )
    keys = ("shape", "crs", "transform") if is_forged else ("shape", "crs", "transform", "digest")
    return outcome, None if all(found.get(key) == sound[key] for key in keys) else "writes another map"


def _forged(rng: Random, model: Path) -> bytes:
    """A model file with another description and a checksum that fits it."""
    weights = load_file(model)
    with safe_open(model, framework="pt") as file:
        values = json.loads(file.metadata()[METADATA_KEY])
    del values[CHECKSUM_KEY]
    values = spoil_values(rng, values)
    if rng.random() < 0.2:
        name = rng.choice(sorted(weights))
        weights[name] = rng.choice((weights[name] * float("nan"), weights[name][None], weights[name].double(),
                                    weights[name] * 1e30))  # fmt: skip
    if isinstance(values, dict):
        values[CHECKSUM_KEY] = checksum(values, weights)
    return bytes(save({n: t.contiguous() for n, t in weights.items()}, metadata={METADATA_KEY: json.dumps(values)}))


def checksum(values: dict[str, Any], weights: dict[str, torch.Tensor]) -> str:
    """The checksum of a model file, as anybody can compute it."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


# ---- project files and class tables ----------------------------------------------------------------------------------

_PROJECT = """hsi = "{w.scene.hsi}"
lidar = "{w.scene.lidar}"
labels = "{w.scene.labels}"
map = "{w.map}"
reference = "{w.scene.labels}"
label-field = "class"
nodata = ["lidar:-9999", "none"]
bounds = [500000.0, 4999400.0, 500700.0, 5000000.0]
seed = 3

[split]
like = "{w.scene.hsi}"
train = "a.tif"
test = "b.tif"
classes = "classes.csv"
distance = 2
share = 0.5
json = false

[[convert]]
src = "a.mat"
output = "c.tif"
crs = "EPSG:32632"
transform = [10, 0, 500000, 0, -10, 5000000]
"""
_CLASSES = "id,name,color\n1,forest,#00ff00\n2,meadow,#ffff00\n3,water,#0000ff\n"


def spoilt_project(world: World, server: Server, rng: Random, folder: Path) -> tuple[Outcome, str | None]:
    """A project file, or the class table that it names."""
    inner = folder / "project"
    inner.mkdir()
    project = _PROJECT.format(w=world).replace("json = false\n", "")
    (inner / "s2fin.toml").write_text(project)
    (inner / "classes.csv").write_text(_CLASSES)
    name = rng.choice(("s2fin.toml", "s2fin.toml", "classes.csv"))
    spoilt = spoil_text(rng, (inner / name).read_text())
    (inner / name).write_bytes(spoilt)
    arguments = (
        rng.choice((["split", "--json"], ["evaluate", "--json"])) if name != "classes.csv" else ["split", "--json"]
    )
    outcome = server.run(inner, *arguments, "-q")
    if (wrong := what_is_wrong(outcome)) or outcome.code:
        return outcome, wrong
    means_the_same = _meaning(name, spoilt) == _meaning(name, (_CLASSES if name == "classes.csv" else project).encode())
    source = folder / "sound"
    source.mkdir()
    (source / "s2fin.toml").write_text(project)
    (source / "classes.csv").write_text(_CLASSES)
    if means_the_same and server.run(source, *arguments, "-q").stdout != outcome.stdout:
        return outcome, "answers otherwise than for the sound file"
    return outcome, None


def _meaning(name: str, content: bytes) -> Any:
    text = content.decode("utf-8-sig")
    return tomllib.loads(text) if name == "s2fin.toml" else list(csv.reader(text.splitlines()))


# ---- work folders ----------------------------------------------------------------------------------------------------


def spoilt_work(world: World, server: Server, rng: Random, folder: Path) -> tuple[Outcome, str | None]:
    """A plan, a receipt or a shard in a work folder; the map must be the same to the last bit."""
    work = folder / "work"
    shutil.copytree(world.work, work)
    files = sorted(path for path in work.iterdir() if path.suffix in (".json", ".tif"))
    plan = work / "plan.json"
    _spoil_file(rng, rng.choice([plan, plan, rng.choice(files), rng.choice(files)]))
    arguments = ["assemble", "work", "-o", "out.tif", "--no-vector"]
    if rng.random() < 0.4:
        arguments = ["classify", *world.scene.arguments, "-m", str(world.model), "--work", "work", "-o", "out.tif"]
        arguments += ["--no-vector", "--stride", "1", "--device", "cpu"]
    outcome = server.run(folder, *arguments, "-q")
    if (wrong := what_is_wrong(outcome)) or outcome.code:
        return outcome, wrong
    found, sound = (
        server.call(folder, "tests.hostile.oracles:raster", place).answer for place in ("out.tif", world.map)
    )
    return outcome, None if found == sound else "writes another map"


KINDS: dict[str, Maker] = {
    "raster": spoilt_raster,
    "vector": spoilt_vector,
    "model": spoilt_model,
    "project": spoilt_project,
    "work": spoilt_work,
}
