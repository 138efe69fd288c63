"""`python -m course_lib.experiments NAME [--resume] [--quick] [--arm ARM ...]`, or `all`."""

import argparse
import importlib
import pkgutil
import sys

import course_lib.experiments as package
from course_lib.experiments.runner import Experiment, quick, record


def known() -> dict[str, Experiment]:
    """All experiments, from every `lesson*.py` of this package; each module lists its own in EXPERIMENTS."""
    found: dict[str, Experiment] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("lesson"):
            listed = importlib.import_module(f"course_lib.experiments.{module.name}").EXPERIMENTS
            found |= {experiment.name: experiment for experiment in listed}
    return found


def main() -> int:
    """Command line; returns the exit code."""
    experiments = known()
    parser = argparse.ArgumentParser(prog="python -m course_lib.experiments", description=main.__doc__)
    parser.add_argument("name", choices=[*experiments, "all"], help="which experiment")
    parser.add_argument("--resume", action="store_true", help="keep recorded runs, add the missing ones")
    parser.add_argument("--quick", action="store_true", help="repeat one recorded run and compare")
    parser.add_argument("--arm", action="append", help="only this arm (may be repeated)")
    args = parser.parse_args()
    good = True
    for name in experiments if args.name == "all" else [args.name]:
        if args.quick:
            good &= quick(experiments[name])
        else:
            record(experiments[name], args.resume, args.arm)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
