#!/bin/sh
# The PostgreSQL image runs this once, when the database is new: one role for each thing there is to do, with the password
# that stands in its secret (docs/operations.md, Roles). People who read the log in SQL get theirs from whoever runs the server.
set -eu
secrets=${SECRETS:-/run/secrets}

sql() {
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

for role in owner app sealer eraser; do
  # The password is read by psql: no list of processes shows it.
  file="$secrets/${role}_password" sql --set role="thidua_$role" <<'SQL'
\set password `cat "$file"`
CREATE ROLE :"role" LOGIN PASSWORD :'password';
SQL
done
sql --set database="$POSTGRES_DB" <<'SQL'
CREATE ROLE thidua_auditor LOGIN;
ALTER DATABASE :"database" OWNER TO thidua_owner;
ALTER SCHEMA public OWNER TO thidua_owner;
SQL
