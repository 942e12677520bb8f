"""Every key of group_data once, with what it is for: an example to take from.

Made by `python -m changeover example`; a test checks that it is current, complete and without a fault. In your
repository `fleet` is in group_data/all.py, and each system is a file and a group of its own name. Leave out what is as
you want it anyway: docs/settings.md has the defaults.
"""

fleet = dict(
    # nftables
    firewall=dict(
        # false: the team has a firewall of its own, and nothing of it is touched
        manage=True,
        # networks that may use SSH, beside the fleet's own hosts; none named: everybody
        ssh_from=["203.0.113.0/24"],
        # further ports
        open=[
            dict(
                # the port that is asked for from outside; of tcp and udp only
                port=9100,
                # of the port; or one that has none: a keepalived pair needs `vrrp`
                protocol="tcp",
                # inventory group whose hosts open it; none: all hosts
                on="data",
                # networks that may use it; none named: everybody
                sources=["10.0.0.9"],
            ),
        ],
        # interfaces of the engine's networks; no network card may be named like them
        containers=["docker0", "br-*"],
    ),
    # the SSH server
    sshd=dict(
        # false: sshd is left as it is
        manage=True,
        # further keywords of sshd_config, or other values: {'X11Forwarding': 'yes'}
        settings={"X11Forwarding": "no"},
    ),
    # firewall and sshd go back unless a fresh SSH connection confirms them in this time
    confirm_within="90s",
    # security updates
    updates=dict(
        # false: none; the team updates in its own way
        automatic=True,
        # further packages that wait for a person, by how their names begin
        keep=["linux-image"],
    ),
    # none: swap is left as it is
    swap=dict(
        # of /swapfile
        size="2G",
        # how soon the kernel uses it
        swappiness=10,
    ),
    # further kernel settings, or other values: {'vm.overcommit_memory': '1'}
    sysctl={"vm.overcommit_memory": "1"},
    # disk that the journal may use; containers' logs have limits of their own
    journal="1G",
    # left to the host: containers may not be promised it
    memory_reserve="512M",
    # what these hosts are; development ports are closed in production
    environment="staging",
    # where the team's images come from: {registry} in image names
    registry="registry.example.com",
    # where public images come from: {mirror} in image names
    mirror="docker.io",
    # Docker's apt repository, or the distribution's
    docker_source="docker",
    # further keys of /etc/docker/daemon.json
    daemon={"registry-mirrors": ["https://mirror.example.com"]},
    # user that is made; in group docker, so as good as root
    deploy_user="deploy",
    # public SSH keys that may log in as the deploy user
    deploy_keys=["ssh-ed25519 AAAA... dana@laptop"],
    # NAME=value lines: with mode 0600 and never in git, or encrypted with age
    secrets_file="secrets/{environment}.env",
    # file of the age identity that opens secrets_file, mode 0600; CHANGEOVER_AGE_IDENTITY wins
    secrets_identity="secrets/identity.txt",
    # words of a command that prints the value of a secret that is in neither the environment nor the file;
    # {name} {system} {environment} are filled in
    secrets_command=["pass", "show", "{system}/{environment}/{name}"],
    # longest time for each answer of secrets_command
    secrets_timeout="20s",
    # how many times a host's memory all limits on it may add up to, both slots counted
    memory_overcommit=1.5,
    # the nginx of the edge hosts
    gateway=dict(
        # CPU limit in cores
        cpus=0.5,
        # memory limit
        memory="256M",
        # cores kept: becomes cpu_shares, as compose has no CPU reservation
        cpus_reserve=0.1,
        # memory kept (a soft limit)
        memory_reserve="64M",
        # inventory group whose hosts are gateways
        on="edge",
        # exact tag or digest
        image="{mirror}/library/nginx:1.26",
        # plain HTTP: health, redirects to HTTPS
        http_port=80,
        # HTTPS, HTTP/2 and WebSockets
        https_port=443,
        # the authority of systems with tls="acme"
        acme=dict(
            # whom the authority writes to; given to it with the account
            email="ops@example.com",
            # its address
            directory="https://acme.internal.example.com/acme/directory",
            # PEM file, for a private authority: who signed its own HTTPS and its certificates; all of certbot
            # on the gateway then trusts nobody else
            ca="secrets/ca.crt",
        ),
        # idle time of client connections
        keepalive="75s",
        # idle time of connections to apps; must be shorter than the apps' own, or POSTs fail
        upstream_keepalive="30s",
        # address:port at which the control machine reaches it; default: the host's address, https_port
        reach="203.0.113.10:443",
        # its folder on the hosts
        run_dir="/srv/gateway",
    ),
)

