"""A basket as it is stored."""

from datetime import datetime
from decimal import Decimal

from .basket import Basket, BasketRules
from .basket_messages import Detail, read_detail
from .basket_session import BasketSession
from .errors import DamagedStateError
from .instant import Instant
from .json_values import JsonObject, JsonValue, to_count, to_decimal, to_moment
from .product_codes import product_code
from .products import PriceList
from .shown_total import ShownTotal


def stored_basket(basket: Basket) -> JsonObject:
    """Return the state of a basket to store."""
    return {
        "root": basket.root,
        "basket_id": basket.basket_id,
        "contents": {**basket.contents},
        "checked": [*sorted(basket.checked)],
        "details": {detail.value: value for detail, value in basket.details.items()},
        "session_started": _moment_text(basket.session.started),
        "session_told": basket.session.told,
        "last_activity": _moment_text(basket.last_activity),
        "online": basket.online,
        "shown_total": basket.display.as_json(),
        "budget": None if basket.budget is None else str(basket.budget),
        "moved_without_session": basket.moved_without_session,
        "session_known": basket.session.known,
        "session_published": basket.session.published,
        "certain": basket.certain,
    }


def restored_basket(stored: JsonValue, prices: PriceList, rules: BasketRules, now: Instant | None = None) -> Basket:
    """Restore a basket; a key that earlier versions did not store may be missing.

    Raises:
        DamagedStateError: the stored form is no object, has no root or no proper contents, or a time or an amount
            in it cannot be read.
    """
    if not isinstance(stored, dict) or not isinstance(root := stored.get("root"), str) or not root:
        raise DamagedStateError("root")
    basket_id = stored.get("basket_id")
    checked = stored.get("checked")
    details = stored.get("details")
    online = stored.get("online")
    basket = Basket(
        root=root,
        contents=_stored_contents(stored.get("contents")),
        prices=prices,
        rules=rules,
        session=BasketSession(
            started=_stored_moment(stored, "session_started"),
            told=stored.get("session_told") is True,
            known=stored.get("session_known") is not False,
            published=stored.get("session_published") is True,
        ),
        certain=stored.get("certain") is True,
        last_activity=_stored_moment(stored, "last_activity"),
        online=online if isinstance(online, bool) else None,
        display=ShownTotal.from_json(stored.get("shown_total")),
        budget=_stored_amount(stored, "budget"),
        moved_without_session=stored.get("moved_without_session") is True,
    )
    basket.controller.restore(basket_id if isinstance(basket_id, str | int) else None, now)
    if isinstance(checked, list):
        codes = (product_code(code) for code in checked if isinstance(code, str))
        basket.checked = {code for code in codes if code in basket.contents}
    if isinstance(details, dict):
        basket.details = {detail: read_detail(detail, details[detail]) for detail in Detail if detail in details}
    basket.price_contents()
    return basket


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _stored_contents(stored: JsonValue) -> dict[str, int]:
    if not isinstance(stored, dict):
        raise DamagedStateError("contents")
    contents: dict[str, int] = {}
    for spelled, value in stored.items():
        # Earlier versions stored codes with the filling around them.
        code, count = product_code(spelled), to_count(value)
        if code is None or not count:
            raise DamagedStateError("contents")
        contents[code] = contents.get(code, 0) + count
    return contents


def _stored_moment(stored: JsonObject, key: str) -> datetime | None:
    moment = to_moment(value := stored.get(key))
    if moment is None and value is not None:
        raise DamagedStateError(key)
    return moment


def _stored_amount(stored: JsonObject, key: str) -> Decimal | None:
    amount = to_decimal(value := stored.get(key))
    if amount is None and value is not None:
        raise DamagedStateError(key)
    return amount
