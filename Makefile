# The commands of the README. Each says in one line what it does; python -m rehearsal --help has the rest.
.PHONY: rehearsal rehearsal-down rehearsal-full test test-unit test-report test-faults lint bench venv chromium prometheus

PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

rehearsal: venv  ## set-up and main job: hosts up, deploy, seed data, verify; hosts stay up
	@$(RUN) -m rehearsal job

rehearsal-down: venv  ## nothing is left behind (the image cache stays: python -m rehearsal down --images)
	@$(RUN) -m rehearsal down

test: venv lint test-unit test-report  ## set-up and the tests: 20 minutes on 2 cores, cold, are meant
	@$(RUN) -m rehearsal job --fresh --no-verify
	@$(RUN) -m pytest tests/server --inventory inventories/staging.py -q
	@$(RUN) -m pytest tests/rehearsal -q -m "not late"

test-unit: venv prometheus
	@$(RUN) -m pytest tests/unit -q -n auto --dist worksteal

test-report: venv chromium  ## the report's page in a real browser; the pictures go to .rehearsal/pages/
	@$(RUN) -m pytest tests/report -q -n 2

test-faults: venv  ## the faults: about 45 minutes on 2 cores (35 are meant)
	@$(RUN) -m rehearsal job --no-verify
	@$(RUN) -m pytest tests/rehearsal -q -m late
	@$(RUN) -m pytest tests/faults -q -m "not matrix"

rehearsal-full: venv  ## every test and fault in turn; the evidence goes to docs/faults.md
	@$(RUN) -m rehearsal job --fresh
	@$(RUN) -m pytest tests/rehearsal tests/faults -q --junitxml=.rehearsal/full.xml; code=$$?; \
		$(RUN) -m rehearsal.evidence .rehearsal/full.xml > docs/faults.md; exit $$code

lint: venv
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

bench: venv  ## the figures, side by side with the alternatives, about an hour: docs/benchmarks.md
	@$(RUN) -m bench

chromium: venv  ## what test-report opens pages with: Debian's, or Playwright's own where there is no Debian
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
		echo " chromium    installing it (about a quarter of a minute)"; \
		apt="apt-get -qq -o DPkg::Lock::Timeout=180"; \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && $$apt update && \
		$$apt install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null || \
		$(VENV)/bin/playwright install chromium >/dev/null || { \
		echo "error  no Chromium; run: sudo apt-get install -y chromium"; exit 1; }; }

prometheus:  ## a real one for the gates' tests: Debian's program, unpacked and not installed, so that no service starts
	@command -v prometheus >/dev/null || [ -x .cache/prometheus/usr/bin/prometheus ] || ! command -v apt-get >/dev/null || { \
		echo " prometheus  unpacking it (a few seconds)"; mkdir -p .cache/prometheus && cd .cache/prometheus && \
		{ apt-get download -qq prometheus 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get download -qq prometheus; } 2>/dev/null; } && \
		rm -rf new usr && dpkg -x prometheus_*.deb new && mv new/usr . && rm -r new prometheus_*.deb; } || echo " prometheus  it could not be had: one test will be skipped"

venv: $(STAMP)

$(STAMP): requirements.txt
	@echo " .venv       installing requirements.txt (about half a minute)"
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { command -v $(PYTHON) >/dev/null || { \
		echo "error  $(PYTHON) is not installed; run: apt-get install -y python3.11 python3.11-venv"; exit 1; }; \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3.11-venv >/dev/null && $(PYTHON) -m venv $(VENV) || { \
		echo "error  $(PYTHON) cannot make a venv; run: sudo apt-get install -y python3.11-venv"; exit 1; }; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(STAMP)
