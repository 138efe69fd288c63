"""Runs an experiment arm by arm and seed by seed, appends each finished run as one line, and summarises.

Several processes, also on several machines, may fill one experiment: a run is one line of `NAME.runs.jsonl`, and
`NAME.json` (plan, settings, mean and spread of every arm, paired differences with a Student t interval, and the bands
that lessons compare a reader's own run with) is made anew from all lines.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torchvision

from course_lib import results
from course_lib.data.scenes import VERSION
from course_lib.files import write_whole


@dataclass
class Experiment:
    """What is run, how often, and what is made of it.

    Attributes:
        name: file name of the result.
        plan: claim, metric, budget and ranking rule in words, fixed before the confirming runs.
        run: (settings, seed, device) → scores; every score is a number or a list of numbers.
        arms: name → settings handed to `run`.
        seeds: name → seeds of that arm; "" stands for all others.
        primary: arms that are run before all others, seed by seed.
        budget: steps, batch_size and lr of `train` in the arm that the lesson repeats; the lesson reads them.
        pairs: (arm, other arm): differences arm − other and ratios arm : other on the seeds both have.
        bands: metric → arm whose runs make the band (mean ± 4 sd, never narrower than ± .03, or ± `least_half_width`).
        least_half_width: metric → smallest half width of its band.
        outside: arms that must lie outside every band (learning rate 0, shuffled labels, stopped early).
        needs_scenes: whether the result belongs to a version of the scenes.
        cpu_only: nothing is trained, or times are taken: the run knows no other device.
        lacking: what the run needs and this machine does not have, in words; "" where it can be recorded.
    """

    name: str
    plan: str
    run: Callable[[dict, int, str], dict]
    arms: dict[str, dict]
    seeds: dict[str, list[int]]
    primary: list[str] = field(default_factory=list)
    budget: dict[str, float] = field(default_factory=dict)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    bands: dict[str, str] = field(default_factory=dict)
    least_half_width: dict[str, float] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    needs_scenes: bool = True
    cpu_only: bool = False
    lacking: Callable[[], str] = str

    def seeds_of(self, arm: str) -> list[int]:
        """Seeds of one arm."""
        return self.seeds.get(arm, self.seeds.get("", []))

    def tasks(self) -> Iterator[tuple[str, int]]:
        """Every (arm, seed) in the order of running: primary arms seed by seed, then the others arm by arm."""
        first = [(seed, place, arm) for place, arm in enumerate(self.primary) for seed in self.seeds_of(arm)]
        yield from ((arm, seed) for seed, _, arm in sorted(first))
        yield from ((arm, seed) for arm in self.arms if arm not in self.primary for seed in self.seeds_of(arm))


def summary(values: list[float], confidence: float = 0.95) -> dict:
    """Mean, standard deviation, and the Student t interval of the mean."""
    from scipy import stats

    x = np.asarray(values, dtype=float)
    out = {"mean": float(x.mean()), "sd": float(x.std(ddof=1)) if len(x) > 1 else 0.0, "n": len(x)}
    if len(x) > 1:
        half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1)) * out["sd"] / len(x) ** 0.5
        out |= {"low": out["mean"] - half, "high": out["mean"] + half}
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in out.items()}


def band(values: list[float], least_half_width: float = 0.03) -> dict:
    """Mean ± 4 sd of the recorded runs, never narrower than ± `least_half_width`."""
    x = np.asarray(values, dtype=float)
    half = max(4 * float(x.std(ddof=1)), least_half_width)
    return {"low": round(float(x.mean()) - half, 4), "high": round(float(x.mean()) + half, 4), "n": len(x)}


def summarise(experiment: Experiment, runs: list[dict]) -> dict:
    """Arms, paired differences and bands from the list of runs."""
    runs = sorted(runs, key=lambda r: r["seed"])  # the order in which processes finished must not matter
    table = {arm: [r for r in runs if r["arm"] == arm] for arm in experiment.arms}
    scalars = {
        arm: [k for k, v in rs[0]["scores"].items() if isinstance(v, int | float) and all(k in r["scores"] for r in rs)]
        for arm, rs in table.items()
        if rs
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
        metric: band([r["scores"][metric] for r in table[arm]], experiment.least_half_width.get(metric, 0.03))
        | {"arm": arm}
        for metric, arm in experiment.bands.items()
        if len(table[arm]) > 1
    }
    return {"arms": arms, "pairs": pairs, "ratios": ratios, "bands": bands}


def processor() -> str:
    """The processor's name, as the system gives it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
    """The commit that ran, with a plus sign if course_lib had been changed since; empty outside a repository."""
    git = ["git", "-C", str(results.RESULTS.parents[1])]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "course_lib"], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.strip() + ("+" if changed else "")


def append_line(path: Path, line: str) -> None:
    """Append a line in one write, so that lines of two processes never mix.

    Where an earlier writer was cut off (a full disk), the new line does not continue the half one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, (("\n" if torn else "") + line + "\n").encode())
    finally:
        os.close(file)


def one_run(experiment: Experiment, arm: str, seed: int, device: str = "cpu") -> dict:
    """Run one arm with one seed, append it to the result's runs, and return it."""
    start, settings = time.perf_counter(), experiment.arms[arm]
    scores = experiment.run(settings, seed, device)
    run = {"arm": arm, "seed": seed, "scores": scores, "seconds": round(time.perf_counter() - start, 1)}
    name = torch.cuda.get_device_name() if device == "cuda" else processor()
    run |= {"settings": settings, "device": device, "processor": name, "dtype": settings.get("dtype", "float32")}
    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}
    run |= {"threads": torch.get_num_threads(), "versions": versions, "commit": commit()}
    run |= {"date": datetime.date.today().isoformat()} | ({"scenes": VERSION} if experiment.needs_scenes else {})
    append_line(results.RESULTS / f"{experiment.name}.runs.jsonl", json.dumps(run, ensure_ascii=False))
    shown = {k: round(v, 3) for k, v in scores.items() if isinstance(v, int | float)}
    print(f"{experiment.name} {arm} seed {seed}: {shown} in {run['seconds']} s", flush=True)
    return run


