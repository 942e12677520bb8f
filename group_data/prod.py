"""What differs in production. Nothing is listed that is the same as in group_data/<system>.py."""

# The user that provisions: may use sudo without a password.
ssh_user = "admin"
_sudo = True

overrides = {
    "fleet.environment": "production",
    "fleet.registry": "registry.example.com",
    "tasktracker.tls": {"certificate": "secrets/tasks.example.com.crt", "key": "secrets/tasks.example.com.key"},
}
