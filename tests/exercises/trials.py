"""How an answers module lists wrong and right answers: `@wrong("4.2", "zeros", says="IoU 1")` and `@right("4.2")`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One answer to try, and for a wrong one the words that the message must hold."""

    number: str
    label: str
    answer: object
    says: str = ""
    same_as_oracle: bool = False


WRONG: list[Trial] = []
RIGHT: list[Trial] = []


def wrong(number: str, label: str, *, says: str, only_behaviour: bool = False) -> Callable:
    """List a wrong answer. `only_behaviour`: its values are right, it breaks another rule (in place, detached …)."""

    def decorate(answer: Callable) -> Callable:
        WRONG.append(Trial(number, label, answer, says, only_behaviour))
        return answer

    return decorate


def right(number: str, label: str) -> Callable:
    """List a right answer."""

    def decorate(answer: Callable) -> Callable:
        RIGHT.append(Trial(number, label, answer))
        return answer

    return decorate
