"""The dialogs of the repairs, as the front end drives them."""

from http import HTTPStatus
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.devices import products

from .conftest import ENTRY_ID, Say, Show

FIX = "/api/repairs/issues/fix"
UNPRICED = f"unpriced_product_{ENTRY_ID}_"
EMPTY = f"price_list_empty_{ENTRY_ID}"

type Client = TestClient[Any, Any]


@pytest.fixture
async def client(
    hass: HomeAssistant,
    site: MockConfigEntry,  # noqa: ARG001 -- the site comes first
    hass_client: ClientSessionGenerator,
) -> Client:
    assert await async_setup_component(hass, "repairs", {})
    return await hass_client()


async def put_in(hass: HomeAssistant, site: MockConfigEntry, say: Say, code: str) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", f'{{"id":1,"list":{{"{code}":2}}}}')
    await hass.async_block_till_done()
    site.runtime_data.baskets.summarise()


async def post(client: Client, path: str, data: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(path, json=data)
    assert response.status == HTTPStatus.OK, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


@pytest.mark.usefixtures("prices")
async def test_a_product_gets_its_price_where_it_is_said_that_it_has_none(
    hass: HomeAssistant,
    client: Client,
    site: MockConfigEntry,
    say: Say,
    show: Show,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put_in(hass, site, say, "XXXX")
    step = await post(client, FIX, {"handler": DOMAIN, "issue_id": f"{UNPRICED}XXXX"})
    assert (step["type"], step["step_id"]) == ("form", "price")
    assert step["description_placeholders"] == {"product": "XXXX", "site": "Shop"}
    with monkeypatch.context() as patched:
        patched.setattr(products, "MOST_PRODUCTS", 2)
        again = await post(client, f"{FIX}/{step['flow_id']}", {"price": 700})
    assert again["errors"] == {"base": "too_many_products"}
    done = await post(client, f"{FIX}/{step['flow_id']}", {"price": 700, "name": "Pear"})
    assert done["type"] == "create_entry"
    await hass.async_block_till_done()
    assert show("sensor.basket_1_total_price").state == "1400"
    assert show("sensor.basket_1_problem_reason").state == "none"
    assert not [issue for _, issue in ir.async_get(hass).issues if issue.startswith(UNPRICED)]


@pytest.mark.usefixtures("prices")
async def test_a_code_is_shown_as_it_is_and_no_link(
    hass: HomeAssistant, client: Client, site: MockConfigEntry, say: Say
) -> None:
    code = "[x](http://x.y)"
    await put_in(hass, site, say, code)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"{UNPRICED}{code}")
    assert issue is not None
    # A title is plain text.
    assert issue.translation_placeholders == {"product": code, "site": "Shop"}
    step = await post(client, FIX, {"handler": DOMAIN, "issue_id": f"{UNPRICED}{code}"})
    assert step["description_placeholders"]["product"] == r"\[x\]\(http\:\/\/x\.y\)"


async def test_an_empty_price_list_opens_the_import_and_stays_said_until_there_is_one(
    hass: HomeAssistant, client: Client, site: MockConfigEntry, say: Say
) -> None:
    await put_in(hass, site, say, "MLON")
    step = await post(client, FIX, {"handler": DOMAIN, "issue_id": EMPTY})
    assert (step["type"], step["step_id"]) == ("form", "confirm")
    opened = await post(client, f"{FIX}/{step['flow_id']}", {})
    assert (opened["type"], opened["reason"]) == ("abort", "import_opened")
    kind, flow_id = opened["next_flow"]
    assert kind == "options_flow"
    assert ir.async_get(hass).async_get_issue(DOMAIN, EMPTY) is not None
    options = hass.config_entries.options
    assert options.async_get(flow_id)["step_id"] == "import_prices"
    preview = await options.async_configure(flow_id, {"text": "code,price\nMLON,100", "remove_others": False})
    assert preview["step_id"] == "preview"
    await options.async_configure(flow_id, {})
    await hass.async_block_till_done()
    assert ir.async_get(hass).async_get_issue(DOMAIN, EMPTY) is None


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize("code", [None, "XXXX"])
async def test_a_site_that_is_not_loaded_cannot_be_mended(
    hass: HomeAssistant,
    client: Client,
    site: MockConfigEntry,
    say: Say,
    code: str | None,
) -> None:
    if code is None:
        await hass.services.async_call(DOMAIN, "set_products", {"products": [], "remove_others": True}, blocking=True)
    await put_in(hass, site, say, "XXXX")
    issue_id = EMPTY if code is None else f"{UNPRICED}{code}"
    step = await post(client, FIX, {"handler": DOMAIN, "issue_id": issue_id})
    assert await hass.config_entries.async_unload(site.entry_id)
    answer = await post(client, f"{FIX}/{step['flow_id']}", {} if code is None else {"price": 5})
    assert (answer["type"], answer["reason"]) == ("abort", "entry_not_loaded")


async def test_a_site_that_was_removed_leaves_no_repair(
    hass: HomeAssistant, client: Client, site: MockConfigEntry, say: Say
) -> None:
    assert client is not None
    await put_in(hass, site, say, "XXXX")
    ir.async_get(hass).async_ignore(DOMAIN, EMPTY, True)
    await hass.config_entries.async_remove(site.entry_id)
    assert not [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]
