"""Runs an experiment arm by arm and seed by seed, appends each finished run at once, and summarises.

A result file holds the plan, the settings, every run's scores, and what follows from them: mean and spread of every
arm, paired differences with a Student t interval, and the bands that lessons compare a reader's own run with.
"""

import datetime
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torchvision

from course_lib.experiments import RESULTS


@dataclass
class Experiment:
    """What is run, how often, and what is made of it.

    Attributes:
        name: file name of the result.
        plan: claim, metric, budget and ranking rule in words, fixed before the confirming runs.
        run: (settings, seed) → scores; every score is a number or a list of numbers.
        arms: name → settings handed to `run`.
        seeds: name → seeds of that arm; "" stands for all others.
        pairs: (arm, other arm): differences arm − other and ratios arm : other on the seeds both have.
        bands: metric → arm whose runs make the band (mean ± 4 sd, never narrower than ± .03, or ± `least`).
        outside: arms that must lie outside every band (learning rate 0, shuffled labels, stopped early).
        needs_scenes: whether the result belongs to a version of the scenes.
    """

    name: str
    plan: str
    run: Callable[[dict, int], dict]
    arms: dict[str, dict]
    seeds: dict[str, list[int]]
    pairs: list[tuple[str, str]] = field(default_factory=list)
    bands: dict[str, str] = field(default_factory=dict)
    least: dict[str, float] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    needs_scenes: bool = True

    def seeds_of(self, arm: str) -> list[int]:
        """Seeds of one arm."""
        return self.seeds.get(arm, self.seeds.get("", []))


def summary(values: list[float], confidence: float = 0.95) -> dict:
    """Mean, standard deviation, count, and the Student t interval of the mean."""
    from scipy import stats

    x = np.asarray(values, dtype=float)
    out = {"mean": float(x.mean()), "sd": float(x.std(ddof=1)) if len(x) > 1 else 0.0, "n": len(x)}
    if len(x) > 1:
        half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1)) * out["sd"] / len(x) ** 0.5
        out |= {"low": out["mean"] - half, "high": out["mean"] + half}
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in out.items()}


def band(values: list[float], least: float = 0.03) -> dict:
    """Mean ± 4 sd of the recorded runs, never narrower than ± `least`."""
    x = np.asarray(values, dtype=float)
    half = max(4 * float(x.std(ddof=1)), least)
    return {"low": round(float(x.mean()) - half, 4), "high": round(float(x.mean()) + half, 4), "n": len(x)}


def summarise(experiment: Experiment, runs: list[dict]) -> dict:
    """Arms, paired differences and bands from the list of runs."""
    table = {arm: [r for r in runs if r["arm"] == arm] for arm in experiment.arms}
    scalars = {
        arm: [k for k, v in rs[0]["scores"].items() if isinstance(v, int | float)] for arm, rs in table.items() if rs
    }
    arms = {arm: {k: summary([r["scores"][k] for r in table[arm]]) for k in keys} for arm, keys in scalars.items()}
    pairs, ratios = {}, {}
    for one, other in experiment.pairs:
        a, b = ({r["seed"]: r["scores"] for r in table[arm]} for arm in (one, other))
        both = sorted(set(a) & set(b))
        if len(both) > 1:
            keys = [k for k in scalars[one] if k in scalars[other]]
            pairs[f"{one} - {other}"] = {k: summary([a[s][k] - b[s][k] for s in both]) for k in keys}
            keys = [k for k in keys if all(b[s][k] for s in both)]
            ratios[f"{one} : {other}"] = {k: summary([a[s][k] / b[s][k] for s in both]) for k in keys}
    bands = {
        metric: band([r["scores"][metric] for r in table[arm]], experiment.least.get(metric, 0.03)) | {"arm": arm}
        for metric, arm in experiment.bands.items()
        if len(table[arm]) > 1
    }
    return {"arms": arms, "pairs": pairs, "ratios": ratios, "bands": bands}


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _header(experiment: Experiment) -> dict:
    header = {"name": experiment.name, "plan": experiment.plan, "settings": experiment.arms}
    if experiment.needs_scenes:
        from course_lib.data.scenes import VERSION

        header["scenes"] = VERSION
    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    return header | {"versions": versions, "machine": machine, "date": datetime.date.today().isoformat()}


def record(experiment: Experiment, resume: bool = False, only: list[str] | None = None) -> dict:
    """Run what is missing (`resume`) or everything; returns and writes the result.

    Args:
        experiment: what to run.
        resume: keep the runs that `data/results/<name>.json` already holds.
        only: names of arms to run now; the others stay as recorded.

    Raises:
        RuntimeError: resuming a file that was recorded on other scenes or with other settings.
    """
    path = RESULTS / f"{experiment.name}.json"
    header, runs = _header(experiment), []
    if (resume or only) and path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        for key in ("scenes", "settings"):
            known = (
                {a: s for a, s in old.get(key, {}).items() if a in header[key]} if key == "settings" else old.get(key)
            )
            wanted = {a: header[key][a] for a in known} if key == "settings" else header.get(key)
            if json.loads(json.dumps(wanted)) != known:
                raise RuntimeError(
                    f"{path.name} was recorded with other {key}; run it anew without --resume and --arm."
                )
        again = [] if resume else only
        runs = [r for r in old["runs"] if r["arm"] in experiment.arms and r["arm"] not in again]
    done = {(r["arm"], r["seed"]) for r in runs}
    for arm in only or experiment.arms:
        for seed in experiment.seeds_of(arm):
            if (arm, seed) in done:
                continue
            start = time.perf_counter()
            scores = experiment.run(experiment.arms[arm], seed)
            runs.append({"arm": arm, "seed": seed, "scores": scores, "seconds": round(time.perf_counter() - start, 1)})
            shown = {k: round(v, 3) for k, v in scores.items() if isinstance(v, int | float)}
            print(f"{experiment.name} {arm} seed {seed}: {shown} in {runs[-1]['seconds']} s", flush=True)
            _write(path, header | summarise(experiment, runs) | {"runs": runs})
    result = header | summarise(experiment, runs) | {"runs": runs}
    _write(path, result)
    return result


def quick(experiment: Experiment) -> bool:
    """Repeat the first recorded run of the first arm; True when every score lies within that arm's mean ± 3 sd."""
    recorded = json.loads((RESULTS / f"{experiment.name}.json").read_text(encoding="utf-8"))
    first = recorded["runs"][0]
    scores = experiment.run(experiment.arms[first["arm"]], first["seed"])
    good = True
    for key, spread in recorded["arms"][first["arm"]].items():
        inside = abs(scores[key] - spread["mean"]) <= 3 * spread["sd"] + 1e-9
        good &= inside
        print(f"{key}: {scores[key]:.4f}, recorded {spread['mean']:.4f} ± {spread['sd']:.4f} (sd): {inside}")
    return good
