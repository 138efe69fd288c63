"""Every checker rejects its wrong answers, naming the broken property, and accepts its right ones (design §4)."""

import ast
import inspect
import math
import re
import textwrap
from fractions import Fraction

import numpy
import pytest
import torch
from book import EXERCISES, RIGHT, WRONG, each, each_trial, of

from course_lib.exercises import framework, guard, values, verdict
from course_lib.exercises import plan as plans

SEEDS = (0, 1, 2)


@each_trial(WRONG)
def test_wrong_answer_is_rejected_for_the_right_reason(trial):
    exercise = framework.find(trial.number)
    result = framework.evaluate(exercise, trial.answer)
    assert result.state == framework.NOT_YET, "was let through"
    assert trial.says in result.message
    assert framework.evaluate(exercise, trial.answer, SEEDS[1]).state == framework.NOT_YET, "let through, second seed"


@pytest.mark.slow
@each_trial(WRONG)
def test_wrong_answer_is_rejected_with_a_third_seed(trial):
    assert framework.evaluate(framework.find(trial.number), trial.answer, SEEDS[2]).state == framework.NOT_YET


@each_trial(RIGHT)
def test_right_answer_is_accepted(trial):
    for seed in SEEDS:
        result = framework.evaluate(framework.find(trial.number), trial.answer, seed)
        assert result.state == framework.CORRECT, result.message


@each_trial([t for t in WRONG if not t.same_as_oracle])
def test_wrong_answer_differs_from_the_oracle(trial):
    plan = framework.Plan(framework.find(trial.number), 0)
    run = guard.run(trial.answer, plan.probes)
    pairs = zip(plan.calls, run.seen, strict=False)
    wrong = [
        "error" in seen or verdict.wrong_result(plan, i, seen["output"]) for (i, mode), seen in pairs if mode == "plain"
    ]
    assert any(wrong), "its values are right everywhere; give only_behaviour=True if another rule is meant"


@each("write", "fix")
def test_enough_answers(exercise):
    wrong, right = of(exercise, WRONG), of(exercise, RIGHT)
    assert len({t.label for t in wrong}) >= 6, "at least six differently named wrong answers"
    assert len({t.label for t in right}) >= 2, "at least two right answers"
    assert all(t.says for t in wrong)
    bodies = {ast.dump(ast.parse(textwrap.dedent(inspect.getsource(t.answer))).body[0].body[-1]) for t in right}
    assert len(bodies) >= 2, "the right answers are written in one way"


@each("write", "fix")
def test_cases(exercise):
    for seed in SEEDS:
        plan = framework.Plan(exercise, seed)
        assert len(plan.cases) >= 3
        assert not exercise.empty or any(plans.is_empty(c.args) for c in plan.cases), "no case with an empty input"
        for c in plan.cases:
            assert (
                c.oracle is None
                or values.difference(
                    values.snapshot(c.oracle(*values.clone(c.args))), values.snapshot(c.oracle(*c.args)), 0
                )
                is None
            ), "the oracle changes its input or is random"


@each("fix")
def test_the_bug_is_a_bug(exercise):
    namespace = {}
    exec("import torch, math\n" + exercise.stub, namespace)
    result = framework.evaluate(exercise, namespace[exercise.answer])
    assert result.state == framework.NOT_YET, "without source the broken function must be judged, and fail"


@each("predict")
def test_predictions(exercise):
    assert framework.evaluate(exercise, exercise.right).state == framework.CORRECT
    assert framework.evaluate(exercise, None).state == framework.evaluate(exercise, ...).state == framework.NOT_STARTED
    messages = [framework.evaluate(exercise, value) for value, _ in exercise.misconceptions]
    assert [r.state for r in messages] == [framework.NOT_YET] * len(messages)
    assert [r.message for r in messages] == [message for _, message in exercise.misconceptions]
    assert len(set(messages)) >= 3, "at least three misconceptions, each with its own message"
    for message in [r.message for r in messages] + [exercise.otherwise]:
        assert values.show(exercise.right) not in message.replace(",", " ").split(), "the message tells the answer"
    assert framework.evaluate(exercise, object()).state == framework.NOT_YET


