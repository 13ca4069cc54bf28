"""Makes pages of the documentation from the notebooks of the gallery as they are stored; a hook of mkdocs.

Nothing is executed, and the pages load nothing from elsewhere: nbconvert turns each notebook into Markdown, whose links
a strict build checks, and its pictures into files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from traitlets.config import Config

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page
    from nbformat import NotebookNode

SUFFIX = ".ipynb"
#: By which docs/style.css knows the pages of notebooks.
MARKER = '<div class="notebook"></div>'
#: Which form of an output is shown, if it has several.
PRIORITY = ["image/png", "text/html", "text/markdown", "text/plain"]


class NotebookFile(File):
    """A notebook, which becomes a page under its own name.

    Attributes:
        markdown: the page.
    """

    markdown = ""

    def is_documentation_page(self) -> bool:
        """It is one, like a Markdown file."""
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace notebooks by pages, and add their pictures."""
    for file in list(files):
        if file.src_uri.endswith(SUFFIX):
            files.remove(file)
            page = NotebookFile(file.src_uri, config.docs_dir, config.site_dir, config.use_directory_urls)
            page.markdown, pictures = converted(str(file.abs_src_path), file.name)
            files.append(page)
            folder = file.src_uri.rpartition("/")[0]
            for name, content in pictures.items():
                files.append(File.generated(config, f"{folder}/{name}", content=content))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:
    """The Markdown of a page that is made from a notebook."""
    return page.file.markdown if isinstance(page.file, NotebookFile) else None


def converted(path: str, name: str) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook, and its pictures by file name, in a folder of the notebook's name."""
    exporter = MarkdownExporter(config=Config({"NbConvertBase": {"display_data_priority": PRIORITY}}))
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    exporter.register_preprocessor(_numbered, enabled=True)
    resources = {"unique_key": name, "output_files_dir": f"{name}_files"}
    markdown, found = exporter.from_filename(path, resources=resources)
    for number, text in found["descriptions"].items():
        markdown = markdown.replace(f"![png]({name}_files/{name}_{number}_", f"![{text}]({name}_files/{name}_{number}_")
    return f"{MARKER}\n\n{markdown}", {key.replace("\\", "/"): content for key, content in found["outputs"].items()}


def _numbered(notebook: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
    """Keep the descriptions of the pictures of each cell, by its number."""
    cells = enumerate(notebook.cells)
    resources["descriptions"] = {number: cell.metadata["alt"] for number, cell in cells if "alt" in cell.metadata}
    return notebook, resources
