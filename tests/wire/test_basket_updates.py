"""What our controller writes of a basket, the integration reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices import basket_messages as integration
from custom_components.iot_data_bridge.devices.product_codes import product_code as canonical
from mqtt_controller import commands as controller
from mqtt_controller.messages import told_id, update_payload
from mqtt_controller.presence import product_code

EPCS = st.binary(min_size=4, max_size=12) | st.text("AB1 \0", min_size=4, max_size=4).map(str.encode)


@given(st.text(min_size=1, max_size=20), st.dictionaries(EPCS, st.integers(1, 100)))
def test_the_contents_arrive_as_they_are(basket_id: str, tags: dict[bytes, int]) -> None:
    contents = {code: count for epc, count in tags.items() if (code := product_code(epc)) is not None}
    update = integration.parse_update(update_payload(basket_id, contents))
    assert update.contents == contents
    assert (update.basket_id, type(update.basket_id)) == (told_id(basket_id), type(told_id(basket_id)))


@given(EPCS)
def test_a_tags_code_has_the_spelling_that_the_integration_gives_it(epc: bytes) -> None:
    code = product_code(epc)
    fielded = epc.decode("ascii", "replace")[:4]
    assert code is None or code == canonical(code) == canonical(fielded)


def test_the_longest_id_is_one() -> None:
    assert controller.LONGEST_ID == integration.LONGEST_ID


@pytest.mark.parametrize("digits", [15, 16])
def test_a_long_number_is_told_without_losing_a_digit(digits: int) -> None:
    basket_id = "9" * digits
    update = integration.parse_update(update_payload(basket_id, {}))
    assert str(update.basket_id) == basket_id
