"""Index from object names to the rules whose templates can make them, without comparing every pair."""

import re
from collections.abc import Iterable, Sequence

from communicator.topics import wildcards
from data_bridge.catalog.rules import ReadRule
from data_bridge.catalog.schema import Presentation

_PLACE = re.compile(r"\{([0-9]+)\}")


class NameTemplates:
    """Finds the rules whose template can make a name.

    Rules for many topics often differ in the topic alone: of rules with the same names and statements only the first is
    compared. Otherwise a catalog of 30,000 such rules and objects would need 900 million comparisons.
    """

    def __init__(self, rules: Iterable[ReadRule]) -> None:
        # Most templates begin or end with a word of their own: only those that fit there are tried.
        self._by_ends: dict[tuple[str, str], list[tuple[re.Pattern[str], ReadRule]]] = {}
        self._first_alike: dict[int, ReadRule] = {}
        firsts: dict[tuple[str, str], ReadRule] = {}
        for each in rules:
            if not each.rule.templated:
                continue
            pattern = _pattern(each)
            first = firsts.setdefault((pattern.pattern, _stated(each)), each)
            self._first_alike[each.number] = first
            if first is each:
                texts = _PLACE.split(each.rule.object)[::2]
                self._by_ends.setdefault((texts[0], texts[-1]), []).append((pattern, each))
        self._starts = sorted({len(start) for start, _ in self._by_ends})
        self._ends = sorted({len(end) for _, end in self._by_ends})

    def rules_for(self, name: str) -> Sequence[ReadRule]:
        """Return the rules whose template may make a name, in the order of the file, one of those that are alike."""
        if not self._by_ends:
            return ()
        found = [
            rule
            for start in self._starts
            for end in self._ends
            for pattern, rule in self._by_ends.get((name[:start], name[len(name) - end :]), ())
            if pattern.fullmatch(name)
        ]
        return sorted(found, key=lambda rule: rule.number)

    def first_alike(self, rule: ReadRule) -> ReadRule:
        """Return the first rule with the same names and statements."""
        return self._first_alike[rule.number]


def _stated(rule: ReadRule) -> str:
    """Return the statements of a rule about its objects."""
    model = rule.model
    return repr((rule.rule.value_type, model.enum, [getattr(model, key) for key in Presentation.model_fields]))


def _pattern(rule: ReadRule) -> re.Pattern[str]:
    """Return a pattern of the names that a rule makes: `+` stands for one level of a topic, `#` for any number."""
    topic = rule.rule.topic or ""
    last = str(wildcards(topic)) if topic.endswith("#") else ""
    seen: set[str] = set()
    pattern = ""
    for number, text in enumerate(_PLACE.split(rule.rule.object)):
        if number % 2 == 0:
            pattern += re.escape(text)
        elif text in seen:
            pattern += f"(?P=p{text})"
        else:
            seen.add(text)
            pattern += f"(?P<p{text}>.*)" if text == last else f"(?P<p{text}>[^/]*)"
    return re.compile(pattern, re.DOTALL)
