"""The baskets of basket_updates.py as a user would build them by hand: Home Assistant's MQTT entities and templates.

Written for speed where Home Assistant leaves a choice. Prices stand in a file of `custom_templates`, which Home
Assistant reads once, and not in each template. The shop's sums are one loop once a second: a `group` that sums a
thousand sensors, or a template that names them, would count all of them again at each change of one.
"""

import json
from pathlib import Path

type Entity = dict[str, object]

_IMPORT = "{% from 'prices.jinja' import prices %}"
_IMPORT_NAMES = "{% from 'prices.jinja' import prices, names %}"
_CONTENTS = "{% set contents = value_json.list %}"
_PRICED = (
    f"{_CONTENTS}{_IMPORT}{{% set ns = namespace(total=0, unknown=[]) %}}"
    "{% for code, count in contents.items() %}{% if code in prices %}"
    "{% set ns.total = ns.total + prices[code] * count %}"
    "{% else %}{% set ns.unknown = ns.unknown + [code] %}{% endif %}{% endfor %}"
)
_LINES = (
    f"{_CONTENTS}{_IMPORT_NAMES}{{% set ns = namespace(lines=[]) %}}"
    "{% for code, count in contents.items() %}{% set ns.lines = ns.lines + "
    "[{'name': names.get(code, code) ~ ' x ' ~ count, 'price': (prices[code] * count) if code in prices else none}] %}"
    "{% endfor %}"
    "{{ {'lines': ns.lines} | tojson }}"
)
SILENT_SECONDS = 15 * 60


def write_entities(directory: Path, baskets: int, listed: int, full: int, prices: dict[str, int]) -> dict[str, object]:
    """Return the configuration of baskets, the first `listed` with their contents, `full` with dispensable entities."""
    (directory / "custom_templates").mkdir()
    names = {code: product_name(code) for code in prices}
    (directory / "custom_templates" / "prices.jinja").write_text(
        f"{{% set prices = {json.dumps(prices)} %}}{{% set names = {json.dumps(names)} %}}"
    )
    mqtt: dict[str, list[Entity]] = {"event": [], "sensor": [], "binary_sensor": [], "number": [], "button": []}
    for number in range(baskets):
        for platform, entities in _basket(number).items():
            mqtt[platform] += entities
        if number < listed:
            mqtt["sensor"].append(_contents_sensor(number))
        if number < full:
            for platform, entities in _dispensable(number).items():
                mqtt[platform] += entities
    return {"mqtt": mqtt, "template": [_shop(baskets)]}


def product_name(code: str) -> str:
    """Return what a product is called on both sides."""
    return f"Product {code}"


def _entity(number: int, key: str, template: str, channel: str = "update", **more: object) -> Entity:
    return {
        "name": f"Plain {number} {key}",
        "unique_id": f"plain_{number}_{key}",
        "state_topic": f"plain/{number}/{channel}",
        "value_template": template,
        **more,
    }


def _button(number: int, key: str, command: str) -> Entity:
    return {
        "name": f"Plain {number} {key}",
        "unique_id": f"plain_{number}_{key}",
        "command_topic": f"plain/{number}/status",
        "command_template": command,
        "qos": 1,
    }


def _basket(number: int) -> dict[str, list[Entity]]:
    """Return what every basket has."""
    topic = f"plain/{number}/update"
    session = "{{ 'active' if value_json.msg == 'start' else 'idle' if value_json.msg == 'end' else this.state }}"
    told = "{{ {'start': 'session_started', 'end': 'session_ended', 'total': 'total_shown'}[value_json.msg] }}"
    return {
        # Before the items, whose attributes are the contents before.
        "event": [
            _entity(
                number, "activity", _activity(number), event_types=["item_added", "item_removed", "unknown_product"]
            ),
            _entity(
                number,
                "commands",
                f"{{{{ {{'event_type': ({told[3:-3]}), 'basket': 'plain/{number}'}} | tojson }}}}",
                "status",
                event_types=["session_started", "session_ended", "total_shown"],
            ),
        ],
        "sensor": [
            _entity(number, "session", session, "status", device_class="enum", options=["idle", "active"]),
            _entity(
                number,
                "shown total",
                "{{ value_json.payload.totalprice if value_json.msg == 'total' else none }}",
                "status",
            ),
            _entity(
                number,
                "total price",
                _PRICED + "{{ none if ns.unknown else ns.total }}",
                unit_of_measurement="KRW",
                device_class="monetary",
            ),
            _entity(
                number,
                "items",
                "{{ value_json.list.values() | sum }}",
                state_class="measurement",
                json_attributes_topic=topic,
                json_attributes_template="{{ {'contents': value_json.list} | tojson }}",
            ),
        ],
        "binary_sensor": [
            _entity(number, "connectivity", "ON", device_class="connectivity"),
            # Off when the basket was silent for too long.
            _entity(number, "heard", "ON", off_delay=SILENT_SECONDS),
            _entity(
                number,
                "problem",
                _problem(number) + "{{ 'ON' if ns.reasons else 'OFF' }}",
                device_class="problem",
                json_attributes_topic=topic,
                json_attributes_template=_problem(number)
                + "{{ {'reason': ns.reasons | first | default(none), 'reasons': ns.reasons} | tojson }}",
            ),
        ],
        "button": [
            _button(number, "start", '{"msg":"start"}'),
            _button(number, "end", '{"msg":"end"}'),
        ],
    }


