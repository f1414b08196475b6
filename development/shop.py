"""What makes the simulated shop a live one: prices for the products that its baskets hold, and a customer at work."""

from development.home_assistant_api import HomeAssistantApi, JsonObject

PRODUCTS: tuple[JsonObject, ...] = (
    {"code": "MLON", "name": "Melon", "price": 12000, "discount_rate": 10, "category": "Fruit"},
    {"code": "WTMN", "name": "Watermelon", "price": 18500, "category": "Fruit"},
    {"code": "APPL", "name": "Apple", "price": 1500, "category": "Fruit"},
    {"code": "BNNA", "name": "Bananas", "price": 3990, "category": "Fruit"},
    {"code": "MILK", "name": "Milk 1 l", "price": 2890, "category": "Dairy"},
    {"code": "BRED", "name": "Bread", "price": 3500, "discount_rate": 20, "category": "Bakery"},
    {"code": "EGGS", "name": "Eggs, 10", "price": 4200, "category": "Dairy"},
    {"code": "RICE", "name": "Rice 4 kg", "price": 16900, "category": "Pantry"},
)


async def open_shop(api: HomeAssistantApi, sessions: tuple[str, ...]) -> None:
    """Set prices where there are none, and start a session of the baskets with these entities.

    Raises:
        ApiError: Home Assistant refused an action.
    """
    answer = await api.call(
        "call_service", domain="iot_data_bridge", service="get_products", service_data={}, return_response=True
    )
    response = answer.get("response") if isinstance(answer, dict) else None
    if not (isinstance(response, dict) and response.get("products")):
        for product in PRODUCTS:
            await api.action("iot_data_bridge", "set_product", product)
    await api.action("iot_data_bridge", "start", {}, {"entity_id": list(sessions)})
