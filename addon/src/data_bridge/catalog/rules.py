"""The rules of mappings.yaml, made ready: casts, readers, and of those with one key the last."""

from collections.abc import Mapping
from dataclasses import dataclass

from communicator.topics import wildcards
from data_bridge.catalog.casts import CastError, ValueType, prepare_cast
from data_bridge.catalog.files import CatalogFiles, warn_of_unknown_keys
from data_bridge.catalog.findings import Findings
from data_bridge.catalog.loop_check import check_reading
from data_bridge.catalog.model import Rule
from data_bridge.catalog.readers import prepare_reader
from data_bridge.catalog.schema import MappingRule
from data_bridge.catalog.text_templates import prepare_template


@dataclass(frozen=True, slots=True)
class ReadRule:
    """A rule with its place among the `mappings`, and all that its author wrote."""

    number: int
    model: MappingRule
    rule: Rule

    @property
    def location(self) -> tuple[str, int]:
        """Return its location in mappings.yaml."""
        return ("mappings", self.number)

    @property
    def name(self) -> str:
        """Return its name for errors at other places."""
        if self.model.topic is not None:
            return f"the rule of {self.model.topic}"
        return f"the rule of {self.model.equip_tag}, {self.model.message_id}"


def read_rules(models: Mapping[int, MappingRule], files: CatalogFiles, findings: Findings) -> list[ReadRule]:
    """Return the rules in the order of the file, without those that are refused or repeated later."""
    rules: dict[tuple[str, str, str], ReadRule] = {}
    for number, model in models.items():
        warn_of_unknown_keys(findings, files.mappings, ("mappings", number), model)
        rule = _read_rule(number, model, files, findings)
        if rule is None:
            continue
        # A topic may feed many objects; an envelope's key leads to one.
        if model.topic is not None:
            key = (model.topic, model.path or "", model.object)
        else:
            key = ("", model.equip_tag or "", model.message_id or "")
        # Out first: a dictionary would keep the place of the earlier one.
        if rules.pop(key, None) is not None:
            text = f"repeats the key of an earlier rule ({_key_text(model)}); the last one wins"
            findings.warn(files.mappings, rule.location, text)
        rules[key] = rule
    return list(rules.values())


def _read_rule(number: int, model: MappingRule, files: CatalogFiles, findings: Findings) -> ReadRule | None:
    location = ("mappings", number)
    try:
        rule = _prepare(model)
    except (CastError, ValueError) as error:
        findings.refuse(files.mappings, location, "invalid", str(error))
        return None
    if model.topic is not None:
        try:
            doubt = check_reading(files.own, model.topic)
        except ValueError as error:
            findings.refuse(files.mappings, (*location, "topic"), "loop", str(error))
            return None
        if doubt is not None:
            findings.warn(files.mappings, (*location, "topic"), doubt)
    return ReadRule(number, model, rule)


def _prepare(model: MappingRule) -> Rule:
    templated = False
    if model.topic is not None:
        places = frozenset(str(number + 1) for number in range(wildcards(model.topic)))
        templated = prepare_template(model.object, places) is not None
    cast = prepare_cast(model.value_type, scale=model.scale, offset=model.offset, enum=model.enum)
    verbatim = model.value_type is ValueType.TEXT and not model.enum
    return Rule(
        object=model.object,
        cast=cast,
        read=prepare_reader(cast, model.path, verbatim=verbatim),
        value_type=model.value_type,
        equip_tag=model.equip_tag,
        message_id=model.message_id,
        topic=model.topic,
        path=model.path,
        qos=model.qos,
        takes_retained=model.retained == "take",
        templated=templated,
    )


def _key_text(model: MappingRule) -> str:
    if model.topic is not None:
        return f"topic {model.topic}, path {model.path or '(whole payload)'}"
    return f"{model.equip_tag}, {model.message_id}"
