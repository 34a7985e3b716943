# SPDX-License-Identifier: Apache-2.0
"""What is shown where systemd runs the server.

Started at every boot; a file on the disk says how far it came. First boot: push and checks with crun, then a
reboot. Second: back unaided, the same checks with runc, then a loss of power. Third: back unaided."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HOST = "web--development--app.localhost"
STAGE = "/var/lib/towpath-vm/stage"
WORK = "/var/lib/towpath-vm/app"
V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
MEMORY = "memory.max" if V2 else "memory.limit_in_bytes"
# Controller (a hierarchy of its own in version 1), file, what is in it.
LIMITS = [("memory", "memory.max", str(64 << 20)), ("memory", "memory.swap.max", "0"), ("cpu", "cpu.max", "50000 100000"),
          ("pids", "pids.max", None)] if V2 else [
          ("memory", "memory.limit_in_bytes", str(64 << 20)), ("cpu", "cpu.cfs_quota_us", "50000"),
          ("cpu", "cpu.cfs_period_us", "100000"), ("pids", "pids.max", None)]
ENV = {**os.environ, "HOME": "/root", "LANG": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"}


def say(text):
    with open("/proc/uptime") as uptime:
        print(f"[{float(uptime.read().split()[0]):6.1f}s] {text}", flush=True)


def run(*command, cwd=WORK, check=True, timeout=300):
    done = subprocess.run(command, cwd=cwd, env=ENV, capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def get(path="/", timeout=30):
    request = urllib.request.Request("http://127.0.0.1" + path, headers={"Host": HOST})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


def answer():
    """Which start of the application answers; None if none does."""
    try:
        return get()
    except OSError:
        return None


def wait_until(what, condition, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"did not happen within {seconds}s: {what}")


def healthy():
    try:
        with urllib.request.urlopen("http://127.0.0.1:8690/healthz", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def equal(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def read(path):
    with open(path) as file:
        return file.read().strip()


def instance():
    """The one instance that is not over."""
    all_of_them = json.loads(run("tow", "get", "instances", "-p", "app", "-o", "json"))
    alive = [one for one in all_of_them if one["status"]["phase"].lower() == "ready"]
    equal("ready instances", len(alive), 1)
    return alive[0]


def limits():
    """What the kernel says of the application's limits: of the one group that has its memory limit."""
    top = "/sys/fs/cgroup/" if V2 else "/sys/fs/cgroup/memory/"
    found = [os.path.relpath(path, top) for path, _, files in os.walk(top + "towpath")
             if MEMORY in files and read(f"{path}/{MEMORY}") == str(64 << 20)]
    equal("control groups with the application's limit", len(found), 1)
    return {name: read(f"/sys/fs/cgroup/{'' if V2 else controller}/{found[0]}/{name}") for controller, name, _ in LIMITS}


def main_process():
    return int(run("systemctl", "show", "-P", "MainPID", "towpath"))


class Visitors:
    """Ask for the application until told to stop; every answer counts."""

    def __init__(self):
        self.answers, self.failed, self.over = [], [], threading.Event()
        self.threads = [threading.Thread(target=self.visit) for _ in range(2)]

    def visit(self):
        while not self.over.is_set():
            try:
                self.answers.append(get())
            except OSError as error:
                self.failed.append(str(error))
            time.sleep(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        for thread in self.threads:
            thread.join()


# ------------------------------------------------------------------------------------------------ the checks

def the_machine_is_what_it_should_be():
    equal("process 1", read("/proc/1/comm"), "systemd")
    say(f"     kernel {os.uname().release}, control groups of version {2 if V2 else 1}")
    wait_until("the server answers", healthy, 120)
    print(run("tow", "doctor", cwd="/", check=False), flush=True)


def a_push_goes_live():
    invitation = subprocess.run(["tow", "admin", "invite"], env=ENV, capture_output=True, text=True, check=True).stdout.strip()
    run("tow", "login", "http://127.0.0.1:8690", "--invitation", invitation)
    run("tow", "project", "create", "app")
    run("git", "config", "--global", "user.name", "Dev")
    run("git", "config", "--global", "user.email", "dev@example.org")
    run("git", "init", "-q", "-b", "main")
    run("git", "remote", "add", "tow", "http://127.0.0.1:8690/git/app/app.git")
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "First")
    seen = run("git", "push", "tow", "main", timeout=600)
    if "live as revision 1" not in seen:
        raise AssertionError(seen)
    wait_until("it answers", answer, 10)


