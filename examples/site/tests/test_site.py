# SPDX-License-Identifier: Apache-2.0
"""Every page of the site is well formed, and every link in it leads somewhere."""

import unittest
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent / "public"
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """What the tests ask of a page: links, ids, elements left open, texts of titles."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.open, self.faults = [], set(), [], []
        self.images_without_text, self.title, self.language = [], "", None
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.links += [values[name] for name in ("href", "src") if name in values]
        if "id" in values:
            if values["id"] in self.ids:
                self.faults.append(f'the id "{values["id"]}" is there twice')
            self.ids.add(values["id"])
        if tag == "img" and not values.get("alt"):
            self.images_without_text.append(values.get("src"))
        if tag == "html":
            self.language = values.get("lang")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"line {self.getpos()[0]}: </{tag}> closes nothing")
        else:
            self.open.pop()

    def handle_data(self, text):
        if self.open and self.open[-1] == "title":
            self.title += text


def pages():
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("*.html"))}


def target_of(link):
    path = urlsplit(link).path
    return ROOT / ("index.html" if path == "/" else path.lstrip("/"))


class Site(unittest.TestCase):
    def test_has_its_pages(self):
        names = {path.name for path in pages()}
        self.assertLessEqual({"index.html", "404.html"}, names)

    def test_pages_are_well_formed(self):
        for path, page in pages().items():
            with self.subTest(path.name):
                self.assertEqual(page.faults, [])
                self.assertTrue(page.title.strip(), "a page has a title")
                self.assertTrue(page.language, "a page names its language")
                self.assertEqual(page.images_without_text, [], "an image has a text beside it")

    def test_links_lead_somewhere(self):
        everything = pages()
        for path, page in everything.items():
            for link in page.links:
                with self.subTest(f"{path.name}: {link}"):
                    self.assertEqual(urlsplit(link).netloc, "", "the site needs no other host")
                    # A 404 page is shown at any path: only links from the root are right there.
                    self.assertTrue(link.startswith("/"), "links begin at the root")
                    target = target_of(link)
                    self.assertTrue(target.is_file(), "there is no such file")
                    if fragment := urlsplit(link).fragment:
                        self.assertIn(fragment, everything[target].ids)

    def test_pictures_are_pictures(self):
        pictures = sorted(ROOT.glob("assets/*.svg"))
        self.assertTrue(pictures)
        for picture in pictures:
            with self.subTest(picture.name):
                root = xml.etree.ElementTree.parse(picture).getroot()
                self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
