"""The framework itself: whatever an answer does, there is one line and nothing is left behind."""

import os
import random
import sys
import time

import numpy
import pytest
import torch
from torchvision import tv_tensors

from course_lib.exercises import framework, guard, plan
from course_lib.exercises.framework import Draw, case, evaluate

STUB = "def f(x):\n    return x + 1\n"


@pytest.fixture
def exercise():
    """Double every number; gradient must flow."""

    def build(**options):
        @framework.write("98.1", "double", minutes=1, difficulty=1, gradient=(0,), **options)
        def double(draw: Draw):
            def oracle(x):
                return torch.tensor([2 * v for v in x.flatten().tolist()], dtype=x.dtype).reshape(x.shape)

            yield case("a number should be doubled", oracle, torch.tensor([3.0]))
            yield case("nothing should stay nothing", oracle, torch.zeros(0))
            yield case("all numbers should be doubled", oracle, draw.uniform(2, 3))

        return framework._EXERCISES["98.1"]

    yield build
    framework._EXERCISES.pop("98.1", None)


def verdict(exercise, answer, seconds=5.0):
    return evaluate(exercise, answer, seconds=seconds)


def good(x):
    return x * 2


def double(x):
    return x * 2


def too_early(x):
    early = early + x  # noqa: F821
    return early


