"""Numbers as people and services write them, and each country's mobiles without a plus, read in each country."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from integrations.language import phones
from integrations.senders import sender

AMBIGUOUS = Path(__file__).with_name("ambiguous_numbers.json")


@pytest.mark.parametrize(
    ("given_number", "country", "number"),
    [
        # said to be international
        ("+49 151 23456789", "US", "+4915123456789"),
        ("+49 (0) 151 23456789", "", "+4915123456789"),
        ("＋４９ １５１ ２３４５６７８９", "", "+4915123456789"),
        ("tel:+49-151-23456789", "", "+4915123456789"),
        ("00 49 151 23456789", "US", "+4915123456789"),
        ("011 49 151 23456789", "US", "+4915123456789"),
        ("0011 49 151 23456789", "AU", "+4915123456789"),
        ("010 49 151 23456789", "JP", "+4915123456789"),
        ("+011 49 151 23456789", "CA", "+4915123456789"),
        ("+1 555 010 0001", "AU", "+15550100001"),
        ("00 1 555 010 0001", "AU", "+15550100001"),
        # with the country's own code
        ("4915123456789", "DE", "+4915123456789"),
        ("62812345678", "ID", "+62812345678"),
        ("12015550123", "US", "+12015550123"),
        ("15550100001", "US", "+15550100001"),
        # as dialled in the country
        ("0412 345 678", "AU", "+61412345678"),
        ("+0412345678", "AU", "+61412345678"),
        ("412345678", "AU", "+61412345678"),
        ("(415) 555-0199", "US", "+14155550199"),
        ("91234567", "SG", "+6591234567"),
        ("51234", "SH", "+29051234"),
        ("030 901820", "de", "+4930901820"),
        ("131 2345 6789", "CN", "+8613123456789"),
        ("321 1234567", "CO", "+573211234567"),
        # with a plus
        ("436641234567", "DE", "+436641234567"),
        ("61412345678", "SG", "+61412345678"),
        ("12015550123", "NL", "+12015550123"),
        ("61412345678", "", "+61412345678"),
        ("١٢٠١٥٥٥٠١٢٣", "NL", "+12015550123"),
        # as their owners write them
        ("+52 1 55 1234 5678", "US", "+5215512345678"),
        ("5215512345678", "US", "+5215512345678"),
        ("5215512345678", "MX", "+5215512345678"),
        ("525512345678", "MX", "+525512345678"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("+54 9 11 2345 6789", "", "+5491123456789"),
        ("5491123456789", "US", "+5491123456789"),
        ("541123456789", "AR", "+541123456789"),
        ("011 15 2345 6789", "AR", "+5491123456789"),
        # no phone numbers
        ("0412 345 678", "US", None),
        ("07911 123456", "US", None),
        ("5550100123", "US", None),
        ("0412 345 678", "", None),
        ("72345", "US", None),
        ("30123", "DE", None),
        ("+72345", "US", None),
        ("000", "US", None),
        ("+", "US", None),
        ("", "US", None),
        ("abc", "US", None),
        ("1-800-FLOWERS", "US", None),
        ("4915123456789@example.com", "DE", None),
        ("rcs:4915123456789", "DE", None),
        ("+" + "1" * 70, "", None),
    ],
)
def test_a_number_is_read(given_number: str, country: str, number: str | None) -> None:
    assert phones.read(given_number, country) == number


@pytest.mark.parametrize(
    ("came", "country", "whom"),
    [
        ("4915123456789", "DE", "+4915123456789"),
        ("72345", "US", "72345"),
        ("+72345", "US", "72345"),
        ("+491234", "DE", "+491234"),
        ("ACME", "US", "ACME"),
        ("Acme Insurance Ltd", "US", "Acme Insurance Ltd"),
        ("alice@example.com", "US", "alice@example.com"),
        ("rcs:4915123456789", "US", "rcs:4915123456789"),
        ("0412345678", "US", "0412345678"),
        ("12", "US", "12"),
        (" a\n\x00b\ud800 ", "US", "a b"),
        ("\x00", "US", "unknown"),
        ("x" * 300, "US", "x" * 254),
    ],
)
def test_whoever_sends_is_somebody(came: str, country: str, whom: str) -> None:
    assert sender(came, country) == whom


@given(st.text() | st.text("0123456789+ ", max_size=20), st.sampled_from(["", "US", "DE", "AU", "XX", "zz"]))
def test_any_sender(came: str, country: str) -> None:
    whom = sender(came, country)
    assert 1 <= len(whom) <= 254
    # A short code that was written with a plus may be a number as it is dialled in the country.
    assert sender(whom, country) == whom or (whom.isdecimal() and f"+{whom}" in came.replace(" ", ""))


@pytest.mark.parametrize(
    ("number", "ways"),
    [
        ("+5215512345678", ("+525512345678", "+5215512345678")),
        ("+525512345678", ("+525512345678", "+5215512345678")),
        ("+541123456789", ("+5491123456789", "+541123456789")),
        ("+5491123456789", ("+5491123456789", "+541123456789")),
        ("+14155550199", ("+14155550199",)),
        ("72345", ("72345",)),
    ],
)
def test_a_number_has_as_many_ways(number: str, ways: tuple[str, ...]) -> None:
    assert phones.ways(number) == ways


def test_no_mobile_without_plus_is_misread() -> None:
    """Of 245 × 244 pairs of a country and another's mobile, all are read right that have one valid reading.

    What has two is in the data file, by the country of our number: the reading that is taken is valid as well.
    To renew the file, write `found` into it.
    """
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    examples = [
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in regions
        if (example := phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE))
    ]
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for country in regions:
        for number in examples:
            read = phones.read(number[1:], country)
            if read != number:
                assert read is not None and phonenumbers.is_valid_number(phonenumbers.parse(read)), (
                    country,
                    number,
                )
                found[country][number] = read
    assert len(examples) > 240
    assert found == json.loads(AMBIGUOUS.read_text())
