# SPDX-License-Identifier: Apache-2.0
"""What the shop sells, and what a basket of it costs. Amounts of money are whole cents."""

import json
import re
from dataclasses import dataclass

MOST_OF_ONE = 99


class Faults(ValueError):
    """All that is wrong with an input, each fault with the path of what it is about."""

    def __init__(self, faults):
        super().__init__("; ".join(faults))
        self.faults = faults


def currency_of(text):
    if not re.fullmatch("[A-Z]{3}", text):
        raise ValueError(f'CURRENCY is "{text}"; it must be three capital letters, such as EUR')
    return text


@dataclass(frozen=True)
class Product:
    id: str
    name: str
    cents: int


class Catalogue:
    def __init__(self, products, currency):
        self.products = {product.id: product for product in products}
        self.currency = currency

    @classmethod
    def load(cls, path, currency):
        with open(path, encoding="utf-8") as file:
            return cls([Product(**entry) for entry in json.load(file)], currency)

    def price(self, document):
        """Prices {"items": [{"id", "quantity"}]}; raises Faults with every fault found."""
        items = document.get("items") if isinstance(document, dict) else None
        if not isinstance(items, list) or not items:
            raise Faults(["items: must be a list with at least one item"])
        lines, faults = [], []
        for index, item in enumerate(items):
            path = f"items[{index}]"
            if not isinstance(item, dict):
                faults.append(f'{path}: must be an object with "id" and "quantity"')
                continue
            product = self._find(item.get("id"), path, faults)
            quantity = self._quantity(item.get("quantity"), path, faults)
            if product and quantity:
                lines.append(
                    {"name": product.name, "quantity": quantity, "cents": product.cents * quantity}
                )
        if faults:
            raise Faults(faults)
        return {
            "currency": self.currency,
            "lines": lines,
            "cents": sum(line["cents"] for line in lines),
        }

    def _find(self, product_id, path, faults):
        product = self.products.get(product_id) if isinstance(product_id, str) else None
        if product is None:
            faults.append(f"{path}.id: there is no product {json.dumps(product_id)}")
        return product

    @staticmethod
    def _quantity(value, path, faults):
        # bool is an int in Python, and true is no quantity.
        if type(value) is not int or not 1 <= value <= MOST_OF_ONE:
            faults.append(
                f"{path}.quantity: {json.dumps(value)} is not a whole number from 1 to {MOST_OF_ONE}"
            )
            return None
        return value
