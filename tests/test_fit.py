"""Training runs of the commands: resuming to the bit, kills, a loss that is no number, several processes, early stopping."""

import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch
from test_small_folders import NAMES, pairs

from course_lib.cli import train
from course_lib.data import VOCFolder
from course_lib.data.voc_writer import write_voc
from course_lib.experiments.checkpoints import build, load_checkpoint
from course_lib.experiments.fit import Diverged, Run
from course_lib.weights import WeightsError

SIZE = (64, 64)
SETTINGS = {
    "model": "ssd",
    "backbone": "small",
    "start": "random",
    "class_names": NAMES,
    "size": SIZE,
    "sides": [12.0, 24.0, 48.0, 96.0, 192.0],
    "ratios": [0.5, 1.0, 2.0],
    "seed": 3,
    "epochs": 3,
    "batch": 4,
    "lr": 1e-3,
    "patience": 0,
    "augment": True,
    "freeze_norm": False,
    "bf16": False,
    "compile": False,
}


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """A folder of ten pictures to train on and five to score on."""
    return write_voc(tmp_path_factory.mktemp("own"), {"train": pairs(10, 3, 1), "val": pairs(5, 3, 2)}, NAMES)


def make(own: Path, out: Path, **changes) -> Run:
    settings = SETTINGS | changes
    pictures, val = (VOCFolder(own, split, size=SIZE, quiet=True) for split in ("train", "val"))
    return Run(build(settings), pictures, val, settings, out)


def state(out: Path, name: str = "last.pt") -> dict:
    """All that a run has written, but for the seconds."""
    content = load_checkpoint(out / name)
    for record in content["history"]:
        del record["seconds"]
    return content


def same(one: object, other: object) -> bool:
    """Equal to the bit, whatever is nested in what."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


@pytest.fixture(scope="module")
def undisturbed(own, tmp_path_factory) -> Path:
    out, threads = tmp_path_factory.mktemp("undisturbed"), torch.get_num_threads()
    torch.set_num_threads(1)  # as in the other processes of these tests: sums depend on it
    make(own, out).fit()
    torch.set_num_threads(threads)
    return out


def test_files_of_a_run(undisturbed):
    lines = [json.loads(line) for line in (undisturbed / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all({"train_loss", "val_loss", "AP", "AP50", "lr", "seconds"} <= set(line) for line in lines)
    assert set(lines[0]["classes"]) == set(NAMES) and lines[0]["val_loss"]["total"] > 0
    best = max(range(3), key=lambda i: (lines[i]["AP"], -i))
    assert len(state(undisturbed, "best.pt")["history"]) == best + 1
    assert not list(undisturbed.glob(".*.tmp"))


def test_resumed_after_an_interruption_is_equal_to_the_bit(own, undisturbed, tmp_path, one_thread):
    run, steps = make(own, tmp_path), []

    def stop_in_the_second_epoch(batch, step=run.step):
        steps.append(batch)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step(batch)

    run.step = stop_in_the_second_epoch
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    torch.manual_seed(99)  # another process knows nothing of this one's random state
    again = make(own, tmp_path)
    again.resume()
    assert len(again.history) == 1
    again.fit()
    assert same(state(tmp_path), state(undisturbed)) and same(state(tmp_path, "best.pt"), state(undisturbed, "best.pt"))


def _killed(own: str, out: str) -> None:
    """Train, and be killed in the middle of writing the first epoch's last.pt, after its best.pt (writes 3 and 4)."""
    torch.set_num_threads(1)
    whole, count = torch.save, []

    def save(content: dict, file: object) -> None:
        count.append(1)
        if len(count) == 4:
            file.write(b"PK\3\4 half of a file")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        whole(content, file)

    torch.save = save
    make(Path(own), Path(out)).fit()


def spawn(target, *rows: tuple) -> list[int]:
    """Run a function in one process a row, side by side; their exit codes."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=target, args=row) for row in rows]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    return [worker.exitcode for worker in workers]


@pytest.fixture
def one_thread():
    """As many threads as the test's processes have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_in_the_middle_of_writing(own, undisturbed, tmp_path, one_thread):
    assert spawn(_killed, (str(own), str(tmp_path))) == [-signal.SIGKILL]
    assert list(tmp_path.glob(".last.pt.*.tmp")) and len(state(tmp_path, "best.pt")["history"]) == 1
    run = make(own, tmp_path)
    run.resume()
    assert run.history == []  # the kill has cost the first epoch, and nothing else
    run.fit()
    assert same(state(tmp_path), state(undisturbed)) and same(state(tmp_path, "best.pt"), state(undisturbed, "best.pt"))


def _command(words: list[str], begun: Event, number: int, share: float) -> None:
    """The command `train`; killed when this share of its file with this number, from 1, is written."""
    torch.set_num_threads(1)
    on_disk, files = os.fsync, []

    def fsync(file: int) -> None:
        files.append(file)
        if len(files) == number:
            os.ftruncate(file, int(share * os.fstat(file).st_size))
            os.kill(os.getpid(), signal.SIGKILL)
        on_disk(file)

    os.fsync, sys.argv = fsync, ["train", *words]
    begun.set()
    sys.exit(train.main())