GLOBAL = []
ANSWERS = {
    "correct": (good, "correct"),
    "a lambda": (lambda x: x + x, "correct"),
    "a builtin-like callable": (torch.nn.Identity(), "should be doubled"),
    "a class": (type("Thing", (), {"__init__": lambda self, x: None}), "should be a float32 tensor"),
    "a list": (lambda x: good(x).tolist(), "yours is a list"),
    "numpy": (lambda x: good(x).detach().numpy(), "yours is a numpy.ndarray"),
    "None": (lambda x: None, "is a return missing?"),
    "itself": (lambda x: good, "yours is a function"),
    "a string": (lambda x: "correct", "yours is a string"),
    "wrong shape": (lambda x: good(x)[None], "should have shape [1], yours has [1, 1]"),
    "int": (lambda x: good(x).long(), "should be float32, yours is int64"),
    "nan": (lambda x: good(x) * float("nan"), "yours gives [nan]"),
    "complex": (lambda x: torch.complex(x, x), "complex64"),
    "sparse": (lambda x: good(x).to_sparse(), "tensor"),
    "on the meta device": (lambda x: good(x).to("meta"), "tensor"),
    "huge result": (lambda x: torch.zeros(10**6), "should be a float32 tensor of shape [1]"),
    "too many arguments": (lambda x, y: x, "`double` should take (x), but it could not be called with them"),
    "no arguments": (lambda: 2, "`double` should take (x), but it could not be called with them"),
    "division by zero": (lambda x: 1 / 0, "raises ZeroDivisionError"),
    "recursion": (lambda x: ANSWERS["recursion"][0](x), "raises RecursionError"),
    "a type error of its own": (lambda x: x + "1", "it raises TypeError"),
    "a name that does not exist": (lambda x: doubled(x), "uses the name `doubled` in the line"),  # noqa: F821
    "a name that is used too early": (too_early, "it raises UnboundLocalError"),
    "prints a lot": (
        lambda x: [print(k, "x" * 60) for k in range(20_000)] and good(x),
        "print nothing, yours prints '0 xxx",
    ),
    "not a function": (3, "should be a function, yours is an int"),
    "detached": (lambda x: good(x.detach()), "gradient should flow back to x"),
    "gradient halved": (
        lambda x: good(x.detach()) / 2 + x,
        "gradient should flow: the gradient is 1 at [0] of x, right is 2",
    ),
    "in place": (lambda x: x.mul_(2), "input should stay unchanged"),
    "in place, quietly": (lambda x: good(x) + 0 * x.data.mul_(2).sum(), ""),
    "float32": (lambda x: good(x.float()), "float64 goes in, float32 comes out"),
    "new tensor": (lambda x: torch.zeros(x.shape, dtype=x.dtype) + good(x), "device should be kept"),
    "prints": (lambda x: print("look") or good(x), "print nothing, yours prints 'look'"),
    "stderr": (lambda x: print("look", file=sys.stderr) or good(x), "correct"),
    "different every time": (lambda x: GLOBAL.append(1) or good(x) + (len(GLOBAL) > 6), ""),
    "exit": (lambda x: exit(), "calls exit()"),
    "sys.exit": (lambda x: sys.exit(0), "calls exit()"),
    "KeyboardInterrupt": (lambda x: (_ for _ in ()).throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "input": (lambda x: input("?"), "cannot ask"),
    "default dtype": (lambda x: torch.set_default_dtype(torch.float64) or good(x), "correct"),
    "seeds": (lambda x: torch.manual_seed(3) is None or good(x), "correct"),
    "numpy's random state": (lambda x: numpy.random.seed(3) or good(x), "correct"),
    "random": (lambda x: random.seed(3) or good(x), "correct"),
    "working folder": (lambda x: os.chdir("/") or good(x), "correct"),
    "big allocation": (lambda x: torch.zeros(10**10), "it takes more than 2 GB of memory"),
    "object whose comparison says yes": (lambda x: type("Yes", (), {"__eq__": lambda *a: True})(), "yours is"),
    "float subclass": (lambda x: type("F", (float,), {"__sub__": lambda *a: 0})(6), "yours is"),
    "one result for all calls": (
        lambda x, out=torch.zeros(6): out[: x.numel()].copy_(2 * x.detach().flatten()).reshape(x.shape),  # noqa: B008
        "a later call should leave an earlier result alone",
    ),
    "requires a gradient": (
        lambda x: good(x) if x.requires_grad else good(x).requires_grad_(),
        "should not require a gradient",
    ),
    "input requires a gradient": (lambda x: good(x.requires_grad_()), "the input should stay unchanged"),
    "wrong in float64": (lambda x: good(x) + (x.dtype == torch.float64), "float64 numbers should give the same result"),
    "right for one number, gradient lost for many": (
        lambda x: good(x) if x.numel() < 2 else good(x.detach()) + 0 * x,
        "gradient should flow: the gradient of all results",
    ),
    "generator": (lambda x: (v for v in x), "yours is a generator"),
    "a list that holds itself": (lambda x: (GLOBAL.append(GLOBAL), GLOBAL.pop())[1] or GLOBAL, "yours is a list"),
}


def surroundings():
    numpy_state = numpy.random.get_state()[1].tolist()
    return (
        torch.get_default_dtype(),
        torch.random.get_rng_state().tolist(),
        numpy_state,
        random.getstate(),
        os.getcwd(),
        sys.stdout,
    )


@pytest.mark.parametrize("label", ANSWERS)
def test_whatever_an_answer_does(exercise, label):
    answer, says = ANSWERS[label]
    del GLOBAL[:]
    state = surroundings()
    result = verdict(exercise(), answer)
    assert surroundings() == state
    if says == "correct":
        assert result.state == "correct", result
    else:
        assert result.state == "not yet" and says in result.message, result
    assert "\n" not in str(result)


def forever(x):
    while True:
        pass


def stubborn(x):
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                pass
        except:  # noqa: E722
            pass


def hoard(x):
    kept = []
    while True:
        kept.append(torch.ones(4 * 10**6))


def asleep(x):
    time.sleep(60)


@pytest.mark.parametrize("answer", [forever, stubborn, pytest.param(asleep, marks=pytest.mark.slow)])
def test_answers_that_never_end(exercise, answer):
    result = verdict(exercise(), answer, seconds=0.5)
    assert "it should end within seconds" in result.message and "for x = " in result.message
    assert verdict(exercise(), good, seconds=20).state == "correct", "the next answer is judged as ever"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is limited on Linux only")
def test_an_answer_that_takes_all_memory(exercise):
    assert "it takes more than 2 GB of memory" in verdict(exercise(), hoard, seconds=60).message


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    ...",
        "def f(x):\n    pass",
        'def f(x):\n    """Doc."""',
        'def f(x):\n    """Doc."""\n    ...\n',
        "def f(x):\n    raise NotImplementedError",
        "def f(x):\n    raise NotImplementedError('todo')",
        "def f(x) -> int:\n    return None  # here",
        "def f(x):\n    return",
        "def f(x):\n    return ...",
        "class f:\n    def __init__(self):\n        ...\n    def g(self):\n        pass",
    ],
)
def test_stubs_are_not_started(source):
    import ast

    assert framework.is_stub(ast.parse(source))


@pytest.mark.parametrize(
    "source", ["def f(x):\n    return x", "def f(x):\n    y = 1\n    ...", "f = None", "class f:\n    x = 1"]
)
def test_begun_answers_are_not_stubs(source):
    import ast

    assert not framework.is_stub(ast.parse(source))


