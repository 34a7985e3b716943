# SPDX-License-Identifier: Apache-2.0
"""Bad days: the server killed, the proxy killed, a monitor killed, everything gone as after a reboot."""

import os
import shutil
import signal
import subprocess
import unittest

from towpath import PlatformCase, Load, wait_until
from test_life import SCORE

HOST = "site--development--stable.localhost"


def processes(words):
    """Ids of the processes whose command line has all of the words."""
    found = []
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in command for word in words):
            found.append(int(process))
    return found


class BadDays(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = cls.platform
        p.tow("project", "create", "stable")
        cls.folder = p.repository("stable", files={"index.html": "steady\n", "score.yaml": SCORE % "site"})
        p.push(cls.folder, "Steady")

    def serves(self):
        def answers():
            try:
                return self.platform.get(HOST)[0] == 200
            except OSError:
                return False
        return wait_until("the site answers", answers)

    def test_1_the_server_killed_and_started_again(self):
        p = self.platform
        before = p.entities("stable", "instances")[0]
        with Load(p, HOST, clients=2) as load:
            p.kill()
            for _ in range(20):
                self.assertEqual(p.get(HOST)[0], 200)
            p.start()
        self.assertEqual(load.failed, [])
        after = p.entities("stable", "instances")[0]
        self.assertEqual(before["metadata"]["uid"], after["metadata"]["uid"])
        self.assertEqual(before["status"]["started"], after["status"]["started"])

    def test_1_nothing_is_taken_from_under_a_server_that_runs(self):
        p = self.platform
        done = p.tow("admin", "takedown", *p.settings, "--data-too", check=False)
        self.assertEqual(done.returncode, 6)
        self.assertIn(f"in use by process {p.server.pid}", done.stderr)
        self.assertTrue(self.serves())

    def test_2_the_server_killed_during_a_push(self):
        p = self.platform
        p.write(self.folder, {"index.html": "steadier\n"})
        p.git(self.folder, "commit", "-qam", "Steadier")
        push = subprocess.Popen(["git", "push", "tow", "main"], cwd=self.folder, env=p.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # As soon as git has stored it, whatever comes of it.
        head = p.git(self.folder, "rev-parse", "HEAD").stdout.strip()
        repositories = os.path.join(p.data, "repositories")

        def stored():
            for repository in os.listdir(repositories):
                branch = os.path.join(repositories, repository, "refs/heads/main")
                if os.path.exists(branch):
                    with open(branch) as file:
                        if head in file.read():
                            return True
            return False

        wait_until("git has stored the push", stored)
        p.kill()
        push.wait(30)
        p.start()
        wait_until("the change is live", lambda: p.answers() and p.get(HOST)[1] == "steadier\n", 120)

    def test_3_the_proxy_killed(self):
        p = self.platform
        for process in processes(["haproxy", p.runtime]):
            os.kill(process, signal.SIGKILL)
        self.assertTrue(self.serves())

    def test_4_a_monitor_killed(self):
        p = self.platform
        monitors = processes(["conmon", p.home]) or processes(["conmon", p.runtime])
        self.assertTrue(monitors)
        for process in monitors:
            os.kill(process, signal.SIGKILL)
        wait_until("there is a monitor again", lambda: set(processes(["conmon", p.runtime]) + processes(["conmon", p.home])) - set(monitors), 60)
        self.assertTrue(self.serves())

    def test_5_everything_gone_as_after_a_reboot(self):
        p = self.platform
        p.kill()
        # Undo by hand what a reboot takes: processes, mounts, links, rules, /run.
        for attempt in range(5):
            for process in processes([p.runtime]) + processes([p.home]):
                if process != os.getpid():
                    try:
                        os.kill(process, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        self.kill_containers()
        with open("/proc/self/mounts") as mounts:
            for point in [line.split()[1] for line in mounts if p.home in line or p.runtime in line][::-1]:
                subprocess.run(["umount", "-l", point], capture_output=True)
        for link in [trace for trace in p.traces() if trace.startswith(p.links)]:
            subprocess.run(["ip", "link", "del", link.split("@")[0]], capture_output=True)
        subprocess.run(["nft", "delete", "table", "inet", p.name], capture_output=True)
        subprocess.run(["nft", "delete", "table", "bridge", p.name], capture_output=True)
        shutil.rmtree(p.runtime, ignore_errors=True)
        p.start()
        self.assertTrue(self.serves())

    def kill_containers(self):
        for base, _, files in os.walk("/sys/fs/cgroup"):
            if self.platform.name in base and "cgroup.procs" in files:
                with open(os.path.join(base, "cgroup.procs")) as file:
                    for line in file:
                        try:
                            os.kill(int(line), signal.SIGKILL)
                        except ProcessLookupError:
                            pass


if __name__ == "__main__":
    unittest.main()
