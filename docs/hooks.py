"""Two hooks of MkDocs: pages that lie outside docs/, and the links among all pages.

GitHub shows the same Markdown files in their own folders. A link is therefore written as a path in
the repository and turned into one of the site here. https://www.mkdocs.org/user-guide/configuration/#hooks
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "overview.md",
    "README.zh-CN.md": "overview.zh-CN.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
    **{
        f"bench/{name}.md": f"bench/{name}.md" for name in ("demo", "prepare", "prosody", "threads")
    },
}
"""Pages outside docs/, by their path in the repository, and their place in the site."""

LINK = re.compile(r"\[([^\[\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
"""A link to a file: its text, path and anchor. A web address has a colon."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn paths in the repository into those of the site.

    A file that is no page, such as LICENSE, leaves the text of its link alone. What does not exist
    stays as it is, so that MkDocs finds it.
    """
    here = page.file.src_uri
    path_here = next((path for path, place in OUTSIDE.items() if place == here), f"docs/{here}")

    def of_site(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path_here), target))
        place = OUTSIDE.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(place):
            return f"[{text}]({posixpath.relpath(place, posixpath.dirname(here) or '.')}{anchor})"
        return text if (ROOT / path).exists() else link[0]

    return LINK.sub(of_site, markdown)