def _contents_sensor(number: int) -> Entity:
    return _entity(
        number,
        "contents",
        "{{ value_json.list | count }}",
        json_attributes_topic=f"plain/{number}/update",
        json_attributes_template=_LINES,
    )


def _dispensable(number: int) -> dict[str, list[Entity]]:
    """Return what only the first baskets of a large site have."""
    budget = f"{{% set budget = states('number.plain_{number}_budget') | int(0) %}}"
    total = f"states('sensor.plain_{number}_total_price') | int(0)"
    return {
        "sensor": [
            _entity(number, "distinct products", "{{ value_json.list | count }}", state_class="measurement"),
            _entity(
                number,
                "session started",
                "{{ utcnow().isoformat() if value_json.msg == 'start' else none if value_json.msg == 'end' "
                "else this.state }}",
                "status",
                device_class="timestamp",
            ),
            _entity(
                number,
                "last activity",
                "{{ utcnow().replace(second=0, microsecond=0).isoformat() }}",
                device_class="timestamp",
            ),
        ],
        "binary_sensor": [
            _entity(
                number, "over budget", f"{_PRICED}{budget}{{{{ 'ON' if budget and ns.total > budget else 'OFF' }}}}"
            )
        ],
        "number": [
            {
                "name": f"Plain {number} budget",
                "unique_id": f"plain_{number}_budget",
                "command_topic": f"plain/{number}/budget",
                "max": 1_000_000,
            }
        ],
        "button": [
            _button(
                number,
                "show total",
                f'{{"msg":"total","payload":{{"basketid":{number},"totalprice":{{{{ {total} }}}}}}}}',
            )
        ],
    }


def _problem(number: int) -> str:
    """Return the template of the reasons, as a list."""
    return (
        f"{_PRICED}{{% set ns.reasons = [] %}}"
        f"{{% if contents and states('sensor.plain_{number}_session') != 'active' %}}"
        "{% set ns.reasons = ns.reasons + ['items_without_session'] %}{% endif %}"
        "{% if ns.unknown %}{% set ns.reasons = ns.reasons + ['unknown_product'] %}{% endif %}"
        f"{{% set shown = states('sensor.plain_{number}_shown_total') %}}"
        "{% if not ns.unknown and is_number(shown) and shown | int != ns.total %}"
        "{% set ns.reasons = ns.reasons + ['total_differs'] %}{% endif %}"
        "{% if value_json.error | default('') %}{% set ns.reasons = ns.reasons + ['controller_error'] %}{% endif %}"
    )


def _activity(number: int) -> str:
    """Return the template of what was put in or taken out, by the contents that the items sensor showed before."""
    return (
        f"{_CONTENTS}{{% set before = state_attr('sensor.plain_{number}_items', 'contents') or {{}} %}}"
        f"{_IMPORT_NAMES}{{% set ns = namespace(event=none) %}}"
        "{% for code in (before.keys() | list + contents.keys() | list) | unique %}"
        "{% set difference = contents.get(code, 0) - before.get(code, 0) %}"
        "{% if difference %}{% set ns.event = "
        "{'event_type': 'item_added' if difference > 0 else 'item_removed', 'product': code, "
        "'name': names.get(code, code), 'count': difference | abs, "
        f"'price': prices.get(code, 0) * difference | abs, 'basket': 'plain/{number}'}} %}}{{% endif %}}{{% endfor %}}"
        "{{ ns.event | tojson if ns.event else '' }}"
    )


def _shop(baskets: int) -> dict[str, object]:
    """Return the sums of the shop, counted once a second like the integration's."""
    count = (
        "{% set ns = namespace(in_use=0, pieces=0, worth=0) %}"
        f"{{% for number in range({baskets}) %}}"
        "{% if is_state('sensor.plain_' ~ number ~ '_session', 'active') %}"
        "{% set ns.in_use = ns.in_use + 1 %}"
        "{% set ns.pieces = ns.pieces + states('sensor.plain_' ~ number ~ '_items') | int(0) %}"
        "{% set ns.worth = ns.worth + states('sensor.plain_' ~ number ~ '_total_price') | int(0) %}"
        "{% endif %}{% endfor %}"
        "{{ {'in_use': ns.in_use, 'pieces': ns.pieces, 'worth': ns.worth} }}"
    )

    def sensor(name: str, state: str, **more: str) -> Entity:
        return {"name": f"Shop {name}", "unique_id": f"shop_{name}", "state": f"{{{{ {state} }}}}", **more}

    return {
        "triggers": [{"trigger": "time_pattern", "seconds": "/1"}],
        "variables": {"shop": count},
        "sensor": [
            sensor("baskets in use", "shop.in_use"),
            sensor("baskets idle", f"{baskets} - shop.in_use"),
            sensor("items out", "shop.pieces"),
            sensor("value on the floor", "shop.worth", unit_of_measurement="KRW", device_class="monetary"),
        ],
    }