def test_fix_stub_counts_whatever_its_comments_hints_and_spaces():
    import ast

    same = 'def f(x: int) -> int:\n    """Add one."""\n    # one more\n    return (x +  1)\n'
    assert framework.is_stub(ast.parse(same), STUB)
    assert not framework.is_stub(ast.parse("def f(x):\n    return x + 2"), STUB)
    assert not framework.is_stub(ast.parse("def f(x):\n    ..."), STUB)


def test_not_implemented_when_run_is_not_started(exercise):
    def todo(x):
        helper = 3
        raise NotImplementedError(helper)

    assert verdict(exercise(), todo).state == "not started"


def test_smallest_failing_input_is_told(exercise):
    result = verdict(exercise(), lambda x: x * 2 if x.numel() < 2 else x)
    assert result.message.startswith("all numbers should be doubled: yours gives [[")
    result = verdict(exercise(), lambda x: x)
    assert result.message == "a number should be doubled: yours gives [3], right is [6], for x = [3]"
    result = verdict(exercise(), lambda x: x * 2 if x.numel() else None)
    assert result.message.startswith("nothing should stay nothing") and "an empty tensor [0]" in result.message


def test_switches(exercise):
    assert verdict(exercise(dtype=False), lambda x: (2 * x).float()).state == "correct"
    assert verdict(exercise(quiet=False), lambda x: print("a") or good(x)).state == "correct"
    assert verdict(exercise(device=False), lambda x: torch.zeros(x.shape, dtype=x.dtype) + 2 * x).state == "correct"


def test_the_oracle_runs_before_the_answer_and_on_its_own_copy(exercise):
    def spoil(x):
        with torch.no_grad():
            result = 2 * x
            x.zero_()
        return result

    assert "input should stay unchanged" in verdict(exercise(), spoil).message


def test_dtype_of_answers_that_are_not_unique():
    @framework.write("98.2", "any_order", minutes=1, difficulty=1)
    def any_order(draw: Draw):
        def judge(result, x):
            return None if sorted(result.tolist()) == sorted(x.tolist()) else "numbers are missing"

        yield plan.judged("the numbers should stay", judge, torch.tensor([3.0, 1.0]))
        yield plan.judged("nothing should stay nothing", judge, torch.zeros(0))

    try:
        for answer, says in (
            (lambda x: x.flip(0), ""),
            (lambda x: x.double(), "float32 goes in, float64 comes out"),
            (lambda x: x.numpy(), "the result has the wrong form, yours is a numpy.ndarray"),
        ):
            result = verdict(framework._EXERCISES["98.2"], answer)
            assert (result.state == "correct") if not says else (says in result.message), result
    finally:
        framework._EXERCISES.pop("98.2")


def test_figures_are_closed(exercise):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    mine = plt.figure()
    result = verdict(exercise(), lambda x: plt.plot([1]) and plt.figure() and good(x))
    assert "draws or displays" in result.message and plt.get_fignums() == [mine.number]
    plt.close("all")


def test_check_and_summary_print_one_line_and_never_raise(exercise, capsys, monkeypatch):
    exercise()
    monkeypatch.setattr(framework, "lesson", lambda number: [framework._EXERCISES["98.1"]])
    for answer in (good, None, ..., object(), forever.__code__, Exception):
        framework.check("98.1", answer)
        assert len(capsys.readouterr().out.splitlines()) == 1
    framework.check("98.1", good)
    framework.summary(98)
    assert capsys.readouterr().out == "Exercise 98.1  correct\n1 of 1 solved\n"
    framework._SOLVED.clear()


@pytest.mark.parametrize(
    "number,says",
    [
        ("97.1", "not yet: no exercise has this number"),
        ("one", "not yet: no exercise has this number"),
        ("1.9", "not yet: no exercise has this number; lesson 1 has 1.1, 1.2, "),
        (1.1, 'not yet: the number of an exercise stands in quotes: check("1.1", …)'),
        ([1], "stands in quotes"),
    ],
)
def test_a_number_that_no_exercise_has(number, says, capsys):
    framework.check(number, good)
    assert says in capsys.readouterr().out
    framework._SOLVED.clear()


class Shell:
    """As much of a notebook's shell as `check` looks at: the cells that were run, the last one last."""

    def __init__(self, *cells):
        self.history_manager = type("History", (), {"input_hist_raw": ["", *cells]})

    def transform_cell(self, cell):
        return cell.replace("%time", "pass")


