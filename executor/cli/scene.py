"""What stands on the terminal while a run goes on: lines, a live region or a question.

Theory. While somebody types, nothing may be drawn, for nobody knows where the cursor is. So there
is a live region or a question, never both, and while there is a question, what would stay on the
screen is held back: until a line was typed, or until the run says that the question is gone,
whoever answered it. Of several open prompts the oldest is put.

Only the thread that draws uses it, except for `asked`, which the thread that reads stdin looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from executor.cli.drawing import Drawing
from executor.cli.happenings import Continued, Happening, Noted, Paused, Recalled, Typed
from executor.cli.keyboard import Keyboard
from executor.views.progress import Line, Progress, Question
from executor.views.text import shown
from protocol.codec import decode
from protocol.events import DecisionAccepted, DecisionRejected, InputClosed

HOW_TO_ANSWER = "Type a choice, its beginning or its number."
HOW_TO_EXTEND = f"{HOW_TO_ANSWER} extend 20 goes on for 20 iterations."


class Scene:
    """What stands on one terminal, and what is held back."""

    def __init__(self, drawing: Drawing, keyboard: Keyboard, at: datetime) -> None:
        self.asked: Question | None = None
        """What can be answered by typing now."""
        self._drawing = drawing
        self._keyboard = keyboard
        self._can_type = keyboard.there
        self._progress = Progress()
        self._answering: str | None = None
        """The prompt that was answered by typing, until the run has judged the answer."""
        self._told: set[str] = set()
        """Prompts whose question was on the screen before."""
        self._held: list[Line] = []
        self._typing = False
        """Whether somebody may be typing: the cursor is then where it was left, or behind that."""
        self._paused = False
        self._now = at

    @property
    def ticks(self) -> bool:
        """Whether something is to be drawn though nothing happens."""
        return self._drawing.moves and self._is_free and not self._progress.over

    @property
    def _is_free(self) -> bool:
        """Whether nothing else is done with the terminal than what is drawn."""
        return not self._typing and not self._paused

    def tick(self, at: datetime) -> None:
        """Draws the live region as it is now."""
        live = self._progress.live(at)
        if live is not None and self._is_free:
            self._drawing.live(live)

    def take(self, happening: Happening, at: datetime) -> None:
        """Takes in what has happened, and draws what stays of it."""
        self._now = at
        match happening:
            case Typed():
                self._typed(happening)
            case Noted(text):
                self._show([Line(shown(line), "!") for line in text.splitlines() if line])
            case Paused(settled):
                self._paused = True
                self._drawing.settle()
                settled.set()
            case Continued():
                self._continued()
            case Recalled(log, size):
                with log.open("rb") as file:
                    for line in file.read(size).splitlines(keepends=True):
                        self._progress.take(decode(line))
            case bytes():
                self._happened(happening)

    def end(self) -> None:
        """Nothing more will happen."""
        self._withdraw()
        self._drawing.settle()

    def _happened(self, event: bytes) -> None:
        entry = decode(event)
        self._held.extend(self._progress.take(entry))
        match entry.event:
            case DecisionRejected(source="stdin"):
                self._answering = None
                self._withdraw()  # whoever typed is told now, and asked again
            case DecisionAccepted(source="stdin"):
                self._withdraw()
            case InputClosed():
                self._input_ended()
        if self.asked is not None and self.asked.prompt not in self._progress.questions:
            self._withdraw()
        if self._progress.over:
            self._drawing.settle()
        self._show([])
        self._ask()

    def _input_ended(self) -> None:
        self._can_type = False
        if self.asked is not None:
            text = f"The end of input is no answer. Answer with: {self.asked.answer_with}"
            self._held.append(Line(text, "!"))
            self._withdraw()

    def _continued(self) -> None:
        self._paused = False
        if self.asked is None:
            self._keyboard.hush()
            self._show([])
            self._ask()
        else:
            self._keyboard.listen()
            self._put(self.asked)

    def _typed(self, typed: Typed) -> None:
        asked, self._typing = self.asked, False  # the line has ended
        if asked is not None and typed.answers:
            self._answering = asked.prompt
            self.asked = None
            self._keyboard.hush()
        self._show([Line(typed.told, "!")] if typed.told is not None else [])
        if self.asked is not None:
            self._put(self.asked)

    def _show(self, lines: Sequence[Line]) -> None:
        """Draws what is held back and these, unless somebody may be typing."""
        self._held.extend(lines)
        if self._is_free and self._held:
            held, self._held = self._held, []
            self._drawing.lines(held, self._progress.live(self._now))

    def _ask(self) -> None:
        """Puts the oldest open question, unless one is put already."""
        waiting = [
            one for one in self._progress.questions.values() if one.prompt != self._answering
        ]
        if self.asked is not None or self._paused or not waiting:
            return
        question = waiting[0]
        self._tell(question)
        if self._can_type:
            self._drawing.settle()
            self._keyboard.listen()
            self._put(question)

    def _put(self, question: Question) -> None:
        self.asked = question
        self._typing = True
        self._drawing.ask(question.prompt)

    def _tell(self, question: Question) -> None:
        if question.prompt in self._told:
            return
        self._told.add(question.prompt)
        how = HOW_TO_EXTEND if "extend" in question.choices else HOW_TO_ANSWER
        if not self._can_type:
            how = f"Answer with: {question.answer_with}"
        self._drawing.lines([Line(""), *question.lines, Line(f"{how} {question.unanswered}", "•")])

    def _withdraw(self) -> None:
        """Takes the question away; what was typed so far is no answer to the next one."""
        if self.asked is not None:
            self.asked = None
            self._typing = False
            self._drawing.end_line()
            self._keyboard.hush()
