"""Runs on a host, changes nothing: what it is and who is on it, for preflight. Standard library only.

Input: one JSON object as the argument: {"ports": [numbers], "images": [names], "foreign": [paths], "engine_root": path,
"tools": [names], "units": [names], "volumes": [names], "tags": [names]}. Output: one JSON object on the last line;
changeover/look.py says what is in it.
"""

import base64
import contextlib
import glob
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time

WRITTEN = "/var/lib/changeover/written"
SOCKET = "/var/run/docker.sock"
STATUS = "/var/lib/dpkg/status"
PACKAGES = re.compile(r"^(docker\.io|docker-ce|docker-compose|docker-compose-v2|docker-compose-plugin|podman-docker)$")
LIMIT = 5  # seconds for one question to the engine or a registry
LISTEN = "0A"


class Engine(http.client.HTTPConnection):
    """The container engine at its socket: no client program is started."""

    def __init__(self):
        super().__init__("engine", timeout=LIMIT)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        self.sock.connect(SOCKET)


def ask(path, headers=None):
    """The engine's answer to a GET as (status, JSON); None when it does not answer."""
    link = Engine()
    try:
        link.request("GET", path, headers=headers or {})
        answer = link.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        link.close()


def text(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def memory():
    """(all, available) in MiB."""
    found = dict(re.findall(r"^(\w+):\s+(\d+)", text("/proc/meminfo"), re.MULTILINE))
    return [int(found.get(key, 0)) // 1024 for key in ("MemTotal", "MemAvailable")]


def room(path):
    """The first folder above path that is there, and MiB free for root in it."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize // 1024**2, os.stat(path).st_dev


def rooms(paths):
    """{path: MiB free}, each file system once, named by the first path that lies on it."""
    seen, result = set(), {}
    for path in paths:
        free, device = room(path)
        if device not in seen:
            seen.add(device)
            result[path] = free
    return result


def packages():
    """Versions of the packages that matter, and names of those that dpkg did not finish."""
    versions, broken = {}, []
    for block in text(STATUS).split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", block, re.MULTILINE))
        name, state = fields.get("Package", ""), fields.get("Status", "").split()
        if len(state) == 3 and state[2] in ("unpacked", "half-configured", "half-installed"):
            broken.append(name)
        if PACKAGES.match(name) and state[-1:] == ["installed"]:
            versions[name] = fields.get("Version", "")
    return versions, broken or (["a package"] if glob.glob("/var/lib/dpkg/updates/[0-9]*") else [])


def engine():
    path = shutil.which("docker") or ""
    version = ask("/version")
    return {"path": os.path.realpath(path) if path else "", "version": version[1].get("Version", "") if version else ""}


def containers():
    """All containers: who made them, and the ports that those which run have published."""
    answer = ask("/containers/json?all=1")
    found = []
    for one in answer[1] if answer and answer[0] == 200 else []:
        labels = one.get("Labels") or {}
        found.append(
            {
                "id": one["Id"],
                "name": one["Names"][0].lstrip("/") if one.get("Names") else one["Id"][:12],
                "project": labels.get("com.docker.compose.project", ""),
                "folder": labels.get("com.docker.compose.project.working_dir", ""),
                "system": labels.get("changeover.system", ""),
                "service": labels.get("changeover.service", ""),
                "running": one.get("State") in ("running", "restarting", "paused"),
                "ports": sorted(
                    {(p.get("IP", ""), p["PublicPort"]) for p in one.get("Ports", []) if "PublicPort" in p}
                ),
            }
        )
    return found


def address(word, six):
    """An address of /proc/net/tcp as people write it."""
    raw = bytes.fromhex(word)
    turned = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET6 if six else socket.AF_INET, turned)


def listeners(ports):
    """{inode: (address, port)} of sockets that listen at one of these ports."""
    found = {}
    for name, six in (("/proc/net/tcp", False), ("/proc/net/tcp6", True)):
        for line in text(name).splitlines()[1:]:
            fields = line.split()
            where, port = fields[1].split(":")
            if fields[3] == LISTEN and int(port, 16) in ports:
                found[fields[9]] = (address(where, six), int(port, 16))
    return found


def held(ports):
    """Who listens at these ports: [{address, port, pid, who, unit, container}], a process for each."""
    wanted = listeners(set(ports))
    found = []
    for link in glob.iglob("/proc/[0-9]*/fd/*") if wanted else ():
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            inode = target[8:-1] if target.startswith("socket:[") else ""
            if inode in wanted:
                pid = link.split("/")[2]
                groups = text(f"/proc/{pid}/cgroup")
                ids = re.findall(r"[0-9a-f]{64}", groups)
                units = re.findall(r"/([^/\n]+\.service)", groups)
                where, port = wanted.pop(inode)
                process = {"pid": int(pid), "who": text(f"/proc/{pid}/comm").strip(), "unit": (units or [""])[-1]}
                found.append({"address": where, "port": port, "container": (ids or [""])[-1], **process})
    lost = {"pid": 0, "who": "", "unit": "", "container": ""}
    return found + [{"address": where, "port": port, **lost} for where, port in wanted.values()]


def foreign(paths):
    """Those of the paths that are there and were not written by us."""
    ours = set(text(WRITTEN).splitlines())
    return [path for path in paths if os.path.lexists(path) and path not in ours]


def majors(root, volumes):
    """{volume: PostgreSQL's major version of the data in it}."""
    found = {name: text(f"{root}/volumes/{name}/_data/PG_VERSION").strip() for name in volumes}
    return {name: version for name, version in found.items() if version}


def registry(image):
    """host[:port] that an image is pulled from."""
    first = image.split("/")[0]
    named = "/" in image and ("." in first or ":" in first or first == "localhost")
    return first if named and first not in ("docker.io", "index.docker.io") else "registry-1.docker.io"


def missing(images, looked_up):
    """Those of the images that the engine does not have; all of them without an engine.

    Most hosts have a release by its digest, without a tag. Where the engine has any image of the repository of a tag
    that is looked up later, the phase that does it decides; it comes before any slot is touched too.
    """
    status, all_here = ask("/images/json") or (0, [])
    names = [name for one in (all_here if status == 200 else []) for name in one.get("RepoDigests") or ()]
    known = {name.partition("@")[0] for name in names}
    exact = [image for image in images if image not in looked_up or repository(image) not in known]
    return [image for image in exact if (ask(f"/images/{image}/json") or [None])[0] != 200]


def repository(image):
    """The name of an image without tag and digest."""
    name = image.partition("@")[0]
    return name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name


def silent(name):
    """Why a registry does not answer; nothing when it does, whatever it says. Certificates are not judged."""
    context = ssl._create_unverified_context()
    why = ""
    for plain in (False, True):
        try:
            link = http.client.HTTPConnection(name, timeout=LIMIT)
            if not plain:
                link = http.client.HTTPSConnection(name, timeout=LIMIT, context=context)
            link.request("GET", "/v2/")
            link.getresponse()
            return ""
        except (OSError, http.client.HTTPException) as error:
            why = why or getattr(error, "strerror", None) or str(error) or type(error).__name__
            if isinstance(error, (socket.gaierror, TimeoutError)):
                break
    return why


def logins():
    """{registry: (user, password)} as root's `docker login` wrote them."""
    try:
        found = json.loads(text(os.path.expanduser("~root/.docker/config.json")) or "{}").get("auths", {})
        return {name: base64.b64decode(one["auth"]).decode().partition(":")[::2] for name, one in found.items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        return {}


def digests(images):
    """{image: the digest of its tag now} by the engine's word, which asks the registry; silence is not waited for."""
    known, found = logins() if images else {}, {}
    for image in images:
        user, password = known.get(image.split("/")[0], ("", ""))
        login = json.dumps({"username": user, "password": password, "serveraddress": image.split("/")[0]})
        words = {"X-Registry-Auth": base64.urlsafe_b64encode(login.encode()).decode()} if user else {}
        answer = ask(f"/distribution/{image}/json", words)
        if answer is None:
            break
        if answer[0] == 200:
            found[image] = answer[1].get("Descriptor", {}).get("digest", "")
    return {image: digest for image, digest in found.items() if digest}


def proxied():
    """Whether the engine asks registries through a proxy: then what this process sees says nothing."""
    answer = ask("/info")
    return bool(answer and (answer[1].get("HttpProxy") or answer[1].get("HttpsProxy")))


def resolves(name):
    began = time.monotonic()
    done = subprocess.run(["timeout", "3", "getent", "hosts", name], stdout=subprocess.DEVNULL)
    return done.returncode == 0 and time.monotonic() - began < 2


def main():
    wanted = json.loads(sys.argv[1])
    first = time.time()
    versions, broken = packages()
    lacking = missing(wanted["images"], wanted["looked_up"])
    registries = sorted({registry(image) for image in lacking})
    total, available = memory()
    name = socket.gethostname()
    addresses = subprocess.run(["hostname", "-I"], stdout=subprocess.PIPE, text=True).stdout.split()
    found = {
        "uid": os.geteuid(),
        "path": os.environ.get("PATH", ""),
        "hostname": name,
        "resolves": resolves(name),
        "memory": total,
        "available": available,
        "disks": rooms([wanted["engine_root"], "/srv", "/var/lib/changeover", "/"]),
        "cpus": os.cpu_count() or 1,
        "addresses": addresses,
        "systemd": os.path.isdir("/run/systemd/system"),
        "lacks": [tool for tool in wanted["tools"] if not shutil.which(tool)],
        "packages": versions,
        "broken": broken,
        "engine": engine(),
        "containers": containers(),
        "held": held(wanted["ports"]),
        "boot": [u for u in wanted["units"] if os.path.lexists("/etc/systemd/system/multi-user.target.wants/" + u)],
        "foreign": foreign(wanted["foreign"]),
        "tags": digests(wanted["tags"]),
        "majors": majors(wanted["engine_root"], wanted["volumes"]),
        "missing": lacking,
        "silent": {} if not registries or proxied() else {n: why for n in registries for why in [silent(n)] if why},
    }
    print(json.dumps({**found, "began": first, "ended": time.time()}))


if __name__ == "__main__":
    main()