GOOD_CELL, BROKEN_CELL = "%time\ndef double(x):\n    return 2 * x\n", "%time\ndef double(x):\n    return 2 * (x\n"


@pytest.mark.parametrize(
    "cells,says",
    [
        ([GOOD_CELL], "correct"),
        ([BROKEN_CELL, GOOD_CELL, "print(double"], "correct"),
        (
            [GOOD_CELL, BROKEN_CELL, "doubled = 3"],
            "not yet: the cell with `double` is not valid Python ('(' was never closed, line 3)",
        ),
    ],
)
def test_an_older_function_behind_a_syntax_error(cells, says, exercise, capsys, monkeypatch):
    exercise()
    monkeypatch.setattr(guard, "notebook_shell", lambda: Shell(*cells))
    monkeypatch.setattr(framework, "evaluate", lambda exercise, answer: framework.Result("98.1", "correct"))
    framework.check("98.1", double)
    assert says in capsys.readouterr().out
    framework.check("98.1", good)
    assert "correct" in capsys.readouterr().out, "another function than the one that the broken cell was to define"
    framework._SOLVED.clear()


@pytest.mark.parametrize(
    "answer,message",
    [
        (lambda x: x * torch.ones(3, 2)[0, 0].item() * 2, ""),
        (lambda x: x.new_zeros(x.shape) + 2 * x, ""),
        (lambda x: torch.zeros_like(x) + 2 * x, ""),
        (lambda x: torch.zeros(x.shape, dtype=x.dtype, device=x.device) + 2 * x, ""),
        (lambda x: x * torch.tensor(2.0), ""),
        (lambda x: (2 * x)[torch.arange(len(x))], ""),
        (lambda x: torch.stack([2 * v for v in x]) if len(x) else 2 * x, ""),
        (lambda x: torch.where(x > 0, 2 * x, 2 * x), ""),
        (lambda x: torch.maximum(2 * x, torch.tensor(0.0, dtype=x.dtype)), ""),
        (lambda x: torch.zeros(x.shape).to(device=x.device, dtype=x.dtype) + 2 * x, ""),
        (lambda x: torch.zeros(x.shape).to(x) + 2 * x, ""),
        (lambda x: torch.zeros(x.shape).type_as(x) + 2 * x, ""),
        (lambda x: x.clone().copy_(torch.tensor((2 * x).tolist()).to(x.dtype)), ""),
        (lambda x: torch.cat([row[None] * 2 for row in x]) if len(x) else x * 2, ""),
        (lambda x: torch.zeros(x.shape, dtype=x.dtype, device="cpu") + 2 * x, "mixes"),
        (lambda x: torch.from_numpy(2 * x.numpy()), "numpy() works on the CPU only"),
        (lambda x: torch.from_numpy(2 * x.cpu().numpy()).to(x.device), ""),
        (lambda x: (2 * x).cpu(), "new CPU tensor"),
        (lambda x: torch.cat([2 * x, torch.zeros(0, *x.shape[1:], dtype=x.dtype)]), "mixes"),
        (lambda x: torch.tensor(x.detach().tolist(), dtype=x.dtype) + x, "mixes"),
        (lambda x: (2 * x).to(torch.device("cpu")), ""),
        (lambda x: torch.vmap(lambda v: 2 * v)(x) if len(x) else 2 * x, ""),
        (
            lambda x: torch.vmap(lambda v: 2 * v + torch.zeros(v.shape, dtype=x.dtype))(x) if x.dim() > 1 else 2 * x,
            "mixes",
        ),
        (lambda x: torch.zeros(x.shape, dtype=x.dtype, device=str(x.device)) + 2 * x, ""),
        (lambda x: torch.zeros(x.shape, dtype=x.dtype, device=x.device.type) + 2 * x, ""),
        (lambda x: torch.zeros(x.shape, dtype=x.dtype).to(str(x.device)) + 2 * x, ""),
        (lambda x: (2 * x).to("cpu"), "new CPU tensor"),
        (lambda x: (2 * tv_tensors.Mask(x[None])).as_subclass(torch.Tensor)[0], ""),
    ],
)
def test_pretended_device(exercise, answer, message):
    e = exercise()
    e.gradient = ()
    result = verdict(e, answer)
    assert (result.state == "correct") if not message else (message in result.message), result


def test_limits_are_put_back():
    if sys.platform != "linux":
        pytest.skip("Linux only")
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    guard.run(lambda: torch.zeros(10**12), [guard.Probe(())])
    assert resource.getrlimit(resource.RLIMIT_AS) == before
