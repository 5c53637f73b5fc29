# Starts a Sentinel with these settings and, of the file that it keeps, what it has been told: who is master, and who else there is.
set -eu
file=/data/sentinel.conf
told=
[ ! -f "$file" ] || told=$(sed -n -E '/^sentinel (monitor|myid|known-|[a-z]+-epoch)/p' "$file")
cat >"$file.new" <<EOF
port 26379
dir /data
requirepass $REDISCLI_AUTH
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $HOSTNAME.redis
${told:-sentinel monitor segue redis-0.redis 6379 2}
sentinel auth-user segue sentinel
sentinel auth-pass segue $SENTINEL_PASSWORD
sentinel down-after-milliseconds segue 5000
sentinel failover-timeout segue 15000
EOF
mv "$file.new" "$file"
exec redis-server "$file" --sentinel
