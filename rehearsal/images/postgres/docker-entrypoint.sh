#!/usr/bin/env bash
# The official postgres image's conventions: POSTGRES_USER, _DB, _PASSWORD (each also as NAME_FILE), _INITDB_ARGS,
# _HOST_AUTH_METHOD, PGDATA, /docker-entrypoint-initdb.d; arguments go to the server.
# https://github.com/docker-library/docs/blob/master/postgres/content.md
set -Eeuo pipefail

file_env() {  # NAME [DEFAULT]: the variable, or the content of the file that NAME_FILE names
  local name=$1 file=$1_FILE value=${2:-}
  if [ "${!name:-}" ] && [ "${!file:-}" ]; then
    echo >&2 "error: both $name and $file are set"; exit 1
  fi
  if [ "${!name:-}" ]; then value=${!name}; elif [ "${!file:-}" ]; then value=$(< "${!file}"); fi
  export "$name"="$value"
  unset "$file"
}

prepare_folders() {
  mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
  mkdir -p /var/run/postgresql && chmod 3777 /var/run/postgresql || true
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  fi
}

read_settings() {
  file_env POSTGRES_PASSWORD
  file_env POSTGRES_USER postgres
  file_env POSTGRES_DB "$POSTGRES_USER"
  file_env POSTGRES_INITDB_ARGS
}

first_start() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
    echo >&2 "error: the database is not initialised and POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) is not set"; exit 1
  fi
  # Checksums are on unless the arguments speak of them.
  case "$POSTGRES_INITDB_ARGS" in *data-checksums*) ;; *) POSTGRES_INITDB_ARGS+=" --data-checksums" ;; esac
  eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"' "$@"' \
    ${POSTGRES_INITDB_WALDIR:+--waldir "$POSTGRES_INITDB_WALDIR"}
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"

  # Only reachable inside the container until the set-up is complete.
  PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
  local psql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --no-password)
  export PGHOST="" PGHOSTADDR=""
  if [ "$POSTGRES_DB" != postgres ]; then
    "${psql[@]}" --dbname postgres --set db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
  fi
  psql+=(--dbname "$POSTGRES_DB")
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) echo "running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) echo "running $file"; "${psql[@]}" -f "$file" ;;
      *.sql.gz) echo "running $file"; gunzip -c "$file" | "${psql[@]}" ;;
      */\*) ;;
      *) echo "ignoring $file" ;;
    esac
  done
  PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w stop
  unset POSTGRES_PASSWORD PGHOST PGHOSTADDR
  echo "PostgreSQL init process complete; ready for start up."
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ] && ! printf '%s\n' "$@" | grep -qxE -- '-\?|--help|--version|-V|--describe-config'; then
  # As root, before the change of user: a secret's file is often root's alone.
  if [ ! -s "$PGDATA/PG_VERSION" ]; then read_settings; fi
  prepare_folders
  if [ "$(id -u)" = 0 ]; then exec gosu postgres "$BASH_SOURCE" "$@"; fi
  if [ -s "$PGDATA/PG_VERSION" ]; then
    echo "PostgreSQL Database directory appears to contain a database; skipping initialization."
  else
    first_start
  fi
fi
exec "$@"
