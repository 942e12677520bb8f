"""The smallest system: one plain image with a port, on hosts that another system uses as well."""

hello = dict(
    initial_release="1.26", domain="hello.example.com",
    services=dict(
        web=dict(layer=2, on="app", image="{mirror}/library/nginx:{release}", port=80, publish=18100, routes={"/": {}},
                 health={"http": "/"}, capabilities=["CHOWN", "SETGID", "SETUID"], tmpfs=["/run", "/var/cache/nginx"]),
    ),
)
