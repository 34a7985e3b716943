# SPDX-License-Identifier: Apache-2.0
import unittest

from shop_api.catalogue import Catalogue, Faults, Product, currency_of

CATALOGUE = Catalogue([Product("rye", "Rye bread", 420), Product("tea", "Tea", 99)], "EUR")


def basket(*items):
    return {"items": [{"id": product, "quantity": quantity} for product, quantity in items]}


class Price(unittest.TestCase):
    def test_sums_whole_cents(self):
        self.assertEqual(
            CATALOGUE.price(basket(("rye", 2), ("tea", 3))),
            {
                "currency": "EUR",
                "lines": [
                    {"name": "Rye bread", "quantity": 2, "cents": 840},
                    {"name": "Tea", "quantity": 3, "cents": 297},
                ],
                "cents": 1137,
            },
        )

    def test_names_every_fault(self):
        cases = [
            ("no document", None, ["items: must be a list with at least one item"]),
            ("no items", {"items": []}, ["items: must be a list with at least one item"]),
            ("a word for items", {"items": "rye"}, ["items: must be a list with at least one item"]),
            (
                "two things wrong with one item, one with the next",
                {"items": [{"id": "hat", "quantity": 0}, 7]},
                [
                    'items[0].id: there is no product "hat"',
                    "items[0].quantity: 0 is not a whole number from 1 to 99",
                    'items[1]: must be an object with "id" and "quantity"',
                ],
            ),
            ("true is no quantity", basket(("rye", True)), ["items[0].quantity: true is not a whole number from 1 to 99"]),
            ("too many", basket(("rye", 100)), ["items[0].quantity: 100 is not a whole number from 1 to 99"]),
            ("half of one", basket(("rye", 0.5)), ["items[0].quantity: 0.5 is not a whole number from 1 to 99"]),
            ("a list for an id", basket((["rye"], 1)), ['items[0].id: there is no product ["rye"]']),
        ]
        for reason, document, expected in cases:
            with self.subTest(reason), self.assertRaises(Faults) as caught:
                CATALOGUE.price(document)
            self.assertEqual(caught.exception.faults, expected, reason)


class Currency(unittest.TestCase):
    def test_is_three_capitals(self):
        self.assertEqual(currency_of("CHF"), "CHF")
        for text in ("", "eur", "EURO", "E1R", "EUR\n"):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "CURRENCY is"):
                currency_of(text)
