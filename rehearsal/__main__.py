"""python -m rehearsal: throwaway hosts on this machine (up, down, status, url, build, fault)."""

import argparse
import json
import sys
import time

from . import engine as engines
from . import hosts, paths, plan, state
from .errors import RehearsalError
from .progress import Progress, seconds
from .shell import Shell


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main_parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    verbs = main_parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="bring the hosts up, with an image registry; picks up whatever is there")
    up.add_argument(
        "--with",
        dest="extra",
        action="append",
        default=[],
        metavar="HOST",
        choices=[host.name for host in plan.ON_DEMAND],
        help="a host on demand too: %(choices)s",
    )
    up.add_argument(
        "--new",
        action="append",
        default=[],
        metavar="HOST",
        choices=[host.name for host in plan.HOSTS + plan.ON_DEMAND],
        help="a new, empty host in the place of this one: %(choices)s",
    )
    job = verbs.add_parser("job", help="up, then the main job: deploy, seed data, server tests; hosts stay up")
    job.add_argument("--fresh", action="store_true", help="on new, empty hosts: a first installation")
    job.add_argument("--no-verify", action="store_true", help="leave the server tests out")
    build = verbs.add_parser("build", help="make all images, start no host")
    down = verbs.add_parser("down", help="remove hosts, volumes, network and .rehearsal; keeps the image cache")
    down.add_argument("host", nargs="?", help="only this host on demand; the others stay up")
    down.add_argument("--images", action="store_true", help="remove images, registry content and cache as well")
    down.add_argument("--force", action="store_true", help="remove another checkout's hosts as well")
    for verb in (up, job, build, down):
        verb.add_argument("--verbose", action="store_true", help="show every line that a step prints")
    status = verbs.add_parser("status", help="hosts, addresses, gateway, SSH; exit code 0 when all is up")
    status.add_argument("--json", action="store_true", help="the same for a machine")
    verbs.add_parser("url", help="the gateway's address")
    fault = verbs.add_parser("fault", help="try a fault on the hosts; without a name: list them all")
    fault.add_argument("name", nargs="*", metavar="NAME", help="which; several are tried in turn")
    return main_parser


def main(words: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 failed or not up, 2 wrong usage, 130 interrupted."""
    asked = parser().parse_args(words)
    if asked.verb == "url":
        return show_url()
    if asked.verb == "fault":
        from .faults import command

        return command.run(asked.name)
    progress = Progress(getattr(asked, "verbose", False))
    shell = Shell(progress)
    try:
        if asked.verb == "status":
            return show_status(shell, asked.json)
        with state.lock(progress):
            run(asked, shell)
        return 0
    except RehearsalError as error:
        print(error.text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next `python -m rehearsal up` picks up what is there", file=sys.stderr)
        return 130
    finally:
        shell.abort()
        progress.close()


def run(asked: argparse.Namespace, shell: Shell) -> None:
    """Run a command that changes something, under the lock. Raises RehearsalError."""
    # Imported late: `status` and `url` need none of the packages that make keys and certificates.
    from . import down, one, up

    began = time.monotonic()
    if asked.verb == "down" and asked.host:
        one.remove(shell, asked.host)
        shell.progress.say(f" {asked.host} is removed")
        return
    if asked.verb == "down":
        down.down(shell, asked.images, asked.force)
        return
    if asked.verb == "build":
        count = up.build(shell)
        shell.progress.say(f" {count} images are there ({seconds(time.monotonic() - began)})")
        return
    content = up.up(shell, getattr(asked, "extra", []), wanted_new(asked))
    shell.progress.say(
        f" up: {' '.join(content['hosts'])} ({seconds(time.monotonic() - began)})\n"
        f" ssh: ssh -F {paths.STATE / 'ssh_config'} app1   gateway: {content['gateway']['url']}"
    )
    if asked.verb == "job":
        from . import job

        summary = job.job(shell, verify=not asked.no_verify)
        shell.progress.say("\n" + "\n".join([*summary, *reach(content)]))


def wanted_new(asked: argparse.Namespace) -> list[str]:
    """Hosts that are to be new and empty. Pure."""
    if getattr(asked, "fresh", False):
        return [host.name for host in plan.HOSTS if host.name != "ops1"]  # the registry's host may stay
    return getattr(asked, "new", [])


def show_status(shell: Shell, as_json: bool) -> int:
    """Print how things are now: status.json, checked against the engine."""
    content = state.read()
    if content["state"] != "down":
        client = engines.choose_client(shell)
        answers = client is not None and engines.answers(shell, client)
        found = hosts.containers(shell, client) if client and answers else {}
        for row in content["hosts"].values():
            row["state"] = found.get(row["container"], {"state": "gone" if answers else "no engine"})["state"]
        if any(row["state"] != "running" for row in content["hosts"].values()):
            content["state"] = "broken"
    if as_json:
        print(json.dumps(content, indent=2))
    else:
        print("\n".join(describe(content)))
    return 0 if content["state"] == "up" else 1


def describe(content: dict) -> list[str]:
    """The status for people, as lines. Pure."""
    if content["state"] == "down":
        return ["rehearsal   down", "next        python -m rehearsal up"]
    lines = [f"rehearsal   {content['state']} since {content['started']}"]
    lines += [
        f"  {name:<9} {row['state']:<9} {row['address']:<15} ssh -F {content['ssh']['config']} {name}"
        for name, row in content["hosts"].items()
    ]
    gateway, registry = content["gateway"], content["registry"]
    lines += [
        f"gateway     {gateway['url']} on {gateway['address']}, CA {gateway['ca']}",
        f"registry    push {registry['push']}   pull {registry['pull']}",
    ]
    if content["state"] != "up":
        lines.append("next        python -m rehearsal up")
    return lines


def reach(content: dict) -> list[str]:
    """How to look at the gateway from here, as lines. Pure."""
    gateway = content["gateway"]
    name = gateway["url"].removeprefix("https://").partition(":")[0]
    at = f"--cacert {gateway['ca']} --resolve {name}:{gateway['https_port']}:{gateway['address']}"
    return [f" url         {gateway['url']}/dashboard/", f" look        curl {at} {gateway['url']}/api/health"]


def show_url() -> int:
    """Print the gateway's URL, and on standard error how to reach it without touching /etc/hosts."""
    content = state.read()
    if content["state"] == "down":
        print("error  the rehearsal is down\nnext   python -m rehearsal up", file=sys.stderr)
        return 1
    gateway = content["gateway"]
    name = gateway["url"].removeprefix("https://")
    print(gateway["url"])
    print(f"curl --cacert {gateway['ca']} --resolve {name}:{gateway['address']} {gateway['url']}/", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
