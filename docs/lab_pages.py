"""Writes the pages of the laboratory, ``docs/lab/*.md``.

They come from the experiments' docstrings, from ``lab.yaml``, and from ``lab_results.json`` and
``lab_modes.json``, which ``benchmarks/laboratory.py`` and ``benchmarks/collapse.py`` make.
"""

import inspect
import json
import re
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gan_modules.lab import EXPERIMENTS

__all__ = ["pages"]

DOCS = Path(__file__).parent
INDEX = """# The laboratory

What lectures say of GANs, as experiments whose answers are known. Each is one command, which draws
a picture and writes its numbers:

```bash
pip install -e ".[lab]"
python cli.py lab                        # lists them
python cli.py lab parallel_lines         # a minute or two, in lab/
```

Each is also a function in a file of about a page, and trains the modules of this project. The
constants at the top of the file are what to change: another distribution is one line. Where an
experiment does not confirm a claim, its page says so. A [notebook](notebook.ipynb) runs them all
({{download}}`download <notebook.ipynb>`).

In Python an experiment takes a `Lab`, and gives its checks, numbers and a figure of matplotlib:

```python
from gan_modules.lab import EXPERIMENTS, Lab

# a tenth of the updates: a quick look, in which not every claim holds yet
findings = EXPERIMENTS["transport"](Lab(seed=0, effort=0.1))
print(findings)
findings.figure.savefig("transport.png")
```

{}

```{{toctree}}
:hidden:

notebook
{}
```"""

NOTEBOOK = """# The laboratory in one notebook

Every experiment, one after the other. At a tenth of the updates it is a quick look, in which not
every claim holds yet: set `EFFORT = 1` for what the pages show, which takes twenty minutes. What a
function trains on are the constants of its module: `import gan_modules.lab.transport`, then look
at the first lines of the file."""
FIRST_CELL = """%matplotlib inline
from gan_modules.lab import EXPERIMENTS, Lab

SEED, EFFORT = 0, 0.1"""


def pages() -> dict[str, str]:
    """Files and their text."""
    texts = yaml.safe_load((DOCS / "lab.yaml").read_text("utf-8"))
    results = json.loads((DOCS / "lab_results.json").read_text("utf-8"))
    found = {name: _page(name, texts[name], results["experiments"][name]) for name in EXPERIMENTS}
    rows = ["| experiment | claim |", "| --- | --- |"]
    rows += [f"| [{texts[name]['title']}]({name}.md) | {_claim(name)} |" for name in EXPERIMENTS]
    found["index"] = INDEX.format("\n".join(rows), "\n".join(EXPERIMENTS))
    files = {f"{name}.md": f"{text}\n" for name, text in found.items()}
    return {**files, "notebook.ipynb": _notebook(texts)}


def _notebook(texts: dict[str, dict[str, str]]) -> str:
    """All experiments at a tenth of their updates, as a notebook that has not been run."""
    cells: list[Any] = [new_markdown_cell(NOTEBOOK), new_code_cell(FIRST_CELL, id="first")]
    for name in EXPERIMENTS:
        title, formula = texts[name]["title"], texts[name]["formula"].rstrip()
        said = f"## {title}\n\n**{_claim(name)}**\n\n$$\n{formula}\n$$"
        run = (
            f'findings = EXPERIMENTS["{name}"](Lab(SEED, EFFORT))\nprint(findings)\nfindings.figure'
        )
        # ids of their own would be new ones at every build
        cells += [new_markdown_cell(said, id=f"{name}-text"), new_code_cell(run, id=name)]
    cells[0]["id"] = "title"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return str(nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel}))) + "\n"


def _claim(name: str) -> str:
    return (inspect.getdoc(EXPERIMENTS[name]) or "").split("\n", 1)[0]


def _page(name: str, text: dict[str, str], runs: list[dict[str, Any]]) -> str:
    module = inspect.getmodule(EXPERIMENTS[name])
    assert module is not None
    source = (module.__doc__ or "").strip()
    prose, options = _prose_and_options(inspect.getdoc(EXPERIMENTS[name]) or "")
    parts = [
        f"# {text['title']}",
        f"**{_claim(name)}**",
        f"*{source}*",
        f"$$\n{text['formula'].rstrip()}\n$$",
        *([prose] if prose else []),
        f"```bash\npython cli.py lab {name}\n```",
        f"![{text['title']}](../pictures/lab_{name}.png)",
        *([f"![in time](../pictures/lab_{name}.gif)"] if _has_gif(name) else []),
        f"## What was seen\n\n{_seen(runs)}",
        f"Seeds: {', '.join(str(run['seed']) for run in runs)}. "
        f"{mean(run['cpu_seconds'] for run in runs):.0f} CPU seconds each; "
        "the picture is of seed 0.",
        *([_modes()] if name == "mode_collapse" else []),
        f"## Change it\n\nIn `{module.__name__.replace('.', '/')}.py`: {text['change']}.",
        *([f"Options of the command:\n\n{options}"] if options else []),
    ]
    return "\n\n".join(parts)


def _modes() -> str:
    """A table of mode collapse on all toys."""
    runs = json.loads((DOCS / "lab_modes.json").read_text("utf-8")).values()
    models = [*next(iter(runs))["models"]]
    kinds = dict.fromkeys((run["toy"], run["batch_norm"]) for run in runs)
    rows = [f"| | {' | '.join(models)} |", f"| --- |{' --- |' * len(models)}"]
    for toy, batch_norm in kinds:
        own = [run for run in runs if (run["toy"], run["batch_norm"]) == (toy, batch_norm)]
        cells = []
        for model in models:
            found = [run["models"][model] for run in own]
            values = [row.get("kl", row["covered"]) for row in found]
            spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.2f}{spread}")
        measure = "KL" if "kl" in own[0]["models"][models[0]] else "covered"
        what = f"{toy.replace('_', ' ')}{', batch normalisation' if batch_norm else ''}: {measure}"
        rows.append(f"| {what} ({len(own)} seeds) | {' | '.join(cells)} |")
    table = "\n".join(rows)
    return (
        "On other data, and with batch normalisation in the generators "
        "(`python benchmarks/collapse.py`): KL to the uniform over modes in nats, 0 at best, "
        "or, of data without modes, the share of it that has a sample near. Mean ± standard "
        f"deviation over seeds.\n\n{table}"
    )


def _prose_and_options(docstring: str) -> tuple[str, str]:
    """What follows the claim, and a list of the arguments but for the laboratory itself."""
    prose, _, arguments = docstring.partition("\n")[2].partition("\nArgs:\n")
    arguments = arguments.partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", arguments, re.MULTILINE)
    rows = [f"- `--{name}`: {' '.join(text.split())}" for name, text in found if name != "lab"]
    return prose.strip(), "\n".join(rows)


def _has_gif(name: str) -> bool:
    return (DOCS / "pictures" / f"lab_{name}.gif").is_file()


def _seen(runs: list[dict[str, Any]]) -> str:
    rows = ["| what | theory | seen | holds in |", "| --- | --- | --- | --- |"]
    for checks in zip(*(run["checks"] for run in runs), strict=True):
        values = [check["seen"] for check in checks]
        spread = f" ± {stdev(values):.2g}" if len(values) > 1 else ""
        held = sum(check["holds"] for check in checks)
        what, theory = checks[0]["what"].replace("|", "\\|"), checks[0]["theory"]
        rows.append(f"| {what} | {theory} | {mean(values):.4g}{spread} | {held} of {len(checks)} |")
    return "\n".join(rows)
