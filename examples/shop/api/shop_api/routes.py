# SPDX-License-Identifier: Apache-2.0
"""What the API answers: a function of method, path and body, without a socket."""

import json
from dataclasses import asdict, dataclass, field
from urllib.parse import unquote, urlsplit

from shop_api.catalogue import Faults


@dataclass(frozen=True)
class Answer:
    status: int
    value: object
    headers: dict = field(default_factory=dict)


class Routes:
    def __init__(self, catalogue, version, instance):
        self.catalogue = catalogue
        self.served = {"version": version, "instance": instance}

    def __call__(self, method, target, body):
        path = unquote(urlsplit(target).path)
        known = {
            "/healthz": ("GET", self.health),
            "/products": ("GET", self.list),
            "/baskets/price": ("POST", self.price),
        }
        if path in known:
            allowed, action = known[path]
        elif path.startswith("/products/"):
            allowed, action = "GET", lambda _: self.product(path.removeprefix("/products/"))
        else:
            return Answer(404, {"error": f"there is nothing at {path}"})
        if method != allowed and not (method == "HEAD" and allowed == "GET"):
            return Answer(405, {"error": f"{path} takes {allowed} only"}, {"Allow": allowed})
        return action(body)

    def health(self, _body):
        return Answer(200, {"status": "ok", **self.served})

    def list(self, _body):
        products = [asdict(product) for product in self.catalogue.products.values()]
        return Answer(
            200,
            {"currency": self.catalogue.currency, "products": products, "served": self.served},
        )

    def product(self, product_id):
        product = self.catalogue.products.get(product_id)
        if product is None:
            return Answer(404, {"error": f"there is no product {product_id}"})
        return Answer(200, {**asdict(product), "currency": self.catalogue.currency})

    def price(self, body):
        try:
            document = json.loads(body)
        except ValueError as fault:
            return Answer(400, {"error": f"this is not JSON: {fault}"})
        try:
            return Answer(200, self.catalogue.price(document))
        except Faults as faults:
            return Answer(422, {"faults": faults.faults})
