"""The whole deployment, phase by phase. Of what is live, each also runs alone: pyinfra INVENTORY phases/services.py -y

A phase begins on any host when the one before has ended on all. A failed step stops the run there.
"""

from pyinfra import local

local.include("phases/preflight.py")  # refuses before anything is changed
local.include("phases/checklist.py")  # the team's own, answered before anything is changed
local.include("phases/secure.py")  # the host itself: deploy user, time, updates, firewall, SSH
local.include("phases/provision.py")  # engine, host command
local.include("phases/lock.py")  # one deploy at a time
local.include("phases/infrastructure.py")  # layer 1: databases, brokers
local.include("phases/images.py")  # every host has the release's images
local.include("phases/certificates.py")  # the gateways' own, where an authority gives them (ACME)
local.include("phases/publish.py")  # the team's own commands: static files to a bucket or CDN
local.include("phases/stage.py")  # the idle slots are given to the release; until here the way back is as it was
local.include("phases/open.py")  # recreate: the old release is stopped, behind the maintenance page
local.include("phases/database.py")  # owner, extensions, schema
local.include("phases/services.py")  # layer 2: applications, workers
local.include("phases/frontend.py")  # layer 3: dashboards
local.include("phases/tests.py")  # the idle slots pass the team's own tests
local.include("phases/gateway.py")  # layer 4: nginx
local.include("phases/roll.py")  # rolling: host by host, each watched; the last one by the switch
local.include("phases/weigh.py")  # weighted steps: shares of the clients, each watched
local.include("phases/switch.py")  # traffic goes to the release, under a lease
local.include("phases/confirm.py")  # it answers and is watched; then it is confirmed, or goes back
