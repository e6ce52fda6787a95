#!/bin/sh
# One ingest as cron runs it: ingest.sh SOURCE FOLDER
#
# FOLDER keeps the lock, the log, the report and the rejected documents. No two run at once, none longer than
# INGEST_LIMIT. Cron mails what is printed: one line, and only where somebody should look. The exit code is that of
# `connector ingest`, or 75 where the last run is still under way.
set -eu
source=$1 folder=$2
limit=${INGEST_LIMIT:-6h}
cd "$folder"

exec 9>ingest.lock
if ! flock --nonblock 9; then
    echo "ingest of $source left out: the last run is still under way (see $folder/ingest.log)"
    exit 75
fi

code=0
# TERM at the limit: the job writes what is encoded within ingest.grace_s and exits with 143
timeout --preserve-status --kill-after=60s "$limit" \
    connector ingest "$source" --report report.json --rejects rejects.jsonl --log-format json \
    >>ingest.log 2>&1 || code=$?

case $code in
    0) ;;
    1) echo "ingest of $source: some documents were rejected; they are in $folder/rejects.jsonl with the reasons" ;;
    2) echo "ingest of $source could not start: $(tail -n 1 ingest.log)" ;;
    3 | 130 | 137 | 143) echo "ingest of $source ended early ($code); the next run goes on (see $folder/ingest.log)" ;;
    *) echo "ingest of $source failed with $code (see $folder/ingest.log)" ;;
esac
exit "$code"
