# SPDX-License-Identifier: Apache-2.0
"""Start of a container: the engine's, and the same OCI runtime by hand with the same image, namespaces, mounts, limits and
a network of its own. Both are timed until the process runs its program."""

import json
import os
import shutil
import statistics
import subprocess
import time


def layers(storage, image):
    """Directories of the image's layers, the uppermost first."""
    def read(name):
        with open(os.path.join(storage, name)) as file:
            return json.load(file)
    top = next(i["layer"] for i in read("overlay-images/images.json") if i["id"].startswith(image))
    parents = {layer["id"]: layer.get("parent") for layer in read("overlay-layers/layers.json")}
    while top:
        yield os.path.join(storage, "overlay", top, "diff")
        top = parents[top]


class ByHand:
    """An OCI runtime, as a person would write it in a shell script (without a monitor, which the engine starts as well)."""

    def __init__(self, home, storage, image, runtime, config):
        self.home, self.runtime, self.config, self.number = home, runtime, config, 0
        self.lower = ":".join(layers(storage, image))
        names = [n for n in config["linux"]["namespaces"] if n["type"] not in ("user", "network")]
        config["linux"]["namespaces"] = names + [{"type": "user"}, {"type": "network"}]
        for mount in config["mounts"]:
            if mount["type"] == "bind":
                mount["source"] = "/etc/hostname"  # any file: what is in it costs nothing
        self.bridge = f"tbh{os.getpid() % 100000}"
        self.sh(f"ip link add {self.bridge} type bridge && ip address add 10.87.0.1/24 dev {self.bridge} && ip link set {self.bridge} up")

    def sh(self, script, check=True):
        return subprocess.run(["bash", "-c", script], check=check, capture_output=True, text=True, timeout=30)

    def start(self):
        self.number += 1
        bundle, name = os.path.join(self.home, f"hand{self.number}"), f"tow-bench-hand-{os.getpid()}-{self.number}"
        self.config["linux"]["cgroupsPath"] = f"/tow-bench-hand-{os.getpid()}/{self.number}"
        self.config["root"]["path"] = bundle + "/rootfs"
        os.makedirs(bundle)
        with open(bundle + "/config.json", "w") as file:
            json.dump(self.config, file)
        link = f"th{os.getpid() % 10000}x{self.number}"
        script = f"""set -e
cd {bundle}; mkdir upper work rootfs
chown {self.config['linux']['uidMappings'][0]['hostID']} upper
mount -t overlay overlay -o lowerdir={self.lower},upperdir=upper,workdir=work rootfs
touch rootfs/etc/hosts rootfs/etc/resolv.conf rootfs/etc/hostname
{self.runtime} create --pid-file {bundle}/pid {name} </dev/null >out 2>&1 || {{ cat out >&2; exit 1; }}
ip -batch - <<END
link add {link} type veth peer name eth0 netns $(cat pid)
link set {link} master {self.bridge} up
END
nsenter -t $(cat pid) -n ip -batch - <<END
link set lo up
address add 10.87.0.2/24 dev eth0
link set eth0 up
route add default via 10.87.0.1
END
{self.runtime} start {name}
"""
        begin = time.monotonic()
        done = self.sh(script, check=False)
        took = time.monotonic() - begin
        if done.returncode != 0:
            raise AssertionError(f"by hand: {done.stderr} {done.stdout}")
        self.sh(f"{self.runtime} delete -f {name}; umount {bundle}/rootfs; rm -rf {bundle}", check=False)
        return took

    def end(self):
        self.sh(f"ip link delete {self.bridge}; rmdir /sys/fs/cgroup/*/tow-bench-hand-{os.getpid()} /sys/fs/cgroup/tow-bench-hand-{os.getpid()}", check=False)


def podman(home, storage, image, runtime):
    """Without a network, which it would add time for; with limits of files and processes that any user may set."""
    command = ["podman", "--root", home + "/podman", "--runroot", home + "/podman-run", "--storage-driver", "overlay",
               "--storage-opt", "additionalimagestore=" + storage, "--runtime", runtime, "--cgroup-manager", "cgroupfs"]
    begin = time.monotonic()
    done = subprocess.run([*command, "run", "-d", "--pull", "never", "--network", "none", "--ulimit", "nofile=1024:1024",
                           "--ulimit", "nproc=1024:1024", image, "/bin/sleep", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    took = time.monotonic() - begin
    if done.returncode != 0:
        raise AssertionError(done.stderr.strip().splitlines()[-1][:200])
    subprocess.run([*command, "rm", "-f", "-t", "0", done.stdout.strip()], capture_output=True)
    return took


def measure(program, home, storage, image, turns=9):
    """Milliseconds: medians of the engine, by hand, and of podman (None with its reason where it refuses)."""
    runtime = shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin:/bin")
    directory = os.path.join(home, "engine")
    os.makedirs(directory)
    engine = subprocess.Popen([program, directory, storage, image, runtime], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(word):
        engine.stdin.write(word + "\n")
        engine.stdin.flush()
        return engine.stdout.readline()

    hand, ours, by_hand, theirs, refused = None, [], [], [], None
    try:
        for turn in range(turns):
            took, bundle = ask("start").split()
            if hand is None:
                with open(bundle + "/config.json") as file:
                    hand = ByHand(home, storage, image, runtime, json.load(file))
            ask("end")
            by_hand.append(hand.start() * 1000)
            ours.append(float(took))
            if refused is None:
                try:
                    theirs.append(podman(home, storage, image, runtime) * 1000)
                except AssertionError as error:
                    refused = str(error)
    finally:
        engine.stdin.close()
        engine.wait(60)
        if hand:
            hand.end()
    return statistics.median(ours[1:]), statistics.median(by_hand[1:]), statistics.median(theirs[1:]) if theirs[1:] else None, refused
