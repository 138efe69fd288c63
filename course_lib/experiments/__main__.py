"""`python -m course_lib.experiments NAME [--jobs N] [--device DEVICE] [--arm ARM ...] [--quick]`, or `all`."""

import argparse
import importlib
import pkgutil
import sys

import course_lib.experiments as package
from course_lib import results
from course_lib.experiments.devices import choose_device
from course_lib.experiments.runner import Experiment, one_run, quick, record, record_side_by_side


def known() -> dict[str, Experiment]:
    """All experiments, from every `lesson*.py` of this package; each module lists its own in EXPERIMENTS."""
    found: dict[str, Experiment] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("lesson"):
            listed = importlib.import_module(f"course_lib.experiments.{module.name}").EXPERIMENTS
            found |= {experiment.name: experiment for experiment in listed}
    return found


def parse(experiments: dict[str, Experiment]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.experiments",
        description="Record what is missing of an experiment; what is recorded stays, so this also resumes.",
    )
    parser.add_argument("name", choices=[*experiments, "all"], help="which experiment")
    parser.add_argument("--resume", action="store_true", help="the default: keep recorded runs, add the missing ones")
    parser.add_argument("--anew", action="store_true", help="forget the recorded runs first")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side, one thread each")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="cpu", help="where to train")
    parser.add_argument("--quick", action="store_true", help="repeat one recorded run and compare")
    parser.add_argument("--arm", action="append", help="only this arm (may be repeated)")
    parser.add_argument("--seed", action="append", type=int, help="only this seed (may be repeated)")
    parser.add_argument("--one-run", action="store_true", help=argparse.SUPPRESS)  # how side_by_side calls itself
    args = parser.parse_args()
    for arm in args.arm or []:
        if args.name != "all" and arm not in experiments[args.name].arms:
            parser.error(f"no arm {arm!r} in {args.name}; there are {', '.join(experiments[args.name].arms)}")
    return args


def main() -> int:
    """Command line; returns the exit code."""
    experiments = known()
    args = parse(experiments)
    device, good = choose_device(args.device), True
    for name in experiments if args.name == "all" else [args.name]:
        experiment = experiments[name]
        if reason := experiment.lacking():
            print(f"{name}: skipped. {reason}", file=sys.stderr)
            good &= args.name == "all"
            continue
        if args.one_run:
            one_run(experiment, args.arm[0], args.seed[0], "cpu" if experiment.cpu_only else device)
            continue
        if args.anew:
            for suffix in (".json", ".runs.jsonl"):
                (results.RESULTS / f"{name}{suffix}").unlink(missing_ok=True)
        if args.quick:
            good &= quick(experiment, device)
        elif args.jobs > 1:
            record_side_by_side(experiment, args.jobs, args.arm, device)
        else:
            record(experiment, args.arm, args.seed, device)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