def limits_are_set():
    first = limits()
    for _, name, wanted in LIMITS:
        if wanted is None and not first[name].isdigit():
            raise AssertionError(f"{name}: {first[name]}")
        equal(name, first[name], wanted or first[name])
    say("     " + ", ".join(f"{name} {value}" for name, value in first.items()))
    # systemd tidies up the controllers of the root group: a limit must not go with those of other units.
    with open("/run/systemd/system/other.service", "w") as file:
        file.write("[Service]\nType=oneshot\nExecStart=/bin/true\nCPUQuota=50%\nMemoryMax=100M\nTasksMax=50\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "other")
    os.remove("/run/systemd/system/other.service")
    run("systemctl", "daemon-reload")
    equal("limits after systemd's own changes", limits(), first)


def commands_run_in_it():
    equal("tow exec", run("tow", "exec", "web", "-p", "app", "--", "sh", "-c", "echo $((6*7)) in $(pwd)").strip(), "42 in /app")
    status = run("tow", "status", "web", "-p", "app")
    if "64" not in status:
        raise AssertionError("no memory limit in the status:\n" + status)


def a_memory_kill_is_told_with_its_limit():
    before = answer()

    # Told while it waits for its next start, which is short the first time, and longer every time.
    def told():
        try:
            get("/eat", timeout=120)
        except OSError:
            pass
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if "killed for memory: the limit is 64Mi" in run("tow", "status", "web", "-p", "app"):
                return True
        return False

    wait_until("the status tells of the kill", told, 120)
    wait_until("another start of it answers", lambda: answer() not in (None, before), 120)
    wait_until("it is seen as ready", lambda: "1/1" in run("tow", "ls", "-p", "app"), 60)


def undisturbed(what, act):
    process, before = main_process(), instance()
    with Visitors() as visitors:
        wait_until("visitors are answered", lambda: len(visitors.answers) > 3)
        act()
        wait_until("the next server answers", lambda: main_process() not in (0, process) and healthy())
        time.sleep(3)
    equal(f"requests that failed during {what}", visitors.failed, [])
    equal(f"starts of the application that answered during {what}", len(set(visitors.answers)), 1)
    equal(f"the instance after {what}", instance()["metadata"]["name"], before["metadata"]["name"])
    say(f"     {len(visitors.answers)} requests during {what}, none failed, one and the same instance")


def a_restart_of_the_service_touches_nothing():
    undisturbed("systemctl restart", lambda: run("systemctl", "restart", "towpath"))


def a_kill_of_the_server_touches_nothing():
    undisturbed("kill -9", lambda: os.kill(main_process(), signal.SIGKILL))


def it_is_back_unaided():
    wait_until("the application answers", answer, 300)
    wait_until("it is seen as ready", lambda: "1/1" in run("tow", "ls", "-p", "app"), 60)
    equal("its revision", json.loads(run("tow", "get", "deployments", "web.development", "-p", "app", "-o", "json"))
          ["status"]["serving"], 1)


CHECKS = [limits_are_set, commands_run_in_it, a_memory_kill_is_told_with_its_limit, limits_are_set,
          a_restart_of_the_service_touches_nothing, a_kill_of_the_server_touches_nothing]


def use(runtime):
    """From the next boot on."""
    os.makedirs("/etc/systemd/system/towpath.service.d", exist_ok=True)
    with open("/etc/systemd/system/towpath.service.d/runtime.conf", "w") as file:
        file.write(f"[Service]\nExecStart=\nExecStart=/usr/local/bin/tow server --oci-runtime {runtime}\n")


def runtime_is(name):
    def check():
        commands = [read(f"/proc/{process}/cmdline").split("\0") for process in os.listdir("/proc") if process.isdigit()]
        used = {os.path.basename(words[words.index("--runtime") + 1]) for words in commands if "--runtime" in words}
        equal("runtimes of the monitors", used, {name})
    check.__name__ = f"the_runtime_is_{name}"
    return check


STAGES = [
    ("first boot, crun", [the_machine_is_what_it_should_be, a_push_goes_live, runtime_is("crun"), *CHECKS],
     lambda: (use("runc"), run("systemctl", "reboot"))),
    ("after a reboot, runc", [it_is_back_unaided, runtime_is("runc"), *CHECKS],
     lambda: run("reboot", "--force", "--force", "--no-sync")),
    ("after a loss of power", [it_is_back_unaided, limits_are_set], lambda: run("systemctl", "poweroff")),
]


def main():
    os.makedirs(WORK, exist_ok=True)
    stage, since = read(STAGE).split() if os.path.exists(STAGE) else (0, None)
    stage = int(stage)
    title, checks, go_on = STAGES[stage]
    say(f"{title}:" + (f" {time.time() - float(since):.0f}s after it was asked for" if since else ""))
    for check in checks:
        words = check.__name__.replace("_", " ")
        begun = time.monotonic()
        try:
            check()
        except BaseException as error:  # whatever it is, it is told and ends the machine
            say(f"FAILED {words}: {type(error).__name__}: {error}")
            for command in (["journalctl", "-b", "--no-pager", "-n", "60", "-u", "towpath"], ["tow", "status", "web", "-p", "app"]):
                print(run(*command, check=False), flush=True)
            run("systemctl", "poweroff")
            return 1
        say(f"  ok {words} ({time.monotonic() - begun:.1f}s)")
    with open(STAGE + ".new", "w") as file:
        file.write(f"{stage + 1} {time.time()}")
        file.flush()
        os.fsync(file.fileno())
    os.rename(STAGE + ".new", STAGE)
    if stage + 1 == len(STAGES):
        say("ALL PASSED")
    go_on()
    return 0


if __name__ == "__main__":
    sys.exit(main())