def written(out: Path) -> list:
    """All that the command has written and that does not tell the time or the run's place."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    tables = [(out / name).read_bytes() for name in ("metrics.json", "metrics.csv")]
    return [state(out), state(out, "best.pt"), [line | {"seconds": 0} for line in lines], tables]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_the_command_killed_at_ten_random_moments(own, tmp_path):
    """Ten runs, each killed once and resumed, end like an undisturbed one: in every file, to the bit.

    Every other kill hits the middle of a random file, since writing takes too short a time to be hit by chance.
    """
    context, draw = multiprocessing.get_context("forkserver"), random.Random()
    context.set_forkserver_preload(["course_lib.cli.train"])

    def start(out: Path, number: int = 0, share: float = 0.0):
        first = ["--data", own, "--no-check", "--size", 64, "--batch", 4, "--epochs", 3, "--lr", 0.001]
        words = ["--resume"] if (out / "last.pt").exists() else first
        begun = context.Event()
        worker = context.Process(target=_command, args=([*map(str, words), "--out", str(out)], begun, number, share))
        worker.start()
        assert begun.wait(300)
        return worker, time.monotonic()

    worker, since = start(tmp_path / "undisturbed")
    worker.join()
    whole, expected = time.monotonic() - since, written(tmp_path / "undisturbed")
    assert worker.exitcode == 0 and len(expected[2]) == 3
    for attempt in range(10):
        out, code = tmp_path / str(attempt), 0
        while code != -signal.SIGKILL:  # a run that was faster than its kill is no test
            shutil.rmtree(out, ignore_errors=True)
            number, share, after = (
                (draw.randint(1, 14), draw.random(), None) if attempt % 2 else (0, 0.0, draw.random())
            )
            worker, _ = start(out, number, share)
            worker.join(None if after is None else after * whole)
            worker.kill()
            worker.join()
            code = worker.exitcode
        left = sorted(os.listdir(out)) if out.exists() else []
        print(
            f"{attempt}: killed {f'after {after:.0%} of the time' if after else f'in file {number}, {share:.0%} of it written'}; there: {left}"
        )
        worker, _ = start(out)
        worker.join()
        assert worker.exitcode == 0 and same(written(out), expected), (attempt, number, share, after)
        assert not list(out.glob(".*.tmp"))


def test_a_loss_that_is_no_number_stops_the_run_and_names_its_pictures(own, tmp_path):
    run = make(own, tmp_path, augment=False)
    look = run.picture
    run.picture = lambda number, seed: (look(number, seed)[0] * (math.nan if number == 7 else 1), look(number, seed)[1])
    before = None
    with pytest.raises(Diverged, match="train_00007"):
        run.fit()
    before = state(tmp_path)
    assert before["history"] == [] and all(p.isfinite().all() for p in before["model"].values())
    batch = next(batch for batch in run.order(1) if 7 in [number for number, _ in batch])
    with pytest.raises(Diverged) as error:
        run.step(batch)
    named = [name for name in run.pictures.names if name in str(error.value)]
    assert named == sorted({run.pictures.names[number] for number, _ in batch})
    assert all(p.isfinite().all() for p in run.model.parameters())


def test_other_pictures_are_not_resumed(own, undisturbed, tmp_path):
    other = write_voc(tmp_path / "other", {"train": pairs(9, 3, 1), "val": pairs(5, 3, 2)}, NAMES)
    with pytest.raises(WeightsError, match="other pictures"):
        make(other, undisturbed).resume()


def test_patience(own, tmp_path):
    run = make(own, tmp_path, epochs=9, patience=2)
    scores = iter([0.1, 0.3, 0.2, 0.2, 0.9])
    plain = {"AP50": 0.0, "classes": {}, "val_loss": {"total": 1.0}}
    run.validate, run.step = lambda: plain | {"AP": next(scores)}, lambda batch: [1.0, 1.0, 1]
    assert [record["AP"] for record in run.fit()] == [0.1, 0.3, 0.2, 0.2] and run.best_epoch() == 2
    assert len(load_checkpoint(tmp_path / "best.pt")["history"]) == 2


def _shared(rank: int, port: int, own: str, out: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    torch.distributed.init_process_group("gloo")
    run, scored = make(Path(own), Path(out), **SHARED), []
    get = VOCFolder.__getitem__

    def noting(self, index):
        if isinstance(index, int) and self.split == "val":
            scored.append(self.names[index])
        return get(self, index)

    VOCFolder.__getitem__ = noting
    run.fit()
    torch.save(sorted(set(scored)), f"{out}.{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


SHARED = {"model": "retinanet", "batch": 8, "freeze_norm": True, "epochs": 1}


def test_two_processes_are_one(tmp_path, one_thread):
    """2 × 4 pictures are 1 × 8: weights after an epoch, losses, scores; no picture is scored twice; nobody hangs.

    Some halves of a batch hold no object. Batch normalisation keeps its statistics in both.
    """
    few = pairs(16, 3, 1)
    for _, target in few[3:]:
        target["boxes"], target["labels"] = target["boxes"][:0], target["labels"][:0]
    own = write_voc(tmp_path / "few", {"train": few, "val": pairs(5, 3, 2)}, NAMES)
    port, two = 20_000 + os.getpid() % 20_000, tmp_path / "two"
    alone = make(own, tmp_path / "one", **SHARED)
    halves = [batch[rank::2] for batch in alone.order(1) for rank in (0, 1)]
    assert any(all(number > 2 for number, _ in half) for half in halves)
    alone.fit()
    assert spawn(_shared, *((rank, port, str(own), str(two)) for rank in (0, 1))) == [0, 0]
    one, other = state(tmp_path / "one"), state(two)
    for key, value in one["model"].items():
        assert torch.allclose(value, other["model"][key], rtol=0, atol=1e-6), key
    for key in ("train_loss", "val_loss"):
        assert one["history"][0][key] == pytest.approx(other["history"][0][key], abs=1e-6, rel=1e-6)
    assert one["history"][0]["AP"] == pytest.approx(other["history"][0]["AP"], abs=1e-6)
    first, second = (torch.load(f"{two}.{rank}.pt") for rank in (0, 1))
    assert not set(first) & set(second) and len(first + second) == 5
