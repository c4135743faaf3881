"""The report that a person reads on a terminal: what is wrong, where, why, what to do, and the command that does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby

from initadvisor.report.accepted import lines as accepted_lines
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.folding import fold_alike, fold_messages, fold_names
from initadvisor.report.model import Report
from initadvisor.report.phrases import Say, english
from initadvisor.report.signal_text import curves, explanation
from initadvisor.report.terminal import Style, fill, paint
from initadvisor.report.text import advice_of, coverage_of, ordered, place_of, sentence, verdict_of
from initadvisor.rules.finding import Finding

MAX_ENTRIES = 4
"""Different messages shown under one rule; concise and json list all."""

MAX_PLACES = 6
"""Places named under one message, after names that differ in a number are folded."""

MAX_ADVICE = 3
"""Different things to do that are shown under one rule."""

MAX_REASONS = 5

_KINDS = {"layer": "{count} layers", "tensor": "{count} tensors", "norm": "{count} norms"}


def as_full(
    reports: Iterable[Report],
    *,
    columns: int = 100,
    color: bool = False,
    why: Mapping[str, str] | None = None,
    blocks: bool = True,
    titles: Mapping[str, str] | None = None,
    say: Say = english,
) -> str:
    """Findings grouped by rule, worst first, then the signal over depth, the verdict, and what to run.

    why, titles: map a rule id to one sentence on why it matters, and to what is shown beside its name. blocks: draw
    with block characters, else with digits. say: the language of everything that no rule says.
    """
    screen = Screen(columns, color, blocks, why or {}, titles or {}, say)
    return "\n".join("\n".join(screen.report(report)) + "\n" for report in reports)


class Screen:
    """How a report is laid out: for what width, in which colours and words."""

    def __init__(
        self, columns: int, color: bool, blocks: bool, why: Mapping[str, str], titles: Mapping[str, str], say: Say
    ) -> None:
        self.columns, self.color, self.blocks = columns, color, blocks
        self.why, self.titles, self.say = why, titles, say

    def report(self, report: Report) -> list[str]:
        """The lines of one report."""
        lines = self._painted(visible(report.target, MAX_NAME), "strong")
        command = _command(report.findings)
        for _, group in groupby(ordered(report.findings), key=lambda f: (f.severity, f.rule)):
            lines += ["", *self._group(list(group), command)]
        if drawn := curves(report, self.columns, self.color, self.blocks, self.say):
            lines += ["", *drawn]
        if report.explanation is not None:
            lines += explanation(report.explanation, self.columns, self.color, self.say)
        return [*lines, "", *self._end(report, command)]

    def _painted(self, text: str, style: Style, rest: str = "") -> list[str]:
        return [paint(line, style, self.color) for line in fill(text, self.columns, rest=rest)]

    def _group(self, findings: list[Finding], command: str | None) -> list[str]:
        head, say = findings[0], self.say
        lines = self._heading(findings)
        entries = fold_messages(findings, say)
        for message, alike in entries[:MAX_ENTRIES]:
            if any(place_of(finding.subject) for finding in alike):
                where = fill(self._places(alike), self.columns, first="  ", rest="    ")
                lines += [paint(line, "strong", self.color) for line in where]
            lines += fill(visible(message), self.columns, first="    ", rest="    ")
        left = sum(len(alike) for _, alike in entries[MAX_ENTRIES:])
        if left:
            more = say("and {count} more (concise and json output list all)", count=left)
            lines += fill(more, self.columns, first="  ", rest="  ")
        if head.rule in self.why:
            lines += self._labelled("Why", self.why[head.rule])
        lines += self._advice(findings)
        own = next((f.fix.command for f in findings if f.fix and f.fix.command), None)
        if own and own != command:
            lines.append("  " + say("Run: {command}", command=visible(own)))
        return lines

    def _advice(self, findings: list[Finding]) -> list[str]:
        """What to do, and where it is not the same for all, for which of them."""
        say = self.say
        folded = fold_alike([(advice_of(finding, say), finding) for finding in findings], say)
        folded = [(advice, alike) for advice, alike in folded if advice]
        lines: list[str] = []
        for advice, alike in folded[:MAX_ADVICE]:
            several = len(folded) > 1 and any(place_of(finding.subject) for finding in alike)
            text = say("for {names}: {advice}", names=self._places(alike), advice=advice) if several else advice
            lines += self._labelled("Fix", text)
        if len(folded) > MAX_ADVICE:
            lines += self._labelled("Fix", say("and others, layer by layer: initadvisor advise"))
        return lines

    def _heading(self, findings: list[Finding]) -> list[str]:
        """`error IA103 vanishing-chain: 30 layers`."""
        head, say = findings[0], self.say
        label = f"{say(head.severity)} {head.rule}"
        text = f"{label} {visible(head.name)}"
        if title := self.titles.get(head.rule):
            text += f" {visible(title)}"
        if len(findings) > 1:
            kinds = {finding.subject.kind for finding in findings}
            phrase = _KINDS.get(kinds.pop(), "{count} places") if len(kinds) == 1 else "{count} places"
            text += f" ({say(phrase, count=len(findings))})"
        lines = fill(text, self.columns, rest="  ")
        if lines[0].startswith(label):
            lines[0] = paint(label, head.severity, self.color) + lines[0][len(label) :]
        return lines

    def _places(self, findings: list[Finding]) -> str:
        say = self.say
        folded = fold_names(place_of(finding.subject) or say("the model") for finding in findings)
        shown = [self._named(name, findings) for name in folded[:MAX_PLACES]]
        if len(folded) > MAX_PLACES:
            shown.append(say("and {count} more", count=len(folded) - MAX_PLACES))
        return say(", ").join(shown)

    def _named(self, name: str, findings: list[Finding]) -> str:
        """A name that is a bare number, as in nn.Sequential, says what it numbers."""
        if name[:1].isdecimal() and "." not in name.replace("..", "") and findings[0].subject.kind == "layer":
            return self.say("layer {name}" if name.isdecimal() else "layers {name}", name=name)
        return name

    def _labelled(self, label: str, text: str) -> list[str]:
        start = f"  {self.say(label)}: "
        return fill(visible(text), self.columns, first=start, rest="    ")

    def _end(self, report: Report, command: str | None) -> list[str]:
        say = self.say
        style: Style = "good" if report.verdict == "clean" else report.worst() or "error"
        lines = self._painted(sentence(verdict_of(report, say), say), style)
        if command:
            lines += [*fill(say("This draws anew what is at fault:"), self.columns), f"  {visible(command)}"]
        notes = (*(visible(note) for note in report.coverage.notes), *accepted_lines(report))
        for line in (sentence(coverage_of(report, say), say), *notes):
            lines += self._painted(line, "dim", rest="  ")
        lines += [paint(line, "dim", self.color) for line in self._not_evaluated(report)]
        if report.findings:
            first = ordered(report.findings)[0].rule
            lines += self._painted(say('More about a rule: "initadvisor rule {rule}".', rule=first), "dim", rest="  ")
        return lines

    def _not_evaluated(self, report: Report) -> list[str]:
        say = self.say
        reasons = Counter((row.rule, row.reason) for row in report.not_evaluated)
        lines: list[str] = []
        for (rule, reason), count in reasons.most_common(MAX_REASONS):
            text = (
                say("{rule} was not evaluated on {count} subjects: {reason}", rule=rule, count=count, reason=reason)
                if count > 1
                else say("{rule} was not evaluated: {reason}", rule=rule, reason=reason)
            )
            lines += fill(visible(text), self.columns, first="  ", rest="    ")
        left = sum(reasons.values()) - sum(count for _, count in reasons.most_common(MAX_REASONS))
        return lines + ([f"  {say('and {count} more', count=left)}"] if left else [])


def _command(findings: Iterable[Finding]) -> str | None:
    """The command that all findings with one share; None where there is none, or more than one."""
    commands = {finding.fix.command for finding in findings if finding.fix and finding.fix.command}
    return commands.pop() if len(commands) == 1 else None