def check_same(experiment: Experiment, runs: list[dict], old: dict) -> None:
    """Raise unless the recorded runs belong to these scenes and these settings.

    Raises:
        RuntimeError: names what differs.
    """
    wanted = json.loads(json.dumps(experiment.arms))
    for run in runs:
        arm, anew = run["arm"], "record it anew with --anew."
        if run.get("settings", old.get("settings", {}).get(arm)) != wanted[arm]:
            raise RuntimeError(f"{experiment.name}: arm {arm!r} was recorded with other settings; {anew}")
        if experiment.needs_scenes and run.get("scenes", old.get("scenes")) != VERSION:
            raise RuntimeError(f"{experiment.name}: arm {arm!r} was recorded on other scenes; {anew}")


def write_summary(experiment: Experiment) -> dict:
    """Make `NAME.json` anew from all runs; returns it with the runs."""
    path = results.RESULTS / f"{experiment.name}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs = [run for run in results.load_runs(experiment.name) if run["arm"] in experiment.arms]
    check_same(experiment, runs, old)
    content = {"name": experiment.name, "plan": experiment.plan, "settings": experiment.arms}
    content |= {"budget": experiment.budget} if experiment.budget else {}
    content |= {"scenes": VERSION} if experiment.needs_scenes else {}
    # What stands here and not with the run: records of before runs had lines of their own.
    content |= {key: old[key] for key in ("versions", "machine", "date") if key in old}
    content |= summarise(experiment, runs)
    if not runs:
        return content | {"runs": []}  # a file without runs would only look like a result
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return content | {"runs": runs}


def missing(experiment: Experiment, arms: list[str] | None = None, seeds: list[int] | None = None) -> Iterator:
    """The (arm, seed) that nobody has recorded yet; looked up again before each."""
    for arm, seed in experiment.tasks():
        wanted = (arms is None or arm in arms) and (seeds is None or seed in seeds)
        if wanted and (arm, seed) not in {(r["arm"], r["seed"]) for r in results.load_runs(experiment.name)}:
            yield arm, seed


def record(
    experiment: Experiment, arms: list[str] | None = None, seeds: list[int] | None = None, device: str = "cpu"
) -> dict:
    """Run what is missing, one after the other; returns the result.

    Args:
        experiment: what to run.
        arms: only these.
        seeds: only these.
        device: "cpu", "cuda" or "mps".

    Raises:
        RuntimeError: the runs that are there were recorded on other scenes or with other settings.
    """
    write_summary(experiment)
    for arm, seed in missing(experiment, arms, seeds):
        one_run(experiment, arm, seed, "cpu" if experiment.cpu_only else device)
        write_summary(experiment)
    return write_summary(experiment)


def record_side_by_side(
    experiment: Experiment,
    jobs: int,
    arms: list[str] | None = None,
    device: str = "cpu",
    command: Callable[[str, int], list[str]] | None = None,
) -> dict:
    """As `record`, `jobs` processes at a time with one thread each.

    Args:
        experiment: what to run.
        jobs: processes at a time.
        arms: only these.
        device: "cpu", "cuda" or "mps".
        command: (arm, seed) → the program and its arguments that make one run.

    Raises:
        RuntimeError: a process failed; the others are finished first.
    """
    module = [sys.executable, "-m", "course_lib.experiments", experiment.name, "--device", device, "--one-run"]
    command = command or (lambda arm, seed: [*module, "--arm", arm, "--seed", str(seed)])
    write_summary(experiment)
    waiting, running, failed = list(missing(experiment, arms)), {}, []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                if task in set(missing(experiment, [task[0]], [task[1]])):
                    running[task] = subprocess.Popen(command(*task), env=environment)
            time.sleep(0.2)
            for task in [task for task, process in running.items() if process.poll() is not None]:
                failed += [task] if running.pop(task).returncode else []
                write_summary(experiment)
    finally:
        for process in running.values():
            process.terminate()
    if failed:
        raise RuntimeError(f"{experiment.name}: these runs failed, see their messages above: {failed}")
    return write_summary(experiment)


def quick(experiment: Experiment, device: str = "cpu") -> bool:
    """Repeat one recorded run, of the lesson's own arm or else of the first that has several; True within mean ± 3 sd."""
    recorded = results.load_result(experiment.name)
    several = [run["arm"] for run in recorded["runs"]]
    arms = [arm for arm in (*experiment.bands.values(), *several) if several.count(arm) > 2]
    first = next(run for run in recorded["runs"] if run["arm"] == arms[0])
    scores = experiment.run(experiment.arms[first["arm"]], first["seed"], device)
    good = True
    for key, spread in recorded["arms"][first["arm"]].items():
        inside = abs(scores[key] - spread["mean"]) <= 3 * spread["sd"] + 1e-9
        good &= inside
        print(f"{key}: {scores[key]:.4f}, recorded {spread['mean']:.4f} ± {spread['sd']:.4f} (sd): {inside}")
    return good
