"""Which of the known objects the rules with a template for a name can make, without trying each rule on each name."""

import re
from collections.abc import Iterable, Sequence

from communicator.topics import wildcards
from data_bridge.catalog.rules import ReadRule

_PLACE = re.compile(r"\{([0-9]+)\}")


class NameTemplates:
    """Finds the rules whose template can make a name."""

    def __init__(self, rules: Iterable[ReadRule]) -> None:
        # Most templates begin or end with a word of their own: only those that fit there are tried.
        self._by_ends: dict[tuple[str, str], list[tuple[re.Pattern[str], ReadRule]]] = {}
        for each in rules:
            if each.rule.templated:
                texts = _PLACE.split(each.rule.object)[::2]
                self._by_ends.setdefault((texts[0], texts[-1]), []).append((_pattern(each), each))
        self._starts = sorted({len(start) for start, _ in self._by_ends})
        self._ends = sorted({len(end) for _, end in self._by_ends})

    def rules_for(self, name: str) -> Sequence[ReadRule]:
        """Return the rules whose template may make a name, in the order of the file."""
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


def _pattern(rule: ReadRule) -> re.Pattern[str]:
    """Return what matches the names that a rule makes: `+` stands for one level of a topic, `#` for any number."""
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
