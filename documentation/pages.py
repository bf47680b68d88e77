"""MkDocs hooks: the pages outside docs/, the navigation, and links that work on GitHub and on the site.

Documents link to files of the repository, as GitHub shows them. On the site a link to a page or to a file of
docs/ is rewritten, and a link to any other file becomes its text. A link to nothing ends the build.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# Path on the site -> path in the repository. All other pages are in docs/.
PAGES = {
    "index.md": "README.md",
    "reference.md": "documentation/reference.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
POLYFILL = "iframe-worker/shim.js"
# A folder has no page; its first page stands for it.
FOLDERS = {"docs/models": "docs/models/tkfnet-nano.md"}
# Section -> pages, by their path on the site. Pages that are not there yet are left out; pages that are not
# listed come last, under "More".
SECTIONS = {
    "Start": ("index.md", "installing.md", "embedding.md", "reference.md"),
    "Use": ("streams.md", "serving.md", "bulk.md"),
    "Devices": ("deploy.md", "jetson.md"),
    "Models": (
        "models/tkfnet-nano.md",
        "models/face-luma.md",
        "models/tkfnet-18-slim.md",
        "models/conv-cut-atto.md",
        "results.md",
    ),
    "Train and export": ("training.md", "exporting.md"),
    "Inside": ("building.md", "kernels.md", "benchmarks.md", "releasing.md"),
    "Project": ("contributing.md", "security.md", "changelog.md"),
}
CODE_OR_LINK = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`(?!\]))|(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)",
    re.M | re.S,
)
LOADED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_config(config: Any) -> Any:
    """Writes the navigation from SECTIONS and what is in docs/."""
    docs = Path(config.docs_dir)
    there = {*PAGES, *(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))}
    listed = {page for pages in SECTIONS.values() for page in pages}
    sections = {**SECTIONS, "More": tuple(sorted(there - listed))}
    nav = [{title: [page for page in pages if page in there]} for title, pages in sections.items()]
    config.nav = [section for section in nav if any(section.values())]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and the script that are not in docs/."""
    for page, source in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    shim = ROOT / "documentation" / POLYFILL
    files.append(File.generated(config, POLYFILL, abs_src_path=str(shim)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Rewrites the links of a page."""
    source = PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def rewritten(found: re.Match[str]) -> str:
        target = found["target"]
        if found["code"] or re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        url = _url_on_site(source, path, page.file.src_uri)
        if url is None:
            return found["text"]
        return f"{found['image']}[{found['text']}]({url}{'#' if anchor else ''}{anchor})"

    return CODE_OR_LINK.sub(rewritten, markdown)


def on_post_build(config: Any) -> None:
    """Ends the build if a page loads anything from another server."""
    for file in sorted(Path(config.site_dir).rglob("*.html")):
        found = LOADED.search(file.read_text(encoding="utf-8"))
        if found:
            raise PluginError(f"{file} loads from another server: {found[0]}")


def _url_on_site(source: str, target: str, page: str) -> str | None:
    """A link of a document as a link of its page; None for a file that is not on the site."""
    path = os.path.normpath(Path(source).parent / target)
    if not (ROOT / path).exists():
        raise PluginError(f"{source} links to {target}, which does not exist")
    path = FOLDERS.get(path, path)
    by_source = {document: name for name, document in PAGES.items()}
    if path in by_source:
        on_site = by_source[path]
    elif path.startswith("docs/") and (ROOT / path).is_file():
        on_site = path.removeprefix("docs/")
    else:
        return None
    return Path(os.path.relpath(on_site, Path(page).parent)).as_posix()
