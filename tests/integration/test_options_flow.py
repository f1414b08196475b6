"""Settings and the price list in the options."""

from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.iot_data_bridge import options_flow
from custom_components.iot_data_bridge.const import DOMAIN

from .conftest import Say, Show

SETTINGS = {
    "currency": "EUR",
    "running_total": True,
    "silence_minutes": 5,
    "command_expiry": 30,
    "accept_devices": "always",
}


@pytest.fixture(autouse=True)
def _own_upload_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep uploads out of the one folder that all Home Assistants of a machine share, and each deletes at its end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


async def choose(hass: HomeAssistant, site: MockConfigEntry, step: str) -> ConfigFlowResult:
    menu = await hass.config_entries.options.async_init(site.entry_id)
    assert (menu["type"], menu["menu_options"]) == (FlowResultType.MENU, ["settings", "import_prices"])
    return await go_on(hass, menu, next_step_id=step)


async def go_on(hass: HomeAssistant, flow: ConfigFlowResult, **user_input: Any) -> ConfigFlowResult:  # noqa: ANN401 -- what a user may send
    return await hass.config_entries.options.async_configure(flow["flow_id"], user_input)


async def test_settings_take_effect_at_once(hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    form = await choose(hass, site, "settings")
    form = await go_on(hass, form, **{**SETTINGS, "currency": "GOLD"})
    assert form["errors"] == {"currency": "invalid_currency"}
    result = await go_on(hass, form, **SETTINGS)
    assert (result["type"], result["data"]) == (FlowResultType.CREATE_ENTRY, SETTINGS)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_total_price").attributes["unit_of_measurement"] == "EUR"
    settings = site.runtime_data.settings
    assert (settings.command_expiry, settings.rules.running_total) == (30, True)
    assert settings.rules.silence.total_seconds() == 300


async def test_silence_can_be_no_problem_at_all(hass: HomeAssistant, site: MockConfigEntry) -> None:
    await go_on(hass, await choose(hass, site, "settings"), **{**SETTINGS, "silence_minutes": 0})
    await hass.async_block_till_done()
    assert site.runtime_data.settings.rules.silence is None


@pytest.mark.usefixtures("prices")
async def test_a_price_list_is_changed_after_a_look_at_it(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":1,"PEAR":1}}')
    await hass.async_block_till_done()
    text = "code,name,price\nMLON,Melon,9000\nPEAR,Pear,1000\n"
    form = await choose(hass, site, "import_prices")
    preview = await go_on(hass, form, text=text, remove_others=True)
    assert preview["step_id"] == "preview"
    assert preview["description_placeholders"] == {
        "added": "1",
        "changed": "1",
        "removed": "1",
        "changes": "- **+** PEAR Pear: 1,000 ₩\n- **~** MLON Melon: 10,800 ₩ → 8,100 ₩\n"
        "- **\N{MINUS SIGN}** WTMN Watermelon: 18,000 ₩",
    }
    assert show("sensor.basket_1_total_price").state == "unknown"
    result = await go_on(hass, preview)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert show("sensor.basket_1_total_price").state == "9100"
    assert {product.code for product in site.runtime_data.prices} == {"MLON", "PEAR"}


@pytest.mark.usefixtures("prices")
async def test_a_preview_shows_every_difference(hass: HomeAssistant, site: MockConfigEntry) -> None:
    text = "code,name,price,discount,category\nMLON,Honeydew,24000,55,fruit\nWTMN,Watermelon,9000,0,fruit\n"
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text=text)
    assert (preview["description_placeholders"] or {})["changes"].splitlines() == [
        (
            "- **~** MLON Honeydew: `name` Melon → Honeydew, `price` 12000 → 24000, `discount_rate` 10 → 55,"
            " `category` - → fruit"
        ),
        "- **~** WTMN Watermelon: 18,000 ₩ → 9,000 ₩, `category` - → fruit",
    ]


@pytest.mark.usefixtures("prices")
async def test_what_the_list_lacks_stays_unless_it_is_to_go(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await choose(hass, site, "import_prices")
    await go_on(hass, await go_on(hass, form, text="- {code: PEAR, price: 1}"))
    assert {product.code for product in site.runtime_data.prices} == {"MLON", "WTMN", "PEAR"}


async def test_a_long_preview_is_cut(hass: HomeAssistant, site: MockConfigEntry) -> None:
    text = "code,price\n" + "".join(f"P{number:03},1\n" for number in range(30))
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text=text)
    placeholders = preview["description_placeholders"]
    assert placeholders is not None
    assert placeholders["changes"].splitlines()[-1] == "- … +10"


async def test_a_list_that_cannot_be_read_says_where(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await go_on(hass, await choose(hass, site, "import_prices"), text="code,price\nMLON,free\n")
    assert (form["step_id"], form["errors"]) == ("import_prices", {"base": "price_invalid"})
    assert form["description_placeholders"] == {"position": "2", "code": "MLON", "text": "free"}


def offered(form: ConfigFlowResult) -> dict[str, object]:
    """Return what a form suggests."""
    schema = form["data_schema"]
    assert schema is not None
    suggestions = {str(key): (key.description or {}).get("suggested_value") for key in schema.schema}
    return {key: value for key, value in suggestions.items() if value is not None}


async def upload(hass_client: ClientSessionGenerator, path: Path) -> str:
    client = await hass_client()
    with path.open("rb") as file:
        response = await client.post("/api/file_upload", data={"file": file})
    file_id: str = (await response.json())["file_id"]
    return file_id


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        ("code,name,price\nMLON,멜론,12000\n".encode(), "멜론", None),
        ("code,name,price\nMLON,멜론,12000\n".encode("utf-8-sig"), "멜론", None),
        ("code,name,price\nMLON,멜론,12000\n".encode("cp949"), "멜론", None),
        (b"\xff\xff\xff\x00", None, "not_text"),
        (b"code,price\n" + b"x" * 300, None, "file_too_large"),
    ],
)
async def test_a_price_list_can_be_a_file(
    hass: HomeAssistant,
    site: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    name: str | None,
    error: str | None,
) -> None:
    monkeypatch.setattr(options_flow, "LARGEST_FILE", 200)
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    form = await choose(hass, site, "import_prices")
    result = await go_on(hass, form, file=await upload(hass_client, path), remove_others=True)
    assert (result.get("errors") or {}).get("base") == error
    if name is not None:
        await go_on(hass, result)
        assert site.runtime_data.prices.name("MLON") == name
    else:
        # The upload was consumed. Offered again, it would only be gone the next time.
        assert offered(result) == {"remove_others": True}


async def test_a_file_that_is_gone_is_an_error(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await go_on(hass, await choose(hass, site, "import_prices"), file="0" * 32)
    assert form["errors"] == {"base": "file_gone"}


@pytest.mark.usefixtures("prices", "site")
async def test_prices_survive_a_change_of_settings(hass: HomeAssistant, site: MockConfigEntry) -> None:
    await go_on(hass, await choose(hass, site, "settings"), **SETTINGS)
    await hass.async_block_till_done()
    products = await hass.services.async_call(DOMAIN, "get_products", {}, blocking=True, return_response=True)
    assert products is not None
    assert products["products"]["MLON"]["unit_price"] == 10800.0  # type: ignore[index,call-overload] # as asserted


async def test_a_site_that_is_not_loaded_has_no_price_list_to_change(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text="- {code: PEAR, price: 1}")
    assert await hass.config_entries.async_unload(site.entry_id)
    late = await go_on(hass, preview)
    assert (late["type"], late["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")
    form = await choose(hass, site, "import_prices")
    assert (form["type"], form["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")
    form = await choose(hass, site, "settings")
    assert (await go_on(hass, form, **SETTINGS))["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
