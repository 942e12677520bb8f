"""Who asks whom, and the network that follows from it."""

import pytest

from changeover.confine import confined
from changeover.networks import BACK, FRONT, LONGEST, bridge, network
from changeover.plan import Plan
from tests.unit.test_firewall import on_all, plan


def of(made: Plan) -> dict[str, str]:
    return {
        f"{system}.{name}": network(made, system, name)
        for system, settings in made.systems.items()
        for name in settings.services
    }


def test_what_asks_or_is_asked_is_behind() -> None:
    found = of(plan())
    assert {found[one] for one in ("shop.db", "shop.queue", "shop.api")} == {BACK}
    assert found["hello.web"] == FRONT
    assert found["shop.clock"] == BACK, "no routes: others may know it by its name, from inside their image"


@pytest.mark.parametrize("key", ["env", "secrets", "secret_env"])
def test_an_address_in_any_text_counts(key: str) -> None:
    text = "nats://10.0.0.14:4222" if key == "env" else "nats://{secret.ADMIN_TOKEN}@10.0.0.14:4222"
    assert of(plan(on_all(f"hello.services.web.{key}", {"QUEUE": text})))["hello.web"] == BACK


def test_a_broker_that_nobody_asks_is_behind_all_the_same() -> None:
    assert of(plan(on_all("shop.services.api.env", {})))["shop.queue"] == BACK


@pytest.mark.parametrize("system", ["a", "hello", "tasktracker", "tasktracked", "x" * 31])
def test_an_interface_has_a_name_that_fits(system: str) -> None:
    names = {bridge(system, network) for network in (BACK, FRONT)}
    assert len(names) == 2 and all(len(name) <= LONGEST and name.startswith("br-") for name in names)


def test_two_systems_have_two_interfaces() -> None:
    assert bridge("tasktracker", BACK) != bridge("tasktracked", BACK)


CACHE = {"layer": 2, "on": "app", "image": "{mirror}/library/redis:{release}", "port": 6379}


def test_a_service_without_routes_is_behind_with_those_who_use_it_by_its_name() -> None:
    made = plan(on_all("shop.services.redis", CACHE), on_all("shop.services.api.env", {"R": "redis://redis:6379"}))
    assert of(made)["shop.redis"] == of(made)["shop.api"] == BACK


@pytest.mark.parametrize(
    "text, where", [("redis://redis:6379/0", BACK), ("redis", BACK), ("u@redis", BACK), ("/redis", FRONT), ("", FRONT)]
)
def test_a_page_that_names_a_service_of_its_system_is_behind(text: str, where: str) -> None:
    made = plan(on_all("hello.services.redis", CACHE), on_all("hello.services.web.env", {"CACHE": text}))
    assert of(made)["hello.web"] == where


def test_folders_in_memory_may_hold_programs() -> None:
    folders = ["/tmp:exec", "/cache", "/var/run/postgresql:exec"]
    made = plan(on_all("shop.services.db.tmpfs", folders))
    assert confined(made, "shop", "db", made.systems["shop"].services["db"])["tmpfs"] == folders
    plain = plan()
    own = confined(plain, "shop", "db", plain.systems["shop"].services["db"])["tmpfs"]
    assert own == ["/tmp", "/var/run/postgresql"]
