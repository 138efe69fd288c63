"""Recorded results in `data/results`: reading them, and holding a reader's own number against a recorded band.

`NAME.json` holds plan, settings and what follows from the runs; `NAME.runs.jsonl` holds the runs, one line each.
`python -m course_lib.experiments NAME` makes both.
"""

import json
from pathlib import Path

from course_lib.data import on_scenes

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results"


def load_runs(name: str) -> list[dict]:
    """Every recorded run of `data/results/<name>.runs.jsonl`, in the order of recording; empty if there is none.

    Two processes may have recorded the same arm and seed; the first counts.

    Raises:
        ValueError: a line is not JSON, as after a full disk; names the line.
    """
    path, found = RESULTS / f"{name}.runs.jsonl", {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            run = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path.name}, line {number}: not a complete run ({error}); delete this line.") from None
        found.setdefault((run["arm"], run["seed"]), run)
    return list(found.values())


def load_result(name: str) -> dict:
    """The recorded result `data/results/<name>.json`, with its list of "runs".

    Raises:
        FileNotFoundError: there is no such result; says how to make it.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"data/results/{name}.json is missing; restore it with git, or record it with "
            f"`python -m course_lib.experiments {name}`."
        )
    return json.loads(path.read_text(encoding="utf-8")) | {"runs": load_runs(name)}


def load_claims(notebooks: Path | None = None) -> list[dict]:
    """The article's claims of `data/claims.json`, each with the cells that show it.

    Args:
        notebooks: folder of the lessons; by default the working one, where a running lesson lies, or the course's own
            where that one holds no lessons.

    Returns:
        The entries in their order, with "shown": one link "file.ipynb#cell" a lesson that shows the claim, in the
        order of the lessons.
    """
    claims = json.loads((RESULTS.parent / "claims.json").read_text(encoding="utf-8"))["claims"]
    shown: dict[str, dict[str, str]] = {}
    folders = [notebooks] if notebooks else [Path(), RESULTS.parents[1] / "notebooks"]
    lessons = next((found for folder in folders if (found := sorted(folder.glob("[0-9][0-9]_*.ipynb")))), [])
    for path in lessons:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for tag in cell.get("metadata", {}).get("tags", []):
                shown.setdefault(tag.removeprefix("claim-"), {}).setdefault(path.name, f"{path.name}#{cell['id']}")
    return [claim | {"shown": list(shown.get(claim["id"], {}).values())} for claim in claims]


def in_band(
    result: str, metric: str, value: float, baseline: float | None = None, lower_is_better: bool = False
) -> None:
    """Hold a freshly trained number against the recorded band of `data/results/<result>.json`.

    On scenes it prints the band and raises an AssertionError that shows the value when it lies outside. On a folder of
    photographs there is no band: it prints the value beside the baseline.

    Args:
        result: name of the recorded result, such as "lesson01".
        metric: key under "bands" in that file.
        value: the reader's own number.
        baseline: the same metric for the simple baseline, shown on photographs.
        lower_is_better: for errors.
    """
    value = float(value)
    if not on_scenes():
        if baseline is None:
            print(f"{metric}: {value:.3f} (no recorded band on this folder)")
            return
        better = value < baseline if lower_is_better else value > baseline
        print(
            f"{metric}: {value:.3f}, baseline {baseline:.3f}: {'better' if better else 'not better'} than the baseline"
        )
        return
    band = load_result(result)["bands"][metric]
    low, high = band["low"], band["high"]
    assert low <= value <= high, f"{metric} {value:.3f} lies outside the recorded band {low:.2f} to {high:.2f}"
    print(f"{metric} lies in the recorded band {low:.2f} to {high:.2f}")