@pytest.mark.parametrize(
    "number,value",
    [
        ("3.5", math.exp(math.log(2) / 0.2)),
        ("3.5", numpy.exp(5 * numpy.log(2))),
        ("4.1", Fraction(1, 3)),
        ("4.1", "1/3"),
        ("4.1", 0.33),
        ("4.1", " 1 / 3 "),
        ("4.1", 0.333),
        ("5.1", numpy.array([1, 3])),
        ("5.1", (1, 3)),
        ("5.1", [1.0, 3.0]),
        ("5.1", [torch.tensor(1), torch.tensor(3)]),
        ("6.1", 44.8),
        ("6.1", 45),
        ("6.1", torch.tensor(44.796)),
        ("1.4", numpy.array(0.42)),
        ("1.4", torch.tensor(0.416)),
    ],
)
def test_predictions_in_other_forms(number, value):
    result = framework.evaluate(framework.find(number), value)
    assert result.state == framework.CORRECT, result.message


@pytest.mark.parametrize(
    "number,value,says",
    [
        ("3.4", (5, 800), "`outputs` should be a number, yours is a tuple of 2: a comma makes a tuple"),
        ("1.4", (0, 42), "`pixels` should be a number, yours is a tuple of 2: a comma makes a tuple"),
        ("1.4", "0.42", "`pixels` should be a number, yours is a string"),
        ("5.1", 1, "`left_over` should be a list of numbers, yours is an int"),
        ("3.5", 32.01, "write down the number"),
        ("4.1", 0.34, "draw both on squared paper"),
        ("4.1", 0.32, "draw both on squared paper"),
        ("4.1", 33, "draw both on squared paper"),
        ("4.1", -1 / 3, "draw both on squared paper"),
        ("5.1", [1, 2, 3], "sort by score"),
        ("5.1", [True, 3], "sort by score"),
        ("6.1", 44.5, "count the outputs"),
        ("6.1", 46, "count the outputs"),
        ("6.1", [44.8], "`first_loss` should be a number, yours is a list of 1"),
    ],
)
def test_predictions_of_the_wrong_kind(number, value, says):
    result = framework.evaluate(framework.find(number), value)
    assert result.state == framework.NOT_YET and says in result.message, result


MESSAGES = {  # answers whose message once did not help: exercise, label, what must be told
    "digits that tell two numbers apart": ("1.1", "half precision inside", r"yours gives .*(\d\.\d{2,}).*right is"),
    "an input to retype": (
        "4.4",
        "the ways across and down added up",
        r"for boxes = \[\[4, 6, 16, 14\]\], default_boxes = \[\[",
    ),
    "the half of an odd side": (
        "1.6",
        "half of a side as a whole number",
        r"^half of an odd side is no whole number: .*for boxes_cxcywh = \[\[",
    ),
    "the place of a gradient": (
        "1.2",
        "the absolute value by a square root",
        r"is nan at \[0, 0\] of predicted, right is 0, for predicted = \[\[",
    ),
    "the side of the centre": (
        "3.2",
        "right and bottom stopped at 0",
        r"^an edge on the wrong side of the centre .*for boxes = \[\[",
    ),
    "gates": ("5.5", "gates from a grid", r"yours gives 0\.123 at \[0\], right is 0\.1235"),
}


@pytest.mark.parametrize("label", MESSAGES)
def test_the_message_helps(label):
    number, wrong, says = MESSAGES[label]
    trial = next(t for t in WRONG if t.number == number and t.label == wrong)
    message = framework.evaluate(framework.find(number), trial.answer).message
    assert re.search(says, message), message


@each("write", "fix")
def test_wrong_arguments_are_named(exercise):
    names = framework.Plan(exercise, 0).names
    message = framework.evaluate(exercise, lambda a, b, c, d, e, f, g: a).message
    assert message.startswith(
        f"`{exercise.answer}` should take ({', '.join(names)}), but it could not be called with them"
    )


def test_every_listed_answer_has_an_exercise():
    numbers = {e.number for e in EXERCISES if e.kind in ("write", "fix")}
    assert {t.number for t in WRONG + RIGHT} <= numbers


@pytest.mark.parametrize("number", sorted({int(e.number.split(".")[0]) for e in EXERCISES}))
def test_enough_exercises_of_different_kinds(number):
    exercises = framework.lesson(number)
    assert len(exercises) >= 4
    assert len({e.kind for e in exercises}) >= 3
    assert [e.number for e in exercises] == [f"{number}.{k + 1}" for k in range(len(exercises))]
