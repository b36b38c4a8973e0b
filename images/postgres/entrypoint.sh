#!/bin/sh
# Starts PostgreSQL as the public image does: the first start makes the database from POSTGRES_USER,
# POSTGRES_PASSWORD and POSTGRES_DB in PGDATA. Runs as any user that owns PGDATA's parent; the shell
# is all there is, so no other program is called.
set -eu
bin=/usr/lib/postgresql/15/bin
[ "${1:-postgres}" = postgres ] || exec "$@"
[ $# -eq 0 ] || shift

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -z "${POSTGRES_PASSWORD:-}" ]; then
		echo "postgres: set POSTGRES_PASSWORD" >&2
		exit 1
	fi
	umask 077
	printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
	"$bin/initdb" -D "$PGDATA" -U "$user" --pwfile=/tmp/password --locale=C --encoding=UTF8 --no-sync --no-instructions \
		--auth-local=trust --auth-host=scram-sha-256 >&2
	: >/tmp/password
	echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
	if [ "$database" != postgres ]; then
		printf 'CREATE DATABASE "%s";\n' "$database" | "$bin/postgres" --single -D "$PGDATA" postgres >/dev/null
	fi
fi
exec "$bin/postgres" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql "$@"
