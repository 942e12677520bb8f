"""What differs in production. Nothing is listed that is the same as in group_data/<system>.py."""

# The user that provisions: may use sudo without a password.
ssh_user = "admin"
_sudo = True

overrides = {
    "fleet.environment": "production",
    "fleet.registry": "registry.example.com",
    # The checklists of the operations guide and the deployment guide, as far as a run can ask or a person must say.
    "tasktracker.checklist": [
        {"name": "images are built", "source": "operations guide, pre-deployment", "check": "images"},
        {"name": "certificates are valid", "source": "deployment guide, security", "check": "certificates"},
        {"name": "it went live on staging", "source": "operations guide, pre-deployment", "check": "rehearsed"},
        {"name": "the database is backed up", "source": "operations guide, pre-deployment",
         "ask": "Where is the backup of before this release, and did you see that it restores?"},
        {"name": "migrations are reviewed", "source": "operations guide, pre-deployment",
         "ask": "Who reviewed the migrations of this release?"},
        {"name": "secrets are rotated if needed", "source": "operations guide, pre-deployment",
         "ask": "Does a secret have to be changed with this release?"},
        {"name": "off-peak", "source": "refactor plan, pre-deployment", "within": ["mon-thu 06:00-16:00"],
         "zone": "Europe/Berlin"},
        {"name": "all services are healthy", "source": "operations guide, post-deployment", "when": "after",
         "check": "healthy"},
        {"name": "the WebSocket is connected", "source": "operations guide, post-deployment", "when": "after",
         "check": "websocket"},
        {"name": "no errors in the logs", "source": "operations guide, post-deployment", "when": "after",
         "check": "logs"},
        {"name": "memory is within limits", "source": "operations guide, post-deployment", "when": "after",
         "check": "memory"},
        {"name": "no request failed", "source": "refactor plan, post-deployment", "when": "after", "check": "probe"},
    ],
    "tasktracker.tls": {"certificate": "secrets/tasks.example.com.crt", "key": "secrets/tasks.example.com.key"},
}
