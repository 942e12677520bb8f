"""Heavy, honest load on the rehearsal's gateway: every request is sent once, every failure is kept with its time."""
