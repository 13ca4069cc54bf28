"""Executes the notebooks of the gallery anew and stores them with their outputs: `make gallery DATA=FOLDER`.

    python docs/gallery/execute.py FOLDER [NAME ...]

FOLDER holds the scenes, each in a folder as its notebook says. Without names, all notebooks are executed.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

GALLERY = Path(__file__).parent
#: Seconds that a cell may take.
TIMEOUT = 3600
#: Metadata of notebooks, without the versions of this machine.
METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
#: Colours of a picture: few enough for a small file, and enough for any of these figures.
COLORS = 128
#: What texts of outputs must not hold: folders of the machine, and addresses of objects.
PRIVATE = re.compile(r"/(?:tmp|home|root|work|Users|var)/|\\Users\\| at 0x[0-9a-f]+")


def execute(path: Path, data: Path) -> None:
    """Execute a notebook and store it with its outputs.

    Args:
        path: the notebook.
        data: folder of the scenes.

    Raises:
        ValueError: an output names a folder of this machine; the notebook is stored nevertheless.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ |= {"S2FIN_DATA": str(data.resolve()), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": folder}}).execute()
    notebook.metadata = METADATA
    texts = []
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            texts.append(str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", "")))
            if "image/png" in output.get("data", {}):
                output["data"] = {"image/png": _smaller(output["data"]["image/png"])}
    nbformat.write(notebook, path)
    for text in texts:
        if found := PRIVATE.search(text):
            raise ValueError(f"{path} was stored, but an output holds {found[0]!r}; change the cell: {text[:300]}")


def _smaller(png: str) -> str:
    """A picture with fewer colours, in base64 like the given one."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(b64decode(png))) as picture:
        picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return b64encode(small.getvalue()).decode()


def main() -> None:
    """Execute the notebooks that the command line names."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, *names = sys.argv[1:]
    for path in sorted(GALLERY.glob("*.ipynb")):
        if not names or path.stem in names:
            execute(path, Path(folder))


if __name__ == "__main__":
    main()
