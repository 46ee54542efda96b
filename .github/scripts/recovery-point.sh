#!/usr/bin/env bash
# recovery-point.sh DATABASE MINUTES: fails when the newest point to which the database can be restored is older.
set -euo pipefail

readonly database=${1:?usage: recovery-point.sh DATABASE MINUTES} most=${2:?usage: recovery-point.sh DATABASE MINUTES}
point=$(aws rds describe-db-instances --db-instance-identifier "$database" --output text \
  --query 'DBInstances[0].LatestRestorableTime')
if [[ -z $point || $point == None ]]; then
  echo "$database cannot be restored to any point: are its automatic backups off?" >&2
  exit 1
fi
age_s=$(($(date +%s) - $(date --date "$point" +%s)))
echo "$database can be restored to $point, $((age_s / 60)) minutes ago (at most $most)"
[[ $age_s -le $((most * 60)) ]]
