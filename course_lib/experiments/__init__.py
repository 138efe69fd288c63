"""The long, recorded runs. Lessons read their results with `load_result`; `python -m course_lib.experiments NAME` makes them."""

import json
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results"


def load_result(name: str) -> dict:
    """The recorded result `data/results/<name>.json`.

    Raises:
        FileNotFoundError: there is no such result; says how to make it.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"data/results/{name}.json is missing; restore it with git, or record it with "
            f"`python -m course_lib.experiments {name}`."
        )
    return json.loads(path.read_text(encoding="utf-8"))
