"""Runs on a gateway: puts what certbot keeps where nginx loads it, and has it loaded once. Standard library only.

    certificates look|begin|install RUN_DIR SYSTEM=NAME ...

look: prints one JSON object, changes nothing. begin: a system without a certificate gets one, if only of this host's
own making, so that nginx starts. install: what is new is put in place, nginx checks it and loads it; exit 1 when one is
not loaded, which is then as it was before, or when nobody says whether nginx runs. Certificate and key of a system are
one file of mode 0600.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import time

LIVE = "/etc/letsencrypt/live/changeover-"
RENEWAL = "/etc/letsencrypt/renewal/changeover-"
CONF = "/etc/nginx/changeover/nginx.conf"
LIMIT = 60  # seconds for an answer of nginx or openssl
OWN = 7  # days that a certificate of this host's own making is good for


def text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def ran(words, given=None):
    """Whether a command ended well, and all that it printed."""
    try:
        done = subprocess.run(
            words, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, done.stdout.strip()


def pair_of(base, system):
    return os.path.join(base, "conf/tls", system + ".pem")


def kept(system):
    """Key and certificate that certbot keeps, as one text; empty when there are none."""
    key, chain = (text(f"{LIVE}{system}/{name}.pem") for name in ("privkey", "fullchain"))
    return key + chain if key and chain else ""


def write(path, content):
    """A reader finds the old text or the new one; nobody but root reads it at any time."""
    new = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def wrong(path, content):
    """What is wrong with a pair, tried beside its place; None when key and certificate belong together."""
    new = path + ".new"
    write(new, content)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(new)
    except (ssl.SSLError, OSError) as error:
        return str(error)
    finally:
        os.unlink(new)


def own(name):
    """A key and a certificate that nobody trusts."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", str(OWN), "-subj", "/CN=made by changeover", "-addext", "subjectAltName=DNS:" + name]
    parts = []
    for word in ("-keyout", "-out"):
        reader, writer = os.pipe()
        words += [word, f"/dev/fd/{writer}"]
        parts.append((reader, writer))
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=LIMIT, pass_fds=[w for _, w in parts])
    for _, writer in parts:
        os.close(writer)
    found = []
    for reader, _ in parts:
        with os.fdopen(reader) as file:
            found.append(file.read())
    if done.returncode or not all(found):
        sys.exit(f"openssl made no certificate for {name}: {done.stderr.strip()}")
    return "".join(found)


def mark_of(base):
    return os.path.join(base, "loaded-certificates")


def digest(base, systems):
    """Of all pairs that lie where nginx looks."""
    both = "".join(f"{system} {text(pair_of(base, system))}" for system in sorted(systems))
    return hashlib.sha256(both.encode()).hexdigest()[:12]


def loaded(base, systems):
    try:
        return os.readlink(mark_of(base)) == digest(base, systems)
    except OSError:
        return False


def nginx(base, *words):
    return ran(["docker", "compose", "--project-directory", base, "-f", f"{base}/compose.yaml", *words])


def served(base, system):
    """Of what a gateway's file of a system says now: its name, and whether there is HTTPS; None without a file."""
    said = text(os.path.join(base, "conf/servers", system + ".conf"))
    name = re.search(r"server_name\s+([^\s;]+)", said)
    return [name[1], "ssl_certificate " in said] if name else None


def look(base, systems):
    found = {}
    for system in systems:
        done, said = ran(
            ["openssl", "x509", "-noout", "-enddate", "-ext", "subjectAltName"], text(f"{LIVE}{system}/cert.pem")
        )
        ends = re.search(r"notAfter=(.+)", said)
        if not done or not ends or not kept(system):
            continue
        server = re.search(r"^server\s*=\s*(\S+)", text(f"{RENEWAL}{system}.conf"), re.MULTILINE)
        found[system] = {
            "server": server[1] if server else "",
            "ends": ssl.cert_time_to_seconds(ends[1].strip()),
            "names": re.findall(r"DNS:([^,\s]+)", said),
            "in_place": text(pair_of(base, system)) == kept(system),
        }
    unread = ran(["systemctl", "show", "-p", "NeedDaemonReload", "--value", "certbot.service"])[1] == "yes"
    there = [system for system in systems if os.path.exists(pair_of(base, system))]
    print(
        json.dumps(
            {
                "now": time.time(),
                "pairs": there,
                "certificates": found,
                "loaded": loaded(base, systems),
                "unread": unread,
                "served": {system: now for system in systems if (now := served(base, system))},
            }
        )
    )


def begin(base, systems):
    for system, name in systems.items():
        if os.path.exists(pair_of(base, system)):
            continue
        given = [text(os.path.join(base, "conf/tls", system + end)) for end in (".key", ".crt")]
        for content in (kept(system), "".join(given) if all(given) else ""):
            if content and not wrong(pair_of(base, system), content):
                break
        else:
            content = own(name)
        write(pair_of(base, system), content)


def install(base, systems):
    problems, fresh = [], {}
    for system in systems:
        path, new = pair_of(base, system), kept(system)
        if not new or new == text(path):
            continue
        if problem := wrong(path, new):  # the other systems' have nothing to do with it
            problems.append(f"{LIVE}{system}: key and certificate do not fit ({problem}); {path} stays")
        else:
            fresh[path] = new
    if fresh or not loaded(base, systems):
        problems += put(base, systems, fresh)
    if problems:
        sys.exit("\n".join(problems))


def put(base, systems, fresh):
    """Puts what is new in place and has it loaded; what went wrong."""
    up, there = nginx(base, "ps", "-q", "--status", "running", "nginx")
    if not up and os.path.exists(f"{base}/compose.yaml"):
        return [f"docker compose does not say whether the gateway runs ({there}); nothing was put in place or loaded"]
    running = up and bool(there)
    gateway = ["exec", "-T", "nginx", "nginx", "-c", CONF]
    problems = []
    for path, new in fresh.items():
        old = text(path)
        write(path, new)
        done, said = nginx(base, *gateway, "-t", "-q") if running else (True, "")
        if not done:
            if old:
                write(path, old)
            problems.append(f"nginx refused the new {path}; the one before serves and is back in place:\n{said}")
    if running and not loaded(base, systems):
        done, said = nginx(base, *gateway, "-t", "-q")
        if done:
            done, said = nginx(base, *gateway, "-s", "reload")
        if not done:
            return problems or [f"nginx did not load what lies in {base}/conf/tls, and serves as before:\n{said}"]
        print("the gateway has loaded " + (", ".join(map(os.path.basename, fresh)) or "its certificates"))
    mark = mark_of(base)  # a gateway that does not run loads what lies there when it starts
    with contextlib.suppress(FileNotFoundError):
        os.unlink(mark + ".new")
    os.symlink(digest(base, systems), mark + ".new")
    os.replace(mark + ".new", mark)
    return problems


def main():
    verb, base, *words = sys.argv[1:]
    systems = dict(word.split("=", 1) for word in words)
    os.umask(0o022)
    if verb == "look":
        return look(base, systems)
    with open(os.path.join(base, "certificates.lock"), "w") as lock:  # a deploy and certbot's timer
        fcntl.flock(lock, fcntl.LOCK_EX)
        {"begin": begin, "install": install}[verb](base, systems)


if __name__ == "__main__":
    main()
