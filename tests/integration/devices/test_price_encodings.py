"""Files whose encoding nothing says."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.price_import.encodings import ENCODINGS, decode
from custom_components.iot_data_bridge.devices.products import PriceListError

WON = Currency("KRW")
NAMES = {
    "cp949": "우유 바나나 사과 햇반 신라면 새우깡 김치 두부 콩나물 삼겹살 달걀 생수 콜라 사이다 요구르트 치즈",
    "cp932": "牛乳 バナナ りんご カップ麺 おにぎり 食パン 卵 豆腐 納豆 味噌 醤油 緑茶 コーヒー ビール チーズ",
    "gb18030": "牛奶 香蕉 苹果 方便面 面包 鸡蛋 豆腐 酱油 醋 绿茶 咖啡 啤酒 酸奶 奶酪 黄油 鸡肉 猪肉 洋葱 土豆",
    "cp950": "牛奶 香蕉 蘋果 泡麵 麵包 雞蛋 豆腐 醬油 醋 綠茶 咖啡 啤酒 優格 起司 奶油 雞肉 豬肉 洋蔥 馬鈴薯 白米 砂糖",
    "cp1252": "Crème Müsli Käse Brötchen Äpfel Öl Weißbier Jalapeño Café Pâté Gâteau Smørrebrød Açaí Süßkartoffel",
}
HEADERS = {
    "cp949": "상품코드,상품명,가격",
    "cp932": "商品コード,商品名,価格",
    "gb18030": "商品编码,商品名称,价格",
    "cp950": "商品編號,商品名稱,價格",
}


def table(header: str, names: list[str]) -> str:
    return "\n".join([header, *(f"P{number},{name},{number}00" for number, name in enumerate(names))])


@pytest.mark.parametrize("encoding", NAMES)
def test_a_list_of_many_names_is_read_in_its_encoding(encoding: str) -> None:
    # Wherever the shop is.
    text = table("code,name,price", NAMES[encoding].split())
    for currency in ("KRW", "JPY", "CNY", "EUR"):
        decoded = decode(text.encode(encoding), Currency(currency))
        assert (decoded.encoding, decoded.text) == (encoding, text), currency


@pytest.mark.parametrize("encoding", HEADERS)
def test_a_known_header_tells_the_encoding_of_a_single_product(encoding: str) -> None:
    for name in NAMES[encoding].split():
        text = table(HEADERS[encoding], [name])
        assert decode(text.encode(encoding), Currency("EUR")).text == text


@pytest.mark.parametrize(
    ("currency", "encoding"),
    [("KRW", "cp949"), ("JPY", "cp932"), ("CNY", "gb18030"), ("TWD", "cp950"), ("EUR", "cp1252")],
)
def test_a_single_product_is_read_in_the_encoding_of_the_shop(currency: str, encoding: str) -> None:
    wrong = []
    for name in NAMES[encoding].split():
        text = table("code,name,price", [name])
        if decode(text.encode(encoding), Currency(currency)).text != text:
            wrong.append(name)
    # Some words cannot be told from those of another language.
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b"code,price\nMLON,1\n", "utf_8"),
        ("code,name\nMLON,멜론\n".encode(), "utf_8"),
        ("code,name\nMLON,멜론\n".encode("utf-8-sig"), "utf_8"),
        ("code\tname\nMLON\t멜론\n".encode("utf-16"), "utf_16"),
        (b"\xfe\xff" + "code\tname\nMLON\t멜론\n".encode("utf-16-be"), "utf_16"),
        ("code\tname\nMLON\t멜론\n".encode("utf-16-le"), "utf_16"),
        ("code\tname\nMLON\t멜론\n".encode("utf-16-be"), "utf_16"),
    ],
)
def test_unicode_is_read(raw: bytes, encoding: str) -> None:
    decoded = decode(raw, WON)
    assert decoded.encoding == encoding
    assert decoded.text.startswith("code")


def test_a_person_may_say_the_encoding() -> None:
    text = "code,name,price\nP0,苹果,1\n"
    assert decode(text.encode("gb18030"), WON, "gb18030").text == text
    assert decode(text.encode("utf-16-be"), WON, "utf_16").text == text
    assert decode(text.encode("utf-16"), WON, "utf_16").text == text
    assert decode(text.encode("utf-8-sig"), WON, "utf_8").text == text
    with pytest.raises(PriceListError, match="not_text"):
        decode(text.encode("gb18030"), WON, "utf_8")


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\x00", bytes(range(256)) * 4, b"PK\x03\x04" + bytes(200) + b"\xff" * 50])
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(PriceListError, match="not_text"):
        decode(raw, WON)


def test_a_long_file_is_detected_by_its_beginning() -> None:
    text = table("code,name,price", NAMES["cp932"].split() * 5000)
    decoded = decode(text.encode("cp932"), WON)
    assert (decoded.encoding, decoded.text) == ("cp932", text)


@given(st.binary(max_size=200), st.sampled_from([None, *ENCODINGS]))
def test_no_bytes_break_the_reader(raw: bytes, encoding: str | None) -> None:
    with contextlib.suppress(PriceListError):
        assert decode(raw, WON, encoding).encoding in ENCODINGS
