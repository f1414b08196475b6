"""Setting a site up: by hand, by a bridge's hello, or by the app; and changing it later."""

from collections.abc import Mapping
from itertools import chain, count
from typing import Any, override

import voluptuous as vol
from homeassistant.components import mqtt
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigFlow, ConfigFlowResult
from homeassistant.core import callback
from homeassistant.helpers.selector import BooleanSelector, TextSelector, TextSelectorConfig
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo

from .const import (
    CONF_BASKET_ROOTS,
    CONF_BRIDGE_ID,
    CONF_PRINTERS,
    DEFAULT_BASKET_ROOTS,
    DOMAIN,
    EVERY_BRIDGE,
    VERSION,
)
from .devices.bridged import parse_hello
from .devices.errors import MalformedMessageError
from .devices.level_names import is_id
from .devices.topics import SiteTopics, first_overlap, valid_root
from .discovery import MOST_OPEN_FLOWS, ask_next, drop_hello, keep_hello, remember_reader
from .markdown import bounded, escaped
from .options_flow import SiteOptionsFlow
from .settings import topics_of

DEFAULT_TITLE = "IoT Data Bridge"
_HELLO_LEVELS = 3

TOPICS_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_BASKET_ROOTS, default=list(DEFAULT_BASKET_ROOTS)): TextSelector(
            TextSelectorConfig(multiple=True)
        ),
        vol.Optional(CONF_PRINTERS, default=True): BooleanSelector(),
        vol.Optional(CONF_BRIDGE_ID, default=EVERY_BRIDGE): TextSelector(),
    }
)


class SiteConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set up a site, which is a namespace of topics. No two sites may read the same topic."""

    VERSION = VERSION

    def __init__(self) -> None:
        self._bridge_id = ""
        self._name = ""
        self._asked = False

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> SiteOptionsFlow:
        return SiteOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the topics; the defaults fit a shop whose baskets and bridge are as delivered."""
        if not await mqtt.async_wait_for_mqtt_client(self.hass):
            return self.async_abort(reason="mqtt_unavailable")
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            topics = _topics(user_input)
            if topics == self._default_topics() and self._taken(topics) is not None:
                return self.async_abort(reason="already_configured")
            errors, placeholders = self._check(topics)
            if not errors:
                return self.async_create_entry(title=self._title(_label(topics)), data=_data(topics))
        return self._topics_form("user", user_input, errors, placeholders)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change the topics of a site."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        entry = self._get_reconfigure_entry()
        if user_input is not None:
            topics = _topics(user_input)
            errors, placeholders = self._check(topics)
            if not errors:
                # A bridge that the site gives up can be found again.
                unique_id = entry.unique_id if entry.unique_id == topics.bridge_id else None
                return self.async_update_and_abort(entry, unique_id=unique_id, data=_data(topics))
        return self._topics_form("reconfigure", user_input or _data(topics_of(entry)), errors, placeholders)

    @override
    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        """Find a bridge by its retained hello, and end the question about one that cleared it."""
        levels = discovery_info.topic.split("/")
        payload = discovery_info.payload
        if len(levels) != _HELLO_LEVELS or not is_id(bridge_id := levels[1]):
            return self.async_abort(reason="invalid_discovery_info")
        if not payload:
            drop_hello(self.hass, discovery_info.topic)
            for flow in self._questions():
                if flow["context"].get("unique_id") == bridge_id:
                    self.hass.config_entries.flow.async_abort(flow["flow_id"])
            return self.async_abort(reason="bridge_gone")
        try:
            hello = parse_hello(payload.encode() if isinstance(payload, str) else bytes(payload))
        except MalformedMessageError:
            return self.async_abort(reason="invalid_discovery_info")
        if hello.bridge_id != bridge_id:
            return self.async_abort(reason="invalid_discovery_info")
        if (reason := await self._async_known(bridge_id)) is not None:
            return self.async_abort(reason=reason)
        if len(self._questions()) >= MOST_OPEN_FLOWS:
            keep_hello(self.hass, discovery_info)
            return self.async_abort(reason="too_many_discovered")
        return await self._async_ask(bridge_id, hello.name)

    @override
    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """Find the bridge of the app, which the Supervisor announces."""
        bridge_id = discovery_info.config.get("bridge_id")
        if not isinstance(bridge_id, str) or not is_id(bridge_id):
            return self.async_abort(reason="invalid_discovery_info")
        if (reason := await self._async_known(bridge_id)) is not None:
            return self.async_abort(reason=reason)
        return await self._async_ask(bridge_id, discovery_info.name)

    async def async_step_discovery_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask before anything is set up."""
        if user_input is None:
            self._set_confirm_only()
            return self.async_show_form(
                step_id="discovery_confirm",
                # The description is Markdown, and both texts are a stranger's.
                description_placeholders={"name": escaped(self._name), "bridge_id": escaped(self._bridge_id)},
            )
        topics = SiteTopics(DEFAULT_BASKET_ROOTS, True, self._bridge_id)
        if self._taken(topics) is not None:
            # Another site has the shop floor: this bridge brings only what is behind it.
            topics = SiteTopics((), False, self._bridge_id)
        return self.async_create_entry(title=self._title(bounded(self._name)), data=_data(topics))

    @callback
    @override
    def async_remove(self) -> None:
        """Ask about the next bridge when this question is answered."""
        if self._asked:
            ask_next(self.hass)

    async def _async_known(self, bridge_id: str) -> str | None:
        """Return why a bridge needs no question, None if it does."""
        # The bridge's id is the same however it was found, so that hello and the Supervisor start one flow and not two.
        await self.async_set_unique_id(bridge_id)
        self._abort_if_unique_id_configured()
        for entry in self._async_current_entries(include_ignore=False):
            if topics_of(entry).reads_bridge(bridge_id):
                remember_reader(self.hass, entry, self.context.get("discovery_key"))
                return "already_configured"
        return None

    async def _async_ask(self, bridge_id: str, name: str) -> ConfigFlowResult:
        self._bridge_id, self._name, self._asked = bridge_id, name, True
        self.context["title_placeholders"] = {"name": bounded(name)}
        return await self.async_step_discovery_confirm()

    def _questions(self) -> list[ConfigFlowResult]:
        """Return the open questions about discovered bridges, but for this one."""
        return [flow for flow in self._async_in_progress() if flow.get("step_id") == "discovery_confirm"]

    def _title(self, label: str) -> str:
        """Return a title of its own; that of the first site does not depend on how it was found."""
        titles = {entry.title for entry in self._async_current_entries(include_ignore=False)}
        candidates = chain(
            (DEFAULT_TITLE, f"{DEFAULT_TITLE} ({label})"), (f"{DEFAULT_TITLE} ({label} {n})" for n in count(2))
        )
        return next(title for title in candidates if title not in titles)

    def _topics_form(
        self, step_id: str, values: Mapping[str, Any] | None, errors: dict[str, str], placeholders: dict[str, str]
    ) -> ConfigFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(TOPICS_SCHEMA, values),
            errors=errors,
            description_placeholders={"first": "", "second": "", **placeholders},
        )

    def _check(self, topics: SiteTopics) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is wrong with the topics, by field, and what the messages need to say it."""
        for root in topics.basket_roots:
            if not valid_root(root):
                return {CONF_BASKET_ROOTS: "invalid_root"}, {"first": root}
        if topics.bridge_id not in (EVERY_BRIDGE, "") and not is_id(topics.bridge_id):
            return {CONF_BRIDGE_ID: "invalid_bridge_id"}, {}
        filters = topics.filters()
        if not filters:
            return {"base": "nothing_to_read"}, {}
        # Mosquitto delivers a message once for each subscription that matches it.
        if (overlap := first_overlap(filters)) is not None:
            return {CONF_BASKET_ROOTS: "roots_overlap"}, dict(zip(("first", "second"), overlap, strict=True))
        if (overlap := self._taken(topics)) is not None:
            return {"base": "topics_taken"}, dict(zip(("first", "second"), overlap, strict=True))
        return {}, {}

    def _taken(self, topics: SiteTopics) -> tuple[str, str] | None:
        """Return a topic filter of ours and the one of another site that overlaps it."""
        own = self._get_reconfigure_entry().entry_id if self.source == SOURCE_RECONFIGURE else None
        others = [
            topic_filter
            for entry in self._async_current_entries(include_ignore=False)
            if entry.entry_id != own
            for topic_filter in topics_of(entry).filters()
        ]
        return next(
            (
                overlap
                for topic_filter in topics.filters()
                if (overlap := first_overlap([topic_filter], others)) is not None
            ),
            None,
        )

    @staticmethod
    def _default_topics() -> SiteTopics:
        return SiteTopics(DEFAULT_BASKET_ROOTS, True, EVERY_BRIDGE)


def _topics(user_input: Mapping[str, Any]) -> SiteTopics:
    roots = dict.fromkeys(str(root).strip() for root in user_input.get(CONF_BASKET_ROOTS, ()))
    return SiteTopics(
        basket_roots=tuple(root for root in roots if root),
        printers=bool(user_input.get(CONF_PRINTERS, True)),
        bridge_id=str(user_input.get(CONF_BRIDGE_ID, "")).strip(),
    )


def _data(topics: SiteTopics) -> dict[str, Any]:
    return {
        CONF_BASKET_ROOTS: list(topics.basket_roots),
        CONF_PRINTERS: topics.printers,
        CONF_BRIDGE_ID: topics.bridge_id,
    }


def _label(topics: SiteTopics) -> str:
    """Return the words that tell a site's topics from another's: of the first root, else the bridge's id."""
    levels = topics.basket_roots[0].split("/") if topics.basket_roots else [topics.bridge_id]
    return " ".join(level for level in levels if level not in ("+", "")) or "2"
