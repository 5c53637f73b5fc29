# Starts Redis as what it is to be: the master, or a replica of it. Arguments: those of redis-server.
set -eu
# Where it is: what another pod's Sentinel says, else what ours was told last, else, when there was none yet, the first pod.
master=
for pod in redis-0 redis-1 redis-2; do
  [ "$pod" != "$HOSTNAME" ] && [ -z "$master" ] || continue
  master=$(timeout 2 redis-cli -h "$pod.redis" -p 26379 -e sentinel get-master-addr-by-name segue | head -n 1)
done
[ -n "$master" ] || [ ! -f /data/sentinel.conf ] || master=$(sed -n 's/^sentinel monitor segue \([^ ]*\) .*/\1/p' /data/sentinel.conf)
master=${master:-redis-0.redis}
replicaof=
[ "$master" = "$HOSTNAME.redis" ] || replicaof="replicaof $master 6379"
echo "the master is $master"

# The users of the Secret, and one for replicas and Sentinels.
hash=$(printf %s "$SENTINEL_PASSWORD" | sha256sum | cut -d ' ' -f 1)
{
  cat /etc/redis/users.acl
  echo "user sentinel on #$hash &__sentinel__:hello +psync +replconf +ping +info +role +subscribe +publish +multi +exec +replicaof" \
    "+slaveof +config|rewrite +client|setname +client|kill +script|kill"
} >/data/users.acl
# A master that no replica follows takes no writes: nothing is lost with one that was cut off or comes back.
exec redis-server - "$@" --aclfile /data/users.acl <<EOF
replica-announce-ip $HOSTNAME.redis
masteruser sentinel
masterauth $SENTINEL_PASSWORD
min-replicas-to-write 1
$replicaof
EOF
