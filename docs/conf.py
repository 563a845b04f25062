"""How Sphinx builds this site: ``sphinx-build -W -n -b html docs docs/_build``."""

import pydoc
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import lab_pages
import variant_pages
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

import gan_modules

project = "gan_modules"
author = "The gan_modules authors"
copyright = "the gan_modules authors"
release = gan_modules.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "gan_modules"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# the notebook is run at every build; a cell that fails is a warning, which ends the build
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# hints name types of torch, Lightning and the standard library, whose inventories would have to be
# downloaded; what an argument is, its line in the docstring says
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

nitpick_ignore_regex = [
    # classes of other packages, which have sites of their own: the build needs no network
    (r"py:.*", r"(torch|torchvision|lightning|jsonargparse|collections|typing|abc|enum)\..*"),
    # bases that are nobody's business
    (r"py:class", r".*\._\w+"),
    # the standard library
    (r"py:(class|exc)", r"(ValueError|OSError|RuntimeError|TypeError|KeyError|FileNotFoundError)"),
    (r"py:(class|exc)", r"(ImportError|NotADirectoryError|AttributeError|ABC|Protocol|NamedTuple)"),
]


def short_names(app: Sphinx, env: Any, node: Any, content: nodes.Element) -> Any:
    """Find :class:`NoiseGAN` from any module, and a method of a base class from its subclass.

    Docstrings are read in the command line's help, too, where full names are hard on the eye.
    """
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    name, kinds = node["reftarget"].lstrip("."), domain.objtypes_for_role(node["reftype"])
    around = f"{node.get('py:module')}.{node.get('py:class')}"
    bases = getattr(pydoc.locate(around) if node.get("py:class") else None, "__mro__", ())
    inherited = [f"{base.__module__}.{base.__qualname__}.{name}" for base in bases]
    known = [full for full in inherited if full in domain.objects][:1] or [
        full
        for full, entry in domain.objects.items()
        if entry.objtype in kinds and f".{full}".endswith(f".{name}")
    ]
    found = {domain.objects[full].node_id: (full, domain.objects[full]) for full in known}
    if len(found) != 1:
        return None
    ((full, entry),) = found.values()
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full)


def write_pages(app: Sphinx) -> None:
    """Write what comes from other sources."""
    variant_pages.write(DOCS / "variants", variant_pages.pages())
    variant_pages.write(DOCS / "lab", lab_pages.pages())


def setup(app: Sphinx) -> None:
    """Write the pages of variants and experiments before they are read."""
    app.connect("builder-inited", write_pages)
    app.connect("missing-reference", short_names)
