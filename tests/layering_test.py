# SPDX-License-Identifier: Apache-2.0
"""The layering check finds what it is for: python3 -m unittest tests/layering_test.py"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "script" / "layering.py"

# A small house in order. Each case below adds or replaces files.
HOUSE = {
    "src/base/CMakeLists.txt": "towpath_module(base\n  USES\n  LINK fmt::fmt)\n",
    "src/base/task.hpp": "#include <string>\n",
    "src/model/CMakeLists.txt": "towpath_module(model USES base)\n",
    "src/model/model.hpp": '#include "base/task.hpp"\n',
    "src/store/CMakeLists.txt": "towpath_module(store USES base model)\n",
    "src/store/store.hpp": '#include "model/model.hpp"\n',
    "src/store/memory/memory.hpp": '#include "store/store.hpp"\n',
    "src/store/sqlite/log.hpp": "",
    "src/store/sqlite/sqlite.hpp": '#include "store/sqlite/log.hpp"\n',
    "src/store/contract_test.cpp": '#include "store/sqlite/sqlite.hpp"\n#include "store/memory/memory.hpp"\n',
    "src/engine/engine.hpp": '#include "model/model.hpp"\n',
    "src/client/client.hpp": "",
    "src/cli/CMakeLists.txt": "towpath_module(cli USES base model client)\n",
    "src/cli/cli.hpp": '#include "client/client.hpp"\n',
    "src/deploy/CMakeLists.txt": "towpath_module(deploy USES base model store)\n",
    "src/deploy/deploy.hpp": '#include "store/store.hpp"\n#include "base/task.hpp"\n',
    "src/deploy/deploy_test.cpp": '#include "store/memory/memory.hpp"\n',
    "src/observe/observe.hpp": "",
    "src/apps/CMakeLists.txt": "towpath_module(apps USES base model store deploy)\n",
    "src/apps/main.cpp": '#include "store/sqlite/sqlite.hpp"\n#include "deploy/deploy.hpp"\n',
}


def run(changes: dict[str, str]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory(prefix="towpath-layering-") as folder:
        for name, text in (HOUSE | changes).items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, str(SCRIPT), folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


class Layering(unittest.TestCase):
    def test_a_house_in_order_passes(self):
        self.assertEqual(run({}), (0, ""))

    def test_every_breach_is_found_with_its_reason(self):
        cases = [
            ("a floor below includes one above",
             {"src/model/model.hpp": '#include "store/store.hpp"\n'},
             'src/model/model.hpp:1: model includes "store/store.hpp"', "no arrow runs up"),
            ("a capability includes its neighbour",
             {"src/deploy/deploy.hpp": '\n\n#include "observe/observe.hpp"\n'},
             "src/deploy/deploy.hpp:3:", "along a floor"),
            ("faces include each other, though neither is built yet",
             {"src/engine/engine.hpp": '#include "store/store.hpp"\n'},
             "src/engine/engine.hpp:1:", "along a floor"),
            ("what is used is not declared",
             {"src/deploy/deploy.hpp": '#include "engine/engine.hpp"\n'},
             'deploy includes "engine/engine.hpp"', "add it to USES"),
            ("a declaration that the floors forbid",
             {"src/store/CMakeLists.txt": "towpath_module(store USES base model deploy)\n"},
             "src/store/CMakeLists.txt: store may not use deploy", "no arrow runs up"),
            ("a comment declares nothing",
             {"src/deploy/CMakeLists.txt": "towpath_module(deploy USES base # store\n)\n"},
             'deploy includes "store/store.hpp"', "add it to USES"),
            ("an implementation of another folder",
             {"src/deploy/deploy.hpp": '#include "store/sqlite/sqlite.hpp"\n'},
             'deploy includes "store/sqlite/sqlite.hpp"', "known by its face"),
            ("a fake, outside a test",
             {"src/deploy/deploy.hpp": '#include "store/memory/memory.hpp"\n'},
             'deploy includes "store/memory/memory.hpp"', "known by its face"),
            ("a real implementation, in a test",
             {"src/deploy/deploy_test.cpp": '#include "store/sqlite/sqlite.hpp"\n'},
             'deploy includes "store/sqlite/sqlite.hpp"', "known by its face"),
            ("a face that knows its implementation",
             {"src/store/store.hpp": '#include "store/memory/memory.hpp"\n'},
             "src/store/store.hpp:1:", "a face knows none"),
            ("the command goes past the API",
             {"src/cli/CMakeLists.txt": "towpath_module(cli USES base model client store)\n",
              "src/cli/cli.hpp": '#include "store/store.hpp"\n'},
             'cli includes "store/store.hpp"', "through client alone"),
            ("a folder without a place",
             {"src/util/util.hpp": ""}, "src/util: util is on no floor", "has its place"),
            ("an include of no folder's",
             {"src/deploy/deploy.hpp": '#include "nowhere/x.hpp"\n'}, 'includes "nowhere/x.hpp"', "has its place"),
            ("a path from beside",
             {"src/store/store.hpp": '#include "memory.hpp"\n'}, 'includes "memory.hpp"', "written from src/"),
            ("a path through the parent",
             {"src/store/store.hpp": '#include "store/../apps/main.cpp"\n'}, "store.hpp:1:", "written from src/"),
            ("a file that is not there",
             {"src/deploy/deploy.hpp": '#include "store/stroe.hpp"\n'}, "stroe.hpp", "no such file"),
        ]
        for reason, changes, place, why in cases:
            with self.subTest(reason):
                code, said = run(changes)
                self.assertEqual(code, 1, said)
                self.assertIn(place, said)
                self.assertIn(why, said)

    def test_parts_of_one_folder_may_use_one_another(self):
        self.assertEqual(run({"src/store/memory/memory.hpp": '#include "store/sqlite/log.hpp"\n'}), (0, ""))

    def test_a_test_may_use_what_it_alone_declares(self):
        changes = {
            "src/deploy/CMakeLists.txt": "towpath_module(deploy USES base store TEST_LINK towpath_engine)\n",
            "src/deploy/deploy_test.cpp": '#include "engine/engine.hpp"\n',
        }
        self.assertEqual(run(changes), (0, ""))
        code, said = run(changes | {"src/deploy/deploy.hpp": '#include "engine/engine.hpp"\n'})
        self.assertEqual(code, 1, said)


if __name__ == "__main__":
    unittest.main()