shop = dict(
    # release of the first installation; later the hosts say what is live
    initial_release="1.0.0",
    # image of services that name none
    image="{registry}/{system}/{service}:{release}",
    # name under which the gateway serves it
    domain="shop.example.com",
    # files; or "acme", as fleet.gateway.acme says; none: plain HTTP only
    tls=dict(
        # PEM file with the certificate and its chain
        certificate="secrets/shop.crt",
        # PEM file with the key
        key="secrets/shop.key",
        # PEM file of a private CA, for the deploy's own prober
        ca="secrets/ca.crt",
    ),
    # its folder on the hosts; default /srv/SYSTEM
    run_dir="/srv/shop",
    # its parts; the name is used everywhere
    services={
        "db": dict(
            cpus=2.0,
            # memory limit; more ends the process
            memory="2G",
            cpus_reserve=0.5,
            memory_reserve="512M",
            # started when the layer below is healthy; 4 is the gateway
            layer=1,
            # inventory group whose hosts run it
            on="data",
            # exact tag or digest; {registry} {mirror} {service} {release} are filled in
            image="{mirror}/library/postgres:17",
            # words instead of the image's own command
            command=None,
            # variables, not secret; {address.SERVICE} is host:port of a service
            env={"TZ": "UTC"},
            # files under /run/secrets: names, or name -> text with {secret.NAME}, {login.DATABASE} and
            # {address.SERVICE}; in a URL the secret is percent-encoded
            secrets=[],
            # as secrets, but variables, which `docker inspect` shows: only for an app that cannot read files;
            # each report lists them
            secret_env=[],
            # as an app's; the official image's own, its Alpine variant's is 70
            uid=999,
            # its files cannot be changed: what it writes goes to volumes and to folders in memory
            read_only=True,
            # folders in memory; they count as its memory; `/tmp:exec` where programs are started from one
            tmpfs=["/tmp"],
            # rights of root that it keeps, such as NET_BIND_SERVICE; all others are dropped
            capabilities=[],
            # processes and threads that it may have
            pids=512,
            # time between SIGTERM and SIGKILL
            stop_grace="60s",
            # longest wait until healthy
            start_timeout="120s",
            # what it is
            kind="postgres",
            # major version; must be the image's
            major=17,
            # port in the container
            port=5432,
            # host port, on the host's private address
            publish=5432,
            # as an app's
            dev_ports={15432: 5432},
            # database that is created
            database="shop",
            # role without superuser rights that owns it; apps log in as {login.NAME}, a member of it
            owner="shop",
            # name of the secret that holds that login's password; another value is another login
            owner_secret="SHOP_DB_PASSWORD",
            # name of the secret of the postgres role
            superuser_secret="POSTGRES_PASSWORD",
            # made by the superuser
            extensions=["pg_trgm"],
            # server settings, as in postgresql.conf
            settings={"max_connections": "200"},
            # default: pg_isready over TCP
            health=dict(
                # words run in the container instead; exit code 0 is healthy
                cmd=["pg_isready", "-h", "127.0.0.1"],
                # time between two checks
                interval="10s",
            ),
        ),
        "queue": dict(
            cpus=0.5,
            memory="512M",
            cpus_reserve=0.1,
            memory_reserve="64M",
            layer=1,
            on="data",
            image="{mirror}/library/nats:2.10",
            command=["-js", "-sd", "/data", "-m", "8222"],
            env={"TZ": "UTC"},
            secrets=[],
            secret_env=[],
            # user the container runs as, and owner of its secrets; none: the image's
            uid=None,
            read_only=True,
            tmpfs=["/tmp"],
            capabilities=[],
            pids=512,
            stop_grace="30s",
            start_timeout="60s",
            kind="nats",
            port=4222,
            publish=4222,
            dev_ports={8222: 8222},
            # its HTTP monitoring port, which the health check asks
            monitoring=8222,
            # default: /healthz of its monitoring port
            health=dict(
                # path that answers 200 while the process lives; no dependency in it
                http="/healthz",
                # port of `http` where it is not the service's own
                port=8222,
            ),
        ),
        "api": dict(
            cpus=1.0,
            memory="1G",
            cpus_reserve=0.25,
            memory_reserve="256M",
            layer=2,
            on="app",
            command=["serve", "--port", "8000"],
            env={"QUEUE_URL": "nats://{address.queue}"},
            secrets={"DATABASE_URL": "postgresql://{login.db}:{secret.SHOP_DB_PASSWORD}@{address.db}/shop"},
            secret_env=["SENTRY_DSN"],
            uid=10001,
            read_only=True,
            tmpfs=["/tmp"],
            capabilities=["NET_BIND_SERVICE"],
            pids=512,
            stop_grace="35s",
            start_timeout="120s",
            # what it is; the other kinds are postgres and nats
            kind="app",
            port=8000,
            # host port -> container port on 127.0.0.1; closed in production
            dev_ports={19000: 9000},
            # blue and green host ports: the service is switched without a gap
            slots=dict(
                # host port of the blue slot
                blue=18000,
                # host port of the green slot
                green=18001,
            ),
            # path prefixes it serves
            routes={
                "/api": dict(
                    # longest silence of the service; S1 asks 24h for /ws
                    timeout="45s",
                    # largest request body
                    max_body="20M",
                    # longest time that a client may take to send a request body; the old slot is kept that long
                    # after a switch. nginx itself only ends a client that sends nothing for this time
                    upload="30s",
                ),
                "/ws": dict(
                    # pass the Upgrade header on
                    websocket=True,
                    timeout="24h",
                ),
            },
            # how the engine tells that it is alive; slots need it
            health=dict(
                http="/api/health",
                port=8000,
                interval="5s",
                # longest time for one check
                timeout="3s",
                # failures in a row until unhealthy
                retries=3,
                # failures in this time after the start do not count
                start_period="15s",
            ),
            # what the idle slot must answer before traffic goes there; default: health
            ready=dict(
                # path asked on the slot's own port
                http="/api/ready",
                # keys that must have these values in the answer's body
                json={"database": "ok"},
                # longest wait for the right answer
                timeout="60s",
            ),
            # the team's own tests of an idle slot, before the switch
            test=dict(
                # words; programs of the Python that runs pyinfra come first. Exit code 0 is passed
                run=["pytest", "tests/api", "-q"],
                # where they run, from the folder that pyinfra runs in
                folder="../shop",
                # further variables; RELEASE is set, PREVIOUS for a command, BASE_URL (the idle slot) and
                # OTHER_URL (the live one) for tests
                env={"PYTHONDONTWRITEBYTECODE": "1"},
                # names of secrets, given as variables to this process alone
                secrets=["ADMIN_TOKEN"],
                # longest time for one run; then the process and its children are ended
                timeout="5m",
            ),
            # time for open requests and sockets after traffic has left, before the stop
            drain="30s",
            # time that it keeps an idle connection open; longer than the gateway's upstream_keepalive
            keepalive="75s",
        ),
        "clock": dict(
            layer=2,
            on="app",
            # runs exactly once, on the first host of its group
            singleton=True,
            health=dict(
                cmd=["test", "-e", "/tmp/alive"],
            ),
        ),
        "site": dict(
            layer=3,
            on="edge",
            image="{registry}/shop/site:1.4",
            port=3000,
            # host port, on the host's private address, for a service without slots
            publish=18010,
            routes={
                "/site": dict(
                    # take the prefix away before the service sees the path
                    strip=True,
                    # folder below the prefix to cache, such as assets/
                    assets="assets/",
                ),
            },
        ),
    },
    # how a release goes live
    release=dict(
        # all hosts at once, beside the old release; host by host; or the old release is stopped first, behind
        # the maintenance page
        strategy="blue_green",
        # not confirmed in this time, a switch goes back by itself
        lease="90s",
        # time under watch after the switch, before it is confirmed
        soak="5m",
        # blue_green: shares of the clients that get the release first, such as [5, 25, 50]; each sticks to its
        # slot
        steps=[
            dict(
                # stands in output and report; default: its percentage, or the chosen
                name="our own",
                # who gets it, beside those who have it already
                who=dict(
                    # share of the clients; each step's holds the one before
                    percent=0,
                    # who has this name's signed cookie or header: docs/adopt.md
                    teams=["internal"],
                    # the same, for one person
                    users=["dana"],
                ),
                # time under watch before the next step
                hold="1h",
            ),
            5,
            dict(
                who=dict(
                    percent=25,
                ),
                hold="10m",
                # names of the gates that judge it; default: all that can decide within hold
                gates=["api_p95"],
                # all go back; or those who came with this step, and the ones before stay on it without a watch;
                # or all stay where they are, without a watch
                on_fail="previous",
            ),
            50,
            100,
        ],
        # secret that signs the cookies of the users and teams who are chosen in steps
        early_secret="EARLY_SECRET",
        # time that the old slot runs on after the confirmation
        keep_warm="30m",
        # releases that were live and whose images stay on the hosts
        keep=5,
        # where a confirmed release is tagged in git, on the control machine; never pushed by itself
        tag="production",
        # name of that tag; {system} {release} {environment} are filled in
        tag_name="{system}-v{release}",
        # requests of the deploy's own prober; default: each route's health path
        probe=[
            dict(
                # path on the gateway
                path="/api/health",
                # the right status code
                expect=200,
            ),
            dict(
                path="/api/orders",
                # a POST's body holds {id}, new each time
                method="POST",
                # body of a POST
                json={"number": "probe-{id}"},
                expect=201,
            ),
        ],
        # path of a WebSocket that the prober keeps open
        websocket="/ws",
        # calls after the switch, in order; one that fails sends the release back
        smoke=[
            dict(
                # what it shows, in a person's words: it stands in output and report
                name="a write, and its event",
                # sent once, never again
                method="POST",
                # path on the gateway; may hold {id}
                path="/api/orders",
                # headers; {secret.NAME} and {id} are filled in
                headers={"Authorization": "Bearer {secret.ADMIN_TOKEN}"},
                # body; {secret.NAME} and {id} are filled in
                json={"number": "{id}"},
                expect=201,
                # keys that must have these values in the JSON answer
                answer={"number": "{id}"},
                # text that the answer's body must hold; {id} is filled in
                text="{id}",
                # longest time for the whole answer
                timeout="10s",
                # a message that must come of it
                event=dict(
                    # path of the WebSocket
                    path="/ws",
                    # what the message must hold, {id} filled in; default: the new id in its text
                    json={"number": "{id}"},
                    # longest wait, from the call's answer on
                    within="5s",
                ),
            ),
        ],
        # the team's own, such as the upload of static files to a bucket or CDN
        commands=[
            dict(
                run=["aws", "s3", "sync", "build/static", "s3://shop/static"],
                folder=".",
                env={"AWS_REGION": "eu-central-1"},
                secrets=["AWS_SECRET_ACCESS_KEY"],
                timeout="5m",
                # what it does, in a person's words: it stands in output and report
                name="static files",
                # before anything of the release starts: a failure stops it there; or after the confirmation,
                # and after a way back that this run takes: a failure undoes nothing
                when="before",
            ),
        ],
        # failed probes, from before the switch on, that still pass
        max_failed=0,
    ),
    # numbers that a release is judged by in its soak; default: p95 and no_5xx, docs/adopt.md
    gates=[
        dict(
            # stands in output, report and messages
            name="api_p95",
            # where its number comes from
            source=dict(
                # the deploy's prober: ms until the answer; percent of requests that failed, or answered 5xx
                probe="p95",
                # probe: only these requests; WS: the WebSocket, opened anew again and again
                method="GET",
                # probe: only requests of this path
                path="/api/health",
                # longest time for one answer; shorter than the gate's `every`
                timeout="3s",
            ),
            # how number and limit compare for a pass
            op="<",
            # the limit
            value=200,
            # the old slot's number at the same time; with `value` the more lenient one is the limit
            baseline=dict(
                # the slot of the release before
                slot="old",
                # the limit is the old slot's times this
                ratio=2.0,
            ),
            # time between two looks
            every="5s",
            # probe: the time that a look looks back on, after the switch only. All: in this time after the
            # switch, too little data is no news yet
            window="30s",
            # probe: with fewer requests in the window a look is inconclusive
            min_samples=20,
            # looks that may fail; one more sends the release back
            fail_limit=2,
            # looks that may be errors
            error_limit=4,
            # looks that may have no data
            nodata_limit=2,
            # looks that may be inconclusive
            inconclusive_limit=2,
            # count what came since the last pass; False: all since the switch
            consecutive=True,
        ),
        dict(
            name="status",
            source=dict(
                # path that is asked: through the gateway, or a service's own slot
                http="/api/ready",
                # cmd, http: whose slot (http without it: the gateway); sql: the database; promql: whose slot
                # $slot is. Default where there is one only
                service="api",
                # http: status, ms, or a value of the JSON answer, as in $.queue.depth; true is 1
                take="$.database",
                # http: the number is 1 where what `take` found is this, and 0 where it is not
                equals="ok",
            ),
            op="==",
            value=1,
        ),
        dict(
            name="memory",
            source=dict(
                # words, run in the slot's container on each of its hosts; prints a number
                cmd=["cat", "/sys/fs/cgroup/memory.current"],
                service="api",
            ),
            value=500000000,
            baseline=dict(
                ratio=1.5,
            ),
        ),
        dict(
            name="queue",
            source=dict(
                # query of one row and column, run as a role that can only read; a database knows no slots
                sql="select count(*) from orders where state = 'waiting'",
            ),
            value=1000,
        ),
        dict(
            name="errors",
            source=dict(
                # query, asked of `prometheus`; $slot and $release are filled in; of several series the worst
                promql="sum(rate(errors_total{slot='$slot'}[1m]))",
            ),
            value=0.1,
        ),
    ],
    # base URL for gates with promql, as the coordinator (the first gateway) sees it
    prometheus="http://10.0.0.9:9090",
    # none: the system has no schema of its own
    migrations=dict(
        # the tool that knows the versions
        engine="alembic",
        # service in whose image and with whose secrets the engine runs
        service="api",
        # the postgres service it changes
        database="db",
        # longest time for one upgrade
        timeout="10m",
    ),
    # what must be so before a release, and what after it
    checklist=[
        dict(
            # what is so, in a person's words: it stands in output and report
            name="went live on staging",
            # the document that asks for it
            source="S1",
            # before anything is touched: an item that fails refuses the release; or after the confirmation: it
            # undoes nothing, and the run ends with exit code 1
            when="before",
            # before: `certificates` last 14 days more, `images` are in the registry, `rehearsed` (the release
            # went live on staging; its report is here), `tagged` in git as release.tag_name says. After:
            # `healthy` containers at the release, 50 `logs` lines each without an error, `memory` below 90 % of
            # the limits, the `probe` within release.max_failed, its `websocket` kept
            check="rehearsed",
        ),
        dict(
            name="off-peak",
            # only there; none: everywhere
            environment="production",
            # times at which a release may begin, such as "mon-thu 09:00-16:00"
            within=["mon-thu 06:00-09:00"],
            # time zone of `within`
            zone="Europe/Berlin",
        ),
        dict(
            name="stakeholders know",
            environment="production",
            # a question to a person, at the terminal or in a file: `--data answers=FILE`
            ask="Who was told, and how?",
        ),
        dict(
            name="no known vulnerability",
            # a program of the team's own; exit code 0 is yes
            program=dict(
                run=["pip-audit", "-r", "requirements.txt"],
                folder=".",
                env={"PIP_INDEX_URL": "https://pypi.internal.example.com/simple"},
                secrets=["PIP_TOKEN"],
                timeout="2m",
            ),
        ),
    ],
)

wiki = dict(
    initial_release="2.0",
    domain="wiki.example.com",
    services={
        "pages": dict(
            layer=2,
            on="app",
            port=80,
            slots=dict(
                blue=18100,
                green=18101,
            ),
            routes={
                "/": {
                },
            },
            health=dict(
                http="/",
            ),
        ),
    },
    release=dict(
        strategy="rolling",
        # rolling: time under watch after each host, before the next one's turn
        pause="30s",
    ),
)
