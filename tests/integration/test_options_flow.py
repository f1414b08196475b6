"""Settings and the price list in the options."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from sqlalchemy.exc import OperationalError

from custom_components.iot_data_bridge import price_import_flow
from custom_components.iot_data_bridge.const import DOMAIN

from .conftest import Say, Show

EXPORTS = Path(__file__).parent / "exports"

SETTINGS = {
    "currency": "EUR",
    "running_total": True,
    "refuse_uncertain": False,
    "silence_minutes": 5,
    "command_expiry": 30,
    "session_days": 90,
    "accept_devices": "always",
}


@pytest.fixture(autouse=True)
def _own_upload_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep uploads out of the one folder that all Home Assistants of a machine share, and each deletes at its end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


async def choose(hass: HomeAssistant, site: MockConfigEntry, step: str) -> ConfigFlowResult:
    menu = await hass.config_entries.options.async_init(site.entry_id)
    assert (menu["type"], menu["menu_options"]) == (
        FlowResultType.MENU,
        ["settings", "import_prices", "export_sessions"],
    )
    return await go_on(hass, menu, next_step_id=step)


async def go_on(hass: HomeAssistant, flow: ConfigFlowResult, **user_input: Any) -> ConfigFlowResult:  # noqa: ANN401 -- what a user may send
    return await hass.config_entries.options.async_configure(flow["flow_id"], user_input)


def changes(preview: ConfigFlowResult) -> list[str]:
    placeholders = preview["description_placeholders"]
    assert (preview["step_id"], placeholders is not None) == ("preview", True)
    return str((placeholders or {})["changes"]).splitlines()


async def test_settings_take_effect_at_once(hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    form = await choose(hass, site, "settings")
    result = await go_on(hass, form, **SETTINGS)
    assert (result["type"], result["data"]) == (FlowResultType.CREATE_ENTRY, SETTINGS)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_total_price").attributes["unit_of_measurement"] == "EUR"
    settings = site.runtime_data.settings
    assert (settings.command_expiry, settings.rules.running_total) == (30, True)
    assert settings.rules.silence.total_seconds() == 300


async def test_the_currency_is_chosen_from_those_that_are_in_use(hass: HomeAssistant, site: MockConfigEntry) -> None:
    # One that went out of use is offered where it is what Home Assistant has.
    await hass.config.async_update(currency="HRK")
    form = await choose(hass, site, "settings")
    schema = form["data_schema"]
    assert schema is not None
    choice = next(selector for key, selector in schema.schema.items() if key == "currency")
    options = choice.config["options"]
    assert {"KRW", "EUR", "USD", "HRK"} < set(options)
    assert options == sorted(options)
    with pytest.raises(InvalidData):
        await go_on(hass, form, **{**SETTINGS, "currency": "GOLD"})


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
        "skipped": "0",
        "encoding": "\N{EN DASH}",
        "changes": "- **\N{MINUS SIGN}** WTMN Watermelon: 18,000 ₩\n"
        "- **~** MLON Melon: 10,800 ₩ → 8,100 ₩\n- **+** PEAR Pear: 1,000 ₩",
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
    assert changes(preview) == [
        (
            "- **~** MLON Honeydew: `name` Melon → Honeydew, `price` 12,000 ₩ → 24,000 ₩, `discount_rate` 10 % → 55 %,"
            " `category` \N{EN DASH} → fruit"
        ),
        "- **~** WTMN Watermelon: 18,000 ₩ → 9,000 ₩, `category` \N{EN DASH} → fruit",
    ]


@pytest.mark.usefixtures("prices")
async def test_a_preview_shows_first_what_is_lost(hass: HomeAssistant, site: MockConfigEntry) -> None:
    products: list[dict[str, object]] = [{"code": f"L{number:02}", "name": "x", "price": 1} for number in range(30)]
    products.append({"code": "MLON", "category": "fruit"})
    await hass.services.async_call(DOMAIN, "set_products", {"products": products}, blocking=True)
    text = "code,name,discount,category,price\nMLON,Melon,10,,12000\nWTMN,,0,,9000\nPEAR,Pear,0,,1\n"
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text=text, remove_others=True)
    lines = changes(preview)
    assert lines[0] == "- **\N{MINUS SIGN}** L00 x: 1 ₩"
    # Each of them, however many there are.
    assert lines[30:] == [
        "- **~** MLON Melon: `category` fruit → \N{EN DASH}",
        "- **~** WTMN WTMN: 18,000 ₩ → 9,000 ₩, `name` Watermelon → WTMN",
        "- **+** PEAR Pear: 1 ₩",
    ]


async def test_the_names_of_others_are_no_markdown(hass: HomeAssistant, site: MockConfigEntry) -> None:
    text = "code,name,price\nMLON,[free](https://example.com) <img src=x>,1\n"
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text=text)
    assert changes(preview) == [r"- **+** MLON \[free\]\(https\:\/\/example\.com\) \<img src\=x\>: 1 ₩"]


@pytest.mark.usefixtures("prices")
async def test_what_the_list_lacks_stays_unless_it_is_to_go(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await choose(hass, site, "import_prices")
    await go_on(hass, await go_on(hass, form, text="- {code: PEAR, price: 1}"))
    assert {product.code for product in site.runtime_data.prices} == {"MLON", "WTMN", "PEAR"}


async def test_a_long_preview_is_cut(hass: HomeAssistant, site: MockConfigEntry) -> None:
    text = "code,price\n" + "".join(f"P{number:03},1\n" for number in range(30))
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text=text)
    assert changes(preview)[-1] == "- … +10"


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
        ("상품코드,상품명,가격\nMLON,멜론,12000\n".encode("cp949"), "멜론", None),
        ("商品コード,商品名,価格\nMLON,メロン,12000\n".encode("cp932"), "メロン", None),
        ("商品编码,商品名称,价格\nMLON,甜瓜,12000\n".encode("gb18030"), "甜瓜", None),
        ("code\tname\tprice\r\nMLON\t멜론\t12000\r\n".encode("utf-16"), "멜론", None),
        ("code;name;price\rMLON;Süße Melone;12000\r".encode("cp1252"), "Süße Melone", None),
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
    monkeypatch.setattr(price_import_flow, "LARGEST_LIST", 200)
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
        assert offered(result) == {"remove_others": True, "encoding": "automatic"}


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


async def test_a_person_may_say_the_encoding_of_a_file(
    hass: HomeAssistant, site: MockConfigEntry, hass_client: ClientSessionGenerator, tmp_path: Path
) -> None:
    path = tmp_path / "prices.csv"
    await hass.async_add_executor_job(path.write_bytes, "code,name,price\nMLON,苹果,1\n".encode("gb18030"))
    form = await choose(hass, site, "import_prices")
    preview = await go_on(hass, form, file=await upload(hass_client, path), encoding="gb18030")
    assert changes(preview) == ["- **+** MLON 苹果: 1 ₩"]
    assert (preview["description_placeholders"] or {})["encoding"] == "GBK"


@pytest.mark.parametrize(
    ("export", "suggested", "changed", "skipped"),
    [
        (
            "square",
            {
                "code": "SKU",
                "name": "Item Name",
                "price": "Price",
                "category": "Categories",
                "brand": "Default Vendor Name",
            },
            ["- **+** MLON Melon: 4.50 €", "- **+** WTMN Watermelon: 7.25 €"],
            "0",
        ),
        (
            "shopify",
            {
                "code": "Variant SKU",
                "name": "Title",
                "price": "Variant Price",
                "category": "Type",
                "image": "Image Src",
                "brand": "Vendor",
            },
            ["- **+** MLON Melon: 4.50 €", "- **+** WTMN Watermelon: 7.25 €"],
            # A line that has only another picture of the product before it.
            "1",
        ),
        (
            "woocommerce",
            {
                "code": "SKU",
                "name": "Name",
                "price": "Regular price",
                "category": "Categories",
                "image": "Images",
                "brand": "Brands",
            },
            ["- **+** MLON Melon: 4.50 €", "- **+** WTMN Watermelon: 7.25 €"],
            "0",
        ),
    ],
)
async def test_an_export_of_a_shop_system_leads_to_a_question_with_the_right_answers(
    hass: HomeAssistant,
    site: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    export: str,
    suggested: dict[str, str],
    changed: list[str],
    skipped: str,
) -> None:
    hass.config_entries.async_update_entry(site, options={"currency": "EUR"})
    await hass.config_entries.async_reload(site.entry_id)
    form = await choose(hass, site, "import_prices")
    form = await go_on(hass, form, file=await upload(hass_client, EXPORTS / f"{export}.csv"))
    assert form["step_id"] == "import_columns"
    schema = form["data_schema"]
    assert schema is not None
    headers = {
        option["value"]: option["label"].split(":")[0]
        for selector in schema.schema.values()
        for option in selector.config["options"]
    }
    answers = offered(form)
    assert {field: headers[str(place)] for field, place in answers.items()} == suggested
    preview = await go_on(hass, form, **answers)
    assert changes(preview) == changed
    assert (preview["description_placeholders"] or {})["skipped"] == skipped
    await go_on(hass, preview)
    await hass.async_block_till_done()
    assert site.runtime_data.prices.name("MLON") == "Melon"


async def test_a_choice_of_columns_that_cannot_be_is_asked_again(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await go_on(hass, await choose(hass, site, "import_prices"), text="Ref,Ware,Betrag\nMLON,Melone,900\n")
    assert form["step_id"] == "import_columns"
    form = await go_on(hass, form, code="0")
    assert (form["step_id"], form["errors"]) == ("import_columns", {"base": "columns_missing"})
    form = await go_on(hass, form, code="0", price="0")
    assert form["errors"] == {"base": "column_for_two"}
    assert offered(form) == {"code": "0", "price": "0"}
    preview = await go_on(hass, form, code="0", name="1", price="2")
    assert changes(preview) == ["- **+** MLON Melone: 900 ₩"]


async def test_a_column_that_does_not_fit_leads_back_to_the_list(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await go_on(hass, await choose(hass, site, "import_prices"), text="Ref,Ware,Betrag\nMLON,Melone,900\n")
    form = await go_on(hass, form, code="0", price="1")
    assert (form["step_id"], form["errors"]) == ("import_prices", {"base": "price_invalid"})
    assert form["description_placeholders"] == {"position": "2", "code": "MLON", "text": "Melone"}


@pytest.mark.parametrize(("answer", "paid"), [("percent", "999 ₩"), ("fraction", "900 ₩")])
async def test_a_tenth_as_a_discount_is_asked_about(
    hass: HomeAssistant, site: MockConfigEntry, answer: str, paid: str
) -> None:
    text = "code,price,discount\nMLON,1000,0.1\n"
    form = await go_on(hass, await choose(hass, site, "import_prices"), text=text)
    assert (form["step_id"], form["description_placeholders"]) == ("import_discounts", {"discount": "0.1"})
    assert changes(await go_on(hass, form, fractions=answer)) == [f"- **+** MLON MLON: {paid}"]


@pytest.mark.usefixtures("prices")
async def test_what_changed_since_the_preview_is_kept(hass: HomeAssistant, site: MockConfigEntry) -> None:
    form = await choose(hass, site, "import_prices")
    preview = await go_on(hass, form, text="code,price\nMLON,9000\n")
    product = {"code": "MLON", "name": "Honeydew", "price": 1}
    await hass.services.async_call(DOMAIN, "set_product", product, blocking=True)
    await go_on(hass, preview)
    changed = site.runtime_data.prices.get("MLON")
    assert (changed.name, changed.price) == ("Honeydew", 9000)


@pytest.mark.usefixtures("prices")
async def test_a_change_that_became_impossible_since_the_preview_says_so(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text="code,name\nMLON,Honeydew\n")
    await hass.services.async_call(DOMAIN, "remove_product", {"code": "MLON"}, blocking=True)
    form = await go_on(hass, preview)
    assert (form["step_id"], form["errors"]) == ("import_prices", {"base": "price_missing"})
    # What was filled in is still there.
    assert offered(form)["text"] == "code,name\nMLON,Honeydew\n"


async def test_a_list_that_cannot_be_stored_is_an_error(
    hass: HomeAssistant, site: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    preview = await go_on(hass, await choose(hass, site, "import_prices"), text="code,price\nMLON,1\n")

    def full(*_: object) -> None:
        raise OperationalError("INSERT", None, Exception("disk full"))

    with patch("custom_components.iot_data_bridge.database.stored_prices._write", full):
        form = await go_on(hass, preview)
    assert (form["step_id"], form["errors"]) == ("import_prices", {"base": "database_failed"})
    assert "disk full" in caplog.text
    assert len(site.runtime_data.prices) == 0
