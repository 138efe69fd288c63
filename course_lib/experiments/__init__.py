"""The long, recorded runs: `python -m course_lib.experiments NAME`. Lessons read them with `course_lib.results`."""
