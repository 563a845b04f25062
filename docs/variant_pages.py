"""Writes the pages of the variants, ``docs/variants/*.md``, from ``variants.yaml`` alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["load", "pages", "table_of_variants", "write"]

DOCS = Path(__file__).parent
REFERENCE = """## Class

```{{eval-rst}}
.. autoclass:: gan_modules.{}
   :members:
   :show-inheritance:
```"""
VARIANTS = """# Variants

{}

```{{toctree}}
:hidden:

{}
```"""
QUALITY = "# How good are they?\n\nEach variant's page shows its own rows of these tables.\n\n{}"


def load() -> dict[str, Any]:
    """What is known of the variants, and of the tables of figures."""
    return yaml.safe_load((DOCS / "variants.yaml").read_text("utf-8"))


def table_of_variants(variants: Iterable[dict[str, Any]], linked: bool = False) -> str:
    """The README's table; ``linked`` to the pages of the variants."""
    rows = []
    for v in variants:
        name = f"[`{v['class']}`]({v['class'].lower()}.md)" if linked else f"`{v['class']}`"
        paper = f"[{v['cite']} {v['year']}](https://arxiv.org/abs/{v['arxiv']})"
        rows.append([name, paper, v["summary"]])
    return _table(["class", "paper", "objective and networks"], rows)


def pages() -> dict[str, str]:
    """Files and their text."""
    source = load()
    tables, variants = source["tables"], source["variants"]
    found = {v["class"].lower(): _page(v, tables) for v in variants}
    parts = []
    for key, table in tables.items():
        rows = [row for v in variants for row in v.get("figures", {}).get(key, [])]
        parts.append(_figures(table, rows))
    found["quality"] = QUALITY.format("\n\n".join(parts))
    listed = table_of_variants(variants, linked=True)
    found["index"] = VARIANTS.format(listed, "\n".join(v["class"].lower() for v in variants))
    return {f"{name}.md": f"{text}\n" for name, text in found.items()}


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write pages; those that would be the same stay, so that they are not built anew."""
    folder.mkdir(exist_ok=True)
    for stale in set(folder.glob("*.md")) - {folder / name for name in texts}:
        stale.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def _page(v: dict[str, Any], tables: dict[str, Any]) -> str:
    first, *others = v["configs"]
    parts = [
        f"# {v['class']}",
        f"{v['authors']}: [{v['title']}](https://arxiv.org/abs/{v['arxiv']}), {v['year']}.",
        f"In short: {v['summary']}.",
        f"The players minimise\n\n```text\n{v['objective'].rstrip()}\n```",
        f"Train it on embedded data:\n\n```bash\n{_commands([*v.get('before', ()), first])}\n```",
    ]
    if others:
        parts.append(f"Other recipes: {', '.join(f'`{name}`' for name in others)}.")
    for path, caption in v.get("pictures", {}).items():
        parts.append(f"![{caption.replace('`', '')}](../{path})\n\n*{caption}*")
    for key, rows in v.get("figures", {}).items():
        parts.append(_figures(tables[key], rows))
    return "\n\n".join([*parts, REFERENCE.format(v["class"])])


def _commands(configs: Iterable[str]) -> str:
    return "\n".join(f"python cli.py fit --config {config}" for config in configs)


def _figures(table: dict[str, Any], rows: Iterable[Sequence[str]]) -> str:
    columns = [column for column in zip(table["columns"], *rows, strict=True) if any(column[1:])]
    head, *body = zip(*columns, strict=True)
    return f"## {table['title']}\n\n{_table(head, body)}\n\n{table['method']}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(r)} |" for r in [columns, ["---"] * len(columns), *rows])
