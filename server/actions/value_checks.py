"""What formatters and validators say of values, asked outside of the transaction that needs to know it.

An action takes the `answers` that are known and raises Unanswered for what it lacks; nothing is changed then. The
questions are put to a worker process, and the action is tried again. An answer is found by the expressions and the
value, so a field or an expression that was changed meanwhile is simply another question.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from server.encoding import encode
from server.errors import CONFLICT, EXPRESSION_FAILED, Refused

T = TypeVar("T")
ROUNDS = 5  # a second one is needed when a field type is changed between question and action


class Question(NamedTuple):
    """What comes of a value; None stands for no expression."""

    formatter: Any
    validator: Any
    value: str


class Answer(NamedTuple):
    """The value as it is to be kept, and whether it is right."""

    value: str
    valid: bool


Answers = Mapping[bytes, Answer]
NOTHING_KNOWN: Answers = {}


class Unanswered(Exception):
    """What must be known before the action can be done."""

    def __init__(self, questions: list[Question]) -> None:
        super().__init__(f"{len(questions)} questions")
        self.questions = questions


class Evaluator(Protocol):
    """The worker processes."""

    async def run(self, task: str, *args: Any, whose: str = ...) -> Any: ...


def find_answers(questions: Iterable[Question], answers: Answers) -> list[Answer]:
    """The answers in the order of the questions; raises Unanswered for all that are missing."""
    found = [known(question, answers) for question in questions]
    missing = [each for each in found if isinstance(each, Question)]
    if missing:
        raise Unanswered(missing)
    return [each for each in found if isinstance(each, Answer)]


def known(question: Question, answers: Answers) -> Answer | Question:
    """The answer, or the question again where it is not known."""
    if question.formatter is None and question.validator is None:
        return Answer(question.value, True)
    return answers.get(encode(question), question)


async def answered(evaluator: Evaluator, attempt: Callable[[Answers], Awaitable[T]], whose: str = "") -> T:
    """What comes of an action of this party once its questions are answered; raises Refused where an expression takes
    too long."""
    answers: dict[bytes, Answer] = {}
    for _ in range(ROUNDS):
        try:
            return await attempt(answers)
        except Unanswered as asked:
            questions = list({encode(question): question for question in asked.questions}.values())
        try:
            replies = await evaluator.run("check_values", [list(question) for question in questions], whose=whose)
        except Refused as refusal:
            raise Refused(refusal.kind, {"values": refusal.detail}) from None
        answers |= {encode(question): Answer(*reply) for question, reply in zip(questions, replies, strict=True)}
    raise Refused(CONFLICT, "The fields are being changed.")


async def require_expressions(evaluator: Evaluator, formatter: Any, validator: Any, whose: str = "") -> None:
    """Raises Refused, by field, unless both can be evaluated."""
    faults = await evaluator.run("find_faults", formatter, validator, whose=whose)
    if faults:
        raise Refused(EXPRESSION_FAILED, faults)
